"""Searching a STAC API."""

from __future__ import annotations

import json
import warnings
from typing import TYPE_CHECKING

from pystac.errors import STACError, STACTypeError
from pystac_client import Client
from pystac_client.exceptions import APIError, ParametersError
from pystac_client.warnings import PystacClientWarning
from shapely import box

from areca.catalog.dates import parse_interval
from areca.catalog.documents import MAX_ITEMS, Fetcher, make_item, unreadable
from areca.catalog.hrefs import redact
from areca.catalog.origins import less_trusted, set_document
from areca.errors import CatalogError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

    import pystac

    from areca.catalog.filters import Query

PAGE = 100
"""Items asked for at a time."""


def is_api(document: dict[str, Any]) -> bool:
    """Return whether a STAC document is the landing page of a searchable API."""
    links = document.get("links")
    return any(
        isinstance(link, dict) and link.get("rel") == "search"
        for link in (links if isinstance(links, list) else [])
    )


def search_api(href: str, fetch: Fetcher, query: Query) -> Iterator[pystac.Item]:
    """Yield the items that a STAC API finds, page by page, each once.

    The box of the area is sent, not its outline, which may be too long for a request.

    Raises:
        CatalogError: The API fails, repeats its pages, or finds too many items.
    """
    seen: set[tuple[str, str]] = set()
    try:
        for bbox in _boxes(query):
            for item in _items(href, _pages(href, fetch, query, bbox)):
                key = _key(item)
                if key not in seen:
                    seen.add(key)
                    yield item
                if len(seen) > MAX_ITEMS:
                    raise CatalogError(
                        f"{redact(href)} finds more than {MAX_ITEMS} items for "
                        f"{query.describe()}; ask for less"
                    )
    except (
        APIError,
        ParametersError,
        NotImplementedError,
        STACError,
        STACTypeError,
        OSError,
        KeyError,
        json.JSONDecodeError,
    ) as err:
        raise CatalogError(unreadable(href, err)) from None


def _items(
    href: str, pages: Iterable[tuple[str, dict[str, Any]]]
) -> Iterator[pystac.Item]:
    """Yield the items of the pages of one request.

    Raises:
        CatalogError: A page holds nothing that was not on an earlier one.
    """
    seen: set[tuple[str, str]] = set()
    for place, page in pages:
        features = page.get("features") or []
        before = len(seen)
        for entry in features:
            item = make_item(entry, href, is_own=False)
            set_document(item, place)
            seen.add(_key(item))
            yield item
        if features and len(seen) == before:
            raise CatalogError(
                f"{redact(href)} repeats its pages without end; tell its owner"
            )


def _key(item: pystac.Item) -> tuple[str, str]:
    return item.collection_id or "", item.id


def _pages(
    href: str, fetch: Fetcher, query: Query, bbox: list[float] | None
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield pages, and for each the least trusted link that led to it."""
    interval = parse_interval(query.datetime) if query.datetime else None
    with warnings.catch_warnings():
        # Servers that declare less than they can do are common; filters hold here too.
        warnings.simplefilter("ignore", PystacClientWarning)
        client = Client.open(href, stac_io=fetch.io)
        # Every API takes GET, only those that say so take POST.
        offered = {
            str(link.extra_fields.get("method")) for link in client.get_links("search")
        }
        search = client.search(
            method="POST" if "POST" in offered else "GET",
            collections=list(query.collections) if query.collections else None,
            bbox=bbox,
            datetime=list(interval) if interval else None,
            limit=PAGE,
        )
        place = less_trusted(href, str(search.url))
        for page in search.pages_as_dicts():
            yield place, page
            for link in page.get("links") or []:
                if isinstance(link, dict) and link.get("rel") == "next":
                    place = less_trusted(place, str(link.get("href")))


def _boxes(query: Query) -> list[list[float] | None]:
    """Return the boxes to ask for: two for an area across the 180th meridian."""
    if query.aoi is None:
        return [None]
    west, _, east, _ = query.aoi.bounds
    if east - west <= 180:
        return [list(query.aoi.bounds)]
    halves = (box(0, -90, 180, 90), box(-180, -90, 0, 90))
    return [list(query.aoi.intersection(half).bounds) for half in halves]
