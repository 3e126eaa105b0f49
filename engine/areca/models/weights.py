"""Networks to and from disk, in formats whose loading can run no code."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from safetensors.torch import save

from areca.models.architectures import build_network
from areca.models.card_file import write_card
from areca.models.darknet import load_darknet
from areca.models.handle import Model
from areca.models.network import count_parameters
from areca.models.states import fit_state, read_state

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor, nn

    from areca.models.card import ModelCard


def save_model(network: nn.Module, card: ModelCard, folder: Path) -> Model:
    """Return the handle of a model whose weights and card are written here.

    SHA-256 and the number of parameters are filled in from what is written. Equal
    weights give equal bytes. The weights are written as safetensors.
    """
    folder.mkdir(parents=True, exist_ok=True)
    data = save(_own_tensors(network))
    (folder / card.weights).write_bytes(data)
    written = replace(
        card,
        format="safetensors",
        sha256=hashlib.sha256(data).hexdigest(),
        parameters=count_parameters(network),
    )
    write_card(written, folder)
    return Model(written, folder)


def _own_tensors(network: nn.Module) -> dict[str, Tensor]:
    """Return the state of a network in which no two tensors share memory."""
    state: dict[str, Tensor] = {}
    seen: set[int] = set()
    for name, value in network.state_dict().items():
        own = value.detach().cpu().contiguous()
        # safetensors refuses tied weights; they are written once for each name.
        state[name] = own.clone() if own.data_ptr() in seen else own
        seen.add(own.data_ptr())
    return state


def load_weights(model: Model, device: str = "cpu") -> nn.Module:
    """Return the network with its checked weights, unfolded and in eval mode.

    Args:
        model: Handle of the model; its format is safetensors, state-dict or darknet.
        device: Torch device.

    Returns:
        The network. `areca.errors.ModelError` where the weights are damaged or are not
        those of the card.
    """
    # The bytes that are checked are the bytes that are loaded, on every worker anew.
    data = model.checked_weights()
    network = build_network(model.card)
    what = f"{model.weights_path} and model {model.card.name!r}"
    if model.card.format == "darknet":
        load_darknet(network, data, what)
    else:
        state = read_state(data, model.card.format, str(model.weights_path))
        fit_state(network, state, what)
    return network.to(torch.device(device)).eval()
