"""Which places a catalogue may send the reader to, and how a place is shown.

A STAC item is input from elsewhere: an asset link that holds VRT XML or a `/vsi…` path
would make GDAL read any local file, and a link to an inner address would make this
machine fetch it. So links are allowed by a short list, not refused by a long one.
"""

from __future__ import annotations

import functools
import ipaddress
import re
import socket
from pathlib import Path, PureWindowsPath
from typing import Literal
from urllib.parse import unquote, urlsplit

from areca.errors import CatalogError

Reach = Literal["public", "private", "local"]
"""What items of a catalogue may name, each step also what comes before it.

`public` hosts and buckets, `private` and loopback addresses, `local` files.
"""

_CLOUD = {"s3": "/vsis3/", "gs": "/vsigs/", "az": "/vsiaz/"}
_WEB = ("https", "http")
_INNER_NAMES = (
    "localhost",
    ".localhost",
    ".local",
    ".internal",
    ".intranet",
    ".home.arpa",
)
_FORBIDDEN = re.compile(r"[\x00-\x20\x7f<>\"\\|]")
_AFTER_SCHEME = re.compile(r"([^/?#]*)([^?#]*)(.*)", re.DOTALL)
_HOST = re.compile(r"(\[[^\]]*\]|[^:]*)(:\d*)?")
ZARR = ".zarr"
"""Ending of the folder of a Zarr cube."""
ZARR_ARRAY = "application/vnd+zarr; areca=array"
"""Media type of an array of a cube, in the items that areca makes of it."""
_ARRAY = re.compile(r"(.*\.zarr/[^#]+)(?:#(\d+))?", re.DOTALL)
_OPENERS, _CLOSERS = "'\"`(<[{", "'\"`)>]},.;:!"
"""What may stand around a link in a sentence."""


def redact(text: str) -> str:
    """Return a link, or a message with links in it, without what may be secret.

    Query strings (signatures) become `?…`, user and password are dropped. In a message
    a link ends at white space only, so rather too much is hidden than too little.
    """
    return re.sub(r"\S+", _redact_word, text)


def redact_link(href: str) -> str:
    """Return a text that is one link or path as a whole, without what may be secret.

    An `@` after the host may be that of a password with a `/` in it, so what is before
    it is hidden as well.
    """
    head, colon, rest = href.partition("://")
    match = _AFTER_SCHEME.fullmatch(rest)
    if not colon or "?" in head or match is None:
        return _redact_path(href)
    host, path, tail = match.groups()
    start = f"{head}://"
    if "@" in tail and (":" in host or not path):
        return f"{start}…"
    if "@" in path:
        return f"{start}…@{path.rpartition('@')[2]}{_hide(tail)}"
    host = host.rpartition("@")[2]
    if _HOST.fullmatch(host) is None:
        # Not a port: the start of a password, whose end was cut off.
        return f"{start}…"
    return f"{start}{host}{path}{_hide(tail)}"


def _redact_word(match: re.Match[str]) -> str:
    inner = match[0].lstrip(_OPENERS)
    core = inner.rstrip(_CLOSERS)
    before = match[0].removesuffix(inner)
    return before + redact_link(core) + inner[len(core) :]


def _redact_path(text: str) -> str:
    path, mark, query = text.partition("?")
    user, _, place = path.rpartition("@")
    shown = f"…@{place}" if ":" in user else path
    return shown + _hide(mark + query)


def _hide(tail: str) -> str:
    return f"{tail[0]}…" if len(tail) > 1 else tail


def scheme_of(href: str) -> str:
    """Return the scheme of a link in lower case, `""` for a path."""
    match = re.match(r"([A-Za-z][A-Za-z0-9+.-]*):", href)
    # One letter is a Windows drive, not a scheme.
    return match[1].lower() if match and len(match[1]) > 1 else ""


def is_remote(href: str) -> bool:
    """Return whether a link is no path on this machine."""
    return scheme_of(href) not in {"", "file"}


def reach_of(catalog_href: str) -> Reach:
    """Return what the items of a catalogue may name, by where the catalogue is.

    Args:
        catalog_href: Link or path as the user gave it; the user vouches for it.
    """
    if not is_remote(catalog_href):
        return "local"
    host = urlsplit(catalog_href).hostname or ""
    inner = scheme_of(catalog_href) in _WEB and is_inner(host)
    return "private" if inner else "public"


def check_href(href: str, catalog_href: str) -> str:
    """Return the link of an asset when its catalogue may name it.

    Nothing is opened, and no name is looked up; `check_address` does that when the
    reader connects.

    Args:
        href: Absolute link or path of the asset.
        catalog_href: Where the catalogue was found, as the user gave it.

    Returns:
        The link itself; for a local file its real path.

    Raises:
        CatalogError: The link is not on the list; the message says why, redacted.
    """
    scheme = scheme_of(href)
    if scheme in {"", "file"}:
        return _check_file(href, catalog_href)
    problem = _remote_problem(href, scheme, catalog_href)
    if problem:
        raise CatalogError(f"refused to read {_show(href)}: {problem}")
    return href


def check_address(href: str) -> None:
    """Look up the host of a web link and refuse an address inside this network.

    A public name that points to an inner address would go round `check_href`. A name
    that cannot be looked up passes: connecting to it fails by itself.

    Raises:
        CatalogError: The host is at a private, loopback or link-local address.
    """
    host = urlsplit(href).hostname or ""
    if scheme_of(href) in _WEB and (is_inner(host) or _resolves_inside(host)):
        raise CatalogError(
            f"refused to read {_show(href)}: {host} is at a private address, and its "
            "catalogue is not. Give the catalogue as a file if you trust it"
        )


def gdal_path(href: str) -> str:
    """Return the name under which GDAL opens a link that `check_href` has passed."""
    scheme = scheme_of(href)
    if scheme in _CLOUD:
        return _CLOUD[scheme] + href.split("://", 1)[1]
    return f"/vsicurl/{href}" if scheme in _WEB else href


def is_inner(host: str) -> bool:
    """Return whether a host, as written, is loopback, private or link-local."""
    name = host.rstrip(".").lower()
    if not name or name == "localhost" or name.endswith(_INNER_NAMES):
        return True
    try:
        address = ipaddress.ip_address(name.split("%")[0])
    except ValueError:
        try:
            # curl also takes 127.1, 0x7f000001 and 2130706433 for 127.0.0.1.
            address = ipaddress.ip_address(socket.inet_aton(name))
        except (OSError, UnicodeError):
            return False
    return _is_inner_address(address)


def _is_inner_address(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> bool:
    mapped = getattr(address, "ipv4_mapped", None) or getattr(
        address, "sixtofour", None
    )
    return _is_inner_address(mapped) if mapped else not address.is_global


@functools.lru_cache(maxsize=256)
def _resolves_inside(host: str) -> bool:
    try:
        found = socket.getaddrinfo(host, None, proto=socket.IPPROTO_TCP)
    except (OSError, UnicodeError):
        return False
    return any(
        _is_inner_address(ipaddress.ip_address(str(entry[4][0]).split("%")[0]))
        for entry in found
    )


def _remote_problem(href: str, scheme: str, catalog_href: str) -> str:
    """Return why a remote link is refused, `""` when it is not."""
    if _FORBIDDEN.search(href):
        return "a link may hold no space, control character, quote, <, > or backslash"
    if "/vsi" in unquote(href).lower():
        return "it holds a GDAL /vsi path"
    if scheme not in {*_WEB, *_CLOUD}:
        return f"{scheme}: is no scheme to read from (https, s3, gs, az)"
    try:
        parts = urlsplit(href)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return "it is no valid link"
    if not href[len(scheme) :].startswith("://") or not host:
        return "it names no host or bucket"
    catalog_scheme = scheme_of(catalog_href)
    if scheme == "http" and catalog_scheme not in {"", "file", "http"}:
        return "http is not protected, and its catalogue came over another scheme"
    if scheme in _WEB and is_inner(host) and reach_of(catalog_href) == "public":
        return f"{host} is a private address, and its catalogue is at a public one"
    return ""


def is_zarr(place: str) -> bool:
    """Return whether a place is a Zarr cube by its name.

    Args:
        place: What `areca.search` takes.
    """
    return place.rstrip("/").lower().endswith(ZARR)


def is_array(href: str) -> bool:
    """Return whether a link is an array of a local Zarr cube.

    Args:
        href: Link of an asset.
    """
    is_file = href.lower().endswith((".tif", ".tiff", ".jp2"))
    return not is_file and not is_remote(href) and _ARRAY.fullmatch(href) is not None


def split_array(href: str) -> tuple[str, int | None]:
    """Return the path of an array, and which of its dates a link means if it has any.

    Args:
        href: A link for which `is_array` holds.
    """
    match = _ARRAY.fullmatch(href)
    if match is None:
        return local_path(href), None
    return local_path(match[1]), None if match[2] is None else int(match[2])


def _check_file(href: str, catalog_href: str) -> str:
    problem, of_cube = "", is_array(href)
    named = split_array(href)[0] if of_cube else local_path(href)
    path = Path(named) if "\0" not in href else Path()
    if "\0" in href or re.search(r"[\r\n<]", href):
        problem = "a path may hold no NUL, line break or <"
    elif href.startswith(("\\\\", "//")) or path.as_posix().startswith("//"):
        problem = "it is a network path"
    elif "/vsi" in href.lower():
        problem = "it is a GDAL /vsi path"
    elif reach_of(catalog_href) != "local":
        problem = (
            f"it is a file of this machine, and its catalogue {redact(catalog_href)} "
            "is not. Only a local catalogue may name local files"
        )
    elif not path.exists():
        problem = "there is no such file"
    elif of_cube and not any((path / n).is_file() for n in ("zarr.json", ".zarray")):
        problem = "it is no array of a Zarr cube"
    elif not of_cube and not path.resolve().is_file():
        problem = "it is no regular file"
    elif str(path.resolve()).startswith(("/proc/", "/sys/", "/dev/")):
        problem = "it is no file of data"
    if problem:
        raise CatalogError(f"refused to read {_show(href)}: {problem}")
    if of_cube:  # not resolved: its name says what it is
        return str(path.absolute()) + href[len(href.partition("#")[0]) :]
    return str(path.resolve())


def local_path(href: str) -> str:
    """Return the path of a `file:` link or of a path."""
    if scheme_of(href) != "file":
        return href
    parts = urlsplit(href)
    path = unquote(parts.path)
    if parts.netloc not in {"", "localhost"}:
        return f"//{parts.netloc}{path}"
    return path.lstrip("/") if PureWindowsPath(path.lstrip("/")).drive else path


def file_size(href: str) -> int | None:
    """Return the bytes of a local file, None when it is remote or not there."""
    path = Path(local_path(href))
    return path.stat().st_size if not is_remote(href) and path.is_file() else None


def _show(href: str) -> str:
    shown = redact_link(href)
    return ascii(shown if len(shown) <= 120 else f"{shown[:117]}…")
