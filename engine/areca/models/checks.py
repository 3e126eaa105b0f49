"""What goes into a model and what comes out: wrong shapes and NaN are counted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from areca.errors import ModelError, PredictError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from areca.models.card import ModelCard

MOST_BOXES = 100_000
"""More boxes than this in one tile are no answer."""
LOWEST_SCORE = 0.05
"""Boxes below this never leave a detector, unless its card's threshold is lower."""


def check_batch(batch: NDArray[np.float32], card: ModelCard) -> None:
    """Check the tiles of a forward pass.

    Raises:
        PredictError: They have another shape or type than the card says.
    """
    wanted = (len(card.bands), card.tile_px, card.tile_px)
    if batch.shape[1:] != wanted or not len(batch) or batch.dtype != "float32":
        raise PredictError(
            f"a batch of shape {batch.shape} and type {batch.dtype} was given to model "
            f"{card.name!r}; it takes (n, {', '.join(map(str, wanted))}) of float32: "
            f"the bands {', '.join(card.bands)} in tiles of {card.tile_px} px"
        )


def refuse_not_finite(bad: int, size: int, card: ModelCard) -> None:
    """Refuse outputs of which some are not finite.

    Args:
        bad: How many are not finite.
        size: How many there are.
        card: Card of the model that gave them.

    Raises:
        PredictError: There are bad ones.
    """
    if bad:
        raise PredictError(
            f"model {card.name!r} gave {bad} of {size} outputs that are not finite; "
            "check that the input is standardised and that missing pixels are 0"
        )


def check_known(card: ModelCard, options: Iterable[str], known: Sequence[str]) -> None:
    """Refuse options that an architecture does not have: constructors swallow some.

    Args:
        card: The card.
        options: Names that the card gives.
        known: Names that there are, as they are told.

    Raises:
        ModelError: There is another one.
    """
    if wrong := sorted(set(options) - set(known)):
        raise ModelError(
            f"model {card.name!r}: architecture_options {', '.join(wrong)} are none of "
            f"{card.architecture}; it has {', '.join(known)}"
        )


def check_count(counts: Sequence[int], card: ModelCard) -> None:
    """Check how many boxes the tiles of a pass have.

    Raises:
        PredictError: One has more than `MOST_BOXES`.
    """
    if max(counts, default=0) > MOST_BOXES:
        raise PredictError(
            f"model {card.name!r} gave {max(counts)} boxes in one tile, more than "
            f"{MOST_BOXES}; raise the card's score_threshold, or check that the "
            "weights belong to the card"
        )


def lowest_score(card: ModelCard) -> float:
    """Return the score below which a detector drops boxes itself, 0 to 1."""
    options = card.architecture_options
    given = options.get("box_score_thresh", options.get("score_thresh"))
    return min(LOWEST_SCORE, card.score_threshold) if given is None else float(given)


class Finite:
    """Counts what is not finite in the outputs of some modules of a network."""

    def __init__(self, network: nn.Module, names: Sequence[str]) -> None:
        """Watch the modules of these names that the network has.

        Args:
            network: The network.
            names: Paths of modules.
        """
        self._bad: list[Tensor] = []
        self._size = 0
        modules = dict(network.named_modules())
        for name in names:
            if name in modules:
                modules[name].register_forward_hook(self._count)

    def _count(self, _module: nn.Module, _given: object, out: object) -> None:
        for values in _tensors(out):
            # Not read here: on a GPU that would wait for the pass.
            self._bad.append((~torch.isfinite(values)).sum())
            self._size += values.numel()

    def check(self, card: ModelCard) -> None:
        """Check the pass that has just ended, and forget it.

        Args:
            card: Card of the model.
        """
        bad = int(torch.stack(self._bad).sum()) if self._bad else 0
        size = self._size
        self._bad, self._size = [], 0
        refuse_not_finite(bad, size, card)


def _tensors(out: Any) -> Iterator[Tensor]:  # noqa: ANN401 - whatever a module gives
    if isinstance(out, Tensor):
        yield out
        return
    for part in out.values() if isinstance(out, dict) else out:
        yield from _tensors(part)
