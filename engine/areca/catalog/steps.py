"""Acquisitions along time: what each layer of a cube is made of."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np
from shapely import wkt

from areca.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from areca.catalog.acquisitions import Acquisition
    from areca.catalog.options import TimeMode

_HOUR_DEG = 15.0


@dataclass(frozen=True, slots=True)
class Step:
    """One layer."""

    time: np.datetime64
    """The first moment of its earliest acquisition, UTC; NaT where not known."""
    found: tuple[Acquisition, ...]
    """What it is a mosaic of, the first on top."""


def steps_of(found: Sequence[Acquisition], mode: TimeMode) -> list[Step]:
    """Return the layers of a cube, the oldest first, those without a date before all.

    Args:
        found: Acquisitions in the order of a mosaic.
        mode: `mosaic` makes one layer of all, `each` one of each, `day` one of each
            solar day: passes over one place are then one layer wherever it lies, also
            where midnight in UTC falls between them.

    Raises:
        InputError: Several have no date, and days are asked for.
    """
    if mode == "mosaic":
        return [Step(min(map(_time, found)), tuple(found))]
    ordered = sorted(found, key=lambda one: (_text(one), one.id))
    if mode == "each":
        return [Step(_time(one), (one,)) for one in ordered]
    undated = [one.id for one in ordered if not _text(one)]
    if len(undated) > 1:
        raise InputError(
            f"{len(undated)} items, {undated[0]} and others, have no date that tells "
            "their day; where names of files have it tell how (areca.search(…, "
            "dates='%Y%m%d'), in commands --dates %Y%m%d), set item.datetime of what "
            'areca.search found, or make one layer of all (time="mosaic")'
        )
    order = {id(one): number for number, one in enumerate(found)}
    days = sorted(ordered, key=_solar_day)
    return [
        Step(
            min(map(_time, group)),
            tuple(sorted(group, key=lambda one: order[id(one)])),
        )
        for group in (list(some) for _, some in groupby(days, key=_solar_day))
    ]


def _text(one: Acquisition) -> str:
    return one.parts[0].start


def _time(one: Acquisition) -> np.datetime64:
    text = _text(one)
    return np.datetime64(text.removesuffix("Z") if text else "NaT", "ns")


def _solar_day(one: Acquisition) -> str:
    """Return the day by the sun over the middle of an acquisition, empty if unknown.

    Midnight to the last digit is the date alone, of which nobody told the time.
    """
    if not _text(one):
        return ""
    time = _time(one)
    if time == (day := time.astype("datetime64[D]")):
        return str(day)
    lon = wkt.loads(one.parts[0].footprint).centroid.x
    shift = np.timedelta64(round(lon / _HOUR_DEG * 3600), "s")
    return str((time + shift).astype("datetime64[D]"))
