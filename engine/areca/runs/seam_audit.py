"""Seam audit: does a product look different along the lines where work was divided?

Tiles and blocks are ours, not nature's: in a sound product nothing depends on how far
a pixel or an object lies from a lattice line. So everything is counted by *phase*, the
distance to the nearest line, and the phase of the lines is compared with all others.

How far phases differ by chance is measured, not assumed. Edges in an image come in
clumps and palms stand in rows, so the binomial or Poisson formula gives too narrow a
spread (a row of palms every 40 pixels makes some phases full and others empty). Each
window of phases away from the lines is a placebo: a line where there is none. With the
rate y of the window at the lines, and the mean m and standard deviation s of the n
placebos,

    t = (y - m) / (max(s, s0) * sqrt(1 + 1 / n_eff))

is Student's t of one new observation (NIST/SEMATECH handbook, prediction limits) with
n_eff - 1 degrees of freedom; z is the normal deviate of the same tail. Overlapping
windows are not independent: n_eff = n / sum(rho_k^2), rho the correlation of two
windows k phases apart (Bartlett 1946). s0 is what pure chance would leave: Poisson for
counts, the standard error of the mean for radii; real data cannot be surer than that.

A statistic fails when |z| reaches the threshold *and* no placebo lies as far out on
that side. The second condition needs no distribution: lines that are like all other
phases are the furthest of n_eff independent ones once in n_eff times. What cannot be
told: rows planted every `core_px` pixels, or straight field borders along a line of a
product of a few tiles, look like a seam.
"""

from __future__ import annotations

import math
import sys
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import ndtri, stdtr, stdtrit

from areca.runs.seam_tally import AXES, KINDS, QUANTITIES, RADIUS_STEPS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from areca.runs.seam_tally import SeamTally

THRESHOLD = 4.0
"""Least |z| of a seam; drawn worlds without one stay below it, see the tests."""
LEAST_EVENTS = 20
"""Objects or pixel pairs at the lines below which nobody can tell."""
LEAST_PLACEBOS = 4.0
"""Independent placebos below which their spread says nothing."""
NEAR_PX = 3
"""Half the width of the narrow window: objects lost or doubled right on a line."""
RASTER_ZONE_PX = 4
FLANK_PX = 16
"""A line of a raster is compared with this many phases on either side of it: rates of
class change drift slowly over the ground, a seam is one phase wide."""


_CLASSES, _DOUBLED = "class changes at", "share of doubled objects"
"""How the names of two kinds of statistics begin."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeamStatistic:
    """One comparison of lines with the ground between them."""

    name: str
    """What is compared, at which lines."""
    near: float
    """At the lines: objects per 1e6 px, share of objects, px, or changes per pair."""
    interior: float
    """The same away from them."""
    ratio: float
    """`near / interior`; NaN where the interior has none."""
    ratio_low: float
    """Lower end of the 95 % interval of the ratio; `ratio_high` is the upper end."""
    ratio_high: float
    z: float
    """How far out `near` is, as a normal deviate; 0 where too little was seen."""
    n: int
    """Objects or pairs of pixels at the lines."""
    enough: bool
    """Whether there was enough to tell."""
    passed: bool
    """No seam was found; also True where there was not enough to tell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeamAudit:
    """What the audit found."""

    threshold: float
    statistics: tuple[SeamStatistic, ...]

    @property
    def passed(self) -> bool:
        """Whether no statistic shows a seam."""
        return all(s.passed for s in self.statistics)

    def to_dict(self) -> dict[str, Any]:
        """Return what JSON can hold; numbers that are not finite become None."""
        rows = [asdict(s) for s in self.statistics]
        for row in rows:
            for key, value in row.items():
                if isinstance(value, float) and not math.isfinite(value):
                    row[key] = None
        return {
            "passed": self.passed,
            "threshold": self.threshold,
            "words": self.words(),
            "statistics": rows,
        }

    def words(self) -> str:
        """Return one plain sentence."""
        told = [s for s in self.statistics if s.enough]
        if not told:
            return "Not enough lies along the lattice lines to tell whether they show."
        worst = max(told, key=lambda s: (not s.passed, abs(s.z)))
        figure = (
            f"{worst.name}: {worst.near:.4g} against {worst.interior:.4g} in the "
            f"interior, z = {worst.z:+.1f}"
        )
        failed = sum(not s.passed for s in told)
        if failed:
            return (
                f"Seams show in {failed} of {len(told)} statistics, most in {figure}. "
                f"{_remedy(worst.name)}"
            )
        return f"No seam shows in {len(told)} statistics; furthest out is {figure}."


def _remedy(name: str) -> str:
    """Return what to change where a statistic fails, and see in a new run folder."""
    if name.startswith(_CLASSES):
        return (
            "Tiles see too little around them: raise context_px of the model's card "
            "(with tile_px), or let tiles fade into each other with blend_px, which "
            "may be as large as the halo."
        )
    if name.startswith(_DOUBLED):
        return (
            "Tiles see objects in two ways: lower nms_overlap, or raise context_px of "
            "the model's card (with tile_px)."
        )
    return (
        "Tiles see too little around them: raise context_px of the model's card, or "
        "its max_object_px if objects are larger than it says (with tile_px)."
    )


def audit(tally: SeamTally, *, threshold: float = THRESHOLD) -> SeamAudit:
    """Compare the lines of a tally with the ground between them.

    Args:
        tally: Of a whole product: objects, a raster or both.
        threshold: Least |z| of a seam.

    Returns:
        One statistic for each kind of line, direction and quantity that was tallied.
    """
    found = []
    for axis, direction in enumerate(AXES):
        for kind, line in enumerate(KINDS):
            counts = dict(zip(QUANTITIES, tally.counts[:, axis, kind], strict=True))
            where = f"{direction} {line} lines"
            found += [
                _compare(question, where, threshold) for question in _questions(counts)
            ]
    return SeamAudit(threshold=threshold, statistics=tuple(found))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Question:
    """A rate by phase, top / bottom, and the window of phases to look at."""

    what: str
    top: NDArray[np.int64]
    bottom: NDArray[np.int64]
    low: int
    high: int
    """Phases low to high - 1, counted from the line."""
    zone: int
    """Phases this near to a line are no placebos."""
    flank: int | None = None
    """Phases on either side that a window is compared with; None takes all."""
    unit: float = 1.0
    """Factor from the rate to what a reader is told."""
    variance: float | None = None
    """Of one unit of `bottom`; None takes Poisson's."""
    is_density: bool = False
    """Whether `bottom` is ground, so that only `top` counts as something seen."""


def _questions(counts: dict[str, NDArray[np.int64]]) -> Iterator[_Question]:
    if counts["pairs"].any():
        yield _Question(
            what=_CLASSES, top=counts["changes"], bottom=counts["pairs"],
            low=0, high=1, zone=RASTER_ZONE_PX, flank=FLANK_PX,
        )  # fmt: skip
    if not counts["ground"].any():
        return
    n = max(int(counts["measured"].sum()), 1)
    mean = counts["radius"].sum() / n
    most = counts["ground"].size // 8
    near = min(NEAR_PX, most)
    reach = min(max(round(mean / RADIUS_STEPS), near), most)
    for width in sorted({near, max(reach // 2, near)}):
        yield _Question(
            what=f"objects within {width} px of", top=counts["objects"], zone=reach,
            bottom=counts["ground"], low=-width, high=width, unit=1e6, is_density=True,
        )  # fmt: skip
    yield _Question(
        what=f"{_DOUBLED} within {reach} px of", top=counts["doubled"],
        bottom=counts["objects"], low=-reach, high=reach, zone=reach,
    )  # fmt: skip
    yield _Question(
        what=f"mean radius within {reach} px of", top=counts["radius"], zone=reach,
        bottom=counts["measured"], low=-reach, high=reach, unit=1 / RADIUS_STEPS,
        variance=max(float(counts["radius_squared"].sum() / n - mean**2), 1.0),
    )  # fmt: skip


def _compare(q: _Question, where: str, threshold: float) -> SeamStatistic:
    """Return the answer to one question, by the formulas at the head of the module."""
    middle = q.top.size // 2
    n = int(q.bottom[middle + q.low : middle + q.high].sum())
    near = int(q.top[middle + q.low : middle + q.high].sum()) / max(n, 1)
    # What lies at the lines must not tell what the interior looks like.
    between = np.abs(np.arange(q.top.size) - middle + 0.5) > q.zone
    sums, sizes = (_windows(q, np.where(between, v, 0)) for v in (q.top, q.bottom))
    rates = sums / np.maximum(sizes, 1)
    interior, others = float(rates[1, middle]), int(sizes[1, middle])
    whole = _windows(q, between)[0] == q.high - q.low
    placebos = (rates[0] - rates[1])[whole & (sizes > 0).all(axis=0)]
    independent = placebos.size / _dependence(q)
    seen = n * max(near, interior) if q.is_density else n
    enough = min(seen, others) >= LEAST_EVENTS and independent >= LEAST_PLACEBOS
    z, half, passed = 0.0, math.nan, True
    if enough:
        one = max(interior, 1 / n) if q.variance is None else q.variance
        chance = one * (1 / n + 1 / others)
        z, half, extreme = _judge(near - interior, placebos, independent, chance)
        passed = abs(z) < threshold or not extreme
    ratio, half = (v / (interior or math.nan) for v in (near, half))
    return SeamStatistic(
        name=f"{q.what} {where}", near=near * q.unit, interior=interior * q.unit,
        ratio=ratio, ratio_low=ratio - half, ratio_high=ratio + half, z=z, n=n,
        enough=enough, passed=passed,
    )  # fmt: skip


def _judge(
    found: float, placebos: NDArray[np.float64], independent: float, chance: float
) -> tuple[float, float, bool]:
    """Return z, the half width of the 95 % interval, and whether it is the furthest."""
    centre = float(placebos.mean())
    variance = max(float(placebos.var(ddof=1)), chance)
    spread = math.sqrt(variance * (1 + 1 / independent))
    off = found - centre
    tail = stdtr(independent - 1, -abs(off) / spread)
    # The smallest float keeps z finite where the tail is less than it.
    z = math.copysign(float(ndtri(max(tail, sys.float_info.min))), off)
    extreme = bool((np.copysign(1, off) * (placebos - centre) < abs(off)).all())
    return z, float(stdtrit(independent - 1, 0.975)) * spread, extreme


def _windows(q: _Question, values: NDArray[Any]) -> NDArray[np.int64]:
    """Return the sums over the window and over its flanks, shape (2, phase).

    Phases wrap round: the last one before half way to the next line is followed by the
    first one after half way from the line before.
    """
    size = values.size
    run = np.concatenate(([0], np.cumsum(np.tile(values.astype(np.int64), 3))))

    def between(low: int, high: int) -> NDArray[np.int64]:
        start = size + low
        return (
            run[start + high - low : start + high - low + size]
            - run[start : start + size]
        )

    if q.flank is None:
        return np.stack([between(q.low, q.high), np.full(size, run[size])])
    flanks = between(q.low - q.flank, q.low) + between(q.high, q.high + q.flank)
    return np.stack([between(q.low, q.high), flanks])


def _dependence(q: _Question) -> float:
    """Return sum(rho_k^2): how many overlapping windows tell as much as one apart."""
    width = q.high - q.low
    weight = np.full(width, 1 / width)
    if q.flank is not None:
        flank = np.full(q.flank, -0.5 / q.flank)
        weight = np.concatenate([flank, weight, flank])
    lagged = np.correlate(weight, weight, "full")
    return float(np.sum((lagged / lagged.max()) ** 2))
