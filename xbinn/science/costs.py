"""What BINN and PRODA cost on the same profiles: solves, gradients, seconds, and their ratios."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import xarray as xr

from xbinn.physics.counting import SolveCount

PUBLISHED_CHAINS: Final = 3
PUBLISHED_STEPS: Final = 70_000
"""Of each chain in the PRODA codes: 20,000 and then 50,000."""
CLAIMED: Final = "more than 50 times"
"""How much cheaper BINN is said to be than PRODA (Xu et al. 2025, abstract)."""

RUNS: Final = {
    "binn": "BINN: one fit",
    "proda": "PRODA as it was run: chains, then networks",
    "proda_converged": "PRODA until all parameters of all profiles have converged",
    "proda_published": f"PRODA with the published {PUBLISHED_CHAINS} x {PUBLISHED_STEPS:,} steps",
}


@dataclass(frozen=True)
class Cost:
    """What something has taken.

    Attributes
    ----------
    solves : SolveCount
        Of single columns.
    seconds : float
        Of tasks one after the other.
    """

    solves: SolveCount
    seconds: float


def tabulate_costs(
    binn: Cost,
    retrieval: Cost,
    upscaling: Cost,
    walk: Cost,
    retrieved: xr.Dataset,
    *,
    rhat: float,
    ess: float,
) -> xr.Dataset:
    """Set the costs of both methods beside each other.

    Parameters
    ----------
    binn, retrieval, upscaling : Cost
        Of a fit, of the chains, and of the networks fitted to what they found.
    walk : Cost
        Of some published steps of the same profiles.
    retrieved : Dataset
        What the chains found, see `xbinn.science.proda.retrieve`.
    rhat, ess : float
        What a profile had to reach to have converged.

    Returns
    -------
    Dataset
        ``forward_solves``, those with a gradient among them, ``gradient_evaluations``, ``seconds``,
        ``times_solves`` and ``times_seconds``, how many times those of BINN, and ``basis``, how
        each was found, by ``run``, one of `RUNS`. A gradient counts as a solve more in
        ``times_solves``.
    """
    n, converged = retrieved.sizes["profile"], int(retrieved["converged"].sum())
    evaluations = (retrieved["forward_solves"] + retrieved["gradient_evaluations"]).values
    longer = stretch_to_convergence(retrieved, rhat=rhat, ess=ess)
    grown = float((evaluations * longer).sum() / evaluations.sum())
    published = PUBLISHED_CHAINS * PUBLISHED_STEPS * n
    rows = {
        "binn": (binn.solves.forward, binn.solves.transposed, binn.seconds, "measured"),
        "proda": (
            retrieval.solves.forward,
            retrieval.solves.transposed,
            retrieval.seconds + upscaling.seconds,
            f"measured; {converged} of {n} profiles converged",
        ),
        "proda_converged": (
            grown * retrieval.solves.forward,
            grown * retrieval.solves.transposed,
            grown * retrieval.seconds + upscaling.seconds,
            "measured"
            if converged == n
            else f"measured for {converged} of {n} profiles; for the others extrapolated by the "
            "rates at which effective draws come and R-hat falls",
        ),
        "proda_published": (
            published,
            0,
            published * walk.seconds / walk.solves.forward + upscaling.seconds,
            f"extrapolated from the measured cost of {walk.solves.forward:,} such steps",
        ),
    }
    columns = [np.array(column) for column in zip(*rows.values(), strict=True)]
    forward, gradients, seconds = (column.astype(float) for column in columns[:3])
    solves = forward + gradients
    about: dict[str, tuple[np.ndarray, str, str]] = {
        "forward_solves": (forward.round(), "1", "forward solves of one column"),
        "gradient_evaluations": (gradients.round(), "1", "gradients, an adjoint solve each"),
        "seconds": (seconds, "s", "seconds of all tasks together"),
        "times_solves": (solves / solves[0], "1", "solves, adjoint ones too, over those of BINN"),
        "times_seconds": (seconds / seconds[0], "1", "seconds over those of BINN"),
    }
    data: dict[str, Any] = {
        name: ("run", values, {"units": units, "long_name": text})
        for name, (values, units, text) in about.items()
    }
    return xr.Dataset(
        data,
        {
            "run": list(rows),
            "basis": ("run", columns[3], {"long_name": "how the cost was found"}),
            "description": ("run", list(RUNS.values()), {"long_name": "what was done"}),
        },
        {
            "title": "Cost of BINN and of PRODA on the same profiles",
            "profiles": n,
            "profiles_converged": converged,
            "criterion": f"split R-hat below {rhat:g} and {ess:g} effective draws or more, of all "
            "parameters",
            "claim": f"BINN is {CLAIMED} cheaper (Xu et al. 2025)",
        },
    )


def stretch_to_convergence(retrieved: xr.Dataset, *, rhat: float, ess: float) -> np.ndarray:
    """How many times its solves each profile needs until it has converged, (profile,), 1 or more.

    Effective draws grow as the steps behind the warm-up do, and R-hat squared, less 1, falls as
    these grow, once chains are stationary. Where they are not, or have not moved, this says too
    little, or NaN.

    Parameters
    ----------
    retrieved : Dataset
        From `xbinn.science.proda.retrieve`.
    rhat, ess : float
        What is to be reached.
    """
    excess = (retrieved["rhat"].max("parameter").values ** 2 - 1.0) / (rhat**2 - 1.0)
    wanted = np.maximum(ess / retrieved["ess"].min("parameter").values, excess)
    wanted = np.where(retrieved["converged"].values, 1.0, np.maximum(wanted, 1.0))
    warmup, steps = retrieved.attrs["warmup"], retrieved["steps"].values
    return np.asarray((warmup + steps * wanted) / (warmup + steps))
