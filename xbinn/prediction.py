"""Maps of a fitted model: lazily, at once, or tile by tile into a file."""

import os
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any

import xarray as xr

from xbinn import options
from xbinn.errors import InputError
from xbinn.labelled import About, run_labelled
from xbinn.labels.blocks import prediction_inputs
from xbinn.labels.check import check_dataset
from xbinn.labels.quantities import quantified as as_quantities
from xbinn.model import Model, check_model
from xbinn.options import OutputGroup
from xbinn.running.block import predict_block
from xbinn.running.layout import Layout
from xbinn.running.resources import check_device
from xbinn.science.sampling import check_noise, posterior_of
from xbinn.variables import OUTPUT_GROUPS


def predict(
    ds: xr.Dataset,
    model: Model,
    *,
    outputs: Sequence[OutputGroup] = OUTPUT_GROUPS,
    samples: int = 0,
    quantiles: Sequence[float] = options.QUANTILES,
    reduce: bool = True,
    dropout: bool = True,
    seed: int = 0,
    to: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    chunks: Mapping[str, int] | None = None,
    shards: Mapping[str, int] | None = None,
    device: str = "auto",
    progress: bool | None = None,
    quantified: bool = False,
) -> xr.Dataset:
    """Map parameters, processes and SOC with a fitted model.

    Parameters
    ----------
    ds : Dataset
        The model's covariates and the forcing, on any spatial dimensions; other variables are
        ignored. Where it is chunked, so is the result, and nothing is computed.
    model : Model
        From `fit` or `load`.
    outputs : sequence of {"parameters", "processes", "soc"}
        What to return. ``soc`` is density by depth, cSoil and cSoilAbove1m.
    samples : int
        Samples of the posterior: Monte Carlo dropout, over the members of an ensemble in turn. A
        sample is the same network in every cell, hence a coherent map. 0 is the network without
        dropout; of an ensemble the mean over the members.
    quantiles : sequence of float
        Of the samples, in each cell, from 0 to 1.
    reduce : bool
        Return mean, standard deviation and quantiles of the samples; else the samples themselves,
        with a dimension ``sample``.
    dropout : bool
        Apply dropout; without it samples are the members of an ensemble.
    seed : int
        Of the samples: equal seeds give equal samples, whatever the chunks.
    to : path-like, optional
        Write tile by tile to this Zarr store (``.zarr``) or NetCDF file (``.nc``) and return when
        it is complete. A call that was interrupted, for whatever reason, is gone on with by the
        same call; a ledger of the finished tiles stands beside the store.
    overwrite : bool
        Replace what is at ``to``.
    chunks : mapping of str to int, optional
        Cells of a stored chunk along spatial dimensions, and of a tile unless there are shards.
        By default the chunks of ``ds``, several together where they are small.
    shards : mapping of str to int, optional
        Cells of a shard, a file that holds whole chunks; a tile is a shard then.
    device : str
        ``auto``, ``cpu``, ``cuda`` or ``cuda:1``. With ``to`` on a dask cluster whose workers offer
        the resource ``GPU``, tiles run there and only there, unless it is ``cpu``.
    progress : bool, optional
        Show a progress bar of tiles; by default on a terminal only.
    quantified : bool
        Return quantities of pint, in a registry whose year has 365 days; by default plain numbers
        with ``units`` in attributes, which is what can be written to files.

    Returns
    -------
    Dataset
        The 21 parameters, the processes, ``soc`` (depth, *space) [kg m-3], ``cSoil`` and
        ``cSoilAbove1m`` (*space) [kg m-2], and ``status``; NaN where status is not 0 and below
        bedrock. Coordinates and CRS are those of ``ds``. With samples ``<name>`` is their mean,
        ``<name>_std`` their standard deviation, and ``<name>_quantile`` has a dimension
        ``quantile``: of the modelled mean, observation noise is not in it.
        ``soc_observation_quantile`` (quantile, depth, *space) [kg m-3] is of what a soil sample of
        each layer would show, noise included. Each variable is summed up by itself, so mean SOC is
        not the SOC of mean parameters. Quantiles of parameters are those of networks, and far too
        narrow for the parameters themselves: see `xbinn.science.recovery.recovery_intervals`.

    Raises
    ------
    InputError
        If covariates or forcing are missing or cannot be used (values are seen when computed), or
        the model has no such samples, or no observation noise.
    DeviceError
        If the device is not there: here, or on any worker of the cluster.
    JobError
        With ``to``: if what is there belongs to another job or writer, a tile does not fit into
        memory or has failed, or the cluster is lost. Finished tiles stay.
    """
    check_dataset(ds)
    check_model(model)
    posterior = posterior_of(
        model, samples=samples, quantiles=quantiles, reduce=reduce, dropout=dropout, seed=seed
    )
    layout = Layout.of(outputs, posterior)
    if layout.observations:
        check_noise(model)
    check_device(device)
    sampled = "" if posterior is None else f", {posterior.describe()}"
    about = About(
        "Soil organic carbon, its processes and parameters (BINN)",
        source=f"xbinn {version('xbinn')}, model sha256 {model.sha256}{sampled}",
        call="xbinn.predict",
    )
    given: dict[str, Any] = {"overwrite": overwrite, "chunks": chunks, "shards": shards}
    if to is not None:
        given |= {"device": device, "progress": progress}
        from xbinn.stored import predict_to_store

        stored = predict_to_store(ds, model, layout, about, to, **given)
        return as_quantities(stored) if quantified else stored
    if any(given.values()):
        raise InputError(f"{given} say how to write, but to=... does not say where: give it")
    result = run_labelled(
        ds,
        prediction_inputs(ds, model.predictor.covariates),
        layout,
        predict_block,
        model.settings["dtype"],
        about,
        model=model.reference(),
        device=device,
    )
    return as_quantities(result) if quantified else result
