"""Small segments that blocks leave open are joined for all blocks at once.

A block hands over what opened in it as nodes: groups as they were when they opened. All
rounds are gone through again, with nodes alone, each from the round on in which it
opened; what else a border leads to is large by then, and takes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from areca.features.components import Names
from areca.features.settled_segments import settle
from areca.features.small_segments import Borders, first_rows, taken_rows
from areca.objects.groups import add_up, first_of_each, number_groups

if TYPE_CHECKING:
    from collections.abc import Sequence

    from areca.features.components import Ids
    from areca.features.settled_segments import Settled
    from areca.features.small_segments import BlockSegments


@dataclass(frozen=True, slots=True)
class OpenSegments:
    """What a block or a seam leaves open; ids are those of segments."""

    borders: Borders
    """Those that may be taken, between segments."""
    ends: Ids
    """The nodes at both ends, or the segment itself where it is large by then, shape
    (border, 2)."""
    nodes: Ids
    """Id, pixels, and the round in which it opened, shape (node, 3)."""
    filled: Ids
    """Ids of nodes, and the rounds after which they are large, shape (n, 2)."""
    called: Ids
    """Ids of segments, and what a block calls the groups that they are part of in any
    case, shape (n, 2)."""

    @classmethod
    def in_block(cls, block: BlockSegments, least: int) -> OpenSegments:
        """Return what a block leaves open.

        Args:
            block: Its segments and borders.
            least: Pixels of a segment that is not small.
        """
        found = settle(block, least)
        part = block.part
        every = np.arange(len(part))
        end = np.where(found.is_open, found.node, every)
        rows = _that_matter(block.borders, end, found)
        kept = block.borders.at(rows)
        ends = np.stack([end[kept.one], end[kept.other]], axis=1)
        pixels = np.zeros(len(part), np.int64)
        np.add.at(pixels, end, block.pixels)
        heads = every[found.node == every]
        seen = np.zeros(len(part), bool)
        seen[ends.ravel()] = seen[heads] = True
        seen |= block.goes_on
        known = every[seen]
        filled = found.filled.copy()
        filled[:, 0] = part[filled[:, 0]]
        return cls(
            borders=Borders(part[kept.one], part[kept.other], kept.weight),
            ends=part[ends],
            nodes=np.stack([part[heads], pixels[heads], found.opened[heads]], axis=1),
            filled=filled,
            called=np.stack([part[known], part[found.group[known]]], axis=1),
        )

    @classmethod
    def at_seam(cls, borders: Borders) -> OpenSegments:
        """Return borders at a seam: small segments there are nodes of their blocks."""
        none = np.empty((0, 3), np.int64)
        ends = np.stack([borders.one, borders.other], axis=1)
        return cls(borders, ends, nodes=none, filled=none[:, :2], called=none[:, :2])


def _that_matter(borders: Borders, end: Ids, found: Settled) -> Ids:
    """Return the borders of nodes that may be taken, as rows.

    A node has not joined what is large, so it takes nothing heavier than its lightest
    border with that.
    """
    one, other = end[borders.one], end[borders.other]
    is_open = found.is_open
    outer = np.flatnonzero(is_open[one] != is_open[other])
    last = np.where(is_open, first_rows(len(end), one, other, outer), -1)
    every = np.arange(len(one))
    rows = every[(one != other) & (every <= np.maximum(last[one], last[other]))]
    pairs = np.minimum(one, other)[rows] * len(end) + np.maximum(one, other)[rows]
    return np.asarray(rows[np.sort(np.unique(pairs, return_index=True)[1])])


def merge_open(parts: Sequence[OpenSegments], least: int) -> Names:
    """Return what becomes of segments whose block alone cannot name them.

    Args:
        parts: What all blocks and seams leave open, at least one.
        least: Pixels of a segment that is not small.

    Returns:
        The names of groups whose name in a block is not that of the whole.
    """
    nodes = np.concatenate([part.nodes for part in parts])
    called = np.concatenate([part.called for part in parts])
    filled = np.concatenate([part.filled for part in parts])
    ends = np.concatenate([part.ends for part in parts])
    ids = np.unique(np.concatenate([called.ravel(), ends.ravel()]))
    at = np.searchsorted(ids, nodes[:, 0])
    pixels, opened = np.full(len(ids), least), np.zeros(len(ids), np.int64)
    pixels[at], opened[at] = nodes[:, 1], nodes[:, 2]
    filled[:, 0] = np.searchsorted(ids, filled[:, 0])
    borders = Borders.together([part.borders for part in parts])
    order = np.lexsort((borders.other, borders.one, borders.weight))
    ends = np.searchsorted(ids, ends[order])
    groups = _joined(ends, pixels, opened, filled, least)
    one, other = np.searchsorted(ids, called.T)
    whole = number_groups(int(groups.max(initial=-1)) + 1, groups[one], groups[other])
    name = ids[first_of_each(whole[groups])][whole[groups]]
    asked = np.zeros(len(ids), bool)
    asked[other] = True
    asked &= ids != name
    return Names(part=ids[asked], segment=name[asked])


def _joined(ends: Ids, pixels: Ids, opened: Ids, filled: Ids, least: int) -> Ids:
    """Go through all rounds, and return the group of each node.

    Args:
        ends: Numbers of the nodes of borders, the lightest first, shape (border, 2).
        pixels: Of each node, `least` of what is large.
        opened: The round from which on it takes borders.
        filled: Numbers of nodes, and the rounds after which they are large.
        least: Pixels of a segment that is not small.

    Returns:
        Numbers from 0 without gaps, shape (node,).
    """
    groups: Ids = np.arange(len(pixels))
    rows = np.arange(len(ends))
    last = max(opened.max(initial=0), filled[:, 1].max(initial=0))
    step = 0
    while True:
        step += 1
        one, other = groups[ends.T]
        rows = rows[one[rows] != other[rows]]
        waits = np.zeros(len(pixels), bool)
        waits[groups[opened > step]] = True  # alone: nothing has reached it yet
        taken = taken_rows(one, other, rows, (pixels < least) & ~waits)
        if not len(taken) and step >= last:
            return groups
        joined = number_groups(len(pixels), one[taken], other[taken])
        full = groups[filled[filled[:, 1] == step, 0]]
        pixels = add_up(joined, pixels)
        pixels[joined[full]] = least
        groups = joined[groups]
