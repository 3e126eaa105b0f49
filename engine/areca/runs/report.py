"""The report of a run: one page that opens offline and says what the numbers mean."""

from __future__ import annotations

import base64
import io
import math
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from areca.catalog import redact
from areca.runs.charts import lay_out

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jinja2 import Template
    from PIL import Image

    from areca.runs.charts import Chart
    from areca.runs.summary import Summary

RADIUS_MEANING = {
    "model": (
        "The model gives each radius; the object is drawn as a circle of that size and "
        "its area is the area of the circle."
    ),
    "mask": (
        "The radius is that of the circle with the same area as the outline: "
        "sqrt(area / pi)."
    ),
    "ellipse_of_box": (
        "The model gives a box. The object is taken as the ellipse inside it: area "
        "pi/4 times width times length, radius half the geometric mean of the sides. "
        "A box reaches as far as the longest leaves: read this as an upper estimate."
    ),
}
"""What a radius means, by the `radius_method` of the table."""

MOST_ROWS = 200
"""Longest list on the page; the run folder has all of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InputItem:
    """One image that the run read."""

    id: str
    datetime: str
    """ISO 8601, or a range."""
    href: str
    """Where it was read; shown without user and query."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFacts:
    """The model and what is known about it."""

    name: str
    version: str
    sha256: str
    licence: str
    data: str
    """What it was trained on."""
    about: str = ""
    """What it finds, in which imagery, and where it fails."""
    scores: Mapping[str, float | str] = field(default_factory=dict)
    """Scores on ground it was not trained on, by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hole:
    """Ground that was not searched."""

    block: str
    reason: str
    area_m2: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A picture with its words."""

    image: Image.Image
    title: str
    caption: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportContext:
    """All that the report shows; nothing is read elsewhere."""

    title: str
    state: Literal["DONE", "PARTIAL"]
    recipe: str
    created: str
    """ISO 8601."""
    region: str
    """The searched region in words or coordinates."""
    searched_m2: float
    """Ground that was searched, without holes."""
    classes_m2: Mapping[str, float] = field(default_factory=dict)
    """Of that, ground of each class of a segmentation."""
    summary: Summary
    resume_command: str
    model: ModelFacts
    pictures: tuple[Picture, ...] = ()
    inputs: tuple[InputItem, ...] = ()
    holes: tuple[Hole, ...] = ()
    settings: Mapping[str, str | float] = field(default_factory=dict)
    """Name (with unit) to value: tile, halo, share of pixels computed twice, ..."""
    timings: Mapping[str, float] = field(default_factory=dict)
    """Stage to seconds, in the order to show."""
    versions: Mapping[str, str] = field(default_factory=dict)
    """Library to version; `areca` is named in the citation."""
    rasters: tuple[str, ...] = ()
    """Names of the rasters that the run wrote."""
    oversize: int = 0
    """Candidates that were not counted, as they are larger than `largest_m`."""
    seams: str = ""
    """What the seam audit says, one sentence."""
    seams_pass: bool = True
    largest_m: float | None = None
    """Largest diameter that the model can count, m; None where it is not known."""


def render_report(context: ReportContext) -> str:
    """Make the page.

    Args:
        context: What it shows.

    Returns:
        HTML 5 as one text: pictures are inside, nothing is fetched, no script runs (a
        content security policy says so too). Every number stands in full in a
        `data-value` attribute next to its rounded form.
    """
    return _template().render(
        report=context,
        summary=context.summary,
        charts=_charts(context.summary),
        density=_density(context),
        meanings=[
            (method, count, RADIUS_MEANING.get(method, "A method of this run."))
            for method, count in context.summary.radius_methods.items()
        ],
        most_rows=MOST_ROWS,
        hole_m2=math.fsum(hole.area_m2 for hole in context.holes),
    )


def _charts(summary: Summary) -> list[tuple[str, str, Chart]]:
    """Return title, foot note and drawing of each histogram."""
    charts = []
    radius, score = summary.radius_histogram, summary.score_histogram
    if radius is not None:
        beyond = radius.below + radius.above
        note = (
            f"{beyond:,} objects beyond the ends stand in the last bar of their side."
        )
        marks = {"median": summary.radius_median_m}
        chart = lay_out(radius, "radius, m", marks)
        charts.append(("Radius", note if beyond else "", chart))
    if score is not None:
        charts.append(("Score", "", lay_out(score, "score of the model")))
    return charts


def _density(context: ReportContext) -> float | None:
    """Return objects per searched hectare; None where nothing was searched."""
    hectares = context.searched_m2 / 1e4
    return context.summary.count / hectares if hectares > 0 else None


def _number(value: float | None, digits: int = 0) -> Markup:
    """Return a rounded number that carries its full value."""
    if value is None or not math.isfinite(value):
        return Markup('<span class="none">not known</span>')
    shown = f"{value:,.{digits}f}"
    return Markup('<span data-value="{}">{}</span>').format(repr(value), shown)


def _hectares(square_metres: float) -> Markup:
    """Return ground in hectares, with the digits that a density needs of it."""
    hectares = square_metres / 1e4
    digits = 1 if hectares >= 10 else 2 if hectares >= 0.1 else 4
    return _number(hectares, digits)


def _seconds(value: float) -> str:
    """Return a duration as people say it."""
    if value < 60:
        return f"{value:.1f} s"
    minutes, seconds = divmod(round(value), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {seconds:02d} s"


def _moment(value: str) -> str:
    """Return an ISO 8601 time to the minute; anything else as it is."""
    try:
        time = datetime.fromisoformat(value)
    except ValueError:
        return value
    if time.tzinfo is not None:
        time = time.astimezone(UTC)
        is_day = time.time() == datetime.min.time()  # nobody told a time of it
        return f"{time:%Y-%m-%d}" if is_day else f"{time:%Y-%m-%d %H:%M} UTC"
    return f"{time:%Y-%m-%d %H:%M}" if "T" in value else value


def _plain(value: float | str) -> Markup | str:
    """Return a setting or a score: numbers carry their full value."""
    if isinstance(value, str):
        return value
    if float(value).is_integer():
        return _number(value)
    return Markup('<span data-value="{}">{}</span>').format(repr(value), f"{value:.4g}")


def _data_uri(image: Image.Image) -> str:
    """Return a picture as an address that holds it (JPEG: imagery is no line art)."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=88, optimize=True, progressive=True)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


@lru_cache(maxsize=1)
def _template() -> Template:
    """Return the page's template; every value is escaped unless it is Markup."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters: dict[str, Any] = {
        "hectares": _hectares,
        "moment": _moment,
        "number": _number,
        "plain": _plain,
        "seconds": _seconds,
        "data_uri": _data_uri,
        "redact": redact,
    }
    environment.filters.update(filters)
    return environment.get_template("report.html.jinja")
