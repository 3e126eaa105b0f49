"""Which of the two quality bands called BQA an item of Landsat holds.

Sources: USGS, Landsat Collection 1 level-1 product definition (LSDS-1656) and Landsat 8
data format control book (LSDS-809): names of products and scenes.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from areca.catalog.quality import SCHEMES, Scheme

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pystac

_PRODUCT = re.compile(r"L[COTEM]\d\d_L\d[A-Z]{2}_\d{6}_\d{8}_\d{8}_(\d\d)_(T1|T2|RT)")
"""`LC08_L1TP_…_01_T1`: products of a collection, whose number is told."""
_SCENE = re.compile(r"L[CO]8\d{13}[A-Z]{3}\d\d")
"""`LC8pppRRRyyyydddGSIvv`: how scenes were called before there were collections."""
_NUMBER = "landsat:collection_number"


def bqa_scheme(item: pystac.Item, names: Iterable[str], href: str) -> Scheme | None:
    """Return what the bits of a band BQA mean; None for other bands and if not told.

    The number of a collection comes first, as items of a collection may go by the name
    of their scene.

    Args:
        item: Item of the band.
        names: All names of the band.
        href: File of the band.
    """
    if not any(name.lower().rpartition(".")[2] == "bqa" for name in names):
        return None
    fields = item.properties
    texts = [item.id, PurePosixPath(urlsplit(href).path).name]
    products = [*texts, str(fields.get("landsat:product_id", ""))]
    numbers = {found[1] for found in map(_PRODUCT.search, products) if found}
    if _NUMBER in fields:
        numbers = {str(fields[_NUMBER]).zfill(2)}
    if numbers:
        key = "bqa" if numbers == {"01"} else ""
    else:
        key = "bqa_pre" if any(map(_SCENE.search, texts)) else ""
    return SCHEMES.get(key)
