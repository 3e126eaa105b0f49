"""Outlines that several tests draw."""

import geopandas as gpd
import numpy as np
import pyproj
import rasterio.features
import shapely
from rasterio import Affine

WGS84 = pyproj.Geod(ellps="WGS84")


def lobed(count, vertices=80, seed=0, radius=(2.0, 6.0)):
    """Crowns around (0, 0) with three lobes and a rough edge."""
    rng = np.random.default_rng(seed)
    angle = np.linspace(0, 2 * np.pi, vertices, endpoint=False)
    wave = np.sin(3 * angle + rng.uniform(0, 6, (count, 1)))
    reach = rng.uniform(*radius, (count, 1)) * (
        1 + 0.15 * wave + 0.02 * rng.normal(size=(count, vertices))
    )
    xy = np.stack([reach * np.cos(angle), reach * np.sin(angle)], axis=-1)
    return shapely.polygons(shapely.linearrings(xy))


def blobs(count, seed=0, points=6, spread=2.0):
    """Unions of discs: with holes, in several parts, of any form."""
    rng = np.random.default_rng(seed)
    places = rng.normal(size=(count, points, 2)) * spread
    discs = shapely.buffer(shapely.points(places), 0.8, quad_segs=4)
    return shapely.union_all(discs, axis=1)


def slivers(count, seed=0, aspect=8.0):
    """Turned rectangles, long and thin."""
    rng = np.random.default_rng(seed)
    turn = rng.uniform(0, np.pi, count)
    corners = np.array([[-aspect, -1], [aspect, -1], [aspect, 1], [-aspect, 1]])
    x, y = corners.T
    xy = np.stack(
        [
            np.cos(turn)[:, None] * x - np.sin(turn)[:, None] * y,
            np.sin(turn)[:, None] * x + np.cos(turn)[:, None] * y,
        ],
        axis=-1,
    )
    return shapely.polygons(shapely.linearrings(xy))


def masks_of_discs(x, y, radius, pixel, east=4e5, north=5e5):
    """Vectorise discs as a mask has them: a pixel counts if its centre is covered.

    Discs must not touch; shape (n,) each, metres from the lower left corner.
    """
    reach = np.ceil(radius.max() / pixel).astype(int) + 1
    shape = (
        int(np.ceil(y.max() / pixel)) + 2 * reach,
        int(np.ceil(x.max() / pixel)) + 2 * reach,
    )
    raster = np.zeros(shape, dtype=np.int32)
    step = np.arange(-reach, reach + 1)
    column, row = (np.floor(v / pixel).astype(int) for v in (x, y))
    for i in range(len(x)):
        rows, columns = row[i] + step, column[i] + step
        dx = (columns + 0.5) * pixel - x[i]
        dy = (rows + 0.5) * pixel - y[i]
        inside = dx[None] ** 2 + dy[:, None] ** 2 <= radius[i] ** 2
        raster[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1][inside] = i + 1
    place = Affine(pixel, 0, east, 0, pixel, north)
    found = list(rasterio.features.shapes(raster, raster > 0, 8, place))
    order = np.argsort([value for _, value in found], kind="stable")
    geometry = [shapely.geometry.shape(found[i][0]) for i in order]
    number = np.array([found[i][1] for i in order]).astype(int) - 1
    return gpd.GeoDataFrame({"disc": number}, geometry=geometry, crs=32633)
