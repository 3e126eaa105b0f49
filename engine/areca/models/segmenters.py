"""Dense networks: DeepLabV3 of torchvision, and segmentation-models-pytorch."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from areca.errors import ModelError
from areca.models.checks import check_known

if TYPE_CHECKING:
    from torch import nn

    from areca.models.card import ModelCard

_DEEPLAB = {
    "resnet50": "deeplabv3_resnet50",
    "resnet101": "deeplabv3_resnet101",
    "mobilenet": "deeplabv3_mobilenet_v3_large",
}
"""Constructor by the option `backbone`."""
_SMP = {
    "unet": "Unet",
    "unetplusplus": "UnetPlusPlus",
    "deeplabv3plus": "DeepLabV3Plus",
    "fpn": "FPN",
    "segformer": "Segformer",
}
_NOT_OPTIONS = {
    "activation",
    "aux_params",
    "classes",
    "encoder_name",
    "encoder_weights",
    "in_channels",
    "kwargs",
}
"""Arguments of these constructors that areca gives itself."""


def build_deeplab(card: ModelCard) -> nn.Module:
    """Return DeepLabV3 of torchvision with random weights and three input bands.

    Options: `backbone` (resnet50, resnet101 or mobilenet) and `aux_loss`.

    Raises:
        ModelError: The backbone is not one of these.
    """
    from torchvision.models import segmentation  # noqa: PLC0415 - an extra

    options = dict(card.architecture_options)
    backbone = options.pop("backbone", "resnet50")
    if backbone not in _DEEPLAB:
        raise ModelError(
            f"model {card.name!r}: deeplabv3 has no backbone {backbone!r}; it has "
            f"{', '.join(_DEEPLAB)}"
        )
    check_known(card, options, ["backbone", "aux_loss"])
    build = getattr(segmentation, _DEEPLAB[backbone])
    network: nn.Module = build(
        weights=None, weights_backbone=None, num_classes=len(card.labels), **options
    )
    return network


def build_smp(card: ModelCard) -> nn.Module:
    """Return a network of segmentation-models-pytorch with random weights.

    Options: `encoder` (a name of that package, or `tu-` and a name of timm; by default
    resnet34) and what the constructor takes. All input bands are built in.
    """
    import segmentation_models_pytorch as smp  # noqa: PLC0415 - an extra

    options: dict[str, Any] = dict(card.architecture_options)
    encoder = options.pop("encoder", "resnet34")
    kind = getattr(smp, _SMP[card.architecture])
    known = inspect.signature(kind).parameters.keys() - _NOT_OPTIONS
    check_known(card, options, ["encoder", *sorted(known)])
    network: nn.Module = kind(
        encoder_name=encoder,
        encoder_weights=None,
        in_channels=len(card.bands),
        classes=len(card.labels),
        **options,
    )
    return network
