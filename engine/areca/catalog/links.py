"""Where a web link leads: redirects are followed here, hop by hop, and not by GDAL.

GDAL follows a redirect to any address, and no option of it forbids that. So a link is
asked for its first byte once, every hop is checked as the link itself was, and GDAL is
given the last one. A server that answers GDAL otherwise than this is not caught; only a
network that keeps the machine from its inner addresses can do that.
"""

from __future__ import annotations

import functools
import threading
from urllib.parse import urldefrag, urljoin

import requests
from requests.adapters import HTTPAdapter
from requests.utils import requote_uri
from urllib3 import Retry

from areca.catalog.hrefs import check_address, check_href, redact_link, scheme_of
from areca.errors import CatalogError

MAX_HOPS = 10
"""Redirects of one link before it is refused."""

MAX_LINKS = 10_000
"""Links whose end is remembered; the oldest is forgotten first."""

_TIMEOUT_S, _RETRY_DELAY_S = (5, 30), 0.3
_PART, _REFUSED, _BUSY = 206, 400, (429, 500, 502, 503, 504)

_ends: dict[str, str] = {}
_lock = threading.Lock()


def final_link(href: str) -> str:
    """Return where a public link leads after all redirects.

    Costs one small request for each hop, the first time in this process. Links of
    object stores are returned as they are.

    Args:
        href: Link that `check_href` has passed.

    Raises:
        CatalogError: A hop is at a private address or no link to read from, or there
            are too many.
        OSError: A server cannot be reached, or is busy.
    """  # noqa: DOC502 - some are raised by the helpers
    if scheme_of(href) not in {"http", "https"}:
        return href
    with _lock:
        end = _ends.get(href)
    if end is not None:
        check_address(end)
        return end
    end, is_sure = _follow(href)
    if is_sure:
        with _lock:
            _ends[href] = end
            if len(_ends) > MAX_LINKS:
                del _ends[next(iter(_ends))]
    return end


def forget_link(href: str) -> None:
    """Ask again next time: the end of a link may be signed for a short time only.

    Args:
        href: The link, with or without its signature; under any other one it is
            forgotten too.
    """
    bare = href.partition("?")[0]
    with _lock:
        for link in [link for link in _ends if link.partition("?")[0] == bare]:
            del _ends[link]


def _follow(href: str) -> tuple[str, bool]:
    """Follow a link to its end.

    Returns:
        The last link, and whether it is one that works.

    Raises:
        CatalogError: A hop is refused, or there are too many.
        OSError: A server cannot be reached, or is busy.
    """
    link = href
    for _ in range(MAX_HOPS + 1):
        check_address(link)
        # Not HEAD: a signature often holds for GET only.
        with _session().get(
            link,
            headers={"Range": "bytes=0-0"},
            stream=True,
            allow_redirects=False,
            timeout=_TIMEOUT_S,
        ) as response:
            target = _session().get_redirect_target(response)
            status = response.status_code
            if status == _PART:
                # Read to its end, the connection can serve the next link.
                response.raw.read(2)
        if status in _BUSY:
            raise OSError(f"HTTP {status}")
        if not target:
            # Other refusals are left to GDAL, which may have credentials.
            return link, status < _REFUSED
        there = requote_uri(urldefrag(urljoin(link, target)).url)
        link = check_href(there, link)
    raise CatalogError(
        f"{redact_link(href)} is redirected more than {MAX_HOPS} times; correct it"
    )


@functools.cache
def _session() -> requests.Session:
    session = requests.Session()
    retry = Retry(
        total=3,
        backoff_factor=_RETRY_DELAY_S,
        status_forcelist=_BUSY,
        raise_on_status=False,
        respect_retry_after_header=False,
    )
    for scheme in ("https://", "http://"):
        session.mount(scheme, HTTPAdapter(max_retries=retry))
    return session
