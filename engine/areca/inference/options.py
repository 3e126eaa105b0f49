"""The knobs of a prediction, in one frozen object."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from areca.errors import InputError

Augment = Literal["none", "flips", "d4"]
"""Views of a tile: as it is; with its two mirror images and their product; all eight
of the square."""
MergePolicy = Literal["mean", "max", "min"]
"""How several predictions of one place become one."""
CONFIDENCE = ("top1", "margin", "entropy", "score")
"""Rasters of confidence that can be asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictOptions:
    """How to run a model; what is left out comes from the model's card.

    All of these are part of the identity of a run: two runs with equal options on one
    type of processor give equal bits. Detections that the edge of a tile may have cut
    are never counted, whatever the model: they are listed as oversize.

    Attributes:
        threshold: Lowest score of a detection, 0 to 1; None takes the card's. In
            segmentation, a pixel whose best class scores less becomes background; None
            takes the best class.
        nms_overlap: Intersection over union above which the weaker of two boxes of one
            label falls; None takes the card's.
        batch_size: Tiles in one forward pass. The last batch of a block is filled up,
            so that every pass has one shape. A regional run measures "auto" once,
            before its first block (`areca.inference.batch`), and keeps that number; a
            lazy prediction refuses it.
        block_tiles: Tiles along each side of a block, the unit of work. It never
            changes the answer, only memory (more tiles) and how finely work is divided
            (fewer tiles).
        device: Torch device of the forward passes.
        torch_threads: Threads of one forward pass on the CPU.
        tile_px: Edge of the model tile, px; None takes the card's. Another tile is
            another model: its objects get other ids.
        augment: Test-time augmentation: "flips" predicts 4 views of a tile, "d4" 8; see
            `merge_policy`.
        merge_policy: What becomes of the views of a tile, and of tiles that fade into
            each other. None takes "mean" in segmentation and "max" for detectors.

            Segmentation: the mean, largest or smallest probability of each class, by
            weight (`areca.inference.merge`).

            Detectors: in "max" the detections of all views compete and the best stays.
            In "mean" and "min" those of different views whose boxes overlap by more
            than `nms_overlap` are one object. Its score is the mean or the smallest
            over all views, where a view that misses it counts 0; below the threshold it
            falls. Box and mask are those of the best view.
        blend_px: Segmentation: over how many pixels beyond its core a tile fades into
            its neighbours (Hann window). At most the card's halo; blocks then also
            predict the tiles around them, which costs less the larger the block.
        confidence: Rasters to give: of a segmentation "top1" (probability of the
            class), "margin" (lead over the second), "entropy" (0 sure to 1 undecided);
            of a detector "score" (highest raw score of any candidate on the pixel).
        classes: Labels of the objects wanted; None takes all. The class raster has all.
        predict_background: Whether a pixel may be the card's background class; if not,
            it gets the best of the others.
        connectivity: Segmentation: whether pixels of one object meet at edges (4) or
            also at corners (8).
        trust: Whether a model file may run code of whoever made it; formats that are
            code (torch.export, TorchScript, Python) are refused without.
    """

    threshold: float | None = None
    nms_overlap: float | None = None
    batch_size: int | Literal["auto"] = 1
    block_tiles: int = 8
    device: str = "cpu"
    torch_threads: int = 1
    tile_px: int | None = None
    augment: Augment = "none"
    merge_policy: MergePolicy | None = None
    blend_px: int = 0
    confidence: tuple[str, ...] = ()
    classes: tuple[str, ...] | None = None
    predict_background: bool = True
    connectivity: Literal[4, 8] = 4
    trust: bool = False

    def __post_init__(self) -> None:
        for name in ("threshold", "nms_overlap"):
            value = getattr(self, name)
            if value is not None and not 0 <= value <= 1:
                raise InputError(
                    f"{name} is {value}; it is a share, so give a number from 0 to 1"
                )
        names = ("block_tiles", "torch_threads")
        counts = {name: getattr(self, name) for name in names}
        if self.batch_size != "auto":
            counts["batch_size"] = self.batch_size
        for name, value in counts.items():
            if type(value) is not int or value < 1:
                raise InputError(
                    f"{name} is {value!r}; it counts, so give 1 or more"
                    f"{' or auto' if name == 'batch_size' else ''}"
                )
        if self.blend_px < 0:
            raise InputError(f"blend_px is {self.blend_px}; give 0 or more pixels")
        for name, allowed in (
            ("augment", get_args(Augment)),
            ("merge_policy", (None, *get_args(MergePolicy))),
            ("connectivity", (4, 8)),
        ):
            if getattr(self, name) not in allowed:
                raise InputError(
                    f"{name} is {getattr(self, name)!r}; give one of "
                    f"{', '.join(map(str, allowed))}"
                )
        # A lone word would be taken apart into letters, none of which is known.
        if any(name not in CONFIDENCE for name in self.confidence):
            raise InputError(
                f"confidence is {self.confidence!r}; give a tuple of "
                f"{', '.join(CONFIDENCE)}"
            )

    @property
    def batch_tiles(self) -> int:
        """Tiles in one forward pass, as a number.

        Raises:
            InputError: It is still "auto".
        """
        if self.batch_size == "auto":
            raise InputError(
                'batch_size is "auto", which only a regional run (areca run) measures: '
                "once for all its workers, because another batch may change last bits. "
                "Give a number here"
            )
        return self.batch_size
