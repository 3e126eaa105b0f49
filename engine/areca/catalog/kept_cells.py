"""Cells of warps, kept for a while for the windows beside them.

A window that a border crosses wants the whole cell, and so do the windows beside it:
blocks with a halo warped each cell of a region twice on average.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    import numpy as np
    from numpy.typing import NDArray

    Cell = NDArray[np.floating[Any]] | None

KEPT_BYTES = 128 * 2**20
"""What the cells of a process may take, as much as GDAL's cache: 128 of one band."""
_EMPTY_BYTES = 1024
"""What a cell counts of which the scene shows nothing: its key takes some room too."""


class KeptCells:
    """The cells that were asked for last; each is made by one thread."""

    def __init__(self, most: int) -> None:
        """Begin with none.

        Args:
            most: Bytes that they may take.
        """
        self._most = most
        self._bytes = 0
        self._kept: OrderedDict[Hashable, Cell] = OrderedDict()  # the oldest first
        self._making: dict[Hashable, Future[Cell]] = {}
        self._times_forgotten = 0
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], Cell]) -> Cell:
        """Return a cell; a thread that wants what another one makes waits for it.

        Args:
            key: All that its numbers depend on.
            make: Makes it. What this raises is raised for all who wait too, and the
                next one who asks tries again.

        Returns:
            The cell, not to be written to.
        """
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
            theirs, begun = self._making.get(key), self._times_forgotten
            mine: Future[Cell] = Future()
            if theirs is None:
                self._making[key] = mine
        if theirs is not None:
            return theirs.result()
        try:
            cell = make()
        except BaseException as err:
            with self._lock:
                if begun == self._times_forgotten:
                    del self._making[key]
            mine.set_exception(err)
            del mine  # the error holds this frame, which would hold the error
            raise
        with self._lock:
            if begun == self._times_forgotten:
                del self._making[key]
                self._keep(key, cell)
        mine.set_result(cell)
        return cell

    def forget(self) -> None:
        """Keep none of them, nor those that are being made of files as they were."""
        with self._lock:
            self._times_forgotten += 1
            self._making.clear()
            self._kept.clear()
            self._bytes = 0

    def _keep(self, key: Hashable, cell: Cell) -> None:
        if cell is not None:
            cell.flags.writeable = False
        self._kept[key] = cell
        self._bytes += _size(cell)
        while self._bytes > self._most:
            _, oldest = self._kept.popitem(last=False)
            self._bytes -= _size(oldest)


def _size(cell: Cell) -> int:
    return _EMPTY_BYTES if cell is None else cell.nbytes


CELLS = KeptCells(KEPT_BYTES)
"""Those of this process."""
