"""A fitted model: a value that can be saved, looked at and run."""

import atexit
import json
import os
import shutil
import tempfile
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from torch.nn import Module

from xbinn.display import Section, as_html, as_text, chart
from xbinn.errors import InputError, ModelFileError
from xbinn.labels.sites import describe_left_out
from xbinn.parameters import N_PARAMETERS
from xbinn.running import artefact
from xbinn.running.predictor import ModelReference, Predictor, from_artefact

if TYPE_CHECKING:
    from xbinn.plotting.doors import ModelPlots

_HISTORY_ATTRS = {
    "training_loss": {"units": "1", "long_name": "training loss"},
    "regularization": {"units": "1", "long_name": "prior regularization, without its weight"},
    "validation_loss": {"units": "1", "long_name": "validation loss"},
    "validation_r2": {"units": "1", "long_name": "validation R2, kg m-3"},
    "validation_log_r2": {"units": "1", "long_name": "validation R2, ln of kg m-3"},
    "validation_parameter_r2": {
        "units": "1",
        "long_name": "validation R2 of parameters, pooled over them",
    },
    "learning_rate": {"units": "1", "long_name": "learning rate"},
}
_VALIDATED = {
    "validation_r2": "R2",
    "validation_log_r2": "of ln",
    "validation_parameter_r2": "R2 of parameters",
}


@dataclass(frozen=True, eq=False)
class Model:
    """A network fitted to SOC profiles, with the physics it was fitted through.

    Made by `xbinn.fit` or `xbinn.load`; equal content has an equal `sha256`.

    Attributes
    ----------
    predictor : Predictor
        Network, covariates, prior and treatment of bedrock.
    settings : dict
        Arguments of the fit.
    record : list of dict
        What happened in training, epoch by epoch, for each member.
    training_data : dict
        Fingerprint of the training data, how much of it there was, and what was left out and why.
    """

    predictor: Predictor
    settings: dict[str, Any]
    record: list[dict[str, Any]]
    training_data: dict[str, Any]
    _path: str | None = field(default=None, repr=False)

    @cached_property
    def _content(self) -> bytes:
        metadata = {
            **self.predictor.metadata(),
            "xbinn_version": version("xbinn"),
            "settings": self.settings,
            "record": self.record,
            "training_data": self.training_data,
        }
        # NaN is no JSON: a loss that was never measured is null.
        text = json.loads(json.dumps(metadata), parse_constant=lambda _: None)
        return artefact.to_bytes(self.predictor.weights, text)

    @cached_property
    def sha256(self) -> str:
        """Identity of the model: digest of its saved form."""
        return artefact.sha256_of(self._content)

    @property
    def members(self) -> int:
        """Number of networks."""
        return len(self.predictor.networks)

    @property
    def history(self) -> xr.Dataset:
        """Losses and scores by epoch, (epoch), or of an ensemble (member, epoch).

        A member that stopped early has NaN afterwards. ``best_epoch`` is the one whose weights
        were kept.
        """
        epochs = max(len(record["training_loss"]) for record in self.record)
        data: dict[str, Any] = {}
        for name, attrs in _HISTORY_ATTRS.items():
            if name not in self.record[0]:
                continue  # what is recorded depends on what was fitted: carbon or parameters
            values = np.full((self.members, epochs), np.nan)
            for row, record in zip(values, self.record, strict=True):
                row[: len(record[name])] = [np.nan if v is None else v for v in record[name]]
            data[name] = (("member", "epoch"), values, attrs)
        best = [int(record["best_epoch"]) + 1 for record in self.record]
        data["best_epoch"] = ("member", best, {"long_name": "epoch whose weights were kept"})
        coords = {
            "member": ("member", np.arange(self.members), {"long_name": "member of the ensemble"}),
            "epoch": ("epoch", np.arange(1, epochs + 1), {"long_name": "epoch"}),
        }
        history = xr.Dataset(data, coords)
        return history if self.members > 1 else history.isel(member=0, drop=True)

    @property
    def covariates(self) -> dict[str, str]:
        """Unit of every numeric covariate and the number of classes of every categorical one."""
        spec = self.predictor.covariates
        classes = {name: f"{len(values)} classes" for name, values in spec.categorical}
        return dict(spec.numeric) | classes

    @property
    def left_out(self) -> dict[str, int]:
        """Profiles and samples that were not used, by reason."""
        return dict(self.training_data["left_out"])

    @property
    def plot(self) -> "ModelPlots":
        """Figures of this model, such as ``model.plot.training()``; needs matplotlib."""
        from xbinn.plotting.doors import ModelPlots  # the one way up, see pyproject.toml

        return ModelPlots(self)

    def report(
        self,
        path: str | os.PathLike[str],
        *,
        predictions: xr.Dataset,
        profiles: xr.Dataset | None = None,
        title: str | None = None,
    ) -> None:
        """Write one page of maps to click through, see `xbinn.report.write_report`."""
        from xbinn.report import write_report  # as plot: a way up

        write_report(self, path, predictions=predictions, profiles=profiles, title=title)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model to one file: weights, settings, history, sha256. Never a pickle.

        Parameters
        ----------
        path : path-like
            Usually with the ending ``.xbinn``. An existing file is replaced, whole or not at all.
        """
        artefact.write(path, self._content)
        # Predictions refer workers to this file: put it where they can read it.
        object.__setattr__(self, "_path", str(Path(path).resolve()))

    def reference(self) -> ModelReference:
        """Return path and sha256 by which workers find the model.

        That is the file it was saved to or loaded from; for a model that has none, a file in this
        machine's folder for temporary files. An encoder of the user's own goes along alive.
        """
        module = self.predictor.module
        # The file that it was loaded from may have been moved or replaced since.
        if self._path is not None and artefact.states(self._path, self.sha256):
            return ModelReference(self._path, self.sha256, module)
        path = _process_folder() / f"{self.sha256}.xbinn"
        if not artefact.states(path, self.sha256):
            artefact.write(path, self._content)
        return ModelReference(str(path), self.sha256, module)

    def _sections(self) -> list[Section]:
        spec, data = self.predictor.covariates, self.training_data
        to_carbon = "validation_r2" in self.record[0]
        what = f"{data['samples']} samples" if to_carbon else "retrieved parameters"
        network = {
            "encoder": str(self.predictor.network.encoder.config["encoder"]),
            "prior": self.predictor.prior,
            "bedrock": self.predictor.bedrock,
        }
        if self.members > 1:
            network["members"] = str(self.members)
        training = {
            "fitted to": f"{what} of {data['profiles']} profiles in {data['sites']} cells",
            "left out": describe_left_out(self.left_out) or "nothing",
        }
        if self.predictor.noise is not None:
            training["noise"] = self.predictor.noise.describe()
        return [
            Section("Network", network | {"sha256": self.sha256}),
            Section(
                "Covariates",
                self.covariates,
                f"{len(spec.numeric)} numeric, {len(spec.categorical)} categorical",
                opened=False,
            ),
            Section("Training data", training),
            self._shown_history(),
        ]

    def _shown_history(self) -> Section:
        data, to_carbon = self.training_data, "validation_r2" in self.record[0]
        epochs = [len(record["training_loss"]) for record in self.record]
        best = [int(record["best_epoch"]) for record in self.record]
        rows = {"epochs": f"{_listed(epochs)}, best {_listed([b + 1 for b in best])}"}
        if len(self.record[0]["validation_loss"]):
            kept = list(zip(self.record, best, strict=True))
            scores = [
                f"{label} {np.mean([record[name][b] for record, b in kept]):.2f}"
                for name, label in _VALIDATED.items()
                if name in self.record[0]
            ]
            each = "" if self.members == 1 else "mean of members: "
            samples = f" ({data['validation_samples']} samples)" if to_carbon else ""
            rows["validation"] = f"{each}{', '.join(scores)}{samples}"
        history = self.history if self.members == 1 else self.history.mean("member")
        lines = {
            label: history[name].values.tolist()
            for name, label in (("training_loss", "training"), ("validation_loss", "validation"))
        }
        said = "Loss by epoch" + ("" if self.members == 1 else ", mean of the members")
        which = "training (line) and validation (dashes)" if "validation" in rows else "training"
        drawn = chart(lines, f"{said}: {which}")
        return Section("History", rows, html=drawn)

    def __repr__(self) -> str:
        """Summarise in text."""
        return as_text("xbinn.Model", self._said(), self._sections())

    def _repr_html_(self) -> str:
        return as_html("xbinn.Model", self._said(), self._sections())

    def _said(self) -> str:
        return f"{len(self.covariates)} covariates to {N_PARAMETERS} parameters"


def _listed(numbers: list[int]) -> str:
    low, high = min(numbers), max(numbers)
    return str(low) if low == high else f"{low} to {high}"


@lru_cache(maxsize=1)
def _process_folder() -> Path:
    """Make a folder of this process's own, removed when it ends."""
    folder = tempfile.mkdtemp(prefix="xbinn-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


def load(path: str | os.PathLike[str], *, encoder: Module | None = None) -> Model:
    """Read a model written by `Model.save`.

    Parameters
    ----------
    path : path-like
        A saved model. Nothing in it is executed.
    encoder : torch.nn.Module, optional
        For a model fitted with ``encoder=module``: a module of the same layers, of which a copy
        takes the saved weights. No other model takes one.

    Returns
    -------
    Model
        With the sha256 that it was saved with.

    Raises
    ------
    ModelFileError
        If the file is missing, damaged, no model, made with another parameter table, or needs an
        encoder that is not given or does not fit.
    InputError
        If an encoder is given that is no module, or that the model has no use for.
    """
    if encoder is not None and not isinstance(encoder, Module):
        raise InputError(
            f"encoder must be a torch.nn.Module, not {type(encoder).__name__}: give the one that "
            "the model was fitted with"
        )
    saved = artefact.read(path)
    meta = saved.metadata
    missing = [k for k in ("settings", "record", "training_data") if k not in meta]
    if missing:
        raise ModelFileError(f"{os.fspath(path)} lacks {', '.join(missing)}: save the model again")
    model = Model(
        from_artefact(saved, encoder),
        meta["settings"],
        meta["record"],
        meta["training_data"],
        _path=str(Path(path).resolve()),
    )
    # What was read, so that the identity survives a newer version of xbinn.
    model.__dict__["sha256"] = saved.sha256
    model.__dict__["_content"] = artefact.to_bytes(saved.weights, meta)
    return model


def check_model(model: object) -> None:
    """Refuse what is no model, such as the path of one.

    Raises
    ------
    InputError
        With the way to get one.
    """
    if not isinstance(model, Model):
        raise InputError(
            f"model must be an xbinn.Model, not {type(model).__name__}: fit one, or read a saved "
            "one with xbinn.load(path)"
        )
