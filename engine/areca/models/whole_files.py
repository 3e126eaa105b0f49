"""Networks that lie whole in their file: ONNX, torch.export, TorchScript, Python.

The card says what comes out (`architecture_options["contract"]`):

- logits: one array (n, class, tile, tile).
- boxes: `boxes` (n, k, 4), `scores` (n, k) and `labels` (n, k); labels start at 1, and
  a tile with fewer than k boxes is filled up with the label 0.
- masks: the same, and `masks` (n, k, height, width): probabilities over the box.

All but ONNX can run code of whoever made the file, so they need trust. An ONNX graph
is read from memory and its numbers must lie in it, so it names no other files.
"""

from __future__ import annotations

import importlib.util
import io
import os
import types
import zipfile
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch

from areca.catalog import redact
from areca.errors import ArecaError, ModelError, PredictError
from areca.models.adapter_dense import checked_logits
from areca.models.boxes import decode_boxes
from areca.models.checks import check_batch, check_count, refuse_not_finite
from areca.models.contracts import TRUSTED_ONLY
from areca.models.loaded import Loaded

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from areca.models.adapter import Raw
    from areca.models.card import ModelCard
    from areca.models.found import Found
    from areca.models.handle import Model

_EXTERNAL = "session.model_external_initializers_file_folder_path"
_PARTS = {
    "boxes": ("boxes", "scores", "labels"),
    "masks": ("boxes", "scores", "labels", "masks"),
}
"""Names of the outputs of each contract that gives several."""


class Run(Protocol):
    """A network as a function."""

    def __call__(self, batch: NDArray[np.float32], /) -> object:
        """Map tiles (n, band, tile, tile) to one array or several."""
        ...


class WholeFile(Loaded):
    """A network that came whole from its file, ready for inference."""

    def __init__(self, run: Run, card: ModelCard) -> None:
        """Wrap a function."""
        super().__init__(card)
        self._run = run

    def forward(self, batch: NDArray[np.float32], /) -> Raw:
        """Run the network.

        Args:
            batch: Shape (n, band, tile, tile), standardised, missing pixels 0.

        Returns:
            As the adapters of the same contract return it.

        Raises:
            PredictError: The batch or the output has another shape, an output is not
                finite, or there are too many boxes.
        """
        check_batch(batch, self.card)
        out = self._called(np.ascontiguousarray(batch))
        if self.card.contract == "logits":
            values = np.asarray(_first(out), np.float32)
            return {"logits": checked_logits(values, len(batch), self.card)}
        arrays = self._parts(out)
        if any(len(values) != len(batch) for values in arrays.values()):
            told = {name: len(values) for name, values in arrays.items()}
            raise PredictError(
                f"model {self.card.name!r} gave {told} for {len(batch)} tiles; each "
                "output needs one entry per tile"
            )
        raw = {name: list(map(np.asarray, values)) for name, values in arrays.items()}
        flat = [v for values in raw.values() for v in values]
        bad = sum(int(v.size - np.isfinite(v).sum()) for v in flat)
        refuse_not_finite(bad, sum(v.size for v in flat), self.card)
        check_count([len(v) for v in raw["scores"]], self.card)
        return raw

    def _called(self, batch: NDArray[np.float32]) -> object:
        try:
            return self._run(batch)
        except (RuntimeError, ArecaError):
            raise  # of the device, or named already
        except Exception as error:  # whatever the file's author did not think of
            raise PredictError(
                f"the file {self.card.weights} of model {self.card.name!r} fails on "
                f"{len(batch)} tiles: {type(error).__name__}: {redact(str(error))}"
            ) from error

    def _parts(self, out: object) -> Mapping[str, Sequence[Any]]:
        names = _PARTS[self.card.contract]
        if isinstance(out, (list, tuple)) and len(out) == len(names):
            out = dict(zip(names, out, strict=True))
        if not isinstance(out, dict) or set(names) - out.keys():
            given = sorted(out) if isinstance(out, dict) else type(out).__name__
            raise PredictError(
                f"model {self.card.name!r} gave {given}; for {self.card.contract} it "
                f"must give {', '.join(names)}, by name or in this order"
            )
        return {name: out[name] for name in names}

    def decode(self, raw: Raw, score_threshold: float) -> Sequence[Found]:
        """Return the boxes of each tile that reach a score.

        Raises:
            PredictError: The model gives logits.
        """
        if self.card.contract == "logits":
            raise PredictError(
                f"model {self.card.name!r} gives logits, no objects; segment with it"
            )
        return decode_boxes(raw, score_threshold, self.card)


def load_file(model: Model, device: str, *, trust: bool) -> WholeFile:
    """Return a model that lies whole in its file, ready for inference.

    Args:
        model: Handle of the model.
        device: Torch device.
        trust: Whether the file may run code of whoever made it.

    Raises:
        ModelError: The file may run code and is not trusted, is damaged, or does not
            fit the card.
    """
    card = model.card
    if card.contract == "heatmap":
        raise ModelError(
            f"model {card.name!r}: a {card.format} file cannot give heatmap; it can "
            "give boxes, masks or logits"
        )
    # Before the file is opened: opening is what runs its code.
    if card.format in TRUSTED_ONLY and not trust:
        raise ModelError(
            f"the {card.format} file {model.weights_path} of model {card.name!r} can "
            "run code of whoever made it; load it with trust only if you know its "
            "source (--set trust=true, in Python PredictOptions(trust=True)), or "
            "export the model to ONNX or safetensors"
        )
    return WholeFile(_OPENERS[card.format](model, device), card)


def _open_onnx(model: Model, device: str) -> Run:
    if importlib.util.find_spec("onnxruntime") is None:
        raise ModelError(
            f"model {model.card.name!r} needs onnxruntime; install areca[onnx]"
        )
    import onnxruntime  # noqa: PLC0415 - an extra

    kind = "CUDAExecutionProvider" if device != "cpu" else "CPUExecutionProvider"
    if kind not in onnxruntime.get_available_providers():
        raise ModelError(
            f"onnxruntime has no {kind} here, so model {model.card.name!r} cannot run "
            f"on {device}; install onnxruntime-gpu, or take the device cpu"
        )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    # Of a graph in memory it would look for them in the working folder, past the
    # SHA-256 of the card.
    options.add_session_config_entry(_EXTERNAL, os.devnull)
    data = model.checked_weights()
    try:
        session = onnxruntime.InferenceSession(data, options, providers=[kind])
    except Exception as error:  # its errors share no other base
        said = str(error).partition("\n")[0]
        hint = "; export it with external_data=False" if "External data" in said else ""
        raise ModelError(
            f"{model.weights_path} is no ONNX graph that onnxruntime can run: "
            f"{said}{hint}"
        ) from error
    given = _checked_input(session.get_inputs(), model.card)
    names = [output.name for output in session.get_outputs()]

    def run(batch: NDArray[np.float32], /) -> object:
        try:
            values = session.run(names, {given: batch})
        except Exception as error:  # its errors share no other base
            raise PredictError(
                f"model {model.card.name!r} fails on {len(batch)} tiles: "
                f"{str(error).partition(chr(10))[0]}. Was the graph exported for "
                "another batch_size?"
            ) from error
        return dict(zip(names, values, strict=True))

    return run


def _checked_input(inputs: Sequence[Any], card: ModelCard) -> str:
    """Return the name of the one input, whose shape must be that of the card.

    Raises:
        ModelError: It has another shape, or there are several.
    """
    wanted = (len(card.bands), card.tile_px, card.tile_px)
    shape = list(inputs[0].shape) if len(inputs) == 1 else []
    # A dimension may have a name, or none, in place of a number: any size will do.
    fits = len(shape) == 1 + len(wanted) and all(
        not isinstance(size, int) or size == want
        for size, want in zip(shape[1:], wanted, strict=True)
    )
    if not fits:
        raise ModelError(
            f"{card.weights} takes {[(i.name, i.shape) for i in inputs]}; the card of "
            f"{card.name!r} says one input (n, {', '.join(map(str, wanted))}). Correct "
            "bands and tile_px of the card"
        )
    return str(inputs[0].name)


def _open_torch(model: Model, device: str) -> Run:
    """Return the network of an archive of torch.export or of TorchScript.

    Raises:
        ModelError: It is damaged.
    """
    data = io.BytesIO(model.checked_weights())
    try:
        if model.card.format == "pt2":
            return _of_torch(torch.export.load(data).module().to(device), device)
        network = torch.jit.load(data, map_location=device)  # type: ignore[no-untyped-call]
        return _of_torch(network.eval(), device)
    except (RuntimeError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise ModelError(
            f"{model.weights_path} is no {model.card.format} archive that torch "
            f"{torch.__version__} can open: {str(error).partition(chr(10))[0]}"
        ) from error


def _of_torch(network: Callable[..., object], device: str) -> Run:
    def run(batch: NDArray[np.float32], /) -> object:
        with torch.inference_mode():
            return _to_host(network(torch.from_numpy(batch).to(device)))

    return run


def _open_callable(model: Model, device: str) -> Run:
    """Return what `load(folder, device)` of a Python file returns.

    Raises:
        ModelError: The file has no such function, or fails.
    """
    path = model.weights_path
    module = types.ModuleType(path.stem)
    source = model.checked_weights()
    try:
        # The bytes that were checked, not the file anew.
        exec(compile(source, str(path), "exec"), module.__dict__)  # noqa: S102 - trusted
        load = getattr(module, "load", None)
        run: Run | None = load(model.folder, device) if load else None
    except Exception as error:  # whatever the file's author did not think of
        raise ModelError(
            f"{path} of model {model.card.name!r} fails when it is loaded: "
            f"{type(error).__name__}: {redact(str(error))}"
        ) from error
    if run is None:
        raise ModelError(
            f"{path} has no function load(folder, device) that returns a function of "
            "one batch"
        )
    return run


def _to_host(out: object) -> object:
    if isinstance(out, torch.Tensor):
        return out.float().cpu().numpy()
    if isinstance(out, dict):
        return {name: _to_host(value) for name, value in out.items()}
    if isinstance(out, (list, tuple)):
        return [_to_host(value) for value in out]
    return out


def _first(out: object) -> Any:  # noqa: ANN401 - whatever the network gives
    if isinstance(out, dict):
        return out.get("out", next(iter(out.values())))
    return out[0] if isinstance(out, (list, tuple)) else out


_OPENERS: dict[str, Callable[[Model, str], Run]] = {
    "onnx": _open_onnx,
    "pt2": _open_torch,
    "torchscript": _open_torch,
    "callable": _open_callable,
}
