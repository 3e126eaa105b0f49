"""The objects table: survivors with a place on the ground, an id and their origin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely

from areca.objects.candidates import empty_candidates
from areca.objects.circles import circle_polygons
from areca.objects.identity import object_ids

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from areca.tiles import Lattice, Window


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageSource:
    """Which image a pixel of the cube came from, by the ground that it covers."""

    item_id: str
    """Id of the STAC item."""
    start: str
    """Start of the acquisition, ISO 8601, UTC."""
    end: str
    """End of the acquisition; equal to `start` where the moment is known."""
    window: Window
    """Pixels of the item, absolute."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where the objects of a table come from: the same for a whole run."""

    model: str
    """Name and version of the model."""
    model_digest: str
    """Digest of everything that changes its predictions."""
    labels: tuple[str, ...]
    """Names of the labels."""
    lattice: Lattice
    """What pixels are counted on."""
    images: tuple[ImageSource, ...] = ()
    """The items in the order in which a mosaic takes them."""
    shape: Literal["disc", "box", "outline"] = "disc"
    """What the model gives of an object: centre and radius, a box, or its outline."""


def objects_table(candidates: pd.DataFrame, origin: Origin) -> gpd.GeoDataFrame:
    """Return the objects table of settled candidates.

    Args:
        candidates: A candidate table of n rows with a column `rank`; with a column
            `outline` (WKB, absolute pixels) where the origin's shape is that. A column
            `image` tells which of the images shows the centre (-1: none). Without it,
            an image is named where it alone covers the centre.
        origin: Where they come from.

    Returns:
        Columns object_id, geometry (a polygon of the disc's area, the box or the
        outline, in the CRS of the lattice), label, score, tile, item_id, datetime,
        start_datetime, end_datetime, model, radius_method ("model": the model gave the
        radius itself, "ellipse_of_box" or "mask"). `datetime` is null where only a
        range is known, the other two where the moment is known.
        Rows lie in the order (y, x, label, score) of their centres.
    """
    rows = candidates.sort_values(["y", "x", "label", "score"], ignore_index=True)
    lattice = origin.lattice
    image = _image_at(rows, origin.images)
    start, end = _times(origin.images, image)
    moment = start == end
    names = np.array([*(i.item_id for i in origin.images), None], dtype=object)
    tile = rows["tile_row"].astype(str) + "_" + rows["tile_col"].astype(str)
    ids = object_ids(rows, model_digest=origin.model_digest, lattice=lattice)
    columns = {
        "object_id": np.array(ids, dtype=object),
        "label": np.array(origin.labels, dtype=object)[rows["label"].to_numpy()],
        "score": rows["score"].to_numpy(np.float32),
        "tile": tile.to_numpy(object),
        "item_id": names[image],
        "datetime": start.where(moment),
        "start_datetime": start.where(~moment),
        "end_datetime": end.where(~moment),
        "model": np.full(len(rows), origin.model, dtype=object),
        "radius_method": np.full(len(rows), METHODS[origin.shape], dtype=object),
    }
    shapes = SHAPES[origin.shape](rows, lattice)
    table = gpd.GeoDataFrame(columns, geometry=shapes, crs=lattice.crs)
    return table[["object_id", "geometry", *list(columns)[1:]]]


def empty_objects(origin: Origin) -> gpd.GeoDataFrame:
    """Return an objects table without rows: the schema of `objects_table`."""
    return objects_table(empty_candidates().assign(rank=np.int64(0)), origin)


def _discs(rows: pd.DataFrame, lattice: Lattice) -> NDArray[np.object_]:
    x, y = lattice.to_crs(rows["x"].to_numpy(), rows["y"].to_numpy())
    radius = (rows["x_max"] - rows["x_min"]).to_numpy() / 2
    return circle_polygons(x, y, radius * lattice.pixel_x, radius * lattice.pixel_y)


def _boxes(rows: pd.DataFrame, lattice: Lattice) -> NDArray[np.object_]:
    left, top = lattice.to_crs(rows["x_min"].to_numpy(), rows["y_min"].to_numpy())
    right, bottom = lattice.to_crs(rows["x_max"].to_numpy(), rows["y_max"].to_numpy())
    return np.asarray(shapely.box(left, bottom, right, top))


def _outlines(rows: pd.DataFrame, lattice: Lattice) -> NDArray[np.object_]:
    if rows.empty:
        return np.empty(0, dtype=object)
    pixels = shapely.from_wkb(rows["outline"].to_numpy(object))
    placed = shapely.transform(
        pixels, lambda p: np.column_stack(lattice.to_crs(p[:, 0], p[:, 1]))
    )
    # Rows count downwards and northings upwards: outer rings are turned back.
    return np.asarray(shapely.orient_polygons(placed))


SHAPES = {"disc": _discs, "box": _boxes, "outline": _outlines}
METHODS = {"disc": "model", "box": "ellipse_of_box", "outline": "mask"}


def _image_at(rows: pd.DataFrame, images: Sequence[ImageSource]) -> NDArray[np.intp]:
    """Return the position of the image at each centre; -1 where it is not known."""
    if "image" in rows:
        return rows["image"].to_numpy(np.intp)
    row = np.floor(rows["y"].to_numpy())
    col = np.floor(rows["x"].to_numpy())
    found = np.full(len(rows), -1, np.intp)
    covers = np.zeros(len(rows), np.intp)
    for number, image in enumerate(images):
        window = image.window
        inside = (row >= window.row0) & (row < window.row1)
        inside &= (col >= window.col0) & (col < window.col1)
        found[inside] = number
        covers += inside
    # Where images overlap, the one on top may have no pixel there: rather no answer.
    found[covers > 1] = -1
    return found


def _times(
    images: Sequence[ImageSource], image: NDArray[np.intp]
) -> tuple[pd.Series[pd.Timestamp], pd.Series[pd.Timestamp]]:
    starts = pd.to_datetime(pd.Series([*(i.start for i in images), None]), utc=True)
    ends = pd.to_datetime(pd.Series([*(i.end for i in images), None]), utc=True)
    start = starts.astype("datetime64[us, UTC]").iloc[image].reset_index(drop=True)
    return start, ends.astype("datetime64[us, UTC]").iloc[image].reset_index(drop=True)
