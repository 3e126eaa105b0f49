"""Open files of this process, lent to one thread at a time.

GDAL keeps decoded tiles by handle. Two threads with a handle each that read
neighbouring blocks decode the tiles between them twice: half as much again where a
block has four tiles along a side. So the threads of a census share a few handles of a
local file, each of which goes on near to where it has read last. The chunks of a cube
are cut where tiles are, and remote reads wait for the network rather than for the
processor; there every thread gets a handle.
"""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from areca.catalog.gdal import open_raster
from areca.catalog.hrefs import is_remote
from areca.catalog.kept_cells import CELLS
from areca.catalog.links import forget_link
from areca.catalog.signing import signer_key

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rasterio.io import DatasetReader

    Key = tuple[Any, ...]

OPEN_FILES = 64
"""Handles that a process keeps open beyond those lent out; least recently used first
out."""
READERS = max(1, (os.cpu_count() or 1) // 2)
"""Threads that read one local file at once: decoding keeps a processor busy, and the
others have the forward passes to feed."""


@dataclass(eq=False)
class _Handle:
    """An open file, and where it was read last."""

    key: Key
    file: DatasetReader
    row: int = 0
    """First row of the last read, px."""


class _Shelf:
    """The handles of a process: those that lie idle, and how many are out."""

    def __init__(self) -> None:
        self._idle: list[_Handle] = []  # the least recently used first
        self._out: dict[Key, int] = {}
        self._changed = threading.Condition()

    def take(self, key: Key, row: int, most: int | None) -> _Handle | None:
        """Take the idle handle that was read nearest to a row.

        Waits while `most` handles of the file are out.

        Returns:
            The handle; None where the caller has to open one.
        """
        with self._changed:
            while most is not None and self._out.get(key, 0) >= most:
                self._changed.wait()
            self._out[key] = self._out.get(key, 0) + 1
            mine = [handle for handle in self._idle if handle.key == key]
            if not mine:
                return None
            nearest = min(mine, key=lambda handle: abs(handle.row - row))
            self._idle.remove(nearest)
            return nearest

    def put(self, handle: _Handle) -> None:
        """Put a handle back."""
        with self._changed:
            self._is_back(handle.key)
            self._idle.append(handle)
            surplus = self._idle[: max(0, len(self._idle) - OPEN_FILES)]
            del self._idle[: len(surplus)]
        _close(surplus)

    def drop(self, key: Key, handle: _Handle | None) -> None:
        """Close a handle that failed, and all that lie idle of the same file.

        They were opened with the same link: one that has expired would answer the next
        tries out of the shelf, and none of them would really ask again.
        """
        with self._changed:
            self._is_back(key)
            stale = [one for one in self._idle if one.key == key]
            self._idle = [one for one in self._idle if one.key != key]
        _close([*stale, *([handle] if handle is not None else [])])

    def clear(self) -> None:
        """Close all that lie idle."""
        with self._changed:
            idle, self._idle = self._idle, []
        _close(idle)

    def _is_back(self, key: Key) -> None:
        self._out[key] -= 1
        if not self._out[key]:
            del self._out[key]
        self._changed.notify_all()


def _close(handles: list[_Handle]) -> None:
    for handle in handles:
        handle.file.close()


_shelf = _Shelf()


def close_idle() -> None:
    """Close the files that no thread has, and keep no cell that was warped from them.

    A new run opens what is there now, and one that has ended leaves its memory.
    """
    _shelf.clear()
    CELLS.forget()


@contextmanager
def lend(
    href: str, *, allow_private: bool, row: int = 0, every_thread: bool = False
) -> Iterator[DatasetReader]:
    """Lend an open file to the caller's thread; do not close it.

    After a failed read the file is closed, also for those who borrowed it before, so
    that the next read opens it again.

    Args:
        href: A link that `check_href` has passed.
        allow_private: Whether its host may be at a private address.
        row: Where the caller will read; a handle that has read there is preferred.
        every_thread: Whether no thread waits for another, also where the file is local:
            for chunks that begin with the file's tiles and share none, while nothing
            else wants the processors.

    Yields:
        The file. What `open_raster` raises comes through.
    """
    key = file_key(href, allow_private=allow_private)
    most = None if every_thread or is_remote(href) else READERS
    handle = _shelf.take(key, row, most)
    try:
        if handle is None:
            handle = _Handle(key, open_raster(href, allow_private=allow_private))
        yield handle.file
    except BaseException:
        forget_link(href)
        _shelf.drop(key, handle)
        raise
    handle.row = row
    _shelf.put(handle)


def file_key(href: str, *, allow_private: bool) -> Key:
    """Return a file as it is now, so that a replaced local file is opened again.

    A remote one is another file under another signer: who may not read it with theirs
    does not get it open.
    """
    if is_remote(href):
        return (href, allow_private, signer_key())
    try:
        stat = Path(href).stat()
    except OSError:
        return (href, allow_private)
    return href, allow_private, stat.st_mtime_ns, stat.st_size
