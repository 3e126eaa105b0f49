"""Dates that stand in the names of files: `%Y%m%d` in `farm_20240601.tif`."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from areca.catalog.geotiffs import BY_NAME, DATED_BY
from areca.errors import CatalogError

if TYPE_CHECKING:
    import pystac

_DIGITS = {"Y": 4, "m": 2, "d": 2, "j": 3, "H": 2, "M": 2, "S": 2}
"""Letters of strptime, and how many digits each stands for."""
_WHOLE = [
    {*day, *"HMS"[:count]}
    for day in ("Y", "Ym", "Ymd", "Yj")
    for count in range(4)
    if count == 0 or day in {"Ymd", "Yj"}
]
"""Letters that together tell a date, with or without a time: `%Y%d` tells none."""


class DateForm:
    """How dates are written in names, in the letters of strptime.

    Args:
        form: `%Y%m%d`, say. What stands beside the date may be part of it: `_1_%Y%m%d`.

    Raises:
        CatalogError: It is no such form.
    """

    def __init__(self, form: str) -> None:
        literals, letters = re.split(r"%(.?)", form)[::2], re.findall(r"%(.?)", form)
        if set(letters) not in _WHOLE or len(set(letters)) < len(letters):
            raise CatalogError(
                f"dates={form!r} is no form of dates: %Y, and each once %m and %d, or "
                "%j (day of the year), and of a day %H, %M, %S; for example %Y%m%d"
            )
        digits = [rf"\d{{{_DIGITS[letter]}}}" for letter in letters]
        parts = zip(map(re.escape, literals), [*digits, ""], strict=True)
        body = "".join(part for pair in parts for part in pair)
        # Digits of a longer number are no date; text that is part of the form tells
        # enough.
        before = "" if literals[0] else r"(?<!\d)"
        after = "" if literals[-1] else r"(?!\d)"
        self.form = form
        self._pattern = re.compile(rf"(?={before}({body}){after})")
        self._shown = "%Y-%m-%d %H:%M:%S" if "H" in letters else "%Y-%m-%d"

    def date(self, item: pystac.Item) -> pystac.Item:
        """Give an item of a bare file the date, UTC, that stands in its id.

        Args:
            item: As `areca.catalog.geotiffs.item_of_file` makes it; changed in place.

        Returns:
            The item.

        Raises:
            CatalogError: Its id has no date of this form, or several.
        """
        found = self.read(item.id)
        if not found:
            raise CatalogError(
                f"no part of the name {item.id!r} is a date as dates={self.form!r} "
                "writes it; correct that, or choose files that have one"
            )
        if len(found) > 1:
            raise CatalogError(self._several(item.id, found))
        (item.datetime,) = found
        item.properties[DATED_BY] = BY_NAME
        return item

    def read(self, name: str) -> dict[datetime, int]:
        """Return the dates of a name, and where the first of each begins.

        Args:
            name: Without the ending of the file.
        """
        found: dict[datetime, int] = {}
        for match in self._pattern.finditer(name):
            try:
                when = datetime.strptime(match[1], self.form).replace(tzinfo=UTC)
            except ValueError:
                continue  # digits that are no date
            if when.strftime(self.form) == match[1]:  # day 366 would be the next year's
                found.setdefault(when, match.start())
        return found

    def _several(self, name: str, found: dict[datetime, int]) -> str:
        told = ", ".join(f"{when:{self._shown}}" for when in sorted(found))
        start = min(found.values())
        beside = f"{name[max(0, start - 4) : start]}{self.form}"
        advice = "write what stands beside the one you want as well"
        if "%" not in name and len(DateForm(beside).read(name)) == 1:
            advice += f", such as dates={beside!r}"
        return f"the name {name!r} has several dates {self.form!r}: {told}; {advice}"
