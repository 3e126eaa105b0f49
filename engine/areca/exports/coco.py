"""COCO annotations (https://cocodataset.org/#format-data) in pixels of the images.

Pixel coordinates have their origin at the upper left corner of the image, as COCO's
own tools take them: the first pixel reaches from 0 to 1.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyproj
import shapely
from affine import Affine
from rasterio.features import rasterize

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import geopandas as gpd
    from numpy.typing import NDArray

    from areca.exports.source import ObjectSource

DIGITS = 3
"""Decimals of a pixel."""
UNLABELLED = "unlabelled"
"""Category of objects without a label."""
WANTED = ("object_id", "label", "score", "item_id")


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageGrid:
    """One image that objects were found in."""

    item_id: str
    """Id of its STAC item, as in the column `item_id`."""
    file_name: str
    width: int
    height: int
    crs: str
    """Authority string or WKT."""
    transform: tuple[float, float, float, float, float, float]
    """From pixels to the CRS: a, b, c, d, e, f of x = a col + b row + c,
    y = d col + e row + f."""
    date: str | None = None
    """ISO 8601."""


def write_coco(
    source: ObjectSource, path: Path, images: Sequence[ImageGrid]
) -> tuple[int, int]:
    """Write objects as COCO annotations.

    Args:
        source: The objects, with a column `item_id`; `label`, `score` and `object_id`
            where there are. One category for each label, sorted by name.
        path: File to write.
        images: One image entry each, ids from 1 in this order.

    Returns:
        How many were written, and how many were left out: those of no image, without
        an area, or wholly outside their image. What reaches beyond its image is cut.
    """
    names = label_names(source)
    categories = [{"id": n, "name": name} for n, name in enumerate(names, 1)]
    wanted = [name for name in WANTED if name in source.columns]
    written = seen = 0
    with path.open("w", encoding="utf-8") as file:
        file.write('{"info": {"description": "areca"},\n"images": ')
        file.write(_json([_image_entry(i, n) for n, i in enumerate(images, 1)]))
        file.write(',\n"categories": ' + _json(categories) + ',\n"annotations": [')
        for part in source.parts(wanted):
            seen += len(part)
            for entry in _annotations(part, images, names):
                written += 1
                file.write(",\n" if written > 1 else "\n")
                file.write(_json({"id": written, **entry}))
        file.write("\n]}\n")
    return written, seen - written


def label_names(source: ObjectSource) -> list[str]:
    """Return the labels that occur, sorted."""
    found: set[str] = set()
    for part in source.parts(["label"] if "label" in source.columns else []):
        found.update(_labels(part).tolist())
    return sorted(found)


def _image_entry(image: ImageGrid, number: int) -> dict[str, Any]:
    entry = {
        "id": number,
        "file_name": image.file_name,
        "width": image.width,
        "height": image.height,
        "item_id": image.item_id,
    }
    return entry if image.date is None else entry | {"date_captured": image.date}


def _annotations(
    part: gpd.GeoDataFrame, images: Sequence[ImageGrid], names: Sequence[str]
) -> Iterator[dict[str, Any]]:
    """Yield the annotations of a part, in its order."""
    if "item_id" not in part.columns:
        return
    items = np.array(part["item_id"], object)
    items[part["item_id"].isna().to_numpy()] = None  # pd.NA has no truth
    shapes = np.full(len(part), None, object)
    image_id = np.zeros(len(part), np.int64)
    for number, image in enumerate(images, 1):
        mine = items == image.item_id
        shapes[mine] = in_pixels(part[mine], image)
        image_id[mine] = number
    area = shapely.area(shapes)
    kept = np.flatnonzero(area > 0)
    boxes = shapely.bounds(shapes[kept])
    boxes[:, 2:] -= boxes[:, :2]
    category = {name: number for number, name in enumerate(names, 1)}
    labels = _labels(part)
    extras = {n: part[n].to_numpy(object) for n in ("object_id", "score") if n in part}
    sizes = {i: (image.height, image.width) for i, image in enumerate(images, 1)}
    for row, box in zip(kept.tolist(), boxes.round(DIGITS).tolist(), strict=True):
        number = int(image_id[row])
        yield {
            "image_id": number,
            "category_id": category[labels[row]],
            "bbox": box,
            "area": round(float(area[row]), DIGITS),
            "iscrowd": 0,
            "segmentation": _segmentation(shapes[row], sizes[number]),
            **{n: v[row] for n, v in extras.items() if not pd.isna(v[row])},
        }


def in_pixels(objects: gpd.GeoDataFrame, image: ImageGrid) -> NDArray[np.object_]:
    """Return shapes in pixels of an image, cut at its rim.

    Args:
        objects: Table with a CRS, n rows.
        image: The image.

    Returns:
        Shape (n,), polygons and multipolygons; None or empty for what is not there.
    """
    a, b, c, d, e, f = tuple(~Affine(*image.transform))[:6]
    same = pyproj.CRS(objects.crs).equals(pyproj.CRS(image.crs), ignore_axis_order=True)
    placed = objects.geometry if same else objects.geometry.to_crs(image.crs)
    shapes = np.asarray(shapely.force_2d(placed.to_numpy()), object)
    pixels = shapely.transform(
        shapes,
        lambda xy: np.column_stack(
            [a * xy[:, 0] + b * xy[:, 1] + c, d * xy[:, 0] + e * xy[:, 1] + f]
        ),
    )
    west, south, east, north = shapely.bounds(pixels).T
    with np.errstate(invalid="ignore"):
        out = (west < 0) | (south < 0) | (east > image.width) | (north > image.height)
    rim = shapely.box(0, 0, image.width, image.height)
    pixels[out] = shapely.intersection(shapely.make_valid(pixels[out]), rim)
    return np.asarray(pixels)


def _segmentation(shape: shapely.Geometry, size: tuple[int, int]) -> object:
    """Return an outline as COCO has it: rings, or a run-length mask if it has holes."""
    parts = [p for p in shapely.get_parts(shape).tolist() if p.geom_type == "Polygon"]
    if any(shapely.get_num_interior_rings(parts)):
        return _run_lengths(shape, size)
    return [
        shapely.get_coordinates(part.exterior)[:-1].round(DIGITS).ravel().tolist()
        for part in parts
    ]


def _run_lengths(shape: shapely.Geometry, size: tuple[int, int]) -> dict[str, Any]:
    """Return the mask of pixels whose centre a shape holds, column by column.

    Counts of 0 and of 1 follow each other, starting with 0, over the whole image in
    columns; only the columns of the shape are drawn.
    """
    height, width = size
    west, _, east, _ = shapely.bounds(shape)
    first, last = max(0, int(west)), min(width, int(np.ceil(east)))
    mask = rasterize(
        [shape],
        out_shape=(height, last - first),
        transform=Affine.translation(first, 0),
        dtype="uint8",
    )
    flat = np.concatenate([[0], mask.T.ravel(), [0]])
    edges = np.flatnonzero(np.diff(flat)) + first * height
    counts = np.diff(np.concatenate([[0], edges, [height * width]]))
    return {"size": [height, width], "counts": counts.tolist()}


def _labels(part: gpd.GeoDataFrame) -> NDArray[np.object_]:
    if "label" not in part.columns:
        return np.full(len(part), UNLABELLED, object)
    return (
        part["label"]
        .astype(object)
        .where(part["label"].notna(), UNLABELLED)
        .to_numpy(object)
    )


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
