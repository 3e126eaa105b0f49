"""From the files that a training recipe names to images in memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import rasterio
from odc.geo.geobox import GeoBox
from rasterio.enums import Resampling
from rasterio.errors import RasterioError
from rasterio.warp import transform_bounds
from scipy import ndimage

from areca.errors import LabelError
from areca.labels import (
    area_mask,
    circles_of,
    pixel_size_m,
    read_area,
    read_labels,
    split_ground,
)
from areca.training.images import Check, TrainImage

if TYPE_CHECKING:
    from pathlib import Path

    from geopandas import GeoDataFrame
    from numpy.typing import NDArray

    from areca_pipelines.train_recipe import CheckForm, ImageForm, TrainRecipe

SAME_PIXEL = 0.02
"""An image whose pixel differs less than this from the card's is not resampled."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Raster:
    """An image in memory at the resolution of the card."""

    pixels: NDArray[np.uint8]
    """Shape (band, height, width)."""
    valid: NDArray[np.bool_]
    """Where no band is missing, shape (height, width)."""
    geobox: GeoBox
    """Its grid."""
    resolution_m: float
    """Ground pixel, m."""


def load_image(data: Path, form: ImageForm, recipe: TrainRecipe) -> TrainImage:
    """Return one image with its labels, its ground dealt."""
    raster = read_raster(
        data / form.image, recipe, form.nodata, resample=not form.any_scale
    )
    labels = read_labels(data / form.labels, raster.geobox)
    circles = circles_of(labels, raster.geobox)
    valid = raster.valid.copy()
    if form.hold_out is not None:
        valid &= ~_grown(data / form.hold_out, raster, form.hold_out_buffer_m)
    usable = valid.copy()
    if form.area is not None:
        area = read_area(data / form.area, raster.geobox)
        usable &= area_mask(area, raster.geobox)
    if form.labels_only:
        usable &= area_mask(labels, raster.geobox)
    split = None
    if form.use == "split":
        split = split_ground(
            usable,
            block_px=round(recipe.split.block_m / raster.resolution_m),
            shares=(recipe.split.validation, recipe.split.test),
            seed=recipe.split.seed,
        )
    return TrainImage(
        name=form.image.rsplit("/", 1)[-1],
        pixels=raster.pixels,
        valid=valid,
        usable=usable,
        circles=circles,
        sure=_sure(labels, form),
        resolution_m=raster.resolution_m,
        split=split,
        share=form.share,
    )


def load_check(data: Path, form: CheckForm, recipe: TrainRecipe) -> Check:
    """Return an image with the labels that only the last step may see."""
    raster = read_raster(data / form.image, recipe, form.nodata)
    labels = read_labels(data / form.labels, raster.geobox)
    usable = raster.valid
    if form.area is not None:
        area = read_area(data / form.area, raster.geobox)
        usable = usable & area_mask(area, raster.geobox)
    boxes = None
    if form.overlap:
        corners = labels.bounds.to_numpy()
        inverse = ~raster.geobox.affine
        x0, y0 = inverse * (corners[:, 0], corners[:, 3])
        x1, y1 = inverse * (corners[:, 2], corners[:, 1])
        boxes = np.column_stack([x0, y0, x1, y1])
    image = TrainImage(
        name=form.name,
        pixels=raster.pixels,
        valid=raster.valid,
        usable=usable,
        circles=circles_of(labels, raster.geobox),
        sure=np.ones(len(labels), bool),
        resolution_m=raster.resolution_m,
    )
    return Check(name=form.name, image=image, match_m=form.match_m, boxes=boxes)


def read_raster(
    path: Path, recipe: TrainRecipe, nodata: int | None, *, resample: bool = True
) -> Raster:
    """Return an 8-bit image whole, at the card's pixel.

    Raises:
        LabelError: the file cannot be read or has other bands than the card.
    """
    wanted = len(recipe.card.bands)
    try:
        with rasterio.open(path) as file:
            if file.count < wanted or file.dtypes[0] != "uint8" or file.crs is None:
                raise LabelError(
                    f"{path} has {file.count} bands of {file.dtypes[0]} and CRS "
                    f"{file.crs}; {wanted} bands of uint8 and a CRS are needed"
                )
            geobox = GeoBox(file.shape, file.transform, str(file.crs))
            factor = pixel_size_m(geobox) / recipe.card.resolution_m
            if abs(factor - 1) < SAME_PIXEL or not resample:
                factor = 1.0
            shape = (round(file.height * factor), round(file.width * factor))
            pixels = file.read(
                list(range(1, wanted + 1)),
                out_shape=(wanted, *shape),
                resampling=Resampling.bilinear,
            )
            missing = file.nodata if file.nodata is not None else nodata
    except RasterioError as error:
        raise LabelError(f"{path} cannot be read as an image: {error}") from error
    geobox = geobox.zoom_to(shape)
    valid = np.ones(shape, bool) if missing is None else (pixels != missing).any(axis=0)
    return Raster(
        pixels=pixels, valid=valid, geobox=geobox, resolution_m=pixel_size_m(geobox)
    )


def footprint_of(paths: list[Path]) -> tuple[float, float, float, float]:
    """Return the bounds of images in EPSG:4326: west, south, east, north."""
    corners = []
    for path in paths:
        with rasterio.open(path) as file:
            corners.append(transform_bounds(file.crs, "EPSG:4326", *file.bounds))
    west, south, east, north = np.array(corners).T.round(6)
    return (
        float(west.min()),
        float(south.min()),
        float(east.max()),
        float(north.max()),
    )


def _grown(path: Path, raster: Raster, buffer_m: float) -> NDArray[np.bool_]:
    """Return the pixels within a distance of the polygons of a file."""
    inside = area_mask(read_area(path, raster.geobox), raster.geobox)
    away: NDArray[np.float64] = ndimage.distance_transform_edt(~inside)
    return away * raster.resolution_m <= buffer_m


def _sure(labels: GeoDataFrame, form: ImageForm) -> NDArray[np.bool_]:
    if form.sure_column is None:
        return np.ones(len(labels), bool)
    if form.sure_column not in labels:
        raise LabelError(
            f"{form.labels} has no column {form.sure_column!r} (sure_column); it has "
            f"{', '.join(labels.columns)}"
        )
    sure: NDArray[np.bool_] = labels[form.sure_column].to_numpy() >= 1
    return sure
