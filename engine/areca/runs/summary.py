"""The figures of a run, gathered part by part from the published table."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import geopandas as gpd
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd
    from numpy.typing import NDArray

MILLIMETRES = 1000
"""Radii are counted by the millimetre, so the median needs no list of all objects."""
MOST_BARS = 40
SCORE_BARS = 20
OUTLIER_REACH = 4.0
"""Radii further than this many quartile ranges outside the quartiles share a bar."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Histogram:
    """Counts between equally spaced edges."""

    edges: tuple[float, ...]
    """Borders of the bars, one more than there are bars, ascending."""
    counts: tuple[int, ...]
    below: int = 0
    """Values under the first edge; they are counted in the first bar."""
    above: int = 0
    """Values over the last edge; they are counted in the last bar."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What a table of measured objects adds up to; None where nothing was measured."""

    count: int
    area_m2: float
    """Sum over all objects that have an area; overlaps are counted twice."""
    radius_mean_m: float | None
    radius_median_m: float | None
    """To the millimetre; the 10th and 90th percentile likewise."""
    radius_p10_m: float | None
    radius_p90_m: float | None
    score_mean: float | None
    labels: dict[str, int]
    """Objects of each label, most frequent first."""
    radius_methods: dict[str, int]
    """Objects of each estimator (see `areca.measures.measure`)."""
    unmeasured: int
    """Objects with no radius."""
    radius_histogram: Histogram | None
    score_histogram: Histogram | None


def summarise(objects: gpd.GeoDataFrame | Iterable[gpd.GeoDataFrame]) -> Summary:
    """Add up a measured table.

    Args:
        objects: The table, or its parts one after the other. Only one part is looked
            at at a time and none is kept, so a table larger than memory is fine.

    Returns:
        The figures. Any split into parts gives the same (sums to rounding).
    """
    parts = [objects] if isinstance(objects, gpd.GeoDataFrame) else objects
    tally = _Tally()
    for part in parts:
        tally.add(part)
    return tally.summary()


def round_step(span: float, most: int) -> float:
    """Return the smallest step of 1, 2 or 5 times a power of ten that is enough.

    Args:
        span: Length to cover, above 0.
        most: Most steps allowed.

    Returns:
        The step.

    Example:
        >>> round_step(9.0, 25), round_step(1000.0, 4)
        (0.5, 500.0)
    """
    least = span / most
    power = 10.0 ** math.floor(math.log10(least))
    # A hair of slack, for 0.2 must do where 5 * 0.2 was asked for.
    return next(
        m * power for m in (1.0, 2.0, 5.0, 10.0) if m * power >= least * (1 - 1e-9)
    )


@dataclass(slots=True)
class _Tally:
    """Running sums over the parts."""

    count: int = 0
    area: float = 0.0
    radius: float = 0.0
    score: float = 0.0
    scored: int = 0
    radii: Counter[int] = field(default_factory=Counter)
    scores: NDArray[np.int64] = field(
        default_factory=lambda: np.zeros(SCORE_BARS, np.int64)
    )
    labels: Counter[str] = field(default_factory=Counter)
    methods: Counter[str] = field(default_factory=Counter)

    def add(self, part: gpd.GeoDataFrame) -> None:
        self.count += len(part)
        self.area += float(_known(part, "area_m2").sum())
        radius = _known(part, "radius_m")
        self.radius += float(radius.sum())
        values, counts = np.unique(
            np.rint(radius * MILLIMETRES).astype(np.int64), return_counts=True
        )
        self.radii.update(dict(zip(values.tolist(), counts.tolist(), strict=True)))
        score = _known(part, "score")
        self.score += float(score.sum())
        self.scored += score.size
        self.scores += np.histogram(score.clip(0, 1), SCORE_BARS, (0.0, 1.0))[0]
        for name, counter in (("label", self.labels), ("radius_method", self.methods)):
            if name in part:
                counter.update(_counts(part[name]))

    def summary(self) -> Summary:
        values = np.array(sorted(self.radii), np.int64)
        counts = np.array([self.radii[v] for v in values.tolist()], np.int64)
        measured = int(counts.sum())
        low, median, high = (
            _quantile(values, counts, share) if measured else None
            for share in (0.1, 0.5, 0.9)
        )
        return Summary(
            count=self.count,
            area_m2=self.area,
            radius_mean_m=self.radius / measured if measured else None,
            radius_median_m=median,
            radius_p10_m=low,
            radius_p90_m=high,
            score_mean=self.score / self.scored if self.scored else None,
            labels=dict(self.labels.most_common()),
            radius_methods=dict(self.methods.most_common()),
            unmeasured=self.count - measured,
            radius_histogram=_radius_histogram(values, counts) if measured else None,
            score_histogram=self._score_histogram() if self.scored else None,
        )

    def _score_histogram(self) -> Histogram:
        edges = np.linspace(0, 1, SCORE_BARS + 1)
        return Histogram(
            edges=tuple(edges.tolist()), counts=tuple(self.scores.tolist())
        )


def _known(part: gpd.GeoDataFrame, name: str) -> NDArray[np.float64]:
    """Return the numbers of a column without its gaps; none where it is missing."""
    if name not in part:
        return np.empty(0, np.float64)
    values = part[name].to_numpy(np.float64, na_value=np.nan)
    return np.asarray(values[np.isfinite(values)])


def _counts(column: pd.Series) -> dict[str, int]:
    """Return how often each value occurs."""
    return {str(value): int(n) for value, n in column.value_counts().items()}


def _quantile(
    values: NDArray[np.int64], counts: NDArray[np.int64], share: float
) -> float:
    """Return a quantile in metres, interpolated between objects as numpy does."""
    last = np.cumsum(counts) - 1
    rank = share * last[-1]
    lower, upper = values[np.searchsorted(last, [math.floor(rank), math.ceil(rank)])]
    return float(lower + (upper - lower) * (rank % 1)) / MILLIMETRES


def _radius_histogram(
    values: NDArray[np.int64], counts: NDArray[np.int64]
) -> Histogram:
    """Return radii in round bars; a few far outliers do not squeeze the others."""
    least, low, high, most = (
        _quantile(values, counts, share) for share in (0.0, 0.25, 0.75, 1.0)
    )
    reach = OUTLIER_REACH * (high - low) or most - least
    low, high = max(least, low - reach), min(most, high + reach)
    step = round_step(max(high - low, 0.01), MOST_BARS - 1)
    first = math.floor(low / step + 1e-9)
    bars = max(1, math.ceil(high / step - 1e-9) - first)
    # Bars are counted in whole millimetres: no value falls on the wrong side of a
    # border because 0.1 + 0.2 is not 0.3.
    bar = np.floor((values / MILLIMETRES - first * step) / step + 1e-9).astype(np.int64)
    weights = np.bincount(bar.clip(0, bars - 1), weights=counts, minlength=bars)
    top = values > round((first + bars) * step * MILLIMETRES)
    return Histogram(
        edges=tuple(round((first + i) * step, 9) for i in range(bars + 1)),
        counts=tuple(int(n) for n in weights),
        below=int(counts[bar < 0].sum()),
        above=int(counts[top].sum()),
    )
