"""Components: connected pixels that are alike, in a block and across blocks.

Two neighbours (of four) belong together when they lie near enough. That is settled pair
by pair, so blocks find the same pairs as the whole, and what is left is to unite the
components that meet at a seam.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from areca.objects.groups import add_up, first_of_each, number_groups

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from areca.tiles import Window

    Ids = NDArray[np.int64]
    Values = NDArray[np.float32]

MISSING = -1
"""Id of a pixel that misses a band."""
SIDES: tuple[Any, ...] = (
    np.s_[..., 0, :],
    np.s_[..., -1],
    np.s_[..., -1, :],
    np.s_[..., 0],
)
"""Edges of a block, clockwise from the top."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Which neighbours belong together, and how pixels are counted."""

    within: float
    """How far apart they lie at most, over all bands."""
    cell_px: int | None
    """Edge of cells of the lattice, at whose lines `cut` components end."""
    whole: Window
    """Absolute pixels of the cube. The id of a component is the place of its first
    pixel in it, `row * width + column`."""


@dataclass(frozen=True, slots=True)
class RimIds:
    """The components at the edges of a block."""

    edges: tuple[Ids, ...]
    """Along each edge, clockwise from the top."""
    parts: Ids
    """Each once, growing."""
    pixels: Ids
    """How many pixels of the block each of them has."""

    @classmethod
    def of(cls, ids: Ids) -> RimIds:
        """Return those of a block.

        Args:
            ids: Shape (height, width).
        """
        edges = tuple(ids[side].copy() for side in SIDES)
        known, count = np.unique(ids, return_counts=True)
        seen = np.isin(known, np.concatenate(edges)) & (known != MISSING)
        return cls(edges, known[seen], count[seen])


@dataclass(frozen=True, slots=True)
class Rim:
    """What the neighbours of a block need to know of it."""

    values: tuple[Values, ...]
    """Along each edge, clockwise from the top."""
    whole: RimIds
    cut: RimIds
    """Of components that end at the lines of cells."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """What is called otherwise in the whole than in a block."""

    part: Ids
    """Id in a block, growing, shape (part,)."""
    segment: Ids
    """Id of the whole that it belongs to, shape (part,)."""

    def renamed(self, ids: Ids) -> Ids:
        """Return the ids of wholes.

        Args:
            ids: Of a block, any shape.
        """
        place, known = self._find(ids)
        return np.where(known, self.segment[place], ids) if len(self.part) else ids

    def _find(self, ids: Ids) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
        last = max(len(self.part) - 1, 0)
        place = np.minimum(np.searchsorted(self.part, ids), last)
        known = self.part[place] == ids if len(self.part) else np.zeros(ids.shape, bool)
        return place, known


@dataclass(frozen=True, slots=True, kw_only=True)
class Meetings(Names):
    """Components of blocks that go on in another block."""

    pixels: Ids
    """Pixels of that whole, shape (part,)."""

    def sizes(self, ids: Ids, pixels: Ids) -> Ids:
        """Return the pixels of wholes.

        Args:
            ids: Of components, shape (n,).
            pixels: What their block alone has of them, shape (n,).
        """
        place, known = self._find(ids)
        return np.where(known, self.pixels[place], pixels) if len(self.part) else pixels


def components(values: Values, window: Window, rule: Rule, *, cut: bool = False) -> Ids:
    """Return the components of a block, as it alone sees them.

    Args:
        values: Shape (band, height, width), NaN where missing.
        window: Absolute pixels of the block.
        rule: Which neighbours belong together.
        cut: End components at the lines of cells.

    Returns:
        Ids, -1 where missing, shape (height, width).
    """
    height, width = values.shape[1:]
    beside = _near(values[:, :, :-1], values[:, :, 1:], rule.within)
    below = _near(values[:, :-1], values[:, 1:], rule.within)
    if cut and rule.cell_px is not None:
        cols = np.arange(window.col0 + 1, window.col1)
        rows = np.arange(window.row0 + 1, window.row1)
        beside[:, cols % rule.cell_px == 0] = False
        below[rows % rule.cell_px == 0] = False
    place = np.arange(height * width, dtype=np.int64).reshape(height, width)
    one = np.concatenate([place[:, :-1][beside], place[:-1][below]])
    other = np.concatenate([place[:, 1:][beside], place[1:][below]])
    groups = number_groups(height * width, one, other)
    row, col = np.divmod(first_of_each(groups), width)
    ids = (row + window.row0 - rule.whole.row0) * rule.whole.width
    ids += col + window.col0 - rule.whole.col0
    return np.where(np.isnan(values[0]), MISSING, ids[groups].reshape(height, width))


def rim_of(values: Values, window: Window, rule: Rule) -> Rim:
    """Return what the neighbours of a block need to know.

    Args:
        values: Shape (band, height, width), NaN where missing.
        window: Absolute pixels of the block.
        rule: Which neighbours belong together.
    """
    whole = RimIds.of(components(values, window, rule))
    cut = whole
    if rule.cell_px is not None:
        cut = RimIds.of(components(values, window, rule, cut=True))
    return Rim(tuple(values[side].copy() for side in SIDES), whole, cut)


def meetings_at(
    one: Rim, other: Rim, line: int, rule: Rule, *, beside: bool
) -> tuple[Ids, Ids]:
    """Return which components of two blocks meet at their seam.

    Args:
        one: The upper or left block.
        other: The lower or right one.
        line: First absolute row or column of the other.
        rule: Which neighbours belong together.
        beside: Whether the other lies to the right, and not below.

    Returns:
        Pairs of whole components, and of those cut at the lines of cells, shape (n, 2).
    """
    side, facing = (1, 3) if beside else (2, 0)
    near = _near(one.values[side], other.values[facing], rule.within)
    pairs, cut = (
        np.stack([mine.edges[side][near], theirs.edges[facing][near]], axis=1)
        for mine, theirs in ((one.whole, other.whole), (one.cut, other.cut))
    )
    if rule.cell_px is None or line % rule.cell_px == 0:
        cut = cut[:0]
    return np.unique(pairs, axis=0), np.unique(cut, axis=0)


def unite(pairs: Sequence[Ids], rims: Sequence[tuple[Ids, Ids]]) -> Meetings:
    """Return the wholes of components that meet.

    Args:
        pairs: Of each seam, shape (n, 2).
        rims: Components at the edges of each block, growing, and their pixels in it.
    """
    every = np.concatenate([np.empty((0, 2), np.int64), *pairs])
    part, number = np.unique(every, return_inverse=True)
    one, other = number.reshape(-1, 2).T
    groups = number_groups(len(part), one, other)
    own = np.zeros(len(part), np.int64)
    for known, pixels in rims:
        place = np.searchsorted(part, known)
        meets = place < len(part)
        meets[meets] = part[place[meets]] == known[meets]
        own[place[meets]] = pixels[meets]
    first = first_of_each(groups)
    return Meetings(
        part=part, segment=part[first][groups], pixels=add_up(groups, own)[groups]
    )


def squared_distance(one: Values, other: Values) -> Values:
    """Return how far pixels lie apart over all bands, squared, NaN where missing.

    Args:
        one: Shape (band, …).
        other: The same shape.
    """
    distance: Any = np.float32(0)
    for band, beside in zip(one, other, strict=True):
        off = band - beside
        distance = distance + off * off
    return np.asarray(distance)


def _near(one: Values, other: Values, within: float) -> NDArray[np.bool_]:
    """Return which pixels are near; a missing one is near to none."""
    return np.asarray(squared_distance(one, other) <= np.float32(within) ** 2)
