"""Dates that stand in the names of files: `%Y%m%d` in `farm_20240601.tif`."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from areca.catalog.geotiffs import DATED_BY
from areca.errors import CatalogError

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pystac

_DIGITS = {"Y": 4, "m": 2, "d": 2, "j": 3, "H": 2, "M": 2, "S": 2}
"""Letters of strptime, and how many digits each stands for."""


def date_by_names(items: Iterable[pystac.Item], form: str) -> None:
    """Give items of bare files the date, UTC, that stands in their ids.

    Args:
        items: As `areca.catalog.geotiffs.items_of_files` makes them; changed in place.
        form: How the date is written, in the letters of strptime: `%Y%m%d`. What
            stands beside it may be part of it: `_1_%Y%m%d`.

    Raises:
        CatalogError: It is no such form, or an id has no date of it, or several.
    """
    pattern = _pattern(form)
    for item in items:
        found = {
            when: match.start()
            for match in pattern.finditer(item.id)
            for when in _read(match[1], form)
        }
        if len(found) != 1:
            raise CatalogError(_fault(item.id, form, found))
        (item.datetime,) = found
        item.properties[DATED_BY] = "name"


def _pattern(form: str) -> re.Pattern[str]:
    """Return what finds dates of a form, also those that overlap, within no number.

    Raises:
        CatalogError: It is no form of dates.
    """
    literals, letters = re.split(r"%(.?)", form)[::2], re.findall(r"%(.?)", form)
    wrong = [f"%{letter}" for letter in letters if letter not in _DIGITS]
    if wrong or "Y" not in letters or len(set(letters)) < len(letters):
        raise CatalogError(
            f"dates={form!r} is no form of dates: it takes %Y and, each once, "
            f"{', '.join(f'%{letter}' for letter in _DIGITS if letter != 'Y')}; for "
            "example %Y%m%d"
        )
    digits = [rf"\d{{{_DIGITS[letter]}}}" for letter in letters]
    parts = zip(map(re.escape, literals), [*digits, ""], strict=True)
    body = "".join(part for pair in parts for part in pair)
    # Digits of a longer number are no date; text that is part of the form tells enough.
    before = "" if literals[0] else r"(?<!\d)"
    after = "" if literals[-1] else r"(?!\d)"
    return re.compile(rf"(?={before}({body}){after})")


def _read(text: str, form: str) -> list[datetime]:
    try:
        return [datetime.strptime(text, form).replace(tzinfo=UTC)]
    except ValueError:
        return []  # digits that are no date


def _fault(name: str, form: str, found: dict[datetime, int]) -> str:
    if not found:
        return (
            f"no part of the name {name!r} is a date as dates={form!r} writes it; "
            "correct that, or choose files that have one"
        )
    start = min(found.values())
    beside = name[max(0, start - 4) : start]
    length = len(datetime(2000, 1, 1, tzinfo=UTC).strftime(form))
    after = name[start + length : start + length + 2]
    told = ", ".join(f"{when:%Y-%m-%d}" for when in sorted(found))
    return (
        f"the name {name!r} has several dates {form!r}: {told}; write what stands "
        f"beside the one you want as well, such as dates="
        f"{beside + form if beside else form + after!r}"
    )
