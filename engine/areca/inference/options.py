"""The knobs of a prediction, in one frozen object."""

from __future__ import annotations

from dataclasses import dataclass

from areca.errors import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictOptions:
    """How to run a model; what is left out comes from the model's card.

    All of these are part of the identity of a run: two runs with equal options on one
    type of processor give equal bits.
    """

    threshold: float | None = None
    """Lowest score of a detection, 0 to 1; None takes the card's."""
    nms_overlap: float | None = None
    """Intersection over union above which the weaker of two boxes of one label falls;
    None takes the card's."""
    batch_size: int = 1
    """Tiles in one forward pass. The last batch of a block is filled up, so that every
    pass has one shape."""
    block_tiles: int = 8
    """Tiles along each side of a block, the unit of work. It never changes the answer,
    only memory (more tiles) and how finely work is divided (fewer tiles)."""
    device: str = "cpu"
    """Torch device of the forward passes."""
    torch_threads: int = 1
    """Threads of one forward pass on the CPU."""

    def __post_init__(self) -> None:
        for name in ("threshold", "nms_overlap"):
            value = getattr(self, name)
            if value is not None and not 0 <= value <= 1:
                raise InputError(
                    f"{name} is {value}; it is a share, so give a number from 0 to 1"
                )
        for name in ("batch_size", "block_tiles", "torch_threads"):
            if getattr(self, name) < 1:
                raise InputError(
                    f"{name} is {getattr(self, name)}; it counts, so give 1 or more"
                )
