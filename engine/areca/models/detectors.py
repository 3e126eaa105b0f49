"""Detectors of torchvision, built for tiles that areca has standardised.

Their own preparation of images is taken out (`Unchanged`), and their own suppression
is off, so that each object is settled once, by areca, over all tiles. The classes of a
card are numbered from 1 in these networks; 0 is the background.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn
from torchvision.models import detection
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.rpn import RPNHead
from torchvision.ops.feature_pyramid_network import LastLevelP6P7
from typing_extensions import override

from areca.errors import ModelError
from areca.models.checks import MOST_BOXES, check_known, lowest_score

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from areca.models.card import ModelCard

_MASK_NMS = 0.7
"""Mask R-CNN alone suppresses near-copies in the tile, before their masks are drawn:
each mask costs 0.5 GFLOP. What falls here overlaps a better box by more than any
threshold in use."""
_SMALLEST_SSD300_PX = 288
"""Below this the last feature map of SSD300 is smaller than its kernel."""


class Unchanged(nn.Module):
    """Hands images, targets and results through, where torchvision would resize.

    It has no parameters, as the transform it replaces, so checkpoints fit. Masks stay
    as the network gives them, 28 x 28 in their box: the adapter draws them.
    """

    @override
    def forward(
        self, images: list[Tensor], targets: list[dict[str, Tensor]] | None = None
    ) -> tuple[ImageList, list[dict[str, Tensor]] | None]:
        """Return images (band, height, width) of one size as a batch."""
        batch = torch.stack(images).contiguous(memory_format=torch.channels_last)
        sizes = [(int(image.shape[-2]), int(image.shape[-1])) for image in images]
        return ImageList(batch, sizes), targets

    def postprocess(
        self,
        result: list[dict[str, Tensor]],
        _image_shapes: list[tuple[int, int]],
        _original_sizes: list[tuple[int, int]],
    ) -> list[dict[str, Tensor]]:
        """Return the result."""
        return result


def build_detector(card: ModelCard) -> nn.Module:
    """Return the card's detector with random weights and three input bands.

    Options are those of the torchvision class (for example `box_detections_per_img`),
    and `backbone` (a ResNet of torchvision, by default resnet50), `anchor_sizes` (px,
    one list per level of the pyramid) and `anchor_ratios` (height over width).

    Args:
        card: A card whose architecture is one of this module's.

    Returns:
        The network in training mode.
    """
    build = _BUILDERS[card.architecture]
    network = build(card, dict(card.architecture_options))
    network.transform = Unchanged()
    return network


def _build_rcnn(card: ModelCard, options: dict[str, Any]) -> nn.Module:
    has_masks = card.architecture == "maskrcnn"
    kind = detection.MaskRCNN if has_masks else detection.FasterRCNN
    backbone = _backbone(options, levels=[1, 2, 3, 4])
    anchors = _anchors(options, "rpn_anchor_generator", levels=5)
    _check(card, options, kind)
    own = {"box_nms_thresh": _MASK_NMS} if has_masks else {}
    settings = (
        _RCNN | own | {"box_score_thresh": lowest_score(card)} | anchors | options
    )
    network: nn.Module = kind(backbone, len(card.labels) + 1, **settings)
    return network


def _build_rcnn_mobilenet(card: ModelCard, options: dict[str, Any]) -> nn.Module:
    anchors = _anchors(options, "rpn_anchor_generator", levels=3)
    _check(card, options, detection.FasterRCNN)
    settings = _RCNN | {"box_score_thresh": lowest_score(card)} | options
    network: Any = _call(detection.fasterrcnn_mobilenet_v3_large_fpn, card, settings)
    for generator in anchors.values():  # the builder has its own and takes no other
        network.rpn.anchor_generator = generator
        (count,) = set(generator.num_anchors_per_location())
        network.rpn.head = RPNHead(network.backbone.out_channels, count)
    return cast("nn.Module", network)


def _build_retinanet(card: ModelCard, options: dict[str, Any]) -> nn.Module:
    backbone = _backbone(options, levels=[2, 3, 4])
    anchors = _anchors(options, "anchor_generator", levels=5)
    _check(card, options, detection.RetinaNet)
    settings = _ONE_STAGE | {"score_thresh": lowest_score(card)} | anchors | options
    network: nn.Module = detection.RetinaNet(backbone, len(card.labels) + 1, **settings)
    return network


def _build_fcos(card: ModelCard, options: dict[str, Any]) -> nn.Module:
    backbone = _backbone(options, levels=[2, 3, 4])
    _check(card, options, detection.FCOS)
    settings = _ONE_STAGE | {"score_thresh": lowest_score(card)} | options
    network: nn.Module = detection.FCOS(backbone, len(card.labels) + 1, **settings)
    return network


def _build_ssd(card: ModelCard, options: dict[str, Any]) -> nn.Module:
    _check(card, options, detection.ssd.SSD)
    settings = _ONE_STAGE | {"score_thresh": lowest_score(card)} | options
    if card.architecture == "ssd":
        return _call(detection.ssdlite320_mobilenet_v3_large, card, settings)
    if card.tile_px < _SMALLEST_SSD300_PX:
        raise ModelError(
            f"model {card.name!r}: a tile of {card.tile_px} px is too small for "
            f"ssd300; take {_SMALLEST_SSD300_PX} px or more, or the architecture 'ssd'"
        )
    network = _call(detection.ssd300_vgg16, card, settings)
    # Its steps are those of 300 px; without them they follow from the feature maps.
    network.anchor_generator.steps = None  # type: ignore[union-attr]
    return network


def _call(
    build: Callable[..., nn.Module], card: ModelCard, settings: Mapping[str, Any]
) -> nn.Module:
    """Return what a builder of torchvision makes; it fetches no weights."""
    classes = len(card.labels) + 1
    return build(weights=None, weights_backbone=None, num_classes=classes, **settings)


def _backbone(options: dict[str, Any], levels: list[int]) -> nn.Module:
    """Return a ResNet with a feature pyramid; `backbone` leaves the options."""
    extra = None if 1 in levels else LastLevelP6P7(256, 256)
    network: nn.Module = resnet_fpn_backbone(
        backbone_name=str(options.pop("backbone", "resnet50")),
        weights=None,
        norm_layer=nn.BatchNorm2d,
        trainable_layers=5,
        returned_layers=levels,
        extra_blocks=extra,
    )
    return network


def _anchors(options: dict[str, Any], argument: str, levels: int) -> dict[str, Any]:
    """Return anchors as an argument where the options ask for their own.

    Raises:
        ValueError: There are sizes for another number of levels.
    """
    if "anchor_sizes" not in options:
        return {}
    sizes = tuple(tuple(level) for level in options.pop("anchor_sizes"))
    if len(sizes) != levels:
        raise ValueError(
            f"anchor_sizes has {len(sizes)} levels, the pyramid {levels}; give one "
            "list of sizes for each"
        )
    ratios = tuple(options.pop("anchor_ratios", (0.5, 1.0, 2.0)))
    return {argument: AnchorGenerator(sizes, (ratios,) * len(sizes))}


def _check(card: ModelCard, options: Mapping[str, Any], kind: type[nn.Module]) -> None:
    """Refuse options that the class does not have."""
    check_known(
        card, options, sorted(inspect.signature(kind).parameters.keys() - _NOT_OPTIONS)
    )


_RCNN: dict[str, Any] = {
    "box_nms_thresh": 1.0,
    "box_detections_per_img": MOST_BOXES + 1,
}
_ONE_STAGE: dict[str, Any] = {
    "nms_thresh": 1.0,
    "detections_per_img": MOST_BOXES + 1,
    "topk_candidates": 1000,
}
_NOT_OPTIONS = {
    "anchor_generator",
    "backbone",
    "box_head",
    "box_predictor",
    "box_roi_pool",
    "head",
    "image_mean",
    "image_std",
    "kwargs",
    "mask_head",
    "mask_predictor",
    "mask_roi_pool",
    "max_size",
    "min_size",
    "num_classes",
    "rpn_anchor_generator",
    "rpn_head",
    "size",
}
"""Arguments that areca gives itself, or that are no plain data."""
_BUILDERS: dict[str, Callable[[ModelCard, dict[str, Any]], nn.Module]] = {
    "fasterrcnn": _build_rcnn,
    "fasterrcnn-mobilenet": _build_rcnn_mobilenet,
    "maskrcnn": _build_rcnn,
    "retinanet": _build_retinanet,
    "fcos": _build_fcos,
    "ssd": _build_ssd,
    "ssd300": _build_ssd,
}
