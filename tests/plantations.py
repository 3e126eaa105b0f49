"""Drawn plantations with known missing plants."""

from __future__ import annotations

import geopandas as gpd
import numpy as np
from scipy.spatial import cKDTree

PATTERNS = {
    "triangular": ((1.0, 0.0), (0.5, np.sqrt(3) / 2)),
    "square": ((1.0, 0.0), (0.0, 1.0)),
    "rectangular": ((1.0, 0.0), (0.0, 1.35)),
}
"""Two lattice vectors, in spacings."""


def draw_plantation(
    pattern: str,
    *,
    spacing_m: float = 9.0,
    half_width_m: float = 230.0,
    noise: float = 0.03,
    missing: float = 0.06,
    holes: int = 4,
    bend: float = 0.0,
    turn_deg: float = 17.0,
    seed: int = 1,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return plants, missing plants and all places, shape (n, 2), m.

    The border is irregular; `missing` of the plants are gone one by one, and `holes`
    groups of seven; each stands off its place by `noise` spacings; rows turn against
    the east by `turn_deg` and wave by `bend` spacings.
    """
    rng = np.random.default_rng(seed)
    reach = int(2.5 * half_width_m / spacing_m)
    i, j = np.meshgrid(np.arange(-reach, reach), np.arange(-reach, reach))
    basis = spacing_m * np.array(PATTERNS[pattern])
    places = np.column_stack([i.ravel(), j.ravel()]) @ basis
    turn = np.radians(turn_deg)
    rotation = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    places = places @ rotation
    places[:, 0] += bend * spacing_m * np.sin(places[:, 1] / 80)
    angle, radius = np.arctan2(places[:, 1], places[:, 0]), np.hypot(*places.T)
    rim = half_width_m * (0.85 + 0.15 * np.sin(3 * angle))
    places = places[radius < rim]
    gone = rng.random(len(places)) < missing
    for centre in places[rng.choice(len(places), holes, replace=False)]:
        gone |= np.hypot(*(places - centre).T) < 1.2 * spacing_m
    plants = places + rng.normal(0, noise * spacing_m, places.shape)
    return plants[~gone], places[gone], places


def on_the_ground(
    metres: np.ndarray, *, lon: float = 103.29, lat: float = 2.16
) -> gpd.GeoDataFrame:
    """Return points at metres to the east and north of a place, in degrees."""
    frame = f"+proj=aeqd +lat_0={lat} +lon_0={lon} +datum=WGS84 +units=m"
    points = gpd.points_from_xy(*metres.T, crs=frame)
    return gpd.GeoDataFrame(geometry=points).to_crs(4326)


def in_metres(
    table: gpd.GeoDataFrame, *, lon: float = 103.29, lat: float = 2.16
) -> np.ndarray:
    """Return points as metres to the east and north of a place, shape (n, 2)."""
    frame = f"+proj=aeqd +lat_0={lat} +lon_0={lon} +datum=WGS84 +units=m"
    placed = table.to_crs(frame).geometry
    return np.column_stack([placed.x, placed.y])


def is_inner(places: np.ndarray, chosen: np.ndarray, spacing_m: float) -> np.ndarray:
    """Return which of the chosen places have places all around them.

    No half-circle of 2.6 spacings around them is without one.
    """
    near = cKDTree(places).query_ball_point(chosen, 2.6 * spacing_m)
    inner = []
    for centre, members in zip(chosen, near, strict=True):
        step = places[members] - centre
        step = step[np.hypot(*step.T) > 0.1 * spacing_m]
        angle = np.sort(np.degrees(np.arctan2(step[:, 1], step[:, 0])))
        around = np.append(angle, angle[0] + 360) if len(angle) else [0, 360]
        inner.append(np.diff(around).max() < 150)
    return np.array(inner, bool)


def hits(found: np.ndarray, true: np.ndarray, reach_m: float) -> np.ndarray:
    """Return which of the true places have a found one within reach, shape (n,)."""
    if not len(found):
        return np.zeros(len(true), bool)
    return cKDTree(found).query(true)[0] < reach_m
