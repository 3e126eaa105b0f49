"""`areca export`: the objects or rasters of a run in another format."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from areca.errors import InputError
from areca.exports import ExportOptions, export_objects, export_raster
from areca.exports.formats import choose_format
from areca_pipelines.run_reading import images_of, open_run, state_notes

if TYPE_CHECKING:
    from areca.exports import Exported


WHY_LEFT_OUT = {
    "coco": "objects whose image is not known or that have no area on it",
    "flatgeobuf": "objects without geometry",
}


@dataclass(frozen=True, kw_only=True)
class ExportRequest:
    """What to export."""

    source: Path
    """Run folder, or table of objects."""
    format: str | None = None
    """Name of the format; by the suffix of the file if None."""
    out: Path | None = None
    """The file; NAME.suffix in this folder if None."""
    raster: str | None = None
    """Which raster, for a raster format."""
    options: ExportOptions = field(default_factory=ExportOptions)


def export(request: ExportRequest) -> tuple[Exported, list[str]]:
    """Export a run or a table; all is checked before anything is written.

    Args:
        request: What to export.

    Returns:
        What was written, and what to say about it.

    Raises:
        InputError: No format and no file, words that do not go together, or a raster
            of what is no run.
    """
    if request.format is None and request.out is None:
        raise InputError("name a format (--format gpkg) or a file (--out palms.gpkg)")
    form = choose_format(request.format, request.out or Path())
    out = request.out or Path(f"{request.source.resolve().stem}{form.suffix}")
    options = request.options
    _check_words(form.name, request)
    run = open_run(request.source)
    notes = state_notes(run)
    if form.name == "cog":
        if run is None:
            raise InputError(
                f"rasters are those of a run; {request.source} is no run folder"
            )
        done = export_raster(
            request.source, out, name=request.raster, overwrite=options.overwrite
        )
        return done, notes
    if form.name == "coco":
        options = replace(options, images=images_of(run))
    done = export_objects(request.source, out, format=form.name, options=options)
    if done.left_out:
        notes.append(
            f"{done.left_out:,} objects are not in it, as {form.name} has no place for "
            f"{WHY_LEFT_OUT[form.name]}"
        )
    return done, notes


def _check_words(form: str, request: ExportRequest) -> None:
    """Refuse options of other formats, which would do nothing.

    Raises:
        InputError: One is there.
    """
    given = {
        "--raster": (request.raster is not None, "cog"),
        "--wkt": (request.options.wkt, "csv"),
        "--style": (request.options.style is not None, "gpkg"),
    }
    for option, (is_given, goes_with) in given.items():
        if is_given and form != goes_with:
            raise InputError(f"{option} goes with --format {goes_with}, not {form}")
