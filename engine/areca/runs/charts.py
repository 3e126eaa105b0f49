"""Histograms as plain numbers that a page draws as SVG."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from areca.runs.summary import round_step

if TYPE_CHECKING:
    from areca.runs.summary import Histogram

WIDTH, HEIGHT = 420.0, 190.0
LEFT, RIGHT, TOP, BOTTOM = 44.0, 10.0, 16.0, 36.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One bar of a chart, in units of the drawing."""

    x: float
    y: float
    width: float
    height: float
    title: str
    """What the bar says when it is pointed at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """One mark on an axis, in units of the drawing."""

    at: float
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """A histogram laid out in a drawing of `width` by `height`."""

    bars: tuple[Bar, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    marks: tuple[Tick, ...]
    """Upright lines over the bars, with a word each."""
    axis: str
    """What the horizontal axis shows."""
    left: float = LEFT
    right: float = WIDTH - RIGHT
    top: float = TOP
    base: float = HEIGHT - BOTTOM
    width: float = WIDTH
    height: float = HEIGHT


def lay_out(
    histogram: Histogram, axis: str, marks: dict[str, float | None] | None = None
) -> Chart:
    """Lay out a histogram.

    Args:
        histogram: Bars to draw; one at least.
        axis: Text under the horizontal axis, with the unit.
        marks: Values to show as upright lines, by their word; None is left out.

    Returns:
        The drawing.
    """
    low, high = histogram.edges[0], histogram.edges[-1]
    most = max(1, *histogram.counts)
    across = (WIDTH - LEFT - RIGHT) / (high - low)
    base = HEIGHT - BOTTOM
    up = (base - TOP) / most
    edges = histogram.edges
    bars = tuple(
        Bar(
            x=LEFT + (start - low) * across + 0.5,
            y=base - count * up,
            width=max((end - start) * across - 1, 0.5),
            height=count * up,
            title=f"{start:g} to {end:g}: {count:,}",
        )
        for start, end, count in zip(
            edges[:-1], edges[1:], histogram.counts, strict=True
        )
    )
    return Chart(
        bars=bars,
        x_ticks=tuple(
            Tick(at=LEFT + (value - low) * across, text=f"{value:g}")
            for value in _round_values(low, high, 8)
        ),
        y_ticks=tuple(
            Tick(at=base - value * up, text=f"{value:,.0f}")
            for value in _round_values(0, most, 4)
            if value == int(value)
        ),
        marks=tuple(
            Tick(at=LEFT + (value - low) * across, text=word)
            for word, value in (marks or {}).items()
            if value is not None and low <= value <= high
        ),
        axis=axis,
    )


def _round_values(low: float, high: float, most: int) -> list[float]:
    """Return round values from low to high, `most` or a few less."""
    step = round_step(high - low, most)
    first = -int(-(low / step - 1e-9) // 1)
    last = int((high / step + 1e-9) // 1)
    return [round(i * step, 9) for i in range(first, last + 1)]
