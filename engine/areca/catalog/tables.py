"""Items of a stac-geoparquet file."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pyarrow.parquet as pq
from pyarrow.lib import ArrowException

from areca.catalog.documents import MAX_ITEMS, make_item
from areca.errors import CatalogError, InputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pystac

TABLES = (".parquet", ".geoparquet")


def items_of_table(path: Path) -> Iterator[pystac.Item]:
    """Yield the items of a stac-geoparquet file.

    Raises:
        CatalogError: It cannot be read, holds something else, or too many items.
        InputError: The package that reads it is not installed.
    """
    try:
        from stac_geoparquet.arrow import stac_table_to_items  # noqa: PLC0415 - an extra
    except ImportError as err:
        raise InputError(
            f"reading {path.name} needs the package stac-geoparquet; install "
            "areca[geoparquet]"
        ) from err
    try:
        file = pq.ParquetFile(path)
        count = file.metadata.num_rows
        if count > MAX_ITEMS:
            raise CatalogError(f"{path} holds {count} items, more than {MAX_ITEMS}")
        for entry in stac_table_to_items(file.read()):
            # Arrow gives dates and arrays; JSON is what the rest understands.
            plain = json.loads(json.dumps(entry, default=str))
            yield make_item(plain, str(path), is_own=True)
    except (ArrowException, KeyError, TypeError, AttributeError, OSError) as err:
        reason = " ".join(str(err).split())[:200]
        raise CatalogError(
            f"{path} is no stac-geoparquet file ({type(err).__name__}: {reason})"
        ) from err
