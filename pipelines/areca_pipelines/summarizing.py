"""`areca summary`: counts, densities, sizes and gaps of a run by zone or cell."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import dask_geopandas as dgpd
import geopandas as gpd
import numpy as np

from areca.errors import InputError
from areca.exports import ExportOptions, export_objects
from areca.exports.formats import FORMATS, choose_format
from areca.exports.place import check_target
from areca.measures import (
    SummaryOptions,
    find_gaps,
    spacing,
    summarize,
    summarize_cells,
)
from areca.measures.files import PARQUET, read_vector
from areca.runs.folder import write_atomically
from areca_pipelines.run_reading import calibration_of, open_run, state_notes
from areca_pipelines.summary_map import draw_map, sheet_of

if TYPE_CHECKING:
    from pathlib import Path

    from areca.runs import FinishedRun

NOT_FOR_TABLES = ("coco", "cog")
MOST_DOTS = 500_000
"""A map shows no more objects than this, evenly chosen."""


@dataclass(frozen=True, kw_only=True)
class Division:
    """How the ground is divided; one of the three."""

    zones: Path | None = None
    """Vector file of polygons."""
    name: str | None = None
    """Column that names the zones."""
    size_m: float | None = None
    """Side of square cells, m."""
    h3_resolution: int | None = None

    def check(self) -> None:
        """Refuse what is no division.

        Raises:
            InputError: None or several are given, or a name without zones.
        """
        given = [self.zones, self.size_m, self.h3_resolution]
        if sum(value is not None for value in given) != 1:
            raise InputError(
                "say how to divide the ground: --zones FILE, --cells METRES or --h3 "
                "RESOLUTION, one of them"
            )
        if self.name is not None and self.zones is None:
            raise InputError("--name is a column of the zones: it goes with --zones")


@dataclass(frozen=True, kw_only=True)
class SummaryRequest:
    """What to sum up, and what to write."""

    source: Path
    """Run folder, or table of objects."""
    division: Division
    out: Path | None = None
    """Table to write; its suffix tells the format."""
    plantation: bool = False
    """Whether to look for the planting pattern and for missing plants."""
    gaps: Path | None = None
    """Table of the missing plants to write."""
    picture: Path | None = None
    """Map to write, PNG."""
    model: str | None = None
    """Model whose scores give the interval of counts; that of the run if None."""
    overwrite: bool = False

    @property
    def wants_gaps(self) -> bool:
        """Whether missing plants are looked for."""
        return self.plantation or self.gaps is not None


@dataclass(kw_only=True)
class SummaryResult:
    """What the ground adds up to."""

    table: gpd.GeoDataFrame
    notes: list[str]
    gaps: gpd.GeoDataFrame | None = None
    files: list[Path] = field(default_factory=list)


def summarize_run(request: SummaryRequest) -> SummaryResult:
    """Sum up a run or a table; all is checked before anything is computed.

    Args:
        request: What to sum up.

    Returns:
        The table, and what to say about it.
    """
    request.division.check()
    _check_targets(request)
    file = request.division.zones
    zones = None if file is None else read_zones(file)
    run = open_run(request.source)
    notes = state_notes(run)
    calibration, why = calibration_of(run, request.model)
    notes.append(why)
    objects = _read(request.source, run)
    crs = None if request.division.size_m is None else _metric_crs(objects)
    ground = _Ground(division=request.division, zones=zones, crs=crs)
    table = ground.sum_up(objects, SummaryOptions(calibration=calibration))
    result = SummaryResult(table=table, notes=notes)
    if request.wants_gaps:
        _add_planting(result, objects, ground)
    _write(request, result)
    if request.picture is not None:
        sheet = sheet_of(run, table)
        picture = draw_map(_dots(objects), result.table, result.gaps, sheet)
        write_atomically(request.picture, lambda path: picture.save(path, "PNG"))
        result.files.append(request.picture)
    return result


def read_zones(path: Path) -> gpd.GeoDataFrame:
    """Read the zones of a vector file.

    Args:
        path: GeoJSON, GeoPackage, GeoParquet or another vector file.

    Returns:
        The zones, in the CRS of the file.

    Raises:
        InputError: It is not there, or holds no shapes.
    """
    if not path.exists():
        raise InputError(f"there is no file {path} of zones; check the path")
    wanted = "polygons as GeoJSON, GeoPackage or another vector file"
    return read_vector(path, what="zones", wanted=wanted)


def _check_targets(request: SummaryRequest) -> None:
    """Refuse files that cannot be written.

    Raises:
        InputError: One exists, or has a suffix that names no format.
    """
    for target in (request.out, request.gaps, request.picture):
        if target is not None:
            check_target(target, overwrite=request.overwrite)
    for target in (request.out, request.gaps):
        if target is not None and choose_format(None, target).name in NOT_FOR_TABLES:
            known = ", ".join(
                f.suffix for f in FORMATS.values() if f.name not in NOT_FOR_TABLES
            )
            raise InputError(f"{target} is no table; give a file with one of {known}")
    if request.picture is not None and request.picture.suffix.lower() != ".png":
        raise InputError(f"a map is a PNG picture; {request.picture} does not end so")


def _read(source: Path, run: FinishedRun | None) -> dgpd.GeoDataFrame:
    """Return the objects as a lazy table that knows where its partitions are.

    Raises:
        InputError: There is no table.
    """
    folder = source if run is None else run.folder.objects
    if folder.is_dir() or folder.suffix in PARQUET:
        try:
            return dgpd.read_parquet(str(folder))
        except (OSError, ValueError) as error:
            raise InputError(
                f"{folder} cannot be read as GeoParquet: {error}"
            ) from error
    if not folder.exists():
        raise InputError(f"there is no {folder}; give a run folder or a table")
    wanted = "a run, GeoParquet, GeoPackage or another vector file"
    whole = read_vector(folder, what="a table of objects", wanted=wanted)
    table = dgpd.from_geopandas(whole, npartitions=1)
    table.calculate_spatial_partitions()
    return table


@dataclass(frozen=True, kw_only=True)
class _Ground:
    """The zones or cells of a summary."""

    division: Division
    zones: gpd.GeoDataFrame | None
    crs: str | None
    """Of square cells; None where that of the table will do."""

    def sum_up(
        self,
        objects: gpd.GeoDataFrame | dgpd.GeoDataFrame,
        options: SummaryOptions | None = None,
    ) -> gpd.GeoDataFrame:
        """Return the table of some objects, computed."""
        if self.zones is not None:
            name = self.division.name
            table = summarize(objects, self.zones, name=name, options=options)
        else:
            table = summarize_cells(
                objects,
                size_m=self.division.size_m,
                h3_resolution=self.division.h3_resolution,
                crs=self.crs,
                options=options,
            )
        if isinstance(table, gpd.GeoDataFrame):
            return table
        computed: gpd.GeoDataFrame = table.compute(scheduler="threads")
        return computed


def _metric_crs(objects: dgpd.GeoDataFrame) -> str | None:
    """Return the UTM zone of objects in degrees; None where the CRS has metres."""
    if not objects.crs.is_geographic:
        return None
    parts = gpd.GeoSeries(objects.spatial_partitions, crs=objects.crs)
    return str(cast("Any", parts).estimate_utm_crs())


def _add_planting(
    result: SummaryResult, objects: dgpd.GeoDataFrame, ground: _Ground
) -> None:
    """Add spacing and gaps to the table: they are summed up like objects are."""
    gaps = find_gaps(objects).compute(scheduler="threads").reset_index(drop=True)
    spaced = spacing(objects)
    # Sizes are what a summary has quantiles of; here it is the distance.
    names = ["center_lon", "center_lat", "nearest_m", spaced.geometry.name]
    near = cast("Any", spaced[names].assign(area_m2=np.nan))
    near = near.rename(columns={"nearest_m": "radius_m"})
    distances = ground.sum_up(near)
    nothing = {"area_m2": np.nan, "radius_m": np.nan}
    found = ground.sum_up(gaps.assign(**nothing))
    key = result.table.columns[0]
    order = result.table[key]
    median = distances.set_index(key)["radius_median_m"].reindex(order)
    missing = found.set_index(key)["count"].reindex(order).fillna(0)
    result.table.insert(4, "nearest_median_m", median.to_numpy())
    result.table.insert(5, "gaps", missing.to_numpy(np.int64))
    result.gaps = gaps


def _write(request: SummaryRequest, result: SummaryResult) -> None:
    for target, table in ((request.out, result.table), (request.gaps, result.gaps)):
        if target is None or table is None:
            continue
        if choose_format(None, target).name == "csv":
            target.parent.mkdir(parents=True, exist_ok=True)
            table.drop(columns=table.geometry.name).to_csv(target, index=False)
        else:
            options = ExportOptions(overwrite=request.overwrite)
            export_objects(table, target, options=options)
        result.files.append(target)


def _dots(objects: dgpd.GeoDataFrame) -> np.ndarray:
    """Return longitude, latitude and distance to the nearest, shape (n, 3).

    No more than the map can show: every k-th object of each partition.
    """
    step = -(-len(objects) // MOST_DOTS) or 1
    spaced = spacing(objects)[["center_lon", "center_lat", "nearest_m"]]
    some = spaced.map_partitions(lambda part: part.iloc[::step])
    values = some.compute(scheduler="threads").to_numpy(np.float64, na_value=np.nan)
    return np.asarray(values)
