"""Small segments go to the neighbour that they differ least from at the border.

A border of two segments weighs what the nearest two pixels across it differ. In each
round every segment that is too small takes its lightest border, all at once, and what
is joined so is one segment in the next; borders have one order, so no round depends on
which segment comes first (Boruvka 1926).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from areca.features.components import MISSING, SIDES, Meetings, squared_distance
from areca.objects.groups import add_up, first_of_each, number_groups

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from areca.features.components import Ids, Values


@dataclass(frozen=True, slots=True)
class Borders:
    """Borders of small segments."""

    one: Ids
    """The segment with the smaller id, shape (border,)."""
    other: Ids
    weight: Values
    """The least squared distance of two pixels across."""
    sizes: tuple[Ids, Ids]
    """Their pixels, those of `one` and of `other`."""

    @classmethod
    def of(
        cls,
        values: tuple[Values, Values],
        ids: tuple[Ids, Ids],
        pixels: tuple[Ids, Ids],
        least: int,
    ) -> Borders:
        """Return the borders between facing pixels, each once.

        Args:
            values: Of facing pixels, shape (band, …) each, NaN where missing.
            ids: Their segments, shape (…).
            pixels: The pixels of those, shape (…).
            least: Pixels of a segment that is not small.
        """
        differ = (ids[0] != ids[1]) & (ids[0] != MISSING) & (ids[1] != MISSING)
        differ &= np.minimum(*pixels) < least
        weight = squared_distance(values[0][:, differ], values[1][:, differ])
        turned = ids[0][differ] > ids[1][differ]
        one, other = (each[differ] for each in ids)
        mine, theirs = (each[differ] for each in pixels)
        return cls(
            one=np.where(turned, other, one),
            other=np.where(turned, one, other),
            weight=weight,
            sizes=(np.where(turned, theirs, mine), np.where(turned, mine, theirs)),
        ).lightest()

    @classmethod
    def together(cls, parts: Sequence[Borders]) -> Borders:
        """Return the borders of several blocks and seams, each once.

        Args:
            parts: At least one.
        """
        return cls(
            one=np.concatenate([part.one for part in parts]),
            other=np.concatenate([part.other for part in parts]),
            weight=np.concatenate([part.weight for part in parts]),
            sizes=(
                np.concatenate([part.sizes[0] for part in parts]),
                np.concatenate([part.sizes[1] for part in parts]),
            ),
        ).lightest()

    def lightest(self) -> Borders:
        """Return the lightest border of each two segments, by weight and ids."""
        order = np.lexsort((self.other, self.one, self.weight))
        pairs = np.stack([self.one[order], self.other[order]], axis=1)
        _, first = np.unique(pairs, axis=0, return_index=True)
        kept = order[np.sort(first)]
        sizes = (self.sizes[0][kept], self.sizes[1][kept])
        return Borders(self.one[kept], self.other[kept], self.weight[kept], sizes)


@dataclass(frozen=True, slots=True)
class SmallRim:
    """The edges of a block, clockwise from the top."""

    values: tuple[Values, ...]
    ids: tuple[Ids, ...]
    pixels: tuple[Ids, ...]


def borders_in(
    values: Values, ids: Ids, pixels: Ids, least: int
) -> tuple[Borders, SmallRim]:
    """Return the borders of small segments in a block, and its edges.

    Args:
        values: Shape (band, height, width), NaN where missing.
        ids: Segments, as all blocks call them, shape (height, width).
        pixels: The pixels of those, in all blocks, shape (height, width).
        least: Pixels of a segment that is not small.
    """
    found = [
        Borders.of(
            (values[:, *here], values[:, *there]),
            (ids[here], ids[there]),
            (pixels[here], pixels[there]),
            least,
        )
        for here, there in (
            (np.s_[:, :-1], np.s_[:, 1:]),
            (np.s_[:-1, :], np.s_[1:, :]),
        )
    ]
    rim = SmallRim(
        tuple(values[side].copy() for side in SIDES),
        tuple(ids[side].copy() for side in SIDES),
        tuple(pixels[side].copy() for side in SIDES),
    )
    return Borders.together(found), rim


def borders_at(one: SmallRim, other: SmallRim, least: int, *, beside: bool) -> Borders:
    """Return the borders of small segments at a seam.

    Args:
        one: The upper or left block.
        other: The lower or right one.
        least: Pixels of a segment that is not small.
        beside: Whether the other lies to the right, and not below.
    """
    side, facing = (1, 3) if beside else (2, 0)
    return Borders.of(
        (one.values[side], other.values[facing]),
        (one.ids[side], other.ids[facing]),
        (one.pixels[side], other.pixels[facing]),
        least,
    )


def merge_small(borders: Borders, least: int) -> Meetings:
    """Return what small segments become.

    Args:
        borders: Of all small segments, each once, the lightest first.
        least: Pixels of a segment that is not small.
    """
    ends = np.concatenate([borders.one, borders.other])
    part, first, number = np.unique(ends, return_index=True, return_inverse=True)
    own = np.concatenate(borders.sizes)[first]
    one, other = number.reshape(2, -1)
    groups: Ids = np.arange(len(part), dtype=np.int64)
    pixels = own
    while True:
        chosen = _chosen(groups[one], groups[other], pixels < least)
        if not len(chosen):
            break
        joined = number_groups(len(pixels), groups[one][chosen], groups[other][chosen])
        groups, pixels = joined[groups], add_up(joined, pixels)
    return Meetings(
        part=part, segment=part[first_of_each(groups)][groups], pixels=pixels[groups]
    )


def _chosen(one: Ids, other: Ids, small: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Return the lightest border of each small group, as rows of the borders."""
    rows = np.flatnonzero(one != other)
    groups = np.stack([one[rows], other[rows]], axis=1).ravel()
    found, first = np.unique(groups, return_index=True)
    return np.asarray(rows[first[small[found]] // 2])
