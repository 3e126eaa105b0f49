"""`predict`: a lazy cube in, lazy objects out, on one shared graph."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, cast

import dask_geopandas as dgpd  # noqa: TC002 - teaches dask.dataframe GeoDataFrames
import pandas as pd
from dask.base import tokenize
from dask.dataframe import from_delayed
from dask.delayed import delayed

from areca.catalog import read_aoi
from areca.errors import InputError
from areca.inference.area import Area
from areca.inference.fit import check_fit, check_options, needed_bands, with_tile
from areca.inference.lazy_block import Work, lazy_block, whole
from areca.inference.options import PredictOptions
from areca.inference.predictor import Predictor
from areca.inference.rasters import lazy_rasters
from areca.inference.rows import block_rows, finish_rows, settle_rows
from areca.models.handle import Model, load_model
from areca.objects import empty_objects, objects_table
from areca.objects.table import ImageSource, Origin
from areca.tiles import (
    BlockGrid,
    Lattice,
    Window,
    cube_geobox,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import geopandas as gpd
    import xarray as xr
    from dask.delayed import Delayed

    from areca.catalog.aoi import Aoi
    from areca.models.contracts import Contract
    from areca.tiles import Block


SHAPE_OF: dict[Contract, Literal["disc", "box", "outline"]] = {
    "heatmap": "disc",
    "boxes": "box",
    "masks": "outline",
    "logits": "outline",
}
"""What an object of each contract is drawn as."""
CROPPED = (
    "this cube was cropped to an area, so objects at its rim see only a part of their "
    "surroundings and can differ from those of a whole cube. Open the cube without aoi "
    "and give the area to predict(..., aoi=...): nothing is read that is not needed"
)


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """What a model finds in a cube; nothing is computed until asked for."""

    objects: dgpd.GeoDataFrame
    """Each object once, one partition a block (`areca.objects.objects_table`)."""
    rasters: xr.Dataset
    """Rasters on the cube's grid: "label" of a segmentation (class, 255 where nothing
    was seen), and the layers of confidence that the options ask for (NaN where nothing
    was seen). Ground that an area of interest leaves out counts as not seen."""


def predict(
    cube: xr.DataArray,
    model: Model | str | Path,
    *,
    aoi: Aoi | None = None,
    options: PredictOptions | None = None,
) -> Prediction:
    """Find the objects of a cube; lazy, nothing is read or predicted here.

    The answer depends on the pixels and the model alone, not on chunks, blocks or
    workers. Pixels are never cropped to the area of interest: it selects objects by
    their centre, so give the cube whole and the area here. (Near the edge of an area,
    a chain of rivals longer than two largest objects is not followed to its end; a
    regional run does that. Regions of a class are followed to the end of the cube.)

    Args:
        cube: Dims (band, y, x), with a CRS and the bands that the model wants, in the
            units of its card; nodata as NaN or in `rio.nodata`.
        model: A handle from `load_model`, or what `load_model` takes.
        aoi: Area of interest, as `areca.search` takes it; None takes all.
        options: How to run the model.

    Returns:
        Lazy objects (EPSG of the cube, one partition a block) and rasters. A cube that
        was cropped to an area when it was opened gives a warning.

    Raises:
        InputError: `options` is something else.
    """
    options = options or PredictOptions()
    if not isinstance(options, PredictOptions):
        raise InputError(
            f"options is a {type(options).__name__}; give areca.PredictOptions(...), "
            "for example areca.PredictOptions(threshold=0.6)"
        )
    if cube.attrs.get("cropped_to_area"):
        warnings.warn(CROPPED, stacklevel=2)
    handle = model if isinstance(model, Model) else load_model(model)
    handle = with_tile(handle, options)
    check_options(handle.card, options)
    _ = options.batch_tiles  # each worker would measure another one
    geobox = cube_geobox(cube)
    bands = [str(name) for name in cube.band.values]
    check_fit(handle.card, bands, geobox)
    lattice = Lattice.of(geobox, core_px=handle.card.core_px)
    predictor = Predictor(model=handle, lattice=lattice, options=options)
    region = lattice.window(geobox)
    grid = BlockGrid(
        lattice=lattice,
        region=region,
        tiles_down=options.block_tiles,
        tiles_across=options.block_tiles,
    )
    area = None if aoi is None else Area.of(read_aoi(aoi), lattice)
    reach = predictor.influence_px
    shown = list(grid.blocks(None if area is None else area.window(reach)))
    if area is not None:
        shown = area.pick(shown, reach)
    # The region of a class may go on to the end of the cube.
    blocks = list(grid.blocks()) if predictor.is_dense else shown
    pixels = cube.sel(band=needed_bands(handle.card, bands))
    # All that the answer of a block depends on, beside which block it is.
    facts = (region, tuple(map(str, pixels.band.values)), cube.rio.nodata, predictor)
    token = tokenize(pixels.data, *facts)
    shared = whole(predictor, f"areca-predictor-{token}")
    parts = {
        block: lazy_block(
            pixels,
            region,
            Work(
                block=block,
                tiles=tuple(grid.tiles(block)),
                halo_px=predictor.halo_px,
                key=f"areca-predict-{token}-{block.name}",
            ),
            shared,
        )
        for block in blocks
    }
    origin = origin_of(predictor, images_of(cube, lattice))
    return Prediction(
        objects=_lazy_objects(parts, shared, origin, area),
        rasters=lazy_rasters(cube, {b: parts[b] for b in shown}, grid, predictor),
    )


def _lazy_objects(
    parts: Mapping[Block, Delayed],
    predictor: Delayed,
    origin: Origin,
    area: Area | None,
) -> dgpd.GeoDataFrame:
    """Return the objects table, one partition a block."""
    known = whole((origin, area), f"areca-origin-{tokenize(origin, area)}")
    rows = {
        block.name: delayed(block_rows)(part, block.window, predictor)
        for block, part in parts.items()
    }
    at_seams = [delayed(_at_seam)(part, name) for name, part in rows.items()]
    seams = delayed(settle_rows)(at_seams, predictor)
    tables = [
        delayed(_finish)(part, seams, name, (predictor, known))
        for name, part in rows.items()
    ]
    meta = empty_objects(origin)
    frame = from_delayed(tables or [delayed(meta)], meta=meta, verify_meta=False)
    return cast("dgpd.GeoDataFrame", frame)


def origin_of(predictor: Predictor, images: tuple[ImageSource, ...]) -> Origin:
    """Return what all objects of a prediction share.

    Args:
        predictor: The model on its lattice.
        images: Where the pixels came from, in mosaic order.
    """
    card = predictor.model.card
    return Origin(
        model=f"{card.name}@{card.version}",
        model_digest=card.digest,
        labels=card.labels,
        lattice=predictor.lattice,
        images=images,
        shape=SHAPE_OF[predictor.contract],
    )


def images_of(cube: xr.DataArray, lattice: Lattice) -> tuple[ImageSource, ...]:
    """Return the items that a cube was opened from, in mosaic order.

    Args:
        cube: A cube of `areca.open_cube`; any other cube has no items.
        lattice: What their windows are counted on.
    """
    return tuple(
        ImageSource(
            item_id=item["id"],
            start=item["start"],
            end=item["end"],
            window=_window(item["bounds"], lattice),
        )
        for item in cube.attrs.get("items", ())
    )


def _window(bounds: tuple[float, float, float, float], lattice: Lattice) -> Window:
    """Return the pixels of an item of this grid, whose bounds lie on pixel edges."""
    left, bottom, right, top = bounds
    col0, row0 = lattice.to_pixels(left, top)
    col1, row1 = lattice.to_pixels(right, bottom)
    return Window(round(row0), round(col0), round(row1), round(col1))


def _at_seam(part: pd.DataFrame, name: str) -> pd.DataFrame:
    """Return the open rows of a block; only these meet those of other blocks."""
    return part[part["open"]].assign(block=name)


def _finish(
    part: pd.DataFrame,
    seams: pd.DataFrame,
    name: str,
    how: tuple[Predictor, tuple[Origin, Area | None]],
) -> gpd.GeoDataFrame:
    predictor, (origin, area) = how
    mine = seams[seams["block"] == name] if len(seams) else seams
    rows = pd.concat([part[~part["open"]], mine], ignore_index=True)
    rows = finish_rows(rows, predictor)
    return objects_table(rows if area is None else area.select(rows), origin)
