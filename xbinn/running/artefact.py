"""Saved models: one file that explains itself, never pickle.

The file is two lines of text and then a plain safetensors file::

    xbinn model 1
    sha256 <64 hexadecimal digits: of everything behind this line>
    <safetensors bytes; their metadata holds one JSON document under "xbinn">

so that ``tail -n +3 model.xbinn > weights.safetensors`` gives the weights to any other tool.
The sha256 is the model's identity everywhere in xbinn. Equal models make equal files.
"""

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor

from xbinn.errors import ModelFileError

_MAGIC: Final = b"xbinn model 1\n"
_HASH_LINE: Final = b"sha256 %s\n"
_HEADER_LENGTH: Final = len(_MAGIC) + len(_HASH_LINE % (b"0" * 64))
_METADATA_KEY: Final = "xbinn"


@dataclass(frozen=True)
class Artefact:
    """Content of a saved model.

    Attributes
    ----------
    weights : mapping of str to Tensor
        State of the network.
    metadata : dict
        Everything else, as JSON.
    sha256 : str
        Hexadecimal digest that names the model.
    """

    weights: Mapping[str, Tensor]
    metadata: dict[str, Any]
    sha256: str


def to_bytes(weights: Mapping[str, Tensor], metadata: Mapping[str, Any]) -> bytes:
    """Serialise a model; equal input gives equal bytes."""
    text = json.dumps(metadata, sort_keys=True, allow_nan=False)
    # Cloned: weights that two layers share, as a module of the user's may have, are refused else.
    tensors = {name: weights[name].detach().cpu().clone().contiguous() for name in sorted(weights)}
    payload = safetensors.torch.save(tensors, metadata={_METADATA_KEY: text})
    return _MAGIC + _HASH_LINE % _digest(payload).encode() + payload


def from_bytes(content: bytes, *, where: str) -> Artefact:
    """Read a serialised model after checking its sha256.

    Raises
    ------
    ModelFileError
        If the content is no xbinn model, was written in another format, or was damaged.
    """
    if not content.startswith(_MAGIC):
        found = content[: len(_MAGIC)]
        raise ModelFileError(
            f"{where} is not a model this version of xbinn can read: it begins with {found!r}, "
            f"not {_MAGIC!r}; give a file written by model.save(...)"
        )
    header, payload = content[:_HEADER_LENGTH], content[_HEADER_LENGTH:]
    digest = _digest(payload)
    if header != _MAGIC + _HASH_LINE % digest.encode():
        stated = header[len(_MAGIC) :].decode("ascii", "replace").strip()
        raise ModelFileError(
            f"{where} is damaged: its content has sha256 {digest}, but it states {stated!r}; "
            "copy it again or save the model again"
        )
    try:
        weights = safetensors.torch.load(payload)
        length = int.from_bytes(payload[:8], "little")
        header_json = json.loads(payload[8 : 8 + length])
        metadata = json.loads(header_json["__metadata__"][_METADATA_KEY])
    except (SafetensorError, KeyError, ValueError) as error:
        raise ModelFileError(
            f"{where} does not hold a model ({error}): give a file written by model.save(...)"
        ) from error
    return Artefact(weights, metadata, digest)


def read(path: str | os.PathLike[str]) -> Artefact:
    """Read a saved model.

    Raises
    ------
    ModelFileError
        If the file is missing, damaged, or no model.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise ModelFileError(
            f"the model file {os.fspath(path)!r} cannot be read ({error.strerror}): check the path"
        ) from error
    return from_bytes(content, where=os.fspath(path))


def write(path: str | os.PathLike[str], content: bytes) -> None:
    """Write beside ``path``, then replace it: readers see all of a file or none of it.

    Raises
    ------
    ModelFileError
        If the file cannot be written; one that was there before is left as it was.
    """
    target = Path(path)
    try:
        _replace(target, content)
    except OSError as error:
        raise ModelFileError(
            f"the model file {os.fspath(path)!r} cannot be written ({error.strerror}): check that "
            "its folder exists, may be written to and has room"
        ) from error


def _replace(target: Path, content: bytes) -> None:
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def states(path: str | os.PathLike[str], sha256: str) -> bool:
    """Whether a file is there and states this sha256; its content is not hashed."""
    try:
        with Path(path).open("rb") as file:
            return file.read(_HEADER_LENGTH) == _MAGIC + _HASH_LINE % sha256.encode()
    except OSError:
        return False


def sha256_of(content: bytes) -> str:
    """Return the sha256 that a serialised model states."""
    return content[len(_MAGIC) : _HEADER_LENGTH].split()[1].decode()


def _digest(payload: bytes) -> str:
    return hashlib.sha256(payload).hexdigest()
