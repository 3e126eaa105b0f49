"""`areca summary`: counts, densities, sizes and gaps of a run by zone or cell."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, cast

import dask_geopandas as dgpd
import pandas as pd

from areca.errors import InputError
from areca.exports import ExportOptions, export_objects
from areca.exports.formats import FORMATS, choose_format
from areca.exports.geoparquet import open_lazy
from areca.exports.place import check_target
from areca.measures import SummaryOptions, measure
from areca.measures.files import is_parquet, read_vector, require_file_crs
from areca.measures.tally import NEEDED
from areca.runs.folder import write_atomically
from areca_pipelines.run_reading import calibration_of, open_run, state_notes
from areca_pipelines.summary_ground import Ground
from areca_pipelines.summary_map import draw_map, sheet_of
from areca_pipelines.summary_place import check_zones_meet, zone_notes
from areca_pipelines.summary_planting import Planting, some_rows

if TYPE_CHECKING:
    import geopandas as gpd

    from areca.runs import FinishedRun
    from areca_pipelines.summary_ground import Division

NOT_FOR_TABLES = ("coco", "cog")
MOST_DOTS = 500_000
"""A map shows no more objects than this, evenly chosen."""


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
    files: list[Path] = field(default_factory=list)


def summarize_run(request: SummaryRequest) -> SummaryResult:
    """Sum up a run or a table; all is checked before anything is computed.

    Args:
        request: What to sum up.

    Returns:
        The table, and what to say about it.
    """
    division = request.division
    division.check()
    _check_targets(request)
    run = open_run(request.source)
    notes = state_notes(run)
    calibration, why = calibration_of(run, request.model)
    notes.append(why)
    objects = _read(request.source, run)
    ground = Ground.of(division, objects)
    if ground.zones is not None:
        check_zones_meet(ground.zones, cast("Path", division.zones), objects, run)
    table = ground.sum_up(objects, SummaryOptions(calibration=calibration))
    if ground.zones is not None:
        notes += zone_notes(table, ground.zones, division.name)
    result = SummaryResult(table=table, notes=notes)
    with TemporaryDirectory(prefix="areca-") as scratch:
        planting = Planting.of(
            objects,
            Path(scratch),
            spaced=request.wants_gaps or request.picture is not None,
            gaps=request.wants_gaps,
        )
        if request.wants_gaps:
            notes += planting.add_to(table, ground)
        _write(request, result, planting)
        if request.picture is not None:
            _draw(request.picture, run, result, planting)
    return result


def _check_targets(request: SummaryRequest) -> None:
    """Refuse files that cannot be written.

    Raises:
        InputError: One exists, has no folder to lie in or a suffix that names no
            format, or is given twice.
    """
    for target in (request.out, request.gaps, request.picture):
        if target is not None:
            check_target(target, overwrite=request.overwrite)
    if request.out and request.gaps and request.out.resolve() == request.gaps.resolve():
        raise InputError(
            f"--out and --gaps are both {request.out}, and the second would replace "
            "the first; give two files"
        )
    for target in (request.out, request.gaps):
        if target is not None and choose_format(None, target).name in NOT_FOR_TABLES:
            known = ", ".join(
                f.suffix for f in FORMATS.values() if f.name not in NOT_FOR_TABLES
            )
            raise InputError(f"{target} is no table; give a file with one of {known}")
    if request.picture is not None and request.picture.suffix.lower() != ".png":
        raise InputError(f"a map is a PNG picture; {request.picture} does not end so")


def _read(source: Path, run: FinishedRun | None) -> dgpd.GeoDataFrame:
    """Return measured objects as a lazy table."""
    path = source if run is None else run.folder.objects
    table = _opened(path)
    require_file_crs(table.crs, path)
    if set(NEEDED) <= set(table.columns):
        return table
    measured = measure(table)
    measured.spatial_partitions = table.spatial_partitions
    return measured


def _opened(path: Path) -> dgpd.GeoDataFrame:
    """Return a table as a lazy one that knows where its partitions are.

    Raises:
        InputError: There is none.
    """
    if not path.exists():
        raise InputError(f"there is no {path}; give a run folder or a table")
    if is_parquet(path):
        return open_lazy(path)
    wanted = "a run, GeoParquet, GeoPackage or another vector file"
    whole = read_vector(path, what="a table of objects", wanted=wanted)
    table = dgpd.from_geopandas(whole, npartitions=1)
    table.calculate_spatial_partitions()
    return table


def _write(request: SummaryRequest, result: SummaryResult, planting: Planting) -> None:
    """Write the tables that are wanted."""
    options = ExportOptions(overwrite=request.overwrite)
    if request.out is not None:
        if choose_format(None, request.out).name == "csv":
            _write_figures(result.table, request.out)
        else:
            export_objects(result.table, request.out, options=options)
        result.files.append(request.out)
    if request.gaps is not None:
        export_objects(planting.gaps, request.gaps, options=options)
        result.files.append(request.gaps)


def _write_figures(table: gpd.GeoDataFrame, target: Path) -> None:
    """Write the figures of zones or cells alone, which have no centre as objects do."""
    figures = pd.DataFrame(table.drop(columns=table.geometry.name))
    write_atomically(target, lambda path: figures.to_csv(path, index=False))


def _draw(
    target: Path, run: FinishedRun | None, result: SummaryResult, planting: Planting
) -> None:
    """Draw the map, with no more objects and gaps than it can show."""
    dots = some_rows(cast("Any", planting.spacing), MOST_DOTS)
    gaps = None if planting.gaps is None else some_rows(planting.gaps, MOST_DOTS)
    picture = draw_map(dots, result.table, gaps, sheet_of(run, result.table))
    write_atomically(target, lambda path: picture.save(path, "PNG"))
    result.files.append(target)
