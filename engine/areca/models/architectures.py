"""Names of architectures to networks with random weights."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Literal

import torch
from torch import nn

from areca.errors import ModelError
from areca.models.contracts import FAMILIES, WHOLE_FILE
from areca.models.network import CentreRadiusNet
from areca.models.yolo import build_yolo

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from areca.models.card import ModelCard

How = Literal["mean", "copy-red", "random"]
RGB = ("red", "green", "blue")
"""Bands of the first layer of published weights."""
_MODULES = {
    "models": ("torchvision", "segmentation_models_pytorch"),
    "sam": ("transformers", "peft"),
}
"""Modules of each extra."""


def build_network(card: ModelCard) -> nn.Module:
    """Return the card's network with random weights; nothing is fetched.

    Args:
        card: The card; its bands and labels give the first and the last layer.

    Returns:
        The network in training mode.

    Raises:
        ModelError: An extra is missing, an option does not fit the architecture, or
            the network lies whole in its file.
    """
    name = card.architecture
    if name == WHOLE_FILE:
        raise ModelError(
            f"model {card.name!r} lies whole in {card.weights}; it cannot be built "
            "anew, only loaded"
        )
    for module in _MODULES.get(FAMILIES[name].needs, ()):
        if importlib.util.find_spec(module) is None:
            raise ModelError(
                f"model {card.name!r} needs {module} for {name}; install "
                f"areca[{FAMILIES[name].needs}]"
            )
    try:
        return _builder(name)(card)
    except ModelError:
        raise
    except (TypeError, ValueError, KeyError, AttributeError, RuntimeError) as error:
        raise ModelError(
            f"model {card.name!r}: architecture_options "
            f"{dict(card.architecture_options)} do not fit {name}: {error}"
        ) from error


def _builder(name: str) -> Callable[[ModelCard], nn.Module]:
    if name == "centre-radius":
        return _build_centre_radius
    if name == "sam-lora":
        # Here: it brings transformers and its 5 s.
        from areca.models.sam import build_sam  # noqa: PLC0415

        return build_sam
    if name == "yolov3":
        return build_yolo
    # Here: they bring torchvision and its 1 s, which only these models need.
    from areca.models import segmenters  # noqa: PLC0415

    if name == "deeplabv3":
        return lambda card: widen(segmenters.build_deeplab(card), card.bands)
    if FAMILIES[name].contract == "logits":
        return segmenters.build_smp
    from areca.models.detectors import build_detector  # noqa: PLC0415

    return lambda card: widen(build_detector(card), card.bands)


def _build_centre_radius(card: ModelCard) -> CentreRadiusNet:
    """Return the centre + radius network of a card, with random weights."""
    return CentreRadiusNet(
        bands=len(card.bands), classes=len(card.labels), **card.architecture_options
    )


def widen(network: nn.Module, bands: Sequence[str], how: How = "mean") -> nn.Module:
    """Give a network of three bands a first layer for other bands, in place.

    Args:
        network: Its first convolution takes red, green and blue.
        bands: Names of the bands it shall take. With just red, green and blue in this
            order nothing changes.
        how: Weights of the other bands (see `adapt_first_layer`).

    Returns:
        The same network.

    Raises:
        ModelError: The network has no convolution of three bands.
    """
    if len(bands) == len(RGB) and _rgb_slots(bands) == [0, 1, 2]:
        return network
    for path, module in network.named_modules():
        if isinstance(module, nn.Conv2d):
            parent, _, name = path.rpartition(".")
            layer = adapt_first_layer(module, bands, how)
            setattr(network.get_submodule(parent), name, layer)
            return network
    raise ModelError("a network without a convolution cannot be given other bands")


def adapt_first_layer(
    conv: nn.Conv2d, bands: Sequence[str], how: How = "mean"
) -> nn.Conv2d:
    """Return a first convolution for some bands, from one for red, green and blue.

    The weights of red, green and blue stay as they are, on the places of these names;
    without any of the names, on the first three places.

    Args:
        conv: A convolution of three input bands.
        bands: Names of the bands it shall take.
        how: Weights of every other band: the mean of the three, a copy of red, or
            drawn anew as torch draws them.

    Raises:
        ModelError: The convolution has not three input bands, or `how` is unknown.
    """
    if conv.in_channels != len(RGB) or conv.groups != 1:
        raise ModelError(
            f"the first layer takes {conv.in_channels} bands; only one of red, green "
            "and blue can be adapted to others"
        )
    if how not in {"mean", "copy-red", "random"}:
        raise ModelError(f"how is {how!r}; it must be mean, copy-red or random")
    layer = nn.Conv2d(
        len(bands),
        conv.out_channels,
        conv.kernel_size,  # type: ignore[arg-type]
        stride=conv.stride,  # type: ignore[arg-type]
        padding=conv.padding,  # type: ignore[arg-type]
        dilation=conv.dilation,  # type: ignore[arg-type]
        bias=conv.bias is not None,
        padding_mode=conv.padding_mode,
    ).to(conv.weight)
    with torch.no_grad():
        if conv.bias is not None and layer.bias is not None:
            layer.bias.copy_(conv.bias)
        if how == "mean":
            layer.weight.copy_(
                conv.weight.mean(1, keepdim=True).expand_as(layer.weight)
            )
        elif how == "copy-red":
            layer.weight.copy_(conv.weight[:, :1].expand_as(layer.weight))
        for place, slot in enumerate(_rgb_slots(bands)):
            if slot is not None:
                layer.weight[:, slot] = conv.weight[:, place]
    return layer


def _rgb_slots(bands: Sequence[str]) -> list[int | None]:
    """Return where red, green and blue stand among some bands."""
    if not set(RGB) & set(bands):
        return [place if place < len(bands) else None for place in range(len(RGB))]
    names = list(bands)
    return [names.index(name) if name in names else None for name in RGB]
