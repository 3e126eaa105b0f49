"""Planting patterns: the lattice that the plants around each plant stand on.

Two vectors span a lattice of points; triangular, square and row plantings differ in
their lengths and their angle alone. For each plant the pair of vectors is searched that
explains where its neighbours stand: pairs of the vectors to its nearest neighbours are
tried, the best is fitted by least squares, and then plants agree with those around
them. Nothing is assumed of the pattern, and nothing is known of the plantation as a
whole: rows may bend, and blocks may be planted in different directions.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial import cKDTree

from areca.measures.bases import cross, dot, reduced

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from areca.measures.places import Places

NEIGHBOURS = 18
"""Nearest neighbours that a lattice is fitted to: three shells of a triangular one."""
TRIED = 8
"""Nearest neighbours among whom the first pair of vectors is looked for."""
COMPANY = 6
"""Nearest plants that must agree on a lattice."""
TOLERANCE = 0.3
"""How far a neighbour may stand from its place in the lattice, in spacings."""
SHORTEST = 0.75
"""Least length of a lattice vector, in distances to the nearest neighbour: a finer
lattice would have a place for everything."""
SAME_LENGTH = 1.12
"""Ratio up to which the lengths of two lattice vectors count as equal."""
CHUNK = 4_000
"""Plants that are fitted at a time: some 100 MB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lattices:
    """The lattice around each plant; NaN where there is none."""

    short: NDArray[np.float64]
    """Shortest vector of the lattice, shape (n, 2), m to the east and to the north."""
    long: NDArray[np.float64]
    """Shortest vector in another direction, shape (n, 2), m, at 60 to 120 degrees."""
    regularity: NDArray[np.float64]
    """Shape (n,): how well neighbours stand in their places, 1 for all exactly, about
    0.1 for plants strewn at random."""
    nearest_m: NDArray[np.float64]
    """Distance to the nearest neighbour, shape (n,), m."""

    @property
    def steps(self) -> NDArray[np.float64]:
        """Steps from each plant to the six nearest places, shape (n, 6, 2), m."""
        one, other = self.short + self.long, self.short - self.long
        nearer = (dot(one, one) < dot(other, other))[:, None]
        third = np.where(nearer, one, other)
        sides = [self.short, -self.short, self.long, -self.long, third, -third]
        return np.stack(sides, axis=1)

    @property
    def spacing_m(self) -> NDArray[np.float64]:
        """Distance of plants in a row, shape (n,): the length of the shortest vector.

        Where two or three are as short but for noise, it is their mean: the least of
        them would be biased.
        """
        lengths = np.hypot(self.steps[:, ::2, 0], self.steps[:, ::2, 1])
        least = lengths.min(axis=1, keepdims=True)
        with np.errstate(invalid="ignore"):
            equal = lengths <= SAME_LENGTH * least
        count = np.maximum(equal.sum(axis=1), 1)
        mean = np.where(equal, lengths, 0.0).sum(axis=1) / count
        return np.where(np.isfinite(least[:, 0]), mean, np.nan)

    @property
    def row_spacing_m(self) -> NDArray[np.float64]:
        """Distance between rows along the shortest vector, shape (n,), m."""
        cell = np.abs(cross(self.short, self.long))
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(cell / self.spacing_m)

    def take(self, index: NDArray[np.intp] | NDArray[np.bool_]) -> Lattices:
        """Return the lattices of an index or a mask, copied."""
        return Lattices(
            short=self.short[index],
            long=self.long[index],
            regularity=self.regularity[index],
            nearest_m=self.nearest_m[index],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Around:
    """The neighbours of each plant, nearest first."""

    index: NDArray[np.intp]
    """Shape (n, k); -1 where there are fewer."""
    step: NDArray[np.float64]
    """Shape (n, k, 2), m to the east and to the north; NaN where there are fewer."""
    distance: NDArray[np.float64]
    """Shape (n, k), m; NaN where there are fewer."""


def fit_lattices(places: Places, reach_m: float) -> Lattices:
    """Fit a lattice around each plant.

    Args:
        places: The plants. Equal places in equal order give equal bits.
        reach_m: Neighbours further away than this are none.

    Returns:
        The lattices. That of a plant depends on plants within three times the reach.
    """
    around = _neighbours(places, reach_m)
    spacing = _local_spacing(around)
    chunks = [slice(row, row + CHUNK) for row in range(0, len(places), CHUNK)]
    own = [np.empty((0, 4)), *(_own_lattice(around, spacing, c) for c in chunks)]
    first = np.concatenate(own)
    agreed = [
        np.empty((0, 5)),
        *(_agreed_lattice(around, spacing, c, first) for c in chunks),
    ]
    best = np.concatenate(agreed)
    short, long, regularity = best[:, :2], best[:, 2:4], best[:, 4]
    return Lattices(
        short=short, long=long, regularity=regularity, nearest_m=around.distance[:, 0]
    )


def _neighbours(places: Places, reach_m: float) -> _Around:
    count = len(places)
    if count == 0:
        return _Around(
            index=np.empty((0, NEIGHBOURS), np.intp),
            step=np.empty((0, NEIGHBOURS, 2)),
            distance=np.empty((0, NEIGHBOURS)),
        )
    tree = cKDTree(places.xyz)
    distance, index = tree.query(
        places.xyz, k=NEIGHBOURS + 1, distance_upper_bound=reach_m
    )
    # A plant is its own nearest neighbour, but not always the first of two in one
    # place: whoever is in the first column is dropped where the plant is not found.
    itself = index == np.arange(count)[:, None]
    itself[~itself.any(axis=1), 0] = True
    kept = ~itself
    distance = distance[kept].reshape(count, NEIGHBOURS)
    index = index[kept].reshape(count, NEIGHBOURS)
    there = np.isfinite(distance)
    step = places.to_plane(np.arange(count), places.xyz[np.where(there, index, 0)])
    return _Around(
        index=np.where(there, index, -1),
        step=np.where(there[..., None], step, np.nan),
        distance=np.where(there, distance, np.nan),
    )


def _local_spacing(around: _Around) -> NDArray[np.float64]:
    """Return the median distance to the nearest neighbour around each plant, m."""
    nearest = around.distance[:, :1]
    others = np.where(around.index >= 0, nearest[around.index, 0], np.nan)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # plants with no neighbour
        median = np.nanmedian(np.hstack([nearest, others]), axis=1)
    # Two objects in one place have no spacing that a lattice could follow.
    return np.where(median > 1e-3, median, np.nan)


def _own_lattice(
    around: _Around, spacing: NDArray[np.float64], rows: slice
) -> NDArray[np.float64]:
    """Return the lattice of each plant's own neighbours: short and long, (m, 4)."""
    step, size = around.step[rows], spacing[rows]
    one, other = np.triu_indices(TRIED, 1)
    bases = np.concatenate([step[:, one], step[:, other]], axis=-1)
    best = _best(bases, step, size)
    for _ in range(2):
        best = _refit(best, step, size)
    return reduced(best)


def _agreed_lattice(
    around: _Around,
    spacing: NDArray[np.float64],
    rows: slice,
    first: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return lattices that near plants agree on, and how well they fit, (m, 5)."""
    size = spacing[rows]
    near = around.index[rows, :COMPANY]
    members = np.hstack([np.arange(len(spacing))[rows, None], near])
    there = (members >= 0)[..., None]
    bases = np.where(there, first[members], np.nan)
    step = np.where(there[..., None], around.step[members], np.nan)
    inner = step[:, :, :COMPANY].reshape(len(size), -1, 2)
    every = step.reshape(len(size), -1, 2)
    best = _best(bases, inner, size)
    for _ in range(2):
        best = _refit(best, every, size)
    best = reduced(best)
    score = _score(best[:, None], every, size)[:, 0]
    return np.column_stack([np.where(score[:, None] >= 0, best, np.nan), score])


def _best(
    bases: NDArray[np.float64],
    step: NDArray[np.float64],
    size: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return the best of several bases (n, c, 4), the first among equals."""
    score = _score(bases, step, size)
    chosen = score.argmax(axis=1)[:, None, None]
    return np.take_along_axis(bases, chosen, axis=1)[:, 0]


def _score(
    bases: NDArray[np.float64],
    step: NDArray[np.float64],
    size: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return how well bases (n, c, 4) explain steps (n, k, 2), shape (n, c).

    The share of steps that fit, weighted by how well, above the share that would fit
    by chance. -1 for what is no lattice of plants so far apart.
    """
    weight = _weights(bases, step, size)[0].sum(axis=-1)
    count = np.isfinite(step[..., 0]).sum(axis=-1)[:, None]
    area = np.abs(cross(bases[..., :2], bases[..., 2:]))
    shorter = reduced(bases)[..., :2]
    length = np.hypot(shorter[..., 0], shorter[..., 1])
    with np.errstate(invalid="ignore", divide="ignore"):
        # Mean weight of a point anywhere in the cell: 1 - r^2 over a disc is half.
        chance = np.pi / 2 * (TOLERANCE * size[:, None]) ** 2 / area
        score = (weight / count - chance) / (1 - chance)
        sound = (length >= SHORTEST * size[:, None]) & (chance < 0.9)
    return np.where(sound & np.isfinite(score), score, -1.0)


def _weights(
    bases: NDArray[np.float64],
    step: NDArray[np.float64],
    size: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return how well steps fit lattices, and their whole-number coordinates.

    Args:
        bases: Shape (n, c, 4).
        step: Shape (n, k, 2).
        size: Spacing, shape (n,).

    Returns:
        Weight 0 to 1 and the two coordinates, shape (n, c, k) each.
    """
    ax, ay, bx, by = (bases[..., axis, None] for axis in range(4))
    x, y = step[:, None, :, 0], step[:, None, :, 1]
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        area = ax * by - ay * bx
        u, v = (by * x - bx * y) / area, (ax * y - ay * x) / area
        i, j = np.rint(u), np.rint(v)
        u, v = u - i, v - j
        off = (ax * u + bx * v) ** 2 + (ay * u + by * v) ** 2
        weight = 1 - off / (TOLERANCE * size[:, None, None]) ** 2
        # A step to where the plant itself stands says nothing about the lattice.
        known = (weight > 0) & ((i != 0) | (j != 0))
    return np.where(known, weight, 0.0), i, j


def _refit(
    base: NDArray[np.float64],
    step: NDArray[np.float64],
    size: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return bases (n, 4) fitted by weighted least squares to the steps that fit."""
    weight, i, j = (each[:, 0] for each in _weights(base[:, None], step, size))
    i, j = np.where(weight > 0, i, 0.0), np.where(weight > 0, j, 0.0)
    x = np.where(weight > 0, step[..., 0], 0.0)
    y = np.where(weight > 0, step[..., 1], 0.0)
    wi, wj = weight * i, weight * j
    ii, ij, jj = (wi * i).sum(1), (wi * j).sum(1), (wj * j).sum(1)
    ix, iy, jx, jy = (
        (wi * x).sum(1), (wi * y).sum(1), (wj * x).sum(1), (wj * y).sum(1),
    )  # fmt: skip
    area = ii * jj - ij * ij
    spans = area > 1e-3 * (ii + jj) ** 2  # neighbours in more than one direction
    area = np.where(spans, area, 1.0)
    fitted = np.column_stack(
        [
            (jj * ix - ij * jx) / area,
            (jj * iy - ij * jy) / area,
            (ii * jx - ij * ix) / area,
            (ii * jy - ij * iy) / area,
        ]
    )
    return np.where(spans[:, None], fitted, base)
