"""STAC documents: reading JSON from a path or a link, and walking static catalogues."""

from __future__ import annotations

import json
import os
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

import pystac
from pystac.errors import STACError, STACTypeError
from pystac_client.exceptions import APIError
from pystac_client.stac_api_io import StacApiIO

from areca.catalog.hrefs import (
    check_address,
    check_href,
    is_remote,
    local_path,
    reach_of,
    redact,
    scheme_of,
)
from areca.catalog.origins import less_trusted, set_document
from areca.errors import CatalogError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from requests import Request, Response

    from areca.catalog.filters import Query

MAX_ITEMS = 200_000
"""A search that finds more is refused: such a region is searched in parts."""

_MAX_BYTES = 256 * 2**20
_MAX_DOCUMENTS = 1_000_000
_FETCH_THREADS = 8
_LONGEST = 300
"""Letters of another library's message that are shown."""


class Fetcher:
    """Reads the JSON documents of one catalogue."""

    def __init__(self, catalog: str) -> None:
        """Prepare to read documents that the catalogue at this place may name."""
        self.catalog = catalog
        self.is_public = reach_of(catalog) == "public"
        self.io = StacApiIO(
            max_retries=2, timeout=20, request_modifier=self._check_request
        )
        self.io.session.hooks["response"].append(self._check_redirect)
        self._within: dict[tuple[str, str], Fetcher] = {}

    def within(self, document: str) -> Fetcher:
        """Return what reads the documents that a document links to.

        One of a place that may name less than the catalogue stays within that.
        """
        trusted = less_trusted(self.catalog, document)
        if trusted == self.catalog:
            return self
        kind = reach_of(trusted), scheme_of(trusted)
        if kind not in self._within:
            self._within[kind] = Fetcher(trusted)
        return self._within[kind]

    def __call__(self, href: str) -> dict[str, Any]:
        """Return the JSON object at a path or link.

        Raises:
            CatalogError: It cannot be read, or it is no JSON object.
        """
        text = self._text(href)
        try:
            found = json.loads(text)
        except (ValueError, RecursionError) as err:
            seen = "HTML (a login page?)" if text.lstrip()[:1] == "<" else "no JSON"
            raise CatalogError(
                f"{redact(href)} is {seen}, not a STAC document; give a catalog.json, "
                "a STAC API, a GeoTIFF or a folder of GeoTIFFs"
            ) from err
        if not isinstance(found, dict):
            raise CatalogError(
                f"{redact(href)} is no STAC document but a list or value"
            )
        return found

    def _text(self, href: str) -> str:
        place = check_href(href, self.catalog)
        try:
            if not is_remote(place):
                path = Path(place)
                if path.stat().st_size > _MAX_BYTES:
                    raise CatalogError(f"{place} is too large for a STAC document")
                return path.read_text(encoding="utf-8")
            if scheme_of(place) not in {"http", "https"}:
                raise CatalogError(
                    f"catalogues are read over https, not {scheme_of(place)} yet; give "
                    "the catalogue's https link"
                )
            return self.io.request(place)
        except (APIError, OSError, UnicodeDecodeError) as err:
            raise CatalogError(unreadable(href, err)) from None

    def _check_request(self, request: Request) -> Request:
        """Return a request unchanged when it may be sent; links may lead anywhere."""
        self._check_link(str(request.url))
        return request

    def _check_redirect(self, response: Response, **_options: object) -> None:
        if response.is_redirect:
            self._check_link(urljoin(response.url, response.headers["location"]))

    def _check_link(self, link: str) -> None:
        if scheme_of(link) not in {"http", "https"}:
            raise CatalogError(f"refused to follow {redact(link)}: it is no web link")
        if self.is_public:
            check_address(link)


def unreadable(href: str, err: Exception) -> str:
    """Return one line on why a catalogue cannot be read, without secrets."""
    status = getattr(err, "status_code", None)
    reason = f"HTTP {status}" if status else " ".join(redact(str(err)).split())
    if len(reason) > _LONGEST:
        reason = f"{reason[:_LONGEST].rsplit(' ', 1)[0]} …"
    return f"cannot read the catalogue {redact(href)}: {reason}. Check the address"


def walk(root: str, fetch: Fetcher, query: Query) -> Iterator[pystac.Item]:
    """Yield the items under a static catalogue, collection, item or item list.

    Items of collections that are not wanted are not opened.

    Args:
        root: Path or link of the first document.
        fetch: Reads documents.
        query: Its collections decide which branches are followed.

    Yields:
        Items with an absolute self link, each document once.

    Raises:
        CatalogError: A document cannot be read, or there are too many.
    """
    seen: set[str] = set()
    waiting = {root: fetch}
    while waiting:
        level = {href: by for href, by in waiting.items() if href not in seen}
        seen.update(level)
        if len(seen) > _MAX_DOCUMENTS:
            raise CatalogError(
                f"{redact(root)} links to more than {_MAX_DOCUMENTS} documents; give "
                "one of its collections"
            )
        waiting = {}
        for href, document in zip(level, _read_all(level), strict=True):
            yield from _items_in(document, href, query)
            inside = level[href].within(href)
            for link in _branches(document, href, query):
                waiting.setdefault(link, inside)


def _read_all(level: dict[str, Fetcher]) -> Iterable[dict[str, Any]]:
    """Return the documents of some links, each read by what may read it."""
    if len(level) < 2 or not is_remote(next(iter(level))):
        return (by(href) for href, by in level.items())
    with ThreadPoolExecutor(_FETCH_THREADS) as pool:
        return list(pool.map(lambda one: one[1](one[0]), level.items()))


def _items_in(
    document: dict[str, Any], href: str, query: Query
) -> Iterator[pystac.Item]:
    kind = document.get("type")
    if kind == "FeatureCollection":
        features = document.get("features")
        found = features if isinstance(features, list) else []
    elif kind == "Feature":
        found = [document]
    elif kind in {"Catalog", "Collection"} or "links" in document:
        return
    else:
        raise CatalogError(
            f"{redact(href)} is JSON but no STAC document (type {kind!r}); give a "
            "catalog.json, a collection, an item or a STAC API"
        )
    for entry in found:
        if isinstance(entry, dict) and query.wants_collection(entry.get("collection")):
            yield make_item(entry, href, is_own=kind == "Feature")


def make_item(entry: dict[str, Any], href: str, *, is_own: bool) -> pystac.Item:
    """Return a STAC item from JSON.

    Args:
        entry: The item, of any STAC version; not changed.
        href: The document that it was found in, noted for `origins.trusted_for`.
        is_own: Whether that document is the item itself.

    Raises:
        CatalogError: It is no STAC item.
    """
    try:
        with warnings.catch_warnings():
            # What pystac cannot migrate of other extensions does not matter here.
            warnings.simplefilter("ignore", UserWarning)
            item = pystac.Item.from_dict(entry, href=href if is_own else None)
    except (
        STACError,
        STACTypeError,
        KeyError,
        TypeError,
        ValueError,
        AttributeError,
    ) as err:
        name = str(entry.get("id"))[:80]
        reason = redact(f"{type(err).__name__}: {err}")[:200]
        raise CatalogError(
            f"item {name!r} in {redact(href)} is no valid STAC item ({reason}); "
            "correct it or leave it out"
        ) from err
    if item.get_self_href() is None:
        item.set_self_href(href)
    set_document(item, href)
    return item


def _branches(document: dict[str, Any], href: str, query: Query) -> list[str]:
    follow = {"child", "item", "items"}
    if document.get("type") == "FeatureCollection":
        follow = {"next", "item"}
    is_unwanted = document.get("type") == "Collection" and not query.wants_collection(
        document.get("id")
    )
    if is_unwanted or document.get("type") == "Feature":
        return []
    links = document.get("links")
    return [
        resolve(str(link["href"]), href)
        for link in (links if isinstance(links, list) else [])
        if isinstance(link, dict) and link.get("rel") in follow and link.get("href")
    ]


def resolve(href: str, base: str) -> str:
    """Return a link as an absolute link or path, relative to a document."""
    if is_remote(href):
        return href
    if is_remote(base):
        return urljoin(base, href)
    # Without the dots, so that a loop of links comes back to the same text.
    return os.path.normpath(Path(local_path(base)).parent / local_path(href))
