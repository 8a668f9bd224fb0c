"""Names, units and coordinates of what was retrieved."""

from importlib.metadata import version
from typing import Any

import numpy as np
import xarray as xr

from xbinn.labels.encoding import output_attributes
from xbinn.labels.profiles import standardise_profiles
from xbinn.labels.sites import describe_left_out
from xbinn.parameters import PARAMETER_NAMES, prior_bounds
from xbinn.science.proda.batch import Task
from xbinn.science.proda.gathering import Profiles
from xbinn.science.proda.sampler import ANNEALING, KERNELS
from xbinn.variables import PROFILE, SAMPLE


def label(
    results: list[dict[str, np.ndarray]],
    parts: list[np.ndarray],
    found: Profiles,
    profiles: xr.Dataset,
    task: Task,
) -> xr.Dataset:
    """Join the results of batches, see `xbinn.science.proda.retrieve`."""

    def joined(name: str, axis: int = 0) -> np.ndarray:
        return np.concatenate([one[name] for one in results], axis=axis)

    low, high = np.array(prior_bounds(task.prior)).T
    span = high - low
    mean, std = low + span * joined("mean"), span * joined("std")
    quantile = low + span * joined("quantile", axis=1)
    data: dict[str, Any] = {}
    for row, name in enumerate(PARAMETER_NAMES):
        data[name] = (PROFILE, mean[:, row], output_attributes(name))
        data[f"{name}_std"] = (PROFILE, std[:, row], output_attributes(f"{name}_std"))
        data[f"{name}_quantile"] = (
            ("quantile", PROFILE),
            quantile[:, :, row],
            output_attributes(f"{name}_quantile"),
        )
    both = (PROFILE, "parameter")
    data["rhat"] = (both, joined("rhat"), _about("split R-hat"))
    data["ess"] = (both, joined("ess"), _about("effective sample size"))
    data["converged"] = (PROFILE, joined("converged"), _about("whether all chains have converged"))
    data["steps"] = (PROFILE, joined("steps"), _about("steps of each chain behind the warm-up"))
    solves = joined("evaluations")
    none, gradient = np.zeros_like(solves), KERNELS[task.sampler]().uses_gradient
    data["forward_solves"] = (
        PROFILE,
        none if gradient else solves,
        _about("forward solves without gradient, all chains"),
    )
    data["gradient_evaluations"] = (
        PROFILE,
        solves if gradient else none,
        _about("solves with their adjoint, all chains"),
    )
    data |= _samples(results, parts, found)
    if task.keep_draws:
        data["parameter_samples"] = (
            (PROFILE, "chain", "draw", "parameter"),
            (low + span * joined("draws")),
            {"long_name": "draws of the chains, units as those of each parameter"},
        )
    placed = standardise_profiles(profiles).isel({PROFILE: found.profile})
    coords = {str(n): c.variable for n, c in placed.coords.items() if c.dims == (PROFILE,)}
    coords.pop(PROFILE, None)
    index = {"profile_index": (PROFILE, found.profile, _about("place in the given profiles"))}
    result = xr.Dataset(
        data,
        coords={
            **coords,
            **index,
            "quantile": list(task.quantiles),
            "parameter": list(PARAMETER_NAMES),
        },
    )
    annealed = task.sampler == ANNEALING
    if annealed:
        for spread in (
            f"{name}_{what}" for name in PARAMETER_NAMES for what in ("std", "quantile")
        ):
            result[spread].attrs["comment"] = "how far annealed chains wandered: of no posterior"
    what = "Annealed (published), not a posterior: " if annealed else "Posterior of "
    result.attrs = {
        "title": f"{what}biogeochemical parameters, profile by profile",
        "source": f"xbinn {version('xbinn')}, PRODA, {task.sampler} steps, prior {task.prior}, "
        f"bedrock {task.bedrock}, likelihood {task.likelihood}",
        "prior": task.prior,
        "bedrock": task.bedrock,
        "likelihood": task.likelihood,
        "sampler": task.sampler,
        "chains": task.plan.chains,
        "warmup": task.plan.warmup,
        "seed": str(task.seed),
        "profiles": len(found.profile),
        "profiles_converged": int(result["converged"].sum()),
        "left_out": describe_left_out(found.sites.left_out) or "none",
        "forward_solves": int(result["forward_solves"].sum()),
        "gradient_evaluations": int(result["gradient_evaluations"].sum()),
        "seconds": float(sum(float(one["seconds"]) for one in results)),
    }
    return result


def _samples(
    results: list[dict[str, np.ndarray]], parts: list[np.ndarray], found: Profiles
) -> dict[str, Any]:
    """Observed and modelled SOC (profile, sample), NaN-padded, and their R2."""
    most = max(len(rows) for rows in found.rows)
    observed, modelled = np.full((2, len(found.rows), most), np.nan)
    r2 = np.full(len(found.rows), np.nan)
    for one, part in zip(results, parts, strict=True):
        for place, number in enumerate(part):
            rows = found.rows[number]
            observed[number, : len(rows)] = seen = found.sites.soc[rows]
            modelled[number, : len(rows)] = said = one["modelled"][place, : len(rows)]
            total = ((seen - seen.mean()) ** 2).sum()
            if total > 0.0:
                r2[number] = 1.0 - ((said - seen) ** 2).sum() / total
    density = {"units": "kg m-3"}
    return {
        "soc_observed": (
            (PROFILE, SAMPLE),
            observed,
            density | {"long_name": "observed soil organic carbon of the samples that were used"},
        ),
        "soc_modelled": (
            (PROFILE, SAMPLE),
            modelled,
            density | {"long_name": "posterior mean of the modelled carbon of the same samples"},
        ),
        "r2": (PROFILE, r2, _about("1 - SSE/SST of modelled and observed samples")),
    }


def _about(long_name: str) -> dict[str, str]:
    return {"units": "1", "long_name": long_name}
