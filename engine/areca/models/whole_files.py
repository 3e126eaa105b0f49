"""Networks that lie whole in their file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from areca.errors import ModelError
from areca.models.contracts import TRUSTED_ONLY

if TYPE_CHECKING:
    from areca.models.adapter import LoadedModel
    from areca.models.handle import Model


def load_file(model: Model, device: str, *, trust: bool) -> LoadedModel:
    """Return a model that lies whole in its file, ready for inference.

    Args:
        model: Handle of the model.
        device: Torch device.
        trust: Whether the file may run code of whoever made it.

    Raises:
        ModelError: The file may run code and is not trusted, or cannot be read.
    """
    card = model.card
    if card.format in TRUSTED_ONLY and not trust:
        raise ModelError(
            f"the {card.format} file {model.weights_path} of model {card.name!r} can "
            "run code of whoever made it; load it with trust only if you know its "
            "source, or export the model to ONNX or safetensors"
        )
    raise ModelError(
        f"model {card.name!r}: this version cannot run {card.format} on {device} yet"
    )
