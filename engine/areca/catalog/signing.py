"""Links are signed when a file is opened, never before: a graph holds no signature."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import requests
from dask.base import tokenize

from areca.catalog.hrefs import is_remote, redact
from areca.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator

Signer = Callable[[str], str]
"""From a link to the same link with a signature; a plain function or object that can
be pickled, for it travels to workers."""

_EARLY_S, _EARLY_SHARE = 300.0, 0.2
"""A token is renewed this long before its end, or this share of its life."""
_TIMEOUT_S = (5, 30)

_tokens: dict[tuple[str, str, str], tuple[str, float]] = {}
_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class SasSigner:
    """Signs links of Azure blobs with tokens of a public token service.

    The defaults are those of the Planetary Computer. Tokens are kept in the process
    that reads, one for each container.
    """

    endpoint: str = "https://planetarycomputer.microsoft.com/api/sas/v1/token"
    """Asked for `<endpoint>/<account>/<container>`."""
    hosts: str = r"(?P<account>[a-z0-9]+)\.blob\.core\.windows\.net"
    """Hosts whose links are signed, and the account in their name."""

    def __call__(self, href: str) -> str:
        """Return a link with a token; other links as they are.

        Raises:
            OSError: The service gives no token.
        """  # noqa: DOC502 - raised by _token
        parts = urlsplit(href)
        match = re.fullmatch(self.hosts, parts.hostname or "")
        container = parts.path.lstrip("/").partition("/")[0]
        if match is None or parts.query or not container:
            return href
        return f"{href}?{self._token(match['account'], container)}"

    def _token(self, account: str, container: str) -> str:
        key = (self.endpoint, account, container)
        with _lock:
            token, renew = _tokens.get(key, ("", 0.0))
            if time.time() < renew:
                return token
            link = f"{self.endpoint}/{account}/{container}"
            try:
                answer = requests.get(link, timeout=_TIMEOUT_S)
                answer.raise_for_status()
                fields = answer.json()
                token = str(fields["token"])
                end = datetime.fromisoformat(str(fields["msft:expiry"]))
            except (requests.RequestException, ValueError, KeyError, TypeError) as err:
                raise OSError(
                    f"no token from {redact(link)}: {redact(str(err))}"
                ) from None
            if end.tzinfo is None:
                end = end.replace(tzinfo=UTC)
            life = end.timestamp() - time.time()
            early = min(_EARLY_S, _EARLY_SHARE * life)
            _tokens[key] = token, end.timestamp() - early
        return token


PLANETARY_COMPUTER = SasSigner()

_signer: ContextVar[Signer | None] = ContextVar("areca_signer", default=None)


@contextmanager
def signing(signer: Signer | None) -> Iterator[None]:
    """Sign the links of files that this thread opens meanwhile."""
    before = _signer.set(signer)
    try:
        yield
    finally:
        _signer.reset(before)


def signed(href: str) -> str:
    """Return a link as it is opened: signed where this thread is to sign."""
    signer = _signer.get()
    return href if signer is None or not is_remote(href) else signer(href)


def signer_key() -> Hashable:
    """Return what tells apart the signers of threads: one is not another's right."""
    signer = _signer.get()
    try:
        hash(signer)
    except TypeError:
        return tokenize(signer)
    return signer


def signer_named(given: Signer | str | None) -> Signer | None:
    """Return a signer by name, or the one given.

    Raises:
        InputError: There is none of that name.
    """
    if given == "planetary-computer":
        return PLANETARY_COMPUTER
    if isinstance(given, str):
        raise InputError(
            f"sign={given!r} is not known; write 'planetary-computer' or give a "
            "function from link to signed link"
        )
    return given
