"""`export_objects` and `export_raster`: from a table or a run to one file."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import dask_geopandas as dgpd
import geopandas as gpd

from areca.errors import InputError
from areca.exports.coco import label_names, write_coco
from areca.exports.cog import open_raster, write_cog
from areca.exports.formats import FORMATS, choose_format
from areca.exports.place import check_target, put_in_place
from areca.exports.source import ObjectSource, TableSource, open_source
from areca.exports.style import label_style, plain_style, score_style
from areca.exports.tables import write_csv, write_parquet
from areca.exports.vector import add_style, write_vector
from areca.measures import write_objects
from areca.measures.table import require_crs
from areca.runs.folder import RunFolder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from areca.exports.coco import ImageGrid
    from areca.exports.formats import Format

STYLES = ("label", "score")
MOST_LABELS = 100
"""A style has no more categories than this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportOptions:
    """How to export objects.

    Attributes:
        overwrite: Replace a file that is there.
        style: What a GeoPackage is coloured by, "label" or "score"; None: by label
            where there are several, else by score where there is one.
        wkt: Give a CSV the outlines as a last column.
        images: Images of a COCO file, in order.
    """

    overwrite: bool = False
    style: str | None = None
    wkt: bool = False
    images: tuple[ImageGrid, ...] = ()

    def __post_init__(self) -> None:
        if self.style not in {None, *STYLES}:
            raise InputError(f"style is {self.style!r}; it is 'label' or 'score'")


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """What was written."""

    path: Path
    format: str
    count: int
    """Objects, or pixels of a raster."""
    left_out: int = 0
    """Objects that the format has no place for (see `export_objects`)."""


def export_objects(
    objects: gpd.GeoDataFrame | dgpd.GeoDataFrame | str | Path,
    target: str | Path,
    *,
    format: str | None = None,  # noqa: A002 - what every library calls it
    options: ExportOptions | None = None,
) -> Exported:
    """Write objects in another format.

    Objects pass through in parts and in a fixed order, so that a table of any size
    fits, and equal objects give equal files. All is checked before anything is written,
    and the target is there when it is whole, or not at all. A dask_geopandas table is
    computed here, once, into GeoParquet beside the target that is removed afterwards.

    - `geoparquet`: GeoParquet 1.1 with covering, sorted along a Hilbert curve by parts.
    - `gpkg`: GeoPackage, layer `objects`, with a QGIS style inside that QGIS uses when
      it opens the layer.
    - `flatgeobuf`: FlatGeobuf with its index, and in its order; objects without
      geometry are left out and counted.
    - `geojson`: RFC 7946: WGS 84 degrees (9 decimals), right-hand rule, cut at the
      antimeridian, no member crs. The other vector formats keep the CRS.
    - `csv`: `object_id`, centre in degrees, and the other columns; measured if need be.
    - `coco`: boxes and outlines in pixels of `options.images`; objects of no image
      and without an area are left out and counted.

    Args:
        objects: A table with a CRS, a GeoParquet file or folder, a run folder, or any
            vector file.
        target: The file to write, local.
        format: One of the names above; by the suffix of the target if None.
        options: How to do it.

    Returns:
        Where, and how many.

    Raises:
        InputError: Unknown format, objects that are not there or have no CRS, a target
            that exists or whose folder does not, or COCO without images.
    """
    options = options or ExportOptions()
    path = check_target(target, overwrite=options.overwrite)
    form = choose_format(format, path)
    if form.name == "cog":
        raise InputError("objects are no raster; format 'cog' goes with export_raster")
    if form.name == "coco" and not options.images:
        raise InputError(
            "COCO counts in pixels of images, and none is given; export a run, or name "
            "them in ExportOptions(images=...)"
        )
    with _opened(objects, path) as source:
        _check_columns(source, form, options)
        with put_in_place(path, form.suffix) as partial:
            count, left_out = _write(source, partial, form, options)
    return Exported(path=path, format=form.name, count=count, left_out=left_out)


def export_raster(
    run: str | Path,
    target: str | Path,
    *,
    name: str | None = None,
    overwrite: bool = False,
) -> Exported:
    """Write a raster of a run as a cloud-optimised GeoTIFF.

    The pixels are those of `rasters.zarr`, also where there is no data (255 in classes,
    NaN elsewhere). Classes get a colour table and a style for QGIS beside the file.

    Args:
        run: A run folder, or its `rasters.zarr`.
        target: The file to write, local.
        name: Which raster; `label` if there is one, else the only one.
        overwrite: Replace a file that is there.

    Returns:
        Where, and how many pixels.
    """
    path = check_target(target, overwrite=overwrite)
    folder = Path(run)
    store = folder if folder.suffix == ".zarr" else RunFolder(folder).rasters
    raster = open_raster(store, name)
    with put_in_place(path, FORMATS["cog"].suffix) as partial:
        count = write_cog(raster, partial)
    return Exported(path=path, format="cog", count=count)


@contextmanager
def _opened(
    objects: gpd.GeoDataFrame | dgpd.GeoDataFrame | str | Path, target: Path
) -> Iterator[ObjectSource]:
    """Open objects.

    Yields:
        Their source; what was computed for it is removed at the end.
    """
    if isinstance(objects, dgpd.GeoDataFrame):
        require_crs(objects)
        target.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=target.parent, prefix=".areca-") as folder:
            write_objects(objects, folder)
            yield open_source(Path(folder))
    elif isinstance(objects, gpd.GeoDataFrame):
        yield TableSource(objects)
    else:
        run = RunFolder(Path(objects))
        yield open_source(run.objects if run.objects.is_dir() else run.path)


def _check_columns(source: ObjectSource, form: Format, options: ExportOptions) -> None:
    """Refuse what needs a column that is not there.

    Raises:
        InputError: It is named.
    """
    needed = None
    if form.name == "coco":
        needed = "item_id"
    if form.name == "gpkg":
        needed = options.style
    if needed is not None and needed not in source.columns:
        raise InputError(
            f"this needs the column {needed!r}, and the objects have "
            f"{', '.join(source.columns) or 'none'}"
        )


def _write(
    source: ObjectSource, path: Path, form: Format, options: ExportOptions
) -> tuple[int, int]:
    """Return how many objects were written and how many left out."""
    if form.name == "coco":
        return write_coco(source, path, options.images)
    if form.name == "csv":
        return write_csv(source, path, wkt=options.wkt), 0
    if form.name == "geoparquet":
        return write_parquet(source, path), 0
    written = write_vector(source, path, form)
    if form.name == "gpkg":
        add_style(path, _style(source, options))
    return written


def _style(source: ObjectSource, options: ExportOptions) -> str:
    kinds = source.kinds
    kind = next(iter(sorted(kinds)), "Polygon")
    by = options.style
    labels = label_names(source) if "label" in source.columns else []
    if by is None and (len(labels) > 1 or "score" not in source.columns):
        by = "label" if labels else None
    elif by is None:
        by = "score"
    if by == "label" and len(labels) <= MOST_LABELS:
        return label_style(labels, kind)
    return score_style(kind) if by == "score" else plain_style(kind)
