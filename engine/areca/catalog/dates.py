"""Moments and intervals as users and STAC items write them."""

from __future__ import annotations

import calendar
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from pystac.utils import str_to_datetime

from areca.errors import CatalogError

if TYPE_CHECKING:
    import pystac

Interval = tuple[datetime, datetime]

_EARLIEST = datetime(1, 1, 1, tzinfo=UTC)
_LATEST = datetime(9999, 12, 31, tzinfo=UTC)
_PARTIAL = re.compile(r"(\d{4})(?:-(\d{2})(?:-(\d{2}))?)?")


def parse_interval(text: str) -> Interval:
    """Return the first and last moment that a text means.

    Args:
        text: `2024`, `2024-05`, `2024-05-17`, an RFC 3339 time, or two of these with a
            `/` between, where `..` or nothing leaves a side open.

    Raises:
        CatalogError: The text is none of these, or ends before it starts.

    Example:
        >>> [str(moment) for moment in parse_interval("2024-02")]
        ['2024-02-01 00:00:00+00:00', '2024-02-29 23:59:59.999999+00:00']
    """
    parts = text.strip().split("/")
    if len(parts) > 2:
        raise CatalogError(_no_date(text))
    first, last = parts[0], parts[-1]
    start = _EARLIEST if _is_open(first, parts) else _bounds(first, text)[0]
    end = _LATEST if _is_open(last, parts) else _bounds(last, text)[1]
    if start > end:
        raise CatalogError(
            f"the interval {text!r} ends before it starts; give the earlier date first"
        )
    return start, end


def item_interval(item: pystac.Item) -> Interval | None:
    """Return the first and last moment of an item, None when it has none.

    Raises:
        CatalogError: A date of the item cannot be read.
    """
    if item.datetime is not None:
        moment = _aware(item.datetime)
        return moment, moment
    start, end = (
        item.properties.get(key) for key in ("start_datetime", "end_datetime")
    )
    if not (isinstance(start, str) and isinstance(end, str)):
        return None
    try:
        return _aware(str_to_datetime(start)), _aware(str_to_datetime(end))
    except (ValueError, OverflowError) as err:
        raise CatalogError(
            f"item {item.id!r} has the dates {start!r} to {end!r}, which cannot be "
            "read; correct the item"
        ) from err


def format_moment(moment: datetime) -> str:
    """Return a moment in one fixed form, so that texts sort as times do."""
    return _aware(moment).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _is_open(part: str, parts: list[str]) -> bool:
    return len(parts) == 2 and part.strip() in {"", ".."}


def _bounds(part: str, text: str) -> Interval:
    match = _PARTIAL.fullmatch(part.strip())
    try:
        if match is None:
            moment = _aware(str_to_datetime(part.strip()))
            return moment, moment
        year, month, day = (int(group) if group else None for group in match.groups())
        start = datetime(year or 0, month or 1, day or 1, tzinfo=UTC)
        last_month = month or 12
        last_day = day or calendar.monthrange(start.year, last_month)[1]
        end = datetime(start.year, last_month, last_day, tzinfo=UTC)
        return start, end + timedelta(days=1, microseconds=-1)
    except (ValueError, OverflowError) as err:
        raise CatalogError(_no_date(text)) from err


def _no_date(text: str) -> str:
    return (
        f"{text!r} is no date; write 2024, 2024-05, 2024-05-17 or "
        "2024-05-01/2024-08-31, with .. for an open side"
    )


def _aware(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        return moment.replace(tzinfo=UTC)
    return moment.astimezone(UTC)
