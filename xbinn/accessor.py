"""``Dataset.binn``: every method is the function of the same name with the Dataset put first."""

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import xarray as xr

from xbinn.options import (
    BASELINES,
    BATCH_SIZE,
    BLOCK_SIZE,
    DROPOUT,
    EPOCHS,
    HIDDEN,
    LEARNING_RATE,
    MEMBERS,
    PATIENCE,
    PERMUTATIONS,
    QUANTILES,
    REGULARIZATION,
    WEIGHT_DECAY,
    Baseline,
    Bedrock,
    Constraint,
    Dtype,
    EncoderName,
    LossName,
    Observation,
    OutputGroup,
    Split,
    Validation,
)
from xbinn.parameters import Prior
from xbinn.variables import OUTPUT_GROUPS

if TYPE_CHECKING:
    from torch.nn import Module

    from xbinn.model import Model
    from xbinn.plotting.doors import DatasetPlots
    from xbinn.science.cross_validated import CrossValidation


@xr.register_dataset_accessor("binn")
class BinnAccessor:
    """Soil carbon with biogeochemistry-informed neural networks; keeps no state.

    Parameters
    ----------
    ds : Dataset
        Covariates and forcing on any spatial dimensions.
    """

    def __init__(self, ds: xr.Dataset) -> None:
        self._obj = ds

    @property
    def plot(self) -> "DatasetPlots":
        """Figures of this Dataset, such as ``ds.binn.plot.map("cSoil")``; needs matplotlib."""
        from xbinn.plotting.doors import DatasetPlots

        return DatasetPlots(self._obj)

    def fit(
        self,
        profiles: xr.Dataset,
        *,
        covariates: Sequence[str] | None = None,
        categorical: Sequence[str] | None = None,
        prior: Prior = "binn",
        bedrock: Bedrock = "closed",
        encoder: "EncoderName | Module" = "mlp",
        constraint: Constraint | None = None,
        hidden: int | Sequence[int] = HIDDEN,
        dropout: float = DROPOUT,
        members: int = MEMBERS,
        observation: Observation = "layer_mean",
        loss: LossName = "log_smooth_l1",
        regularization: float = REGULARIZATION,
        validation: Validation | None = "spatial_blocks",
        block_size: float | str = BLOCK_SIZE,
        tolerance: float | None = None,
        epochs: int = EPOCHS,
        patience: int = PATIENCE,
        batch_size: int = BATCH_SIZE,
        learning_rate: float = LEARNING_RATE,
        weight_decay: float = WEIGHT_DECAY,
        seed: int | None = None,
        device: str = "auto",
        dtype: Dtype = "float32",
        progress: bool | None = None,
    ) -> "Model":
        """Fit a network to SOC profiles, see `xbinn.fit`."""
        from xbinn import api

        return api.fit(
            self._obj,
            profiles,
            covariates=covariates,
            categorical=categorical,
            prior=prior,
            bedrock=bedrock,
            encoder=encoder,
            constraint=constraint,
            hidden=hidden,
            dropout=dropout,
            members=members,
            observation=observation,
            loss=loss,
            regularization=regularization,
            validation=validation,
            block_size=block_size,
            tolerance=tolerance,
            epochs=epochs,
            patience=patience,
            batch_size=batch_size,
            learning_rate=learning_rate,
            weight_decay=weight_decay,
            seed=seed,
            device=device,
            dtype=dtype,
            progress=progress,
        )

    def predict(
        self,
        model: "Model",
        *,
        outputs: Sequence[OutputGroup] = OUTPUT_GROUPS,
        samples: int = 0,
        quantiles: Sequence[float] = QUANTILES,
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
        """Map parameters, processes and SOC with a fitted model, see `xbinn.predict`."""
        from xbinn import prediction

        return prediction.predict(
            self._obj,
            model,
            outputs=outputs,
            samples=samples,
            quantiles=quantiles,
            reduce=reduce,
            dropout=dropout,
            seed=seed,
            to=to,
            overwrite=overwrite,
            chunks=chunks,
            shards=shards,
            device=device,
            progress=progress,
            quantified=quantified,
        )

    def simulate(
        self,
        parameters: xr.Dataset,
        *,
        bedrock: Bedrock = "closed",
        pools: bool = False,
        dtype: Dtype = "float64",
        quantified: bool = False,
    ) -> xr.Dataset:
        """Solve for the steady state under given parameters, see `xbinn.simulate`."""
        from xbinn import api

        return api.simulate(
            self._obj,
            parameters,
            bedrock=bedrock,
            pools=pools,
            dtype=dtype,
            quantified=quantified,
        )

    def elasticities(
        self,
        parameters: xr.Dataset,
        *,
        bedrock: Bedrock = "closed",
        responses: bool = True,
        by_depth: bool = False,
    ) -> xr.Dataset:
        """Map what soil carbon depends on, see `xbinn.elasticities`."""
        from xbinn.science import sensitivity

        return sensitivity.elasticities(
            self._obj,
            parameters,
            bedrock=bedrock,
            responses=responses,
            by_depth=by_depth,
        )

    def score(
        self,
        model: "Model",
        profiles: xr.Dataset,
        *,
        tolerance: float | None = None,
    ) -> xr.Dataset:
        """Score a model against profiles, see `xbinn.score`."""
        from xbinn import api

        return api.score(
            self._obj,
            model,
            profiles,
            tolerance=tolerance,
        )

    def cross_validate(
        self,
        profiles: xr.Dataset,
        *,
        split: Split = "spatial_blocks",
        folds: int | None = None,
        block_size: float | str = BLOCK_SIZE,
        region: str | None = None,
        by: str | None = None,
        baselines: Sequence[Baseline] = BASELINES,
        groups: Mapping[str, Sequence[str]] | None = None,
        permutations: int = PERMUTATIONS,
        fit: Mapping[str, Any] | None = None,
        seed: int | None = None,
        device: str = "auto",
        progress: bool | None = None,
    ) -> "CrossValidation":
        """Predict profiles by networks that have not seen them, see `xbinn.cross_validate`."""
        from xbinn import evaluation

        return evaluation.cross_validate(
            self._obj,
            profiles,
            split=split,
            folds=folds,
            block_size=block_size,
            region=region,
            by=by,
            baselines=baselines,
            groups=groups,
            permutations=permutations,
            fit=fit,
            seed=seed,
            device=device,
            progress=progress,
        )

    def applicability(
        self,
        model: "Model",
        profiles: xr.Dataset,
        *,
        cross_validation: "CrossValidation | None" = None,
        importance: Mapping[str, float] | None = None,
    ) -> xr.Dataset:
        """Say where a model meets places unlike its training sites, see `xbinn.applicability`."""
        from xbinn import evaluation

        return evaluation.applicability(
            self._obj,
            model,
            profiles,
            cross_validation=cross_validation,
            importance=importance,
        )
