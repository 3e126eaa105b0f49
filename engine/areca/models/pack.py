"""A card and a file of weights to a model folder: copied, hashed, tried, written."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from areca.errors import ArecaError, ModelError
from areca.models.adapter import load_network
from areca.models.card_file import CARD_NAME, write_card
from areca.models.contracts import TRUSTED_ONLY, WHOLE_FILE
from areca.models.handle import Model
from areca.models.network import count_parameters
from areca.models.weights import load_weights

if TYPE_CHECKING:
    from areca.models.card import ModelCard


def pack_model(
    card: ModelCard, weights: str | Path, folder: str | Path, *, trust: bool = False
) -> Model:
    """Write the folder of a model whose weights lie in a file of any format.

    The file is copied as it is; the card gets its name, its SHA-256 and, where areca
    builds the network, the number of parameters. An empty tile is sent through the
    network first, so that a card that does not fit its file is refused here.

    Args:
        card: What the model is; `format` says what the file holds. Its `weights`,
            `sha256` and `parameters` are not read.
        weights: The file: a checkpoint, Darknet's weights, or a whole network (ONNX,
            torch.export, TorchScript, Python). It may lie in the folder already.
        folder: Where the model goes. What else a Python file loads must lie there.
        trust: Whether the file may run code of whoever made it. Without, a format that
            is code is written down, but not tried.

    Returns:
        The model, for `areca.predict` and, by its folder, for recipes.

    Raises:
        ModelError: There is no such file, it does not fit the card, or the folder has
            another model, or another file of that name; both are left as they are.
    """
    source, folder = Path(weights), Path(folder).resolve()
    if not source.is_file():
        raise ModelError(f"there is no file of weights at {source}")
    target = folder / source.name
    is_there = target.exists() and source.samefile(target)
    has_model = (folder / CARD_NAME).exists()
    if not is_there and (has_model or target.exists()):
        held = "a model" if has_model else f"another file {source.name}"
        raise ModelError(
            f"{folder} has {held} already; give a new folder, or the weights that lie "
            "in it"
        )
    folder.mkdir(parents=True, exist_ok=True)
    if not is_there:
        shutil.copyfile(source, target)
    try:
        return _written(card, target, trust=trust)
    except BaseException:
        if not is_there:
            target.unlink()
        raise


def _written(card: ModelCard, weights: Path, *, trust: bool) -> Model:
    """Return the model of weights in their folder, tried, with its card beside them."""
    with weights.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    card = replace(card, weights=weights.name, sha256=sha256, parameters=0)
    model = tried(Model(card, weights.parent), trust=trust)
    write_card(model.card, weights.parent)
    return model


def tried(model: Model, *, trust: bool = False) -> Model:
    """Return a model whose weights fit its card, with the number of its parameters.

    Args:
        model: Its weights lie in its folder, and its card has their SHA-256.
        trust: Whether its file may run code; one that does is not tried without.

    Raises:
        ModelError: It fails on an empty tile.
    """
    card = model.card
    if card.format in TRUSTED_ONLY and not trust:
        return model  # opening it would run its code
    try:
        if card.architecture != WHOLE_FILE:
            parameters = count_parameters(load_weights(model))
            model = replace(model, card=replace(card, parameters=parameters))
        shape = (1, len(card.bands), card.tile_px, card.tile_px)
        load_network(model, trust=trust).forward(np.zeros(shape, np.float32))
    except ModelError:
        raise
    except (ArecaError, RuntimeError, ValueError) as error:
        said = str(error).partition("\n")[0] or type(error).__name__
        raise ModelError(
            f"model {card.name!r} fails on an empty tile: {said}"
        ) from error
    return model
