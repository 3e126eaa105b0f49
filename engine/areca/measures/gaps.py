"""Missing plants: places of the planting lattice that nothing stands on.

Every plant says where the lattice around it expects its neighbours. Where nothing
stands, and enough plants agree on the place, a plant is missing, if the place lies
within the planting and not outside its edge. What was found counts as a neighbour in
the next round, so that larger holes are filled from their rim.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, cast

import geopandas as gpd
import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from areca.errors import InputError
from areca.measures.halo import map_with_halo
from areca.measures.neighbours import LATTICE_REACH, REGULAR, check_reach, in_order
from areca.measures.places import WGS84, Places, arc_length, to_degrees
from areca.measures.planting import fit_lattices
from areca.measures.table import require_crs

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from areca.measures.table import Table


SAME_PLACE = 0.4
"""Expected places closer than this, in spacings, are one."""
APART = 0.6
"""Two missing plants stand at least this far apart, in spacings."""
LOOK_AROUND = 3.6
"""How far to look for plants around a gap, in spacings: further than a hole of two rows
is wide, and no further, or a bay in the edge of the planting becomes a hole."""
LOOK_REACH = 2.0
"""No further than this, in reaches."""
MOST_AROUND = 60
"""Nearest plants that the view from a gap is judged by."""
ROUNDING_M = 1e-6
ROUND_REACH = 2.5
"""A round depends on plants within so many times the reach."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GapOptions:
    """What counts as a missing plant.

    Attributes:
        reach_m: Plants further apart than this are no neighbours; see `spacing`.
        present_within: A plant within this share of the spacing from where one is
            expected is that plant, or leaves no room for it: beside tracks, and where
            rows that do not fit meet, places come out between plants. In real imagery
            none of 15 places with a plant within 0.5 to 0.68 spacings was a gap, and 95
            % of all gaps have none within 0.8.
        support: Least number of neighbours (missing ones of earlier rounds among them)
            that expect a plant in a place.
        widest_opening_deg: Widest angle, seen from the gap, in which no plant stands
            near. Near a straight edge of the planting it is 180 degrees in the last row
            and 200 or more outside it: a larger value finds missing plants of the last
            row, and some outside it.
        rounds: Rows by which a hole is filled from its rim.
    """

    reach_m: float = 30.0
    present_within: float = 0.7
    support: int = 3
    widest_opening_deg: float = 150.0
    rounds: int = 3

    def __post_init__(self) -> None:
        check_reach(self.reach_m)
        if not 0 < self.present_within < 1:
            raise InputError(
                f"present_within is {self.present_within}: it is a share of the "
                "spacing, between 0 and 1"
            )
        if min(self.support, self.rounds) < 1:
            raise InputError(
                f"support is {self.support} and rounds is {self.rounds}: both must be "
                "at least 1"
            )

    @property
    def halo_m(self) -> float:
        """How far away a plant can change what is found in a place, m."""
        return self.reach_m * (LATTICE_REACH + ROUND_REACH * self.rounds)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plants:
    """Plants that are there, or are missing, and where they expect others."""

    places: Places
    steps: NDArray[np.float64]
    """To the six neighbours that each expects, shape (n, 6, 2), m."""
    spacing_m: NDArray[np.float64]
    support: NDArray[np.intp]
    """How many neighbours expect the plant; 0 for one that is there."""

    def take(self, index: NDArray[np.bool_]) -> _Plants:
        return _Plants(
            places=self.places.take(index),
            steps=self.steps[index],
            spacing_m=self.spacing_m[index],
            support=self.support[index],
        )

    def join(self, more: _Plants) -> _Plants:
        return _Plants(
            places=self.places.join(more.places),
            steps=np.concatenate([self.steps, more.steps]),
            spacing_m=np.concatenate([self.spacing_m, more.spacing_m]),
            support=np.concatenate([self.support, more.support]),
        )


def find_gaps(objects: Table, options: GapOptions | None = None) -> Table:
    """Find where plants are missing from a regular planting.

    Args:
        objects: The plants: a table with a CRS. A dask_geopandas table must know its
            `spatial_partitions`.
        options: What counts as a missing plant.

    Returns:
        The same kind of table (lazy for dask_geopandas: nothing is computed), one point
        for each missing plant, in the CRS of the objects, with `center_lon`,
        `center_lat` (WGS 84 degrees), `spacing_m` (of the plants around), `nearest_m`
        (distance to the nearest plant) and `support` (neighbours that expect it). It
        does not depend on partitions. A plant that was not detected is a gap too. Roads
        and ditches are no gaps where they are wider than two rows or the planting does
        not go on in step beyond them; a track in the place of a row is a row of gaps.
    """
    require_crs(objects)
    options = options or GapOptions()
    function = partial(_found, options=options)
    return cast("Table", map_with_halo(objects, function, options.halo_m))


def _found(
    part: gpd.GeoDataFrame,
    centres: NDArray[np.float64],
    outside: NDArray[np.float64],
    options: GapOptions,
) -> gpd.GeoDataFrame:
    """Return the gaps that belong to one in-memory table: those next to its plants."""
    places, row = in_order(centres, outside)
    gaps = _search(places, options)
    owner, nearest = _nearest_plants(places.xyz, gaps.places.xyz)
    mine = row[owner] >= 0
    gaps, nearest = gaps.take(mine), nearest[mine]
    lon, lat = to_degrees(gaps.places.xyz)
    table = gpd.GeoDataFrame(
        {
            "center_lon": lon,
            "center_lat": lat,
            "spacing_m": gaps.spacing_m,
            "nearest_m": arc_length(nearest),
            "support": gaps.support.astype(np.int64),
        },
        geometry=gpd.points_from_xy(lon, lat, crs=WGS84),
    )
    table = table.sort_values(["center_lat", "center_lon"], ignore_index=True)
    return table.to_crs(require_crs(part))


def _search(places: Places, options: GapOptions) -> _Plants:
    """Return all gaps among places."""
    lattices = fit_lattices(places, options.reach_m)
    regular = lattices.regularity >= REGULAR
    lattices = lattices.take(regular)
    plants = _Plants(
        places=places.take(regular),
        steps=lattices.steps,
        spacing_m=lattices.spacing_m,
        support=np.zeros(int(regular.sum()), np.intp),
    )
    gaps = plants.take(np.zeros(len(plants.places), bool))
    real = cKDTree(places.xyz)
    for _ in range(options.rounds):
        new = _agreed(_expected(plants, options.reach_m), options.support)
        new = new.take(_is_vacant(new, real, gaps, options.present_within))
        look = np.minimum(LOOK_AROUND * new.spacing_m, LOOK_REACH * options.reach_m)
        opening = _opening(new.places, places, real, look)
        new = _strongest(new.take(opening <= options.widest_opening_deg))
        if not len(new.places):
            break
        gaps, plants = gaps.join(new), plants.join(new)
    return gaps


def _expected(plants: _Plants, reach_m: float) -> _Plants:
    """Return every place in which a plant expects another; its support is one."""
    there = plants.places.from_plane(plants.steps).reshape(-1, 3)
    lengths = np.hypot(plants.steps[..., 0], plants.steps[..., 1]).ravel()
    near = lengths <= reach_m
    who = np.repeat(np.arange(len(plants.places)), plants.steps.shape[1])[near]
    return _Plants(
        places=Places.of(*to_degrees(there[near])),
        steps=plants.steps[who],
        spacing_m=plants.spacing_m[who],
        support=np.ones(len(who), np.intp),
    )


def _agreed(expected: _Plants, least: int) -> _Plants:
    """Return the places that at least so many plants expect one in."""
    count = len(expected.places)
    pairs = _close_pairs(expected, SAME_PLACE)
    graph = coo_array((np.ones(len(pairs)), tuple(pairs.T)), (count, count))
    group = connected_components(graph, directed=False)[1] if count else pairs[:, 0]
    support = np.bincount(group, minlength=0)
    centre = np.column_stack(
        [np.bincount(group, axis) / support for axis in expected.places.xyz.T]
    )
    first = np.unique(group, return_index=True)[1]
    enough = support >= least
    return _Plants(
        places=Places.of(*to_degrees(centre[enough])),
        steps=expected.steps[first[enough]],
        spacing_m=(np.bincount(group, expected.spacing_m) / support)[enough],
        support=support[enough],
    )


def _is_vacant(
    new: _Plants, real: cKDTree, gaps: _Plants, within: float
) -> NDArray[np.bool_]:
    """Return where neither a plant stands nor one is known to be missing."""
    vacant: NDArray[np.bool_] = real.query(new.places.xyz)[0] > within * new.spacing_m
    if len(gaps.places):
        known = cKDTree(gaps.places.xyz).query(new.places.xyz)[0]
        vacant &= known > APART * new.spacing_m
    return vacant


def _opening(
    seen_from: Places, places: Places, tree: cKDTree, look_m: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the widest angle without a plant, degrees, seen from each place."""
    count = len(seen_from)
    if not count:
        return np.empty(0)
    distance, index = tree.query(seen_from.xyz, k=MOST_AROUND)
    there = distance <= look_m[:, None]
    metres = seen_from.to_plane(np.arange(count), places.xyz[np.where(there, index, 0)])
    angle = np.degrees(np.arctan2(metres[..., 1], metres[..., 0]))
    angle = np.sort(np.where(there, angle, np.inf), axis=1)
    plants = there.sum(axis=1)
    # The first plant again, one turn later, closes the circle.
    angle = np.column_stack([angle, np.full(count, np.inf)])
    angle[np.arange(count), plants] = angle[:, 0] + 360
    with np.errstate(invalid="ignore"):
        between = np.diff(angle, axis=1)
    between = np.where(np.isfinite(between), between, 0.0)
    return np.where(plants > 0, between.max(axis=1), 360.0)


def _strongest(new: _Plants) -> _Plants:
    """Return the places without those that stand too close to a better one."""
    pairs = _close_pairs(new, APART)
    if not len(pairs):
        return new
    # The first of two equal ones wins; places lie in one order, whatever the parts.
    first_wins = new.support[pairs[:, 0]] >= new.support[pairs[:, 1]]
    weaker = np.where(first_wins, pairs[:, 1], pairs[:, 0])
    kept = np.ones(len(new.places), bool)
    kept[weaker] = False
    return new.take(kept)


def _close_pairs(plants: _Plants, share: float) -> NDArray[np.intp]:
    """Return pairs closer than a share of the smaller spacing, shape (k, 2)."""
    size = share * plants.spacing_m
    xyz = plants.places.xyz
    if not len(xyz):
        return np.empty((0, 2), np.intp)
    pairs = cKDTree(xyz).query_pairs(float(size.max()), output_type="ndarray")
    apart = np.linalg.norm(xyz[pairs[:, 0]] - xyz[pairs[:, 1]], axis=1)
    return np.asarray(pairs[apart <= size[pairs].min(axis=1)])


def _nearest_plants(
    plants: NDArray[np.float64], gaps: NDArray[np.float64]
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Return the plant next to each gap, the first of equal ones, and its distance."""
    if not len(gaps):
        return np.empty(0, np.intp), np.empty(0)
    distance, index = cKDTree(plants).query(gaps, k=6)
    # In an exact lattice six are equally near, but for rounding.
    equal = distance <= distance[:, :1] + ROUNDING_M
    owner = np.where(equal, index, len(plants)).min(axis=1)
    return owner, np.asarray(distance[:, 0])
