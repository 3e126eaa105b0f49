"""Class rasters for tests, and their regions by scikit-image and GDAL."""

import dask
import numpy as np
import pandas as pd
import rasterio.features
import shapely
import xarray as xr
from affine import Affine
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from skimage.measure import label as components

import areca

AFFINE = Affine(0.3, 0, 500_000.123, 0, -0.3, 300_000.77)
"""No multiple of the pixel, so that blocks begin and end anywhere."""


def raster(labels, affine=AFFINE, crs="EPSG:32648", chunks=None):
    """A DataArray as rioxarray opens it, of one chunk where none are given."""
    height, width = labels.shape
    x = affine.c + (np.arange(width) + 0.5) * affine.a
    y = affine.f + (np.arange(height) + 0.5) * affine.e
    array = xr.DataArray(labels, dims=("y", "x"), coords={"y": y, "x": x})
    array = array.rio.write_crs(crs).rio.write_transform(affine)
    return array if chunks is None else array.chunk(y=chunks[0], x=chunks[1])


def drawn(*rows):
    """Digits are classes, a dot is class 0, a hash is nodata."""
    values = {".": 0, "#": 255}
    return np.array(
        [[values.get(sign, ord(sign) - 48) for sign in row] for row in rows], np.uint8
    )


def regions_by_other_tools(labels, skip, connectivity, affine=AFFINE):
    """Regions of the whole array by scikit-image, their outlines by GDAL.

    Returns:
        Label, pixels and geometry (normalised, without collinear vertices), in the
        order of the first pixels.
    """
    kept = np.where(np.isin(labels, skip), 0, labels.astype(np.int64) + 1)
    numbers = components(kept, background=0, connectivity=connectivity // 4)
    parts = {}
    for shape, number in rasterio.features.shapes(
        numbers.astype(np.int32), mask=numbers > 0, connectivity=4
    ):
        parts.setdefault(int(number), []).append(shapely.geometry.shape(shape))
    flat, first = np.unique(numbers, return_index=True)
    order = np.argsort(first[flat > 0])
    numbers_in_order = flat[flat > 0][order]
    whole = [shapely.union_all(parts[int(n)]) for n in numbers_in_order]
    outlines = areca.objects.canonical(whole) if whole else np.empty(0, object)
    shapes = shapely.transform(
        outlines,
        lambda p: np.column_stack(
            [affine.c + p[:, 0] * affine.a, affine.f + p[:, 1] * affine.e]
        ),
    )
    at = first[flat > 0][order]
    return pd.DataFrame(
        {
            "label": labels.reshape(-1)[at].astype(np.int64),
            "pixels": np.bincount(numbers.reshape(-1))[numbers_in_order],
            "geometry": shapely.to_wkb(shapely.normalize(shapes)),
        }
    )


def computed(table):
    """A lazy table in memory, by the order of first pixels (which lie top left)."""
    with dask.config.set(scheduler="synchronous"):
        return table.compute().reset_index(drop=True)


def sorted_bytes(table):
    """Label, pixels and normalised WKB of a table, in one order."""
    rows = pd.DataFrame(
        {
            "label": table["label"].to_numpy(),
            "pixels": table["pixels"].to_numpy(),
            "geometry": shapely.to_wkb(shapely.normalize(table.geometry.to_numpy())),
        }
    )
    return rows.sort_values(["label", "pixels", "geometry"], ignore_index=True)


@st.composite
def class_rasters(draw, smallest=9, largest=24):
    """Blobs of two to four classes and nodata, with noise on top."""
    shape = draw(st.tuples(*[st.integers(smallest, largest)] * 2))
    classes = [0, *range(1, draw(st.integers(2, 4))), 255]
    coarse = draw(st.integers(1, 5))
    small = tuple(-(-size // coarse) for size in shape)
    values = draw(arrays(np.uint8, small, elements=st.sampled_from(classes)))
    blobs = np.kron(values, np.ones((coarse, coarse), np.uint8))
    blobs = blobs[: shape[0], : shape[1]]
    if not draw(st.booleans()):
        return blobs
    noise = draw(arrays(np.uint8, shape, elements=st.sampled_from(classes)))
    noisy = draw(arrays(np.bool_, shape, elements=st.booleans()))
    return np.where(noisy, noise, blobs)


@st.composite
def chunkings(draw, shape):
    """Sizes of at least three chunks along each side."""
    sizes = []
    for size in shape:
        cuts = draw(st.sets(st.integers(1, size - 1), min_size=2, max_size=4))
        sizes.append(tuple(np.diff([0, *sorted(cuts), size]).tolist()))
    return tuple(sizes)
