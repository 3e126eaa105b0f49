"""Numbers of a network: reading a file of weights and fitting it to a network.

Only numbers are read: safetensors holds nothing else, and a checkpoint of `torch.save`
is a pickle of which `weights_only` builds tensors and plain containers, no more.
"""

from __future__ import annotations

import io
import pickle
import re
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor

from areca.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from torch import nn

_NESTED = ("state_dict", "model_state_dict", "model")
"""Where trainers keep the numbers: Lightning (and TorchGeo), plain loops, timm."""
_PREFIXES = ("", "model.", "module.", "network.", "net.", "model.model.")
"""What wrappers put before the names: Lightning tasks, DataParallel, others."""
_NOT_NEEDED = "num_batches_tracked"
"""A counter of BatchNorm that inference does not read; old checkpoints lack it."""
_NOT_USED = "aux_classifier."
"""Head of DeepLab that is read only in training."""
_GLOBAL = re.compile(r"GLOBAL ([\w.]+)")
"""How torch names the class that a pickle asks for."""
_NAMED = 3
"""So many names of a kind are told."""


def read_file(path: Path) -> bytes:
    """Return a file of a model.

    Raises:
        ModelError: It cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path} cannot be read ({error.strerror})") from error


def read_state(data: bytes, file_format: str, source: str) -> dict[str, Tensor]:
    """Return the named tensors of a file of weights; no code of it runs.

    Args:
        data: The file.
        file_format: "safetensors" or "state-dict".
        source: Name of the file, for messages.

    Raises:
        ModelError: The file is damaged, holds no tensors, or more than numbers.
    """
    if file_format == "safetensors":
        try:
            return load(data)
        except SafetensorError as error:
            raise ModelError(f"{source} is no safetensors file: {error}") from error
    try:
        found = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        # Of torch's paragraph, with its colours and its advice, only the name is ours.
        named = _GLOBAL.search(str(error))
        what = f"a pickled {named[1]}" if named else "a pickle"
        raise ModelError(
            f"{source} holds more than numbers ({what}) and was not loaded, because "
            "unpickling could run code of whoever made it. Not with trust=true either, "
            "which lets whole networks (pt2, torchscript, callable) run their code. "
            "Save the numbers alone: torch.save(network.state_dict(), ...)"
        ) from error
    except (RuntimeError, EOFError, ValueError, KeyError) as error:
        said = str(error).partition("\n")[0] or "it ends too early"
        raise ModelError(f"{source} is no checkpoint of torch.save: {said}") from error
    return _tensors(found, source)


def _tensors(found: object, source: str) -> dict[str, Tensor]:
    """Return the tensors of a checkpoint, wherever its trainer has put them.

    Raises:
        ModelError: There are none.
    """
    for name in _NESTED:
        if isinstance(found, dict) and isinstance(found.get(name), dict):
            found = found[name]
    named: dict[Any, Any] = found if isinstance(found, dict) else {}
    state = {
        name: value
        for name, value in named.items()
        if isinstance(name, str) and isinstance(value, Tensor)
    }
    if not state:
        raise ModelError(
            f"{source} holds no named tensors, but a {type(found).__name__}; save the "
            "state_dict of the network"
        )
    return state


def fit_state(network: nn.Module, state: Mapping[str, Tensor], what: str) -> None:
    """Load named tensors into a network, without the prefix that a wrapper gave them.

    Args:
        network: The network; it is changed in place.
        state: Tensors by name.
        what: Names of the file and the model, for messages.

    Raises:
        ModelError: Names or shapes do not fit; the names are told.
    """  # noqa: DOC502 - raised by the check
    wanted = network.state_dict()
    prefix = max(_PREFIXES, key=lambda text: len(_under(state, text) & wanted.keys()))
    own = {
        name: state[prefix + name]
        for name in sorted(_under(state, prefix))
        if name in wanted or not name.startswith(_NOT_USED)
    }
    refuse_misfit(own, wanted, what)
    network.load_state_dict(own, strict=False)


def refuse_misfit(
    own: Mapping[str, Tensor], wanted: Mapping[str, Tensor], what: str
) -> None:
    """Refuse named tensors that are not those wanted.

    Args:
        own: What there is.
        wanted: What there must be.
        what: Names of the file and the model, for messages.

    Raises:
        ModelError: Names or shapes differ; the names are told.
    """
    missing = [n for n in wanted if n not in own and not n.endswith(_NOT_NEEDED)]
    other = [n for n in own if n not in wanted]
    shapes = [
        f"{n} {tuple(own[n].shape)} for {tuple(wanted[n].shape)}"
        for n in wanted
        if n in own and own[n].shape != wanted[n].shape
    ]
    if missing or other or shapes:
        raise ModelError(
            f"{what} do not fit: {len(missing)} tensors missing{_some(missing)}, "
            f"{len(other)} unexpected{_some(other)}, {len(shapes)} of another "
            f"shape{_some(shapes)}. Check architecture, architecture_options, bands "
            "and labels of the card"
        )


def _under(state: Mapping[str, Tensor], prefix: str) -> set[str]:
    return {name[len(prefix) :] for name in state if name.startswith(prefix)}


def _some(names: Iterable[str]) -> str:
    listed = list(names)
    more = ", …" if len(listed) > _NAMED else ""
    return f" ({', '.join(listed[:_NAMED])}{more})" if listed else ""
