"""Measure a vector file of any kind and size."""

from __future__ import annotations

import os
from collections import Counter, deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import geopandas as gpd
import pandas as pd

from areca.errors import InputError
from areca.exports.place import check_target
from areca.measures import (
    BOUNDING,
    ERRORS,
    MEASURES,
    MeasureOptions,
    ObjectsWriter,
    circles,
    measure,
)
from areca.measures.files import is_named_parquet
from areca.measures.notes import NOTE
from areca.objects import drop_duplicates
from areca.runs.summary import Summary, summarise
from areca_pipelines.naming import said_as
from areca_pipelines.run_reading import open_run, state_notes
from areca_pipelines.vectors import read_parts

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Future
    from pathlib import Path

    from areca.measures.options import RadiusMethod

ROWS = 50_000
"""Objects that are in work at a time. Larger files are never in memory as a whole, but
for --nms, where any two objects may compete."""
OPTIONS = {"pixel_m": "--pixel", "radius_method": "--radius-method"}
"""What fields of `areca.MeasureOptions` are called here."""
MOST_THREADS = 4
"""Reading and writing are one thread each: more would wait for them."""


@dataclass(frozen=True, kw_only=True)
class Suppression:
    """How to drop duplicates before measuring."""

    max_overlap: float
    """Intersection over union above which the weaker of two objects falls."""
    score: str = "score"
    """Column to rank by."""
    label: str | None = None
    """Only objects of one value in this column compete; None: `label` if there."""


@dataclass(frozen=True, kw_only=True)
class MeasuredFile:
    """What `measure_file` has written."""

    summary: Summary
    notes: dict[str, int]
    """How many objects were not plain, by note (see `areca.measures.notes`)."""
    table: Path
    circles: Path | None
    """The file of circles, where it was wanted."""
    replaced: tuple[str, ...] = ()
    """Columns of the file that are measured anew."""
    about_run: tuple[str, ...] = ()
    """What to know of the run whose objects these are."""


def measure_options(
    pixel: str | None, radius_method: str | None, *, bounding: bool
) -> MeasureOptions:
    """Return the options that words of the command ask for."""
    size: float | str | None = pixel
    if pixel is not None:
        with suppress(ValueError):
            size = float(pixel)
    with said_as(OPTIONS):
        return MeasureOptions(
            pixel_m=size,
            radius_method=cast("RadiusMethod | None", radius_method),
            bounding=bounding,
            notes=True,
        )


def measure_file(
    source: Path,
    target: Path,
    *,
    options: MeasureOptions | None = None,
    suppression: Suppression | None = None,
    draw_circles: bool = False,
    overwrite: bool = False,
) -> MeasuredFile:
    """Write a vector file again with the measures of its objects.

    Args:
        source: GeoParquet, or any vector file that GDAL reads; it needs a CRS. A run
            folder stands for its objects.
        target: GeoParquet to write, NAME.parquet.
        options: What to measure.
        suppression: How to drop duplicates first; None keeps all.
        draw_circles: Write a second file beside the first, NAME.circles.parquet, with
            the circle of each object's radius on the ground instead of its outline.
        overwrite: Whether files that are there are replaced.

    Returns:
        What was written and what the objects add up to. A source that cannot be used,
        or a target that cannot be written, ends in `areca.errors.InputError`, and
        nothing is written.
    """
    rounds = target.with_suffix(f".circles{target.suffix}") if draw_circles else None
    _check_name(target)
    for path in (target, rounds):
        if path is not None:
            check_target(path, overwrite=overwrite)
    options = options or MeasureOptions(notes=True)
    notes: Counter[str] = Counter()
    run = open_run(source) if source.exists() else None
    replaced: set[str] = set()
    parts = _noting(
        read_parts(source if run is None else run.folder.objects, ROWS),
        replaced,
        _measured_names(options),
    )
    if suppression is not None:
        parts = iter([_without_duplicates(parts, suppression)])
    with ExitStack() as stack:
        writer = stack.enter_context(ObjectsWriter(target))
        round_writer = stack.enter_context(ObjectsWriter(rounds)) if rounds else None

        def written() -> Iterator[gpd.GeoDataFrame]:
            for table in _measured(parts, options):
                if NOTE in table:
                    notes.update(_notes(table[NOTE]))
                writer.add(table)
                if round_writer is not None:
                    round_writer.add(circles(table))
                yield table

        summary = summarise(written())
    return MeasuredFile(
        summary=summary,
        notes=dict(notes.most_common()),
        table=target,
        circles=rounds,
        replaced=tuple(name for name in _measured_names(options) if name in replaced),
        about_run=tuple(state_notes(run)),
    )


def _measured_names(options: MeasureOptions) -> list[str]:
    """Return the columns that are written anew, whatever the file says of them.

    A method of the radius that is there stays, unless one is asked for.
    """
    kept = [] if options.radius_method is not None else ["radius_method"]
    errors = ERRORS if options.pixel_m is not None else ()
    wanted = [*MEASURES, *(BOUNDING if options.bounding else ()), *errors, NOTE]
    return [name for name in wanted if name not in kept]


def _noting(
    parts: Iterator[gpd.GeoDataFrame], found: set[str], names: list[str]
) -> Iterator[gpd.GeoDataFrame]:
    """Yield parts as they are, and note which of some columns they have."""
    for part in parts:
        found.update(name for name in names if name in part.columns)
        yield part


def _check_name(target: Path) -> None:
    """Refuse a name that would hide what the file is.

    Raises:
        InputError: It is not that of GeoParquet.
    """
    if not is_named_parquet(target):
        raise InputError(
            f"measure writes GeoParquet, and {target} does not end in .parquet; give "
            "--out NAME.parquet, and make other formats of it with areca export"
        )


def _measured(
    parts: Iterator[gpd.GeoDataFrame], options: MeasureOptions
) -> Iterator[gpd.GeoDataFrame]:
    """Yield measured parts in order; some are in work side by side, few in memory."""
    threads = min(MOST_THREADS, os.cpu_count() or 1)
    with ThreadPoolExecutor(threads) as pool:
        running: deque[Future[gpd.GeoDataFrame]] = deque()
        for part in parts:
            running.append(pool.submit(measure, part, options=options))
            if len(running) > threads:
                yield running.popleft().result()
        while running:
            yield running.popleft().result()


def _without_duplicates(
    parts: Iterator[gpd.GeoDataFrame], suppression: Suppression
) -> gpd.GeoDataFrame:
    """Return a whole table without the duplicates in it."""
    objects = gpd.GeoDataFrame(pd.concat(list(parts), ignore_index=True))
    return drop_duplicates(
        objects,
        max_overlap=suppression.max_overlap,
        score=suppression.score,
        label=suppression.label or ("label" if "label" in objects else None),
    )


def _notes(column: pd.Series) -> list[str]:
    """Return the notes of a table, one by one."""
    return [note for notes in column.dropna() for note in notes.split("; ")]
