"""What the command shows: progress bars, tables, results."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pandas as pd
from rich.cells import cell_len
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from typing_extensions import override

from areca.measures.zones import NOWHERE_NAME
from areca.models.handle import list_models, load_model
from areca_pipelines.recipe import list_recipes, recipe_path

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence
    from types import TracebackType

    import xarray as xr
    from rich.console import JustifyMethod

    from areca.exports import Exported
    from areca.models.card import ModelCard
    from areca.models.handle import Model
    from areca.runs import BlockDone, RunResult
    from areca_pipelines.census import PlanSummary
    from areca_pipelines.measuring import MeasuredFile

OUT = Console(highlight=False)
NOTES = Console(stderr=True, highlight=False)
MOST_ROWS = 50
"""Rows of a summary that are shown; a file has them all."""
SUMMARY_COLUMNS = {
    "count": ("objects", 0),
    "count_low": ("interval", 0),
    "gaps": ("gaps", 0),
    "zone_area_ha": ("ha", 2),
    "cell_area_ha": ("ha", 2),
    "density_per_ha": ("per ha", 1),
    "radius_median_m": ("radius, m", 2),
    "plant_spacing_median_m": ("planting, m", 2),
    "nearest_median_m": ("nearest plant, m", 2),
    "shared": ("shared", 0),
}
"""Columns of a summary that are shown: heading and decimals."""
LEAST_NAME = 7
"""Letters of a zone's name that stand in one line, however narrow the screen."""
LINES_EVERY = 100
"""Steps between two lines of a training's log."""


class _Bar:
    """A bar that counts in some unit; silent where there is no terminal."""

    def __init__(self, unit: str) -> None:
        self._bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn(unit),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=NOTES,
            disable=not NOTES.is_terminal,
        )

    def __enter__(self) -> Self:
        """Return the bar, drawn from now on."""
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop drawing."""
        self._bar.stop()


class BlockBar(_Bar):
    """A bar of the blocks of a run; plain lines where there is no terminal."""

    def __init__(self) -> None:
        """Prepare the bar; it moves from the start, before any block has ended."""
        super().__init__("blocks")
        self._task = self._bar.add_task("no block finished yet", total=None)
        self._ending: TaskID | None = None
        self._seen = self._resumed = self._failed = self._found = 0

    @override
    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop drawing; only a bar that counted something stays on the screen."""
        if self._ending is not None:
            self._bar.remove_task(self._ending)
        self._bar.live.transient = self._seen == 0
        super().__exit__(kind, error, trace)

    def __call__(self, done: BlockDone, *, total: int, resumed: bool) -> None:
        """Count one block."""
        self._seen += 1
        self._resumed += resumed
        self._failed += done.error is not None
        self._found += done.settled + done.open
        failed = f", {self._failed} failed" if self._failed else ""
        resumed_text = f", {self._resumed} resumed" if self._resumed else ""
        text = f"{self._found:,} candidates{resumed_text}{failed}"
        total = max(total, self._seen)  # chains of rivals may ask for more blocks
        self._bar.update(
            self._task, completed=self._seen, total=total, description=text
        )
        if self._seen == total and self._ending is None:
            # A finished bar stands still, and a large run is not at its end.
            self._ending = self._bar.add_task("seams, table, report", total=None)
        if not NOTES.is_terminal and (done.error or not resumed):
            what = done.error or f"{done.settled + done.open} candidates"
            NOTES.print(
                f"block {done.name} ({self._seen}/{total}): {what}", markup=False
            )


class ShardBar(_Bar):
    """A bar of the shards of a cube."""

    def __init__(self) -> None:
        """Prepare the bar; it moves from the start, while items are looked for."""
        super().__init__("shards")
        self._task = self._bar.add_task("looking for items", total=None)

    def __call__(self, done: int, total: int) -> None:
        """Show how many shards are written."""
        self._bar.update(self._task, completed=done, total=total, description="cube")


class TrainingBar(_Bar):
    """A bar of the steps of a training, with the loss; plain lines in a log."""

    def __init__(self) -> None:
        """Prepare the bar; it is drawn from the first step on."""
        super().__init__("steps")
        self._tasks: dict[str, TaskID] = {}

    def __call__(
        self, stage: str, step: int, total: int, losses: dict[str, float]
    ) -> None:
        """Show one step."""
        if stage not in self._tasks:
            self._tasks[stage] = self._bar.add_task(stage, total=total)
        text = f"{stage}, loss {losses['total']:.3f}"
        self._bar.update(self._tasks[stage], completed=step, description=text)
        if not NOTES.is_terminal and (step % LINES_EVERY == 0 or step == total):
            NOTES.print(f"{text}, step {step}/{total}")


def print_result(result: RunResult) -> None:
    """Say how a run ended and where everything is."""
    found, folder = result.summary, result.folder
    overlap = "; where objects overlap, ground counts twice"
    OUT.print(f"[bold]{found.count:,} objects[/bold], {result.state}")
    if found.count:
        OUT.print(f"mean radius  {found.radius_mean_m:.2f} m")
        OUT.print(f"total area   {found.area_m2:,.0f} m²{overlap}")
    seen = sum(result.class_px.values())
    for name, pixels in result.class_px.items():
        if pixels:
            _plain(f"{name:12} {pixels / seen:.2%} of the ground")
    if result.is_repeated:
        done = "the run was finished, nothing to do"
        OUT.print(f"{len(result.blocks)} blocks; {done}")
    else:
        OUT.print(
            f"{len(result.blocks)} blocks ({result.resumed} resumed) in "
            f"{result.wall_s:.1f} s; forward passes took {result.forward_share:.0%} of "
            "the time that workers had blocks"
        )
    if (measured := result.measured_batch) is not None:
        size, reason = measured["batch_size"], measured["reason"]
        _plain(f"batch   {size} tiles a pass, measured: {reason}")
    if result.oversize:
        _plain(f"{result.oversize:,} too large to be counted, see oversize.geojson")
    if not result.seams["passed"]:
        _plain(f"seam audit FAILED: {result.seams['words']}")
    for hole in result.holes:
        _plain(f"hole    block {hole.name}: {hole.error}")
    _plain(f"table   {_near(folder.objects)}")
    if folder.rasters.exists():
        _plain(f"rasters {_near(folder.rasters)}")
    _plain(f"report  {_near(folder.report)}")
    if result.holes:
        _plain(f"holes   {_near(folder.holes)}")


def _plain(line: str) -> None:
    """Print a line as it is: names and paths may hold what looks like markup."""
    OUT.print(line, markup=False, soft_wrap=True)


def _near(path: Path) -> Path:
    """Return a path as seen from here where it lies below, else whole."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def print_plan(summary: PlanSummary) -> None:
    """Say what a run would do."""
    table = Table(show_header=False, box=None, pad_edge=False)
    items = summary.items
    shown = ", ".join(items[:3]) + (", …" if len(items) > 3 else "")
    table.add_row("items", escape(f"{len(items):,}  ({shown})"))
    table.add_row("blocks", f"{summary.blocks:,}")
    table.add_row("tiles", f"{summary.tiles:,}")
    table.add_row("pixels", f"{summary.pixels / 1e6:,.1f} million")
    table.add_row("computed twice", f"{summary.twice_share:.0%} (halos of tiles)")
    table.add_row("pixel", f"{summary.pixel_m:.3g} m")
    table.add_row("ground of blocks", f"{summary.area_ha:,.1f} ha")
    table.add_row("to decode", f"{summary.read_bytes / 1e6:,.1f} MB")
    OUT.print(table)
    for note in summary.notes:
        print_note(note)


def print_models(names: Sequence[str] | None = None) -> None:
    """Say what models are, one fact a line: a licence is longer than a column.

    Args:
        names: Names or folders; the built-in models when left out.
    """
    for name in list_models() if names is None else names:
        card = load_model(name).card
        OUT.print(f"[bold]{escape(name)}[/bold]")
        table = Table(show_header=False, box=None, pad_edge=False, padding=(0, 2))
        for fact, value in _facts(card).items():
            table.add_row(f"  {fact}", escape(value))
        OUT.print(table)


def _facts(card: ModelCard) -> dict[str, str]:
    return {
        "task": card.task,
        "finds": ", ".join(card.labels),
        "architecture": card.architecture,
        "bands": ", ".join(card.bands),
        "pixel": f"{card.resolution_m:g} m",
        "tile": f"{card.tile_px} px, of which {card.core_px} px are its own",
        "parameters": f"{card.parameters:,}" if card.parameters else "not known",
        "licence": card.license or "not known",
    }


def print_recipes() -> None:
    """List the built-in recipes."""
    table = Table("recipe", "kind", "what it does")
    for name in list_recipes():
        kind, about = recipe_heading(name)
        table.add_row(name, kind, about)
    OUT.print(table)


def recipe_heading(name: str) -> tuple[str, str]:
    """Return the kind of a recipe and the sentence about it."""
    data = tomllib.loads(recipe_path(name).read_text(encoding="utf-8"))
    return data.get("kind", ""), data.get("about", "")


def print_measured(measured: MeasuredFile) -> None:
    """Say what was measured, what was not plain about it, and where it is."""
    summary = measured.summary
    OUT.print(f"[bold]{summary.count:,} objects[/bold]")
    if summary.radius_mean_m is not None:
        OUT.print(f"mean radius  {summary.radius_mean_m:.2f} m")
        OUT.print(f"total area   {summary.area_m2:,.1f} m²")
    for note, count in measured.notes.items():
        OUT.print(f"{note}  {count:,}")
    for note in measured.about_run:
        print_note(note)
    if measured.replaced:
        _plain(f"replaced the file's own {', '.join(measured.replaced)}")
    _plain(f"table   {measured.table}")
    if measured.circles is not None:
        _plain(f"circles {measured.circles}")


def print_exported(done: Exported, notes: Sequence[str]) -> None:
    """Say what was exported and where it is."""
    for note in notes:
        print_note(note)
    what = "pixels" if done.format == "cog" else "objects"
    OUT.print(f"[bold]{done.count:,} {what}[/bold] as {done.format}")
    _plain(f"file    {_near(done.path)}")


def print_summary(
    table: pd.DataFrame, notes: Sequence[str], files: Sequence[Path]
) -> None:
    """Show the figures of zones or cells, the first ones where there are many."""
    for note in notes:
        print_note(note)
    key = str(table.columns[0])
    columns = {n: c for n, c in SUMMARY_COLUMNS.items() if n in table}
    if "shared" in table and not table["shared"].any():
        columns.pop("shared")
    lines = [[key, *(heading for heading, _ in columns.values())]]
    table = table[(table[key] != NOWHERE_NAME) | (table["count"] > 0)]
    for row in table.head(MOST_ROWS).to_dict("records"):
        figures = (_figure(row, name, digits) for name, (_, digits) in columns.items())
        lines.append([str(row[key]), *figures])
    OUT.print(_fitted(lines), crop=False)
    if len(table) > MOST_ROWS:
        OUT.print(f"and {len(table) - MOST_ROWS:,} more rows")
    for path in files:
        _plain(f"file    {_near(path)}")


def _fitted(lines: Sequence[Sequence[str]]) -> Table:
    """Return names and figures as a table that loses none of them.

    Args:
        lines: The heading, then the rows; the name is first in each.

    Returns:
        The table. Where it is wider than the screen, headings and intervals are broken
        in two lines, then names; a screen that is narrower still breaks its lines.
    """
    widths, gap = _widths(lines), 2
    if sum(widths) + gap * (len(widths) - 1) > OUT.width:
        lines = [
            [name, *(re.sub(r" (?!to )", "\n", f) for f in line)]
            for name, *line in lines
        ]
        widths, gap = _widths(lines), 1
        left = OUT.width - sum(widths[1:]) - gap * (len(widths) - 1)
        widths[0] = min(widths[0], max(left, LEAST_NAME))
    # rich would drop the names of a table that is wider than the screen.
    whole = sum(widths) + gap * (len(widths) - 1)
    shown = Table(box=None, pad_edge=False, collapse_padding=gap == 1, width=whole)
    for number, (word, width) in enumerate(zip(lines[0], widths, strict=True)):
        justify: JustifyMethod = "right" if number else "left"
        shown.add_column(escape(word), width=width, justify=justify, overflow="fold")
    for name, *figures in lines[1:]:
        shown.add_row(escape(name), *figures)
    return shown


def _widths(lines: Sequence[Sequence[str]]) -> list[int]:
    """Return how wide columns are, of texts that may be broken already."""
    return [
        max(cell_len(part) for text in column for part in text.split("\n"))
        for column in zip(*lines, strict=True)
    ]


def _figure(row: Mapping[Hashable, Any], name: str, digits: int) -> str:
    """Return a figure of a row of a summary in words; empty where there is none."""
    if name == "count_low":
        return f"{row['count_low']:,} to {row['count_high']:,}"
    if pd.isna(row[name]):
        return ""
    figure = f"{row[name]:,.{digits}f}"
    if name == "plant_spacing_median_m" and "pattern" in row:
        return f"{figure} {row['pattern']} {row['pattern_share']:.0%}"
    return figure


def print_cube(cube: xr.DataArray, out: str) -> None:
    """Say what a stored cube is."""
    sizes = " x ".join(f"{size:,} {dim}" for dim, size in cube.sizes.items())
    _plain(f"{out}: {sizes}, {cube.dtype}, {cube.rio.crs}")
    _plain(f"bands: {', '.join(map(str, cube.band.values))}")
    items = cube.attrs.get("items", [])
    shown = set(map(str, cube.band.values))
    how = [
        {method for band, method in item.get("resampling", {}).items()
         if band in shown and method is not None}
        for item in items
    ]  # fmt: skip
    if any(how):
        methods = ", ".join(sorted(set().union(*how)))
        moved = sum(map(bool, how))
        _plain(f"warped: {moved} of {len(items)} items, on other pixels ({methods})")
    if "time" in cube.dims:
        first, last = (str(day)[:10] for day in cube.time.values[[0, -1]])
        _plain(f"dates: {first} to {last}")


def print_note(text: str) -> None:
    """Print a note for people, apart from the figures."""
    NOTES.print(text, markup=False, soft_wrap=True)


def print_trained(model: Model) -> None:
    """Say where a trained model is and what it scored on held-back ground."""
    card = model.card
    OUT.print(
        f"[bold]{card.name} {card.version}[/bold], {card.parameters:,} parameters"
    )
    OUT.print(f"threshold {card.score_threshold:g}")
    for ground, scores in card.scores.items():
        _plain(f"{ground}: {scores}")
    _plain(f"model   {model.folder}")
