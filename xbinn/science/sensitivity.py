"""What soil carbon depends on: elasticities to parameters, responses to processes."""

from collections.abc import Sequence
from importlib.metadata import version
from typing import Final

import numpy as np
import xarray as xr

from xbinn.errors import InputError
from xbinn.labelled import About, run_labelled, with_parameters
from xbinn.labels.check import check_dataset
from xbinn.options import Bedrock
from xbinn.physics.steady_state import SoilCarbonModel
from xbinn.running.layout import Group, Layout
from xbinn.running.sensitivity import elasticity_block, regression_block

STEPS: Final = (-0.1, -0.05, 0.0, 0.05, 0.1)
"""Relative changes of the parameters in `regress_responses`."""
_DTYPE: Final = "float64"
"""Gradients and quotients of small changes: single precision would not do."""


def elasticities(
    ds: xr.Dataset,
    parameters: xr.Dataset,
    *,
    bedrock: Bedrock = "closed",
    responses: bool = True,
    by_depth: bool = False,
) -> xr.Dataset:
    r"""Map how soil organic carbon depends on each parameter and on each process.

    The elasticity to a parameter p is :math:`\partial \ln \mathrm{cSoil} / \partial \ln p`, the
    per cent of the stock for one per cent of p, from one backward pass through the solver for all
    21 parameters. The response to a process X with parameters G (``process_group``) is

    .. math:: \frac{\sum_G \partial \ln \mathrm{cSoil} / \partial \ln p}
                   {\sum_G \partial \ln X / \partial \ln p} ,

    the change of the stock with the process when all of G change by one factor.

    Parameters
    ----------
    ds : Dataset
        Forcing on any spatial dimensions. Where it is chunked, so is the result, and nothing is
        computed.
    parameters : Dataset
        The 21 parameters in physical units, broadcast against ``ds``: from
        `default_parameters`, or a result of `predict`.
    bedrock : {"closed", "published"}
        As for `simulate`.
    responses : bool
        Return ``process_response`` and ``controlling_process`` too: one backward pass a process.
    by_depth : bool
        Return ``soc_elasticity`` too: one backward pass a layer.

    Returns
    -------
    Dataset
        ``elasticity`` (parameter, *space) [1]; ``process_response`` (process, *space) [1], NaN
        where the sum below the line is smaller than 1e-6; ``controlling_process`` (*space), the
        process with the largest absolute response among those whose sum below the line is at
        least 0.1, 0 where there is none; ``soc_elasticity`` (parameter, depth, *space) [1];
        ``status``. NaN where status is not 0 and where there is no carbon.

    Raises
    ------
    InputError
        If forcing is missing or cannot be used, or parameters lie on other coordinates.
    ParameterError
        If parameters are missing or impossible, or vary with month or depth. Chunked values are
        looked at when computed.

    Notes
    -----
    Derivatives do not exist at the cap of the water scalar (``w_scaling`` times W_SCALAR equal to
    1 in some month and layer), where the value is that of the capped side. The stock does not
    change with ``taucwd``: coarse woody debris passes on whatever it receives.

    References
    ----------
    Tao et al. 2023, doi:10.1038/s41586-023-06042-3 (responses to processes).
    """
    check_dataset(ds)
    SoilCarbonModel(bedrock)
    groups: list[Group] = ["elasticity"]
    if by_depth:
        groups.append("soc_elasticity")
    if responses:
        groups += ["process_response", "controlling_process"]
    grid, inputs = with_parameters(ds, parameters)
    about = About(
        title="Elasticities of soil organic carbon at steady state of the CLM5 equations",
        source=f"xbinn {version('xbinn')}, given parameters, bedrock={bedrock}",
        call="xbinn.elasticities",
    )
    layout = Layout(tuple(groups))
    return run_labelled(grid, inputs, layout, elasticity_block, _DTYPE, about, bedrock=bedrock)


def regress_responses(
    ds: xr.Dataset,
    parameters: xr.Dataset,
    *,
    bedrock: Bedrock = "closed",
    steps: Sequence[float] = STEPS,
) -> xr.Dataset:
    """Map responses to processes from finite steps, the published way.

    All parameters of a process are multiplied by 1 + step, and ln cSoil is regressed on the
    logarithm of the process over the steps. For small steps this is ``process_response`` of
    `elasticities`; for large ones it is a mean over the curve and its kinks.

    Parameters
    ----------
    ds, parameters, bedrock
        As for `elasticities`.
    steps : sequence of float
        Relative changes of the parameters, above -1; at least two that differ. In a cell where a
        step leads to values that the equations cannot take, such as a fraction above 1, the step
        is left out.

    Returns
    -------
    Dataset
        ``process_response`` (process, *space) [1] and ``status``. NaN where fewer than two steps
        are left, and where the process changes by less than 1e-6 of the steps.

    Raises
    ------
    InputError
        As for `elasticities`; also if steps cannot be used.
    ParameterError
        As for `elasticities`.

    Notes
    -----
    The published codes step the parameters in the unit interval of their prior, from -50 to 50 or
    -20 to 20 %, and clip what leaves it; physical values need no prior. They regress global
    totals; in single cells they take the mean quotient of the two logarithms.

    References
    ----------
    Tao et al. 2023, doi:10.1038/s41586-023-06042-3.
    """
    check_dataset(ds)
    SoilCarbonModel(bedrock)
    try:
        given = np.asarray(steps, dtype=np.float64)
    except (TypeError, ValueError):
        given = np.empty(0)
    if (
        given.ndim != 1
        or np.unique(given).size < 2
        or not (np.isfinite(given) & (given > -1)).all()
    ):
        raise InputError(
            f"steps={steps!r} cannot be regressed on: give two or more different relative changes "
            f"above -1, such as {STEPS}"
        )
    grid, inputs = with_parameters(ds, parameters)
    about = About(
        title="Responses of soil organic carbon to processes, by regression over finite steps",
        source=f"xbinn {version('xbinn')}, given parameters, bedrock={bedrock}, "
        f"steps={', '.join(f'{step:g}' for step in given)}",
        call="xbinn.science.sensitivity.regress_responses",
    )
    layout = Layout(("process_response",))
    return run_labelled(
        grid,
        inputs,
        layout,
        regression_block,
        _DTYPE,
        about,
        bedrock=bedrock,
        steps=tuple(given.tolist()),
    )
