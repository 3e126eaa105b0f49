"""What a model gives, by the name of its architecture: plain data, no torch.

An output contract says what a worker makes of a model's output. Everything that
differs between architectures of one contract ends in their adapter.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

Contract = Literal["heatmap", "boxes", "masks", "logits"]
"""What comes out: circles by peaks of a heat map, boxes, boxes with a mask each, or one
value per class and pixel."""
CONTRACTS: tuple[Contract, ...] = get_args(Contract)
TASKS: dict[Contract, str] = {
    "heatmap": "object-detection",
    "boxes": "object-detection",
    "masks": "instance-segmentation",
    "logits": "semantic-segmentation",
}
"""MLM task of each contract."""
WHOLE_FILE = "file"
"""Architecture of a network that lies whole in its file."""
FORMATS = {
    "safetensors": "numbers only, written by areca",
    "state-dict": "a checkpoint of torch.save, read with weights_only",
    "darknet": "Darknet's .weights: numbers alone, in network order",
    "onnx": "an ONNX graph, run by onnxruntime",
    "pt2": "a torch.export archive; it can run code",
    "torchscript": "a TorchScript archive; it can run code",
    "callable": "a Python file with a function `load`; it is code",
}
"""Formats of a weights file. The last four hold the whole network."""
FILE_FORMATS = ("onnx", "pt2", "torchscript", "callable")
"""Formats that hold the whole network, for the architecture `file`."""
DARKNET_NETWORKS = ("yolov3",)
"""Architectures whose modules lie in the order of Darknet's layers."""
TRUSTED_ONLY = ("pt2", "torchscript", "callable")
"""Formats that can run code of whoever made the file."""
PRECISIONS = ("float32", "bf16")


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """What is known of an architecture without building it."""

    contract: Contract | None
    """Output contract; None where the card says it."""
    phase_px: int
    """Pixels by which an image may be shifted without other rounding of its strides:
    the deepest stride that reaches the output, not that of the output."""
    stride: int = 1
    """Input pixels per output cell."""
    needs: str = ""
    """Extra of areca to install for it."""


# The pyramid levels above stride 32 of the torchvision detectors hold objects of half
# a tile and feed nothing below, so 32 is the deepest stride that counts.
_BOXES = Family(contract="boxes", phase_px=32, needs="models")
_LOGITS = Family(contract="logits", phase_px=32, needs="models")

FAMILIES: dict[str, Family] = {
    # Shifted by 4 px, the stride of the output, two thirds of the oil palms moved by
    # over a quarter pixel or 0.02 in score; shifted by 8 px, none.
    "centre-radius": Family(contract="heatmap", phase_px=8, stride=4),
    "fasterrcnn": _BOXES,
    "fasterrcnn-mobilenet": _BOXES,
    "ssd": _BOXES,
    "ssd300": _BOXES,
    "retinanet": _BOXES,
    "fcos": _BOXES,
    "yolov3": Family(contract="boxes", phase_px=32),
    "maskrcnn": Family(contract="masks", phase_px=32, needs="models"),
    # Dilated: stride 8 with ResNet-50, 16 with MobileNet and in DeepLabV3+.
    "deeplabv3": Family(contract="logits", phase_px=16, needs="models"),
    "deeplabv3plus": Family(contract="logits", phase_px=16, needs="models"),
    "unet": _LOGITS,
    "unetplusplus": _LOGITS,
    "fpn": _LOGITS,
    "segformer": _LOGITS,
    # One step of 16 px, the patch; the positions of patches are bound to the tile.
    "sam-lora": Family(contract="logits", phase_px=16, needs="sam"),
    WHOLE_FILE: Family(contract=None, phase_px=32),
}
"""Architectures by name. `file` may say another phase in architecture_options."""
