"""Walls: the stretches between the corners of an outline, and where they meet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Edges:
    """Pixel edges of many rings, in their order."""

    ring: NDArray[np.int64]
    wall: NDArray[np.int64]
    start: NDArray[np.float64]
    """Shape (edge, 2), m."""
    stop: NDArray[np.float64]


@dataclass(frozen=True)
class Walls:
    """Stretches of rings between corners, in the order of the rings."""

    ring: NDArray[np.int64]
    """Shape (wall,), ascending."""
    across: NDArray[np.bool_]
    """Whether it runs across the main direction of its region, shape (wall,)."""
    place: NDArray[np.float64]
    """Its distance from the axis that it runs along, shape (wall,), m."""
    weight: NDArray[np.float64]
    """What counts for its place, shape (wall,)."""


def cut_edges(
    metres: NDArray[np.float64], rings: NDArray[np.int64], corner: NDArray[np.bool_]
) -> Edges:
    """Cut rings into edges and number the walls that they belong to.

    Args:
        metres: Vertices of all rings, each closed, shape (vertex, 2).
        rings: Where the rings begin and end, shape (ring + 1,).
        corner: Which vertices are corners between walls, shape (vertex,); at least
            two of each ring.

    Returns:
        The edges, in the order of the vertices.
    """
    start = np.ones(len(metres), bool)
    start[rings[1:] - 1] = False
    at = np.flatnonzero(start)
    ring = np.repeat(np.arange(len(rings) - 1), np.diff(rings) - 1)
    wall = np.cumsum(corner[at]) - 1
    # The edges before the first corner of a ring go on with its last wall.
    first = np.searchsorted(ring, np.arange(len(rings) - 1))
    last = np.append(first[1:], len(ring)) - 1
    opening = wall[first] - corner[at[first]]
    early = wall == opening[ring]
    wall[early] = wall[last][ring[early]]
    return Edges(ring, wall, metres[at], metres[at + 1])


def _sums(
    groups: NDArray[np.int64], values: NDArray[np.float64]
) -> NDArray[np.float64]:
    return np.bincount(groups, values).astype(np.float64)


def main_directions(
    edges: Edges, home: NDArray[np.int64], count: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the main direction of each region and how its walls agree on it.

    Args:
        edges: Pixel edges.
        home: Region of each ring, shape (ring,).
        count: How many regions there are.

    Returns:
        Radians, shape (count,); 1 where all walls are parallel or at right angles, 0
        where they favour no direction, shape (count,).
    """
    step = edges.stop - edges.start
    length = np.hypot(*step.T)
    total = np.maximum(_sums(edges.wall, length), np.finfo(float).tiny)
    middle = (edges.start + edges.stop) / 2
    mean = (
        np.stack([_sums(edges.wall, length * m) for m in middle.T], 1) / total[:, None]
    )
    off = middle - mean[edges.wall]

    def moment(one: int, other: int) -> NDArray[np.float64]:
        own = step[:, one] * step[:, other] / 12
        return _sums(edges.wall, length * (off[:, one] * off[:, other] + own))

    angle = np.arctan2(2 * moment(0, 1), moment(0, 0) - moment(1, 1)) / 2
    chord = np.hypot(*(_sums(edges.wall, s) for s in step.T))
    ring = np.zeros(len(total), np.int64)
    ring[edges.wall] = edges.ring
    weight = chord**3
    turns = weight * np.exp(4j * angle)
    of_region = home[ring]
    real = np.bincount(of_region, turns.real, minlength=count)
    imaginary = np.bincount(of_region, turns.imag, minlength=count)
    every = np.bincount(of_region, weight, minlength=count)
    agreement = np.hypot(real, imaginary) / np.maximum(every, np.finfo(float).tiny)
    return np.arctan2(imaginary, real) / 4, agreement


def turn(
    points: NDArray[np.float64], angle: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return points as they are seen from turned axes.

    Args:
        points: Shape (n, 2).
        angle: Shape (n,), radians.
    """
    cosine, sine = np.cos(angle), np.sin(angle)
    x, y = points.T
    return np.column_stack([cosine * x + sine * y, cosine * y - sine * x])


def draw_walls(edges: Edges, direction: NDArray[np.float64]) -> Walls:
    """Return the walls as lines along the axes of their regions.

    Args:
        edges: Pixel edges, m.
        direction: Main direction at each ring, shape (ring,).
    """
    angle = direction[edges.ring]
    start, stop = turn(edges.start, angle), turn(edges.stop, angle)
    step, middle = stop - start, (start + stop) / 2
    along, up = (_sums(edges.wall, s) for s in step.T)
    across = np.abs(up) > np.abs(along)
    runs = np.where(across[edges.wall], np.abs(step[:, 1]), np.abs(step[:, 0]))
    places = np.where(across[edges.wall], middle[:, 0], middle[:, 1])
    weight = _sums(edges.wall, runs)
    place = _sums(edges.wall, runs * places) / weight
    # A wall halfway between the two directions says nothing of either.
    off = np.arctan2(
        np.minimum(np.abs(up), np.abs(along)), np.maximum(np.abs(up), np.abs(along))
    )
    ring = np.zeros(len(weight), np.int64)
    ring[edges.wall] = edges.ring
    return Walls(ring, across, place, weight * (np.cos(2 * off) ** 2 + 1e-6))


def merge(walls: Walls) -> Walls:
    """Make one wall of neighbours of one direction, around each ring.

    Args:
        walls: In the order of the rings.

    Returns:
        Walls that alternate in direction, in the same order.
    """
    count = len(walls.ring)
    if not count:
        return walls
    fresh = np.ones(count, bool)
    fresh[1:] = (np.diff(walls.ring) != 0) | (walls.across[1:] != walls.across[:-1])
    group = np.cumsum(fresh) - 1
    # The last walls of a ring go on with its first.
    first = np.flatnonzero(np.diff(walls.ring, prepend=-1))
    last = np.append(first[1:], count) - 1
    same = (walls.across[first] == walls.across[last]) & (group[first] != group[last])
    target = np.arange(group[-1] + 1)
    target[group[last[same]]] = group[first[same]]
    _, group = np.unique(target[group], return_inverse=True)
    weight = _sums(group, walls.weight)
    begin = np.zeros(len(weight), np.int64)
    begin[group[::-1]] = np.arange(count)[::-1]
    return Walls(
        walls.ring[begin],
        walls.across[begin],
        _sums(group, walls.weight * walls.place) / weight,
        weight,
    )


def _around(ring: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the wall before and the wall behind each wall of its ring."""
    count = len(ring)
    first = np.flatnonzero(np.diff(ring, prepend=-1))
    last = np.append(first[1:], count) - 1
    before, behind = np.arange(count) - 1, np.arange(count) + 1
    before[first], behind[last] = last, first
    return before, behind


def without_steps(walls: Walls, shortest_m: NDArray[np.float64]) -> Walls:
    """Take out short walls, the shortest first; each ring keeps four.

    Args:
        walls: Walls that alternate in direction.
        shortest_m: Length of the shortest wall that stays, shape (ring,).

    Returns:
        The others; where one is gone its neighbours are one wall.
    """
    while len(walls.ring):
        before, behind = _around(walls.ring)
        length = np.abs(walls.place[behind] - walls.place[before])
        count = np.bincount(walls.ring)[walls.ring]
        short = (length < shortest_m[walls.ring]) & (count > 4)
        if not short.any():
            break
        order = np.lexsort((length, ~short, walls.ring))
        _, first = np.unique(walls.ring[order], return_index=True)
        gone = order[first]
        gone = gone[short[gone]]
        kept = np.ones(len(walls.ring), bool)
        kept[gone] = False
        walls = merge(
            Walls(
                walls.ring[kept],
                walls.across[kept],
                walls.place[kept],
                walls.weight[kept],
            )
        )
    return walls


def meet(walls: Walls) -> NDArray[np.float64]:
    """Return the corner at which each wall meets the next, shape (wall, 2), m.

    Args:
        walls: Walls that alternate in direction.
    """
    _, behind = _around(walls.ring)
    one, other = walls.place, walls.place[behind]
    return np.column_stack(
        [np.where(walls.across, one, other), np.where(walls.across, other, one)]
    )
