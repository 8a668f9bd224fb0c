"""What a cross-validation found, as a value that shows itself."""

from dataclasses import dataclass

import xarray as xr

from xbinn.display import Section, as_html, as_text
from xbinn.labels.showing import show_dataset
from xbinn.model import Model


@dataclass(frozen=True, eq=False, repr=False)
class CrossValidation:
    """Out-of-fold predictions of SOC and what they say.

    Attributes
    ----------
    predictions : Dataset
        On the profiles as they were given: ``soc_observed``, ``soc_modelled`` (profile, sample)
        and ``soc_baseline`` (baseline, profile, sample) [kg m-3], with ``fold`` and ``block``
        (profile, sample); -1 and NaN where there is no prediction.
    scores : Dataset
        ``r2``, ``rmse``, ``bias``, ``correlation`` (model, scale, depth_range, class), of each
        ``_low`` and ``_high``, the 90 % interval from resampling blocks, and ``n``. The last
        dimension is there where there are classes, and is called after them.
    gains : Dataset
        Gain in R2 of xbinn over every baseline, ``gain``, ``low``, ``high`` (baseline, scale,
        depth_range, class), and ``tie`` where the interval holds zero.
    importance : Dataset
        Loss of R2 where a group of covariates is permuted, ``importance`` and its 95 % interval
        ``low``, ``high`` (group, scale).
    models : dict of str to Model
        Model that predicted each fold, by the name of the fold.
    left_out : dict of str to int
        Profiles and samples without a prediction, by reason.
    """

    predictions: xr.Dataset
    scores: xr.Dataset
    gains: xr.Dataset
    importance: xr.Dataset
    models: dict[str, Model]
    left_out: dict[str, int]

    def __repr__(self) -> str:
        """Summarise in text."""
        return as_text("xbinn.CrossValidation", self._said(), self._sections())

    def _repr_html_(self) -> str:
        data = ("predictions", "scores", "gains", "importance")
        shown = [*self._sections(), *(show_dataset(name, getattr(self, name)) for name in data)]
        return as_html("xbinn.CrossValidation", self._said(), shown)

    def _said(self) -> str:
        samples = int((self.predictions["fold"] >= 0).sum())
        return f"{self.predictions.attrs['split']}: {samples} samples in {len(self.models)} folds"

    def _sections(self) -> list[Section]:
        whole = self.scores.sel(depth_range="all")
        for dim in set(whole.dims) - {"model", "scale"}:
            whole = whole.sel({dim: "all"})
        scores = {
            str(name): ", ".join(
                f"{scale} {_interval(one.sel(scale=scale), 'r2', 'r2_low', 'r2_high')}"
                for scale in one["scale"].values
            )
            for name in whole["model"].values
            for one in (whole.sel(model=name),)
        }
        permuted = self.importance.sel(scale="log")
        importance = {
            str(name): _interval(permuted.sel(group=name), "importance", "low", "high")
            for name in permuted["group"].values
        }
        left_out = {reason: str(number) for reason, number in self.left_out.items() if number}
        shown = [Section("Scores", scores, "R2, with its 90 % interval")]
        if importance:
            note = "loss of R2 of ln SOC where a group is permuted, with its 95 % interval"
            shown.append(Section("Importance", importance, note, opened=False))
        return [*shown, Section("Left out", left_out, "" if left_out else "nothing")]


def _interval(one: xr.Dataset, *names: str) -> str:
    value, low, high = (float(one[name]) for name in names)
    return f"{value:.2f} [{low:.2f}, {high:.2f}]"
