"""What a block can settle of its small segments without the other blocks.

A small segment that touches another block has borders there, so what it takes is open.
Of the closed groups in its block it can take one alone, at the end of its lightest
border with them; that one is open from the next round on, and so is what joins it. A
group that has grown large takes nothing any more, so who joins it matters for its name
alone. What is closed until it is large becomes what the whole region would make of it.
What opens lies near the edges of the block: groups have less than `least` pixels while
they matter, and each round doubles them, so there are few.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from areca.features.small_segments import NO_ROW, first_rows, taken_rows
from areca.objects.groups import add_up, first_of_each, number_groups

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from areca.features.components import Ids
    from areca.features.small_segments import BlockSegments, Flags

SETTLED = -1
"""Node of a segment that is not open."""


@dataclass(frozen=True, slots=True)
class Settled:
    """What a block alone knows, by number of its segments."""

    group: Ids
    """The first segment of those that it belongs together with in any case."""
    node: Ids
    """The first segment of the group that it was when it opened, -1 if it never did."""
    opened: Ids
    """In which round that group opened, before anything was taken in it; from 1."""
    filled: Ids
    """Nodes, and the rounds after which they are large in any case, shape (n, 2)."""

    @property
    def is_open(self) -> Flags:
        """Whether a segment is part of a node."""
        return np.asarray(self.node != SETTLED)


def settle(block: BlockSegments, least: int) -> Settled:
    """Join small segments as far as a block alone can know it.

    Args:
        block: Its segments and borders.
        least: Pixels of a segment that is not small.

    Returns:
        What belongs together, and what is open.
    """
    count = len(block.part)
    group: Ids = np.arange(count)
    pixels = block.pixels
    is_open = block.goes_on & (pixels < least)
    node = np.where(is_open, group, SETTLED)
    opened = is_open.astype(np.int64)
    filled = [np.empty((0, 2), np.int64)]
    rows = np.arange(len(block.borders.one))
    step = 0
    while True:
        step += 1
        one, other = group[block.borders.one], group[block.borders.other]
        rows = rows[one[rows] != other[rows]]
        closed = (pixels < least) & ~is_open
        taken = taken_rows(one, other, rows, closed)
        if not len(taken):
            break
        joined = number_groups(len(pixels), one[taken], other[taken])
        touched = np.zeros(int(joined.max()) + 1, bool)
        touched[joined[is_open]] = True
        touched[joined[_in_reach(one, other, rows, is_open, closed)]] = True
        total = add_up(joined, pixels)
        large = total >= least
        first = first_of_each(group)
        # It is handed over as it is before this round, which is still the whole of it.
        opens = (closed & (touched & ~large)[joined])[group]
        node[opens] = first[group][opens]
        opened[opens] = step
        # With what has joined it here alone, it is large wherever else it goes on.
        full = node[first[is_open & large[joined]]]
        filled.append(np.stack([full, np.full_like(full, step)], axis=1))
        group, pixels, is_open = joined[group], total, touched & ~large
    return Settled(first_of_each(group)[group], node, opened, np.concatenate(filled))


def _in_reach(
    one: Ids, other: Ids, rows: NDArray[np.intp], is_open: Flags, closed: Flags
) -> NDArray[np.intp]:
    """Return the closed groups that an open one may take.

    It has not joined what is closed or large, so of all borders with those it can take
    the lightest alone.
    """
    rows = rows[is_open[one[rows]] != is_open[other[rows]]]
    first = first_rows(len(closed), one, other, rows)[is_open]
    first = first[first != NO_ROW]
    ends = np.where(is_open[one[first]], other[first], one[first])
    return np.asarray(ends[closed[ends]])
