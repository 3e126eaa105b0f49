"""Where items came from, which decides what their assets may name."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING

from areca.catalog.hrefs import reach_of, redact_link
from areca.errors import CatalogError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    import pystac

# Kept beside the items, not in them: what an item says about itself is no evidence.
_origins: weakref.WeakKeyDictionary[pystac.Item, str] = weakref.WeakKeyDictionary()

_documents: weakref.WeakKeyDictionary[pystac.Item, str] = weakref.WeakKeyDictionary()
_TRUST = ("public", "private", "local")

UNKNOWN = "https://unknown.invalid/"
"""Stands for a catalogue that nobody vouched for: public assets only."""


def set_origin(items: Iterable[pystac.Item], catalog: str | Path) -> list[pystac.Item]:
    """Note the catalogue of items that did not come from `areca.search`.

    Items made in Python, or fetched by another client, are treated as coming from the
    internet until this says otherwise: they may not name local files.

    Args:
        items: STAC items.
        catalog: A local folder or file, or the link of the catalogue.

    Returns:
        The same items.
    """
    marked = list(items)
    for item in marked:
        _origins[item] = str(catalog)
        _documents.pop(item, None)
    return marked


def set_found(items: Iterable[pystac.Item], catalog: str) -> list[pystac.Item]:
    """Note the catalogue of items that a search found in it, or behind its links.

    Unlike `set_origin` this vouches for nothing: an item of a document elsewhere
    (`set_document`) may name no more than that document could.

    Args:
        items: STAC items.
        catalog: Where the search began.

    Returns:
        The same items.
    """
    marked = list(items)
    for item in marked:
        _origins[item] = catalog
    return marked


def set_document(item: pystac.Item, document: str) -> None:
    """Note the document in which an item was found."""
    _documents[item] = document


def trusted_for(item: pystac.Item, catalog: str) -> str:
    """Return the place that decides what an item may name.

    Args:
        item: A STAC item.
        catalog: Where its catalogue was found.

    Returns:
        The catalogue, or the item's document where that has the lower reach.
    """
    return less_trusted(catalog, _documents.get(item, catalog))


def less_trusted(catalog: str, document: str) -> str:
    """Return a document if it has a lower reach than its catalogue, else that."""
    if _TRUST.index(reach_of(document)) < _TRUST.index(reach_of(catalog)):
        return document
    return catalog


def origin_of(items: Iterable[pystac.Item]) -> str:
    """Return the catalogue of items, the least trusted kind when it is not known.

    Raises:
        CatalogError: The items come from different catalogues.
    """
    found = {_origins.get(item, UNKNOWN) for item in items}
    if len(found) > 1:
        shown = sorted(map(redact_link, found))
        raise CatalogError(
            f"the items come from different catalogues {shown}; "
            "open one cube for each, or name the one you trust with "
            "areca.catalog.set_origin(items, catalog)"
        )
    return found.pop() if found else UNKNOWN
