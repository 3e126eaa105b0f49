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

from areca.features.components import MISSING, SIDES, squared_distance

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from areca.features.components import Ids, Values
    from areca.tiles import Window

    Flags = NDArray[np.bool_]

NO_ROW = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True)
class Borders:
    """Borders of small segments."""

    one: Ids
    """The segment with the smaller id, shape (border,)."""
    other: Ids
    weight: Values
    """The least squared distance of two pixels across."""

    @classmethod
    def of(
        cls,
        values: tuple[Values, Values],
        ids: tuple[Ids, Ids],
        small: tuple[Flags, Flags],
    ) -> Borders:
        """Return the borders between facing pixels; a pair may come again.

        Args:
            values: Of facing pixels, shape (band, …) each, NaN where missing.
            ids: Their segments, shape (…).
            small: Whether those are small, shape (…).
        """
        differ = (ids[0] != ids[1]) & (ids[0] != MISSING) & (ids[1] != MISSING)
        differ &= small[0] | small[1]
        weight = squared_distance(values[0][:, differ], values[1][:, differ])
        one, other = ids[0][differ], ids[1][differ]
        return cls(np.minimum(one, other), np.maximum(one, other), weight)

    @classmethod
    def together(cls, parts: Sequence[Borders]) -> Borders:
        """Return borders of several places.

        Args:
            parts: At least one.
        """
        return cls(
            np.concatenate([part.one for part in parts]),
            np.concatenate([part.other for part in parts]),
            np.concatenate([part.weight for part in parts]),
        )

    def lightest(self) -> Borders:
        """Return the lightest border of each two segments, by weight and ids.

        Returns:
            Each once, the lightest first, equal ones by their segments.
        """
        by_pair = np.lexsort((self.weight, self.other, self.one))
        one, other = self.one[by_pair], self.other[by_pair]
        new = np.ones(len(one), bool)
        new[1:] = (one[1:] != one[:-1]) | (other[1:] != other[:-1])
        kept = by_pair[new]
        return self.at(kept[np.argsort(self.weight[kept], kind="stable")])

    def at(self, rows: NDArray[np.intp]) -> Borders:
        """Return some of them, in the order of the rows."""
        return Borders(self.one[rows], self.other[rows], self.weight[rows])


@dataclass(frozen=True, slots=True)
class SmallRim:
    """The edges of a block, clockwise from the top."""

    values: tuple[Values, ...]
    ids: tuple[Ids, ...]
    small: tuple[Flags, ...]

    @classmethod
    def of(cls, values: Values, ids: Ids, pixels: Ids, least: int) -> SmallRim:
        """Return those of a block.

        Args:
            values: Shape (band, height, width), NaN where missing.
            ids: Segments, as all blocks call them, shape (height, width).
            pixels: The pixels of those, in all blocks, shape (height, width).
            least: Pixels of a segment that is not small.
        """
        return cls(
            tuple(values[side].copy() for side in SIDES),
            tuple(ids[side].copy() for side in SIDES),
            tuple(pixels[side] < least for side in SIDES),
        )


@dataclass(frozen=True, slots=True)
class BlockSegments:
    """The segments of a block, by number, and the borders of small ones in it."""

    part: Ids
    """Their ids, as all blocks call them, growing, shape (segment,)."""
    number: Ids
    """Of each pixel its segment, -1 where missing, shape (height, width)."""
    pixels: Ids
    """Of the segments, in all blocks, shape (segment,)."""
    goes_on: Flags
    """Whether one touches another block, shape (segment,)."""
    borders: Borders
    """Between numbers of segments, each once, the lightest first."""

    @classmethod
    def of(
        cls, values: Values, ids: Ids, pixels: Ids, least: int, inside: Sequence[bool]
    ) -> BlockSegments:
        """Look at a block.

        Args:
            values: Shape (band, height, width), NaN where missing.
            ids: Segments, as all blocks call them, shape (height, width).
            pixels: The pixels of those, in all blocks, shape (height, width).
            least: Pixels of a segment that is not small.
            inside: Whether another block lies beyond each edge, clockwise from the top.

        Returns:
            Each segment once, and each border of a small one.
        """
        part, first, number = np.unique(ids, return_index=True, return_inverse=True)
        missing = int(part[0] == MISSING)
        number = number.reshape(ids.shape) - missing
        part, first = part[missing:], first[missing:]
        small = pixels < least
        goes_on = np.zeros(len(part) + 1, bool)  # the last one stands for missing
        for side, another in zip(SIDES, inside, strict=True):
            goes_on[number[side]] |= another
        pairs = (np.s_[:, :-1], np.s_[:, 1:]), (np.s_[:-1, :], np.s_[1:, :])
        found = [
            Borders.of(
                (values[:, *here], values[:, *there]),
                (number[here], number[there]),
                (small[here], small[there]),
            )
            for here, there in pairs
        ]
        borders = Borders.together(found).lightest()
        return cls(part, number, pixels.ravel()[first], goes_on[:-1], borders)


def inner_sides(window: Window, whole: Window) -> tuple[bool, ...]:
    """Return whether each edge of a block lies inside, clockwise from the top.

    Args:
        window: Absolute pixels of the block.
        whole: Those of the region.
    """
    return (
        window.row0 > whole.row0,
        window.col1 < whole.col1,
        window.row1 < whole.row1,
        window.col0 > whole.col0,
    )


def borders_at(one: SmallRim, other: SmallRim, *, beside: bool) -> Borders:
    """Return the borders of small segments at a seam.

    Args:
        one: The upper or left block.
        other: The lower or right one.
        beside: Whether the other lies to the right, and not below.
    """
    side, facing = (1, 3) if beside else (2, 0)
    found = Borders.of(
        (one.values[side], other.values[facing]),
        (one.ids[side], other.ids[facing]),
        (one.small[side], other.small[facing]),
    )
    return found.lightest()


def first_rows(count: int, one: Ids, other: Ids, rows: NDArray[np.intp]) -> Ids:
    """Return the first row at which each of some numbered things stands.

    Args:
        count: How many things there are.
        one: What stands at each row, shape (row,).
        other: What stands there too.
        rows: The rows to look at, growing.

    Returns:
        `NO_ROW` where it stands at none of them, shape (count,).
    """
    first = np.full((2, count), NO_ROW)
    back = rows[::-1]
    first[0, one[back]] = back  # of equal ones the last stays
    first[1, other[back]] = back
    found: Ids = first.min(axis=0)
    return found


def taken_rows(
    one: Ids, other: Ids, rows: NDArray[np.intp], takes: Flags
) -> NDArray[np.intp]:
    """Return the lightest border of each group that takes one, as rows.

    Args:
        one: The group at one end of each border, the lightest first, shape (border,).
        other: The group at the other end.
        rows: The borders between different groups, growing.
        takes: Whether a group takes one, shape (group,).
    """
    first = first_rows(len(takes), one, other, rows)[takes]
    return np.asarray(first[first != NO_ROW])
