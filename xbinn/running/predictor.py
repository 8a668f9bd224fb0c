"""A fitted network that is ready to run, and how workers come by it."""

import copy
import json
import threading
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from hashlib import sha256
from typing import Any, Final, cast

import torch
from torch import Tensor, nn

from xbinn import parameters as parameter_table
from xbinn.errors import InputError, ModelFileError
from xbinn.labels.covariates import CovariateSpec
from xbinn.learning.encoders import MODULE, ModuleEncoder, build_encoder
from xbinn.learning.model import BINN
from xbinn.learning.noise import ObservationNoise
from xbinn.learning.posterior import sample_dropout
from xbinn.options import Bedrock
from xbinn.parameters import Prior
from xbinn.physics.columns import Columns
from xbinn.physics.steady_state import SoilCarbonModel, SteadyState
from xbinn.running import artefact

Network = BINN[Columns, SteadyState]

_CACHED_MODELS: Final = 4
_MEMBER: Final = "members."
_lock = threading.Lock()


@dataclass(frozen=True)
class Predictor:
    """Network, covariates and physics of a fitted model.

    Attributes
    ----------
    networks : tuple of BINN
        In evaluation mode. Several are the members of an ensemble, alike but for their weights.
    covariates : CovariateSpec
        What the network takes, in its order.
    prior : {"binn", "proda"}
        Bounds of the parameters.
    bedrock : {"closed", "published"}
        Treatment of bedrock.
    noise : ObservationNoise, optional
        What an observation shows beside what is modelled; None where it was never learnt.
    """

    networks: tuple[Network, ...]
    covariates: CovariateSpec
    prior: Prior
    bedrock: Bedrock
    noise: ObservationNoise | None = None

    @property
    def network(self) -> Network:
        """The first member, where all are alike."""
        return self.networks[0]

    @property
    def weights(self) -> dict[str, Tensor]:
        """State of the network, or of all members with their number."""
        if len(self.networks) == 1:
            return dict(self.network.state_dict())
        return {
            f"{_MEMBER}{number}.{name}": weight
            for number, network in enumerate(self.networks)
            for name, weight in network.state_dict().items()
        }

    @property
    def module(self) -> nn.Module | None:
        """The layers, where they are a module of the user's: no file holds their code."""
        encoder = self.network.encoder
        return encoder.layers if isinstance(encoder, ModuleEncoder) else None

    def metadata(self) -> dict[str, Any]:
        """Return what is needed beside the weights to rebuild this, as JSON."""
        return {
            "encoder": self.network.encoder.config,
            "members": len(self.networks),
            "covariates": asdict(self.covariates),
            "prior": self.prior,
            "bedrock": self.bedrock,
            "observation_noise": None if self.noise is None else asdict(self.noise),
            "parameter_table": parameter_table_digest(),
        }


@dataclass(frozen=True)
class ModelReference:
    """A saved model by place and identity: all that travels to a worker.

    Attributes
    ----------
    path, sha256 : str
        Of the file.
    module : Module, optional
        Layers whose code is not in the file. Their weights are those of the file, and so they are
        no part of the identity.
    """

    path: str
    sha256: str
    module: nn.Module | None = field(default=None, compare=False, repr=False)

    def __dask_tokenize__(self) -> tuple[str, str]:
        """Return the identity, which says enough."""
        return self.path, self.sha256


def build_network(
    encoder: Mapping[str, Any], prior: Prior, bedrock: Bedrock, module: nn.Module | None = None
) -> Network:
    """Build the network of an encoder configuration, with fresh weights."""
    return BINN(build_encoder(encoder, module=module), SoilCarbonModel(bedrock), prior=prior)


def from_artefact(saved: artefact.Artefact, module: nn.Module | None = None) -> Predictor:
    """Rebuild a predictor.

    Parameters
    ----------
    saved : Artefact
        A saved model.
    module : Module, optional
        Layers of the encoder, where the file has only their weights.

    Raises
    ------
    ModelFileError
        If the model was made with another parameter table, lacks a part, or needs a module that
        is not given or does not fit.
    InputError
        If a module is given that the model has no use for.
    """
    meta = saved.metadata
    if meta.get("parameter_table") != parameter_table_digest():
        raise ModelFileError(
            f"model {saved.sha256[:12]} was made with another parameter table (by xbinn "
            f"{meta.get('xbinn_version', 'of unknown version')}): its numbers would be scaled by "
            "other bounds; fit it again, or install that version"
        )
    _check_module(saved, module)
    try:
        spec = meta["covariates"]
        covariates = CovariateSpec(
            numeric=tuple((str(n), str(u)) for n, u in spec["numeric"]),
            categorical=tuple((str(n), tuple(map(int, c))) for n, c in spec["categorical"]),
        )
        networks = tuple(_members(saved, module))
        noise = _noise(meta.get("observation_noise"))
    except (KeyError, TypeError, ValueError, RuntimeError, StopIteration) as error:
        if module is not None:
            raise ModelFileError(
                f"model {saved.sha256[:12]} does not fit the module given as encoder ({error}): "
                f"give one like that of the fit, a {meta['encoder'].get('module')}"
            ) from error
        raise ModelFileError(
            f"model {saved.sha256[:12]} is incomplete, or has what this version of xbinn has not "
            f"({error}): save it again, fit it again, or install the version that made it "
            f"({meta.get('xbinn_version', 'unknown')})"
        ) from error
    return Predictor(
        networks, covariates, cast(Prior, meta["prior"]), cast(Bedrock, meta["bedrock"]), noise
    )


def _noise(saved: Mapping[str, Any] | None) -> ObservationNoise | None:
    if saved is None:
        return None
    return ObservationNoise(**{**saved, "widened": tuple(saved["widened"])})


def _members(saved: artefact.Artefact, module: nn.Module | None) -> Iterator[Network]:
    meta, weights = saved.metadata, saved.weights
    dtype = next(w.dtype for w in weights.values() if w.is_floating_point())
    count = int(meta["members"])
    for number in range(count):
        start = f"{_MEMBER}{number}." if count > 1 else ""
        own = {n.removeprefix(start): w for n, w in weights.items() if n.startswith(start)}
        network = build_network(meta["encoder"], meta["prior"], meta["bedrock"], module)
        # Else the weights would be rounded to the type of fresh ones.
        network.encoder.to(dtype)
        network.load_state_dict(own)
        network.eval()
        yield network


def _check_module(saved: artefact.Artefact, module: nn.Module | None) -> None:
    """Refuse a module without need, and the need without a module."""
    encoder = saved.metadata.get("encoder")
    config = encoder if isinstance(encoder, Mapping) else {}
    if config.get("encoder") == MODULE and module is None:
        raise ModelFileError(
            f"the encoder of model {saved.sha256[:12]} is a module of torch, "
            f"{config.get('module')}, and a model file holds its weights but no code: give a "
            "module of that kind, xbinn.load(path, encoder=module)"
        )
    if config.get("encoder") != MODULE and module is not None:
        raise InputError(
            f"the encoder of model {saved.sha256[:12]} is {config.get('encoder')!r}, which xbinn "
            "builds itself: call xbinn.load(path) without encoder"
        )


def for_inference(network: Network, device: torch.device) -> Network:
    """Copy a network for prediction: on a device, its encoder in float64, ready to be sampled.

    Matrix products round differently in batches of different size. SOC at depth answers to beta
    with a factor of hundreds, so in float32 a map would depend on its chunks in the fifth digit.
    """
    ready = copy.deepcopy(network).to(device)
    ready.encoder.double()
    ready.eval()
    return sample_dropout(ready)


def load_cached(reference: ModelReference, device: torch.device) -> Predictor:
    """Load a model once per process and device, and check that it is the one meant.

    Raises
    ------
    ModelFileError
        If the file is missing, damaged, or holds another model.
    """
    with _lock:
        return _load(reference, device)


@lru_cache(maxsize=_CACHED_MODELS)
def _load(reference: ModelReference, device: torch.device) -> Predictor:
    saved = artefact.read(reference.path)
    if saved.sha256 != reference.sha256:
        raise ModelFileError(
            f"{reference.path} holds model {saved.sha256[:12]}, not {reference.sha256[:12]}: it "
            "was replaced after the prediction was set up; set it up again"
        )
    predictor = from_artefact(saved, reference.module)
    ready = tuple(for_inference(network, device) for network in predictor.networks)
    return replace(predictor, networks=ready)


@lru_cache(maxsize=1)
def parameter_table_digest() -> str:
    """Return a digest of names, units and priors of the parameter table, in order."""
    rows = [
        [p.name, p.units, sorted((k, list(v)) for k, v in p.priors.items())]
        for p in parameter_table.PARAMETERS
    ]
    return sha256(json.dumps(rows).encode()).hexdigest()
