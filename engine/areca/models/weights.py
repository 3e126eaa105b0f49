"""Networks to and from disk: safetensors only, so loading can run no code."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

from areca.errors import ModelError
from areca.models.card_file import write_card
from areca.models.handle import CARD_NAME, Model
from areca.models.network import CentreRadiusNet, count_parameters

if TYPE_CHECKING:
    from pathlib import Path

    from areca.models.card import ModelCard


def build_network(card: ModelCard) -> CentreRadiusNet:
    """Return the card's network with random weights.

    Raises:
        ModelError: the card's architecture options do not fit the architecture.
    """
    try:
        return CentreRadiusNet(
            bands=len(card.bands),
            classes=len(card.labels),
            **card.architecture_options,
        )
    except TypeError as error:
        raise ModelError(
            f"model {card.name!r}: architecture_options "
            f"{dict(card.architecture_options)} do not fit {card.architecture}: {error}"
        ) from error


def save_model(network: CentreRadiusNet, card: ModelCard, folder: Path) -> Model:
    """Return the handle of a model whose weights and card are written here.

    SHA-256 and the number of parameters are filled in from what is written. Equal
    weights give equal bytes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    state = {
        name: value.detach().cpu().contiguous()
        for name, value in network.state_dict().items()
    }
    data = save(state)
    (folder / card.weights).write_bytes(data)
    written = replace(
        card,
        sha256=hashlib.sha256(data).hexdigest(),
        parameters=count_parameters(network),
    )
    write_card(written, folder / CARD_NAME)
    return Model(written, folder)


def load_weights(model: Model, device: str = "cpu") -> CentreRadiusNet:
    """Return the network with its checked weights, unfolded and in eval mode.

    Raises:
        ModelError: the weights are damaged or are not those of the card.
    """
    # The bytes that are checked are the bytes that are loaded, on every worker anew.
    data = model.checked_weights()
    network = build_network(model.card)
    try:
        network.load_state_dict(load(data))
    except (SafetensorError, RuntimeError) as error:
        raise ModelError(
            f"{model.weights_path} does not fit the network of {model.card.name!r}: "
            f"{str(error).splitlines()[0]}"
        ) from error
    return network.to(torch.device(device)).eval()
