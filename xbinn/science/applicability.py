"""Where a model is asked about places unlike any that it has learnt from.

The dissimilarity index of Meyer and Pebesma (2021, doi:10.1111/2041-210X.13650): the distance to
the nearest training site in the space of standardised, weighted predictors, over the mean distance
of training sites from each other. The area of applicability is where it is at most as great as,
outliers left aside, between a training site and those of other folds.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import xarray as xr
from scipy.spatial import cKDTree
from scipy.spatial.distance import cdist

from xbinn.errors import InputError
from xbinn.labels.covariates import CovariateSpec, covariate_arrays
from xbinn.science.settings import is_real

_WHISKER: Final = 1.5
"""Interquartile ranges above the upper quartile, beyond which an index is an outlier."""
_AT_ONCE: Final = 1024
"""Training sites whose distances to all others are held at once."""


@dataclass(frozen=True, eq=False)
class TrainingSpace:
    """Training sites in the space of predictors.

    Attributes
    ----------
    covariates : CovariateSpec
        Predictors.
    weights : mapping of str to float
        Of the predictors, 0 or more; those of 0 do not count.
    mean, scale : ndarray (numeric,)
        Of the numeric predictors at the training sites.
    points : ndarray (site, column)
        Weighted columns of the training sites.
    mean_distance : float
        Between any two training sites.
    threshold : float
        Greatest index of a training site to those of other folds, outliers left aside.
    """

    covariates: CovariateSpec
    weights: Mapping[str, float]
    mean: np.ndarray
    scale: np.ndarray
    points: np.ndarray
    mean_distance: float
    threshold: float

    @classmethod
    def of(
        cls,
        numeric: np.ndarray,
        categorical: np.ndarray,
        covariates: CovariateSpec,
        weights: Mapping[str, float],
        fold: np.ndarray,
    ) -> "TrainingSpace":
        """Describe training sites.

        Parameters
        ----------
        numeric : ndarray (site, p)
            Numeric predictors in their own units.
        categorical : ndarray (site, c)
            Class codes.
        covariates : CovariateSpec
            What the columns are.
        weights : mapping of str to float
            Importance of predictors; negative ones and those that are not named count 0.
        fold : ndarray (site,)
            Fold of each site; -1 for none, whose own index then sets no threshold.

        Raises
        ------
        InputError
            If weights name no predictor or are no numbers, no predictor that varies has one, or
            there is one fold.
        """
        if not isinstance(weights, Mapping):
            raise InputError(
                f"importance={weights!r} is of type {type(weights).__name__}: give a mapping of "
                f"covariates to numbers, such as {{{covariates.names[0]!r}: 1.0}}"
            )
        unknown = [name for name in weights if name not in covariates.names]
        if unknown:
            raise InputError(
                f"importance names {', '.join(map(str, unknown))}, which the model does not use: "
                f"its covariates are {', '.join(covariates.names)}"
            )
        wrong = [f"{n}={w!r}" for n, w in weights.items() if not is_real(w)]
        if wrong:
            raise InputError(
                f"importance that is no number: {', '.join(wrong)}; give finite ones, or leave "
                "these covariates out, which counts as 0"
            )
        if len(np.unique(fold[fold >= 0])) < 2:
            raise InputError(
                "all training sites lie in one fold, so none is apart from it: give a smaller "
                "block_size, or a cross-validation with more folds"
            )
        values = numeric.astype(np.float64)
        mean, scale = values.mean(axis=0), values.std(axis=0, ddof=1)
        # What does not vary tells no training sites apart and has no scale.
        varies = scale > 1e-12 * np.abs(values).max(axis=0, initial=0.0)
        names = [name for name, _ in covariates.numeric]
        dull = {name for name, does in zip(names, varies, strict=True) if not does}
        counted = {
            name: 0.0 if name in dull else max(0.0, float(weights.get(name, 0.0)))
            for name in covariates.names
        }
        space = cls(
            covariates, counted, mean, np.where(varies, scale, 1.0), np.empty((0, 0)), 1.0, 0.0
        )
        points = space.columns(values, categorical)
        mean_distance = _mean_distance(points)
        if not mean_distance > 0.0:
            raise InputError(
                "all training sites are alike in what counts: give a positive importance to "
                f"covariates that vary (given: {dict(weights)})"
            )
        index = _to_other_folds(points, fold) / mean_distance
        low, high = np.percentile(index, [25.0, 75.0])
        threshold = float(index[index <= high + _WHISKER * (high - low)].max())
        return cls(covariates, counted, mean, space.scale, points, float(mean_distance), threshold)

    def columns(self, numeric: np.ndarray, categorical: np.ndarray) -> np.ndarray:
        """Weighted columns of n places, (n, column): standardised numbers, one for each class."""
        weight = np.array([self.weights[name] for name, _ in self.covariates.numeric])
        parts = [((numeric - self.mean) / self.scale * weight)[:, weight > 0.0]]
        for codes, (name, classes) in zip(categorical.T, self.covariates.categorical, strict=True):
            if self.weights[name] > 0.0:
                # One more than there are classes: missing, or met at no training site.
                parts.append(self.weights[name] * np.eye(len(classes) + 1)[codes.astype(np.int64)])
        return np.concatenate(parts, axis=1)

    def index(self, *values: np.ndarray) -> np.ndarray:
        """Dissimilarity index of places of any shape, one array for each covariate in order."""
        shape = values[0].shape
        flat = [np.ravel(v) for v in values]
        n = len(self.covariates.numeric)
        numeric = np.stack(flat[:n], axis=1) if n else np.empty((flat[0].size, 0))
        numeric = numeric.astype(np.float64)
        known = np.isfinite(numeric).all(axis=1)
        categorical = np.stack([f[known] for f in flat[n:]], axis=1) if flat[n:] else None
        if categorical is None:
            categorical = np.empty((int(known.sum()), 0))
        found = np.full(known.shape, np.nan)
        if known.any():
            distance, _ = cKDTree(self.points).query(self.columns(numeric[known], categorical))
            found[known] = distance / self.mean_distance
        return found.reshape(shape)


def dissimilarity_index(ds: xr.Dataset, space: TrainingSpace) -> xr.DataArray:
    """Dissimilarity index of every cell (*space); lazy where ``ds`` is chunked.

    Parameters
    ----------
    ds : Dataset
        Covariates on any spatial dimensions.
    space : TrainingSpace
        Training sites.

    Returns
    -------
    DataArray
        0 at a training site, about 1 as far from all as these are from each other on average; NaN
        where a numeric covariate is missing.
    """
    arrays = covariate_arrays(ds, space.covariates).reset_coords(drop=True)
    index: xr.DataArray = xr.apply_ufunc(
        space.index,
        *(da.variable for da in arrays.unify_chunks().data_vars.values()),
        dask="parallelized",
        output_dtypes=[np.float64],
    )
    return xr.DataArray(index)


def area_of_applicability(index: xr.DataArray, threshold: float) -> xr.DataArray:
    """1 where the index is at most the threshold, 0 where it is above, NaN where it is not known.

    Parameters
    ----------
    index : DataArray
        From `dissimilarity_index`.
    threshold : float
        That of the training sites.
    """
    return (index <= threshold).astype(np.float32).where(index.notnull())


def _mean_distance(points: np.ndarray) -> float:
    n = len(points)
    total = sum(
        float(cdist(points[start : start + _AT_ONCE], points).sum())
        for start in range(0, n, _AT_ONCE)
    )
    return total / (n * (n - 1))


def _to_other_folds(points: np.ndarray, fold: np.ndarray) -> np.ndarray:
    """Distance of every site that has a fold to the nearest of another one."""
    found = np.empty(len(points))
    for one in np.unique(fold[fold >= 0]):
        inside = fold == one
        found[inside], _ = cKDTree(points[~inside]).query(points[inside])
    return found[fold >= 0]
