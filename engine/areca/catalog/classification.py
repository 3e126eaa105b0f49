"""What items tell of the numbers of a band: the STAC classification extension.

`classification:classes` names values, `classification:bitfields` names bits and the
values of several bits (versions 1 and 2 of the extension).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from areca.catalog.quality import Bits, Scheme

if TYPE_CHECKING:
    from collections.abc import Mapping

CLASSES, BITFIELDS = "classification:classes", "classification:bitfields"
_LONGEST_FIELD = 32


def plain_name(text: str) -> str:
    """Return a name in lower case with `_` between words.

    Example:
        >>> plain_name("Cloud shadow"), plain_name("cloud_confidence.high")
        ('cloud_shadow', 'cloud_confidence_high')
    """
    return re.sub(r"\W+", "_", text.strip().lower()).strip("_")


def scheme_told(*descriptions: Mapping[str, Any]) -> Scheme | None:
    """Return what the numbers of a band mean, None where nothing tells.

    A value is called as its class; several of one name count together. A field of one
    bit is called as itself (set) or as one of its classes; a class of a field also
    `<field>_<class>`, and only so where two fields have a class of that name. What is
    no class or field as the extension has them is passed over.

    Args:
        descriptions: Of the band, then of its asset; the first that tells is taken.
    """
    for told in descriptions:
        values: dict[str, tuple[int, ...]] = {}
        for name, value in _classes(told.get(CLASSES)):
            values[name] = (*values.get(name, ()), value)
        fields = _fields(told.get(BITFIELDS))
        if values or fields:
            return Scheme(classes=values, fields=fields)
    return None


def _fields(listed: object) -> dict[str, Bits]:
    """Return bits by name: of fields, of classes within them."""
    certain: dict[str, Bits] = {}
    plain: dict[str, set[Bits]] = {}
    for one in listed if isinstance(listed, list) else []:
        first, width = _whole(one, "offset"), _whole(one, "length")
        if first is None or width is None or not 0 < width <= _LONGEST_FIELD:
            continue
        field = _name(one)
        if field and width == 1:
            certain[field] = (first, 1, 1)
        for name, value in _classes(one.get("classes")):
            bits = (first, width, value)
            plain.setdefault(name, set()).add(bits)
            if field == name:
                certain[name] = bits
            elif field:
                certain[f"{field}_{name}"] = bits
    alone = {name: min(bits) for name, bits in plain.items() if len(bits) == 1}
    return {**alone, **certain}


def _classes(listed: object) -> list[tuple[str, int]]:
    found = []
    for one in listed if isinstance(listed, list) else []:
        name, value = _name(one), _whole(one, "value")
        if name and value is not None:
            found.append((name, value))
    return found


def _name(one: object) -> str:
    """Return what a class or a field is called; classes of version 1 may have no name.

    Its title or description stands in, such as `Tree cover`.
    """
    if not isinstance(one, dict):
        return ""
    texts = (one.get(key) for key in ("name", "title", "description"))
    return next((plain_name(t) for t in texts if isinstance(t, str) and t.strip()), "")


def _whole(one: object, key: str) -> int | None:
    value = one.get(key) if isinstance(one, dict) else None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return int(value) if value >= 0 and value % 1 == 0 else None
