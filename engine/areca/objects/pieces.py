"""Pieces: the connected regions of one class in one block of pixels, as polygons."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
import shapely

from areca.errors import InputError
from areca.objects.borders import pack_borders, pair_up
from areca.objects.corners import Corners, add_corners, gather, trace
from areca.objects.groups import add_up, first_of_each, number_groups

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from numpy.typing import NDArray

    from areca.tiles import Window

DTYPES = {
    "label": np.int32,
    "outline": object,
    "pixels": np.int64,
    "score_sum": np.int64,
    "open": bool,
    "is_piece": bool,
    "row": np.int64,
    "col": np.int64,
    "border": object,
}
"""Columns of a table of pieces. `outline` is WKB in absolute pixels (x to the right, y
down) in the order of `areca.objects.corners.trace`; `score_sum` adds the confidence of
the pixels in units of `SCORE_UNIT`; `open` pieces touch the edge of the block and may
go on beyond it; `is_piece` rows are parts of one object too large to unite, which share
`row` and `col`: the first pixel of the object in row-major order, its identity;
`border` says which pixels lie on the edge (see `areca.objects.borders.BORDER`)."""

NODATA = 255
"""Class of a pixel that nothing is known of."""

SCORE_UNIT = 2.0**-20
"""Unit of `score_sum`: whole numbers add up alike however a region is cut."""

_BATCH = 1_000_000


@dataclass(frozen=True)
class _Runs:
    """Neighbouring pixels of one class in one row: what everything is made of."""

    row: NDArray[np.int64]
    start: NDArray[np.int64]
    stop: NDArray[np.int64]
    label: NDArray[np.integer]
    score: NDArray[np.int64]


def polygonise_block(
    labels: NDArray[np.integer],
    window: Window,
    *,
    skip: Collection[int] = (),
    connectivity: Literal[4, 8] = 4,
    score: NDArray[np.float32] | None = None,
    nodata: int | None = NODATA,
) -> pd.DataFrame:
    """Return one row per connected region of a class in a block.

    Outlines follow the pixel edges exactly and are valid; where pixels of a region
    touch in corners only (connectivity 8) the outline is a multipolygon.

    Args:
        labels: Class of each pixel, shape (height, width) of the window, whole numbers
            that fit into 32 bits.
        window: Where the block lies, absolute pixels.
        skip: Classes that are no objects, for example the background.
        connectivity: 4 joins pixels by their edges, 8 by their corners too.
        score: Confidence 0 to 1 of each pixel, shape (height, width); what is
            not finite counts as 0. Without it `score_sum` is 0.
        nodata: Class of pixels that nothing is known of; None where there is none.

    Returns:
        A table with the columns `DTYPES`, ordered by the first pixel.

    Raises:
        InputError: the arrays do not fit the window, classes are no whole numbers or
            too large, or connectivity is not 4 or 8.
    """
    check_connectivity(connectivity)
    for name, array in (("labels", labels), ("score", score)):
        if array is not None and array.shape != (window.height, window.width):
            raise InputError(
                f"{name} have shape {array.shape}, but the window holds "
                f"{(window.height, window.width)} pixels; pass the pixels of {window}"
            )
    check_classes(labels)
    runs = _runs(labels, [*skip] if nodata is None else [nodata, *skip], score)
    if not len(runs.row):
        return empty_pieces()
    count, width = len(runs.row), window.width
    part = number_groups(count, *_touching(runs, width, corners=False))
    whole = part
    if connectivity == 8:
        whole = number_groups(count, *_touching(runs, width, corners=True))
    return _table(runs, part, whole, window)


def empty_pieces() -> pd.DataFrame:
    """Return a table of pieces without rows."""
    return pd.DataFrame({name: np.empty(0, dtype) for name, dtype in DTYPES.items()})


def check_connectivity(connectivity: int) -> None:
    """Refuse a connectivity that is neither 4 nor 8.

    Raises:
        InputError: it is not.
    """
    if connectivity not in {4, 8}:
        raise InputError(
            f"connectivity={connectivity}: pixels have 4 neighbours by edges or 8 with "
            "corners; pass 4 or 8"
        )


def check_classes(labels: NDArray[np.integer]) -> None:
    """Refuse classes that are no whole numbers of 32 bits.

    Raises:
        InputError: they are not.
    """
    if labels.dtype.kind not in "iu":
        raise InputError(
            f"labels are {labels.dtype}, expected whole numbers; cast the classes"
        )
    most = np.iinfo(np.int32)
    if labels.size and not np.can_cast(labels.dtype, np.int32):
        low, high = int(labels.min()), int(labels.max())
        if low < most.min or high > most.max:
            raise InputError(
                f"classes go from {low} to {high}, beyond 32 bits; number them anew "
                "from 0 on"
            )


def _runs(
    labels: NDArray[np.integer],
    skip: Collection[int],
    score: NDArray[np.float32] | None,
) -> _Runs:
    """Cut the rows of a block into runs of one class.

    Returns:
        The runs in row-major order, without what is no object.
    """
    height, width = labels.shape
    change = np.ones((height, width), bool)
    np.not_equal(labels[:, 1:], labels[:, :-1], out=change[:, 1:])
    starts = np.flatnonzero(change)
    stops = np.append(starts[1:], labels.size)
    label = labels.reshape(-1)[starts]
    kept = np.isin(label, np.array([*skip], np.int64), invert=True)
    if score is None:
        total = np.zeros(len(starts), np.int64)
    else:
        # A float32 times a power of two is exact, so only the rounding decides.
        units = np.rint(score.reshape(-1) * np.float32(1 / SCORE_UNIT))
        units = np.where(np.isfinite(units), units, 0).astype(np.int64)
        total = np.add.reduceat(units, starts)
    row, start = np.divmod(starts[kept], width)
    stop = start + (stops - starts)[kept]
    return _Runs(row, start, stop, label[kept], total[kept])


def _touching(
    runs: _Runs, width: int, *, corners: bool
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the pairs of runs of one class that touch in neighbouring rows."""
    span = width + 2  # room, so that runs of two rows never touch end to end
    start, stop = runs.row * span + runs.start, runs.row * span + runs.stop
    upper, lower = pair_up((start + span, stop + span), (start, stop), corners=corners)
    same = runs.label[upper] == runs.label[lower]
    return upper[same], lower[same]


def _table(
    runs: _Runs, part: NDArray[np.int64], whole: NDArray[np.int64], window: Window
) -> pd.DataFrame:
    """Put the regions together.

    Args:
        runs: All runs of the block.
        part: What each run belongs to by the edges of its pixels, shape (n,).
        whole: The region it belongs to, shape (n,).
        window: Where the block lies.

    Returns:
        A table with the columns `DTYPES`.
    """
    first = first_of_each(whole)
    part_whole = whole[first_of_each(part)]
    order = np.argsort(part_whole, kind="stable")
    rank = np.empty_like(order)  # parts in the order of regions, then of first pixels
    rank[order] = np.arange(len(order))
    rows = part_whole[order]
    polygons = np.concatenate([*_polygons(runs, rank[part], window)])
    within = np.arange(len(rows)) - np.searchsorted(rows, rows)
    border = np.empty(len(first), object)
    runs_of = _borders(runs, whole, within[rank[part]], window)
    border[:] = pack_borders(runs_of, len(first))
    return pd.DataFrame(
        {
            "label": runs.label[first].astype(np.int32),
            "outline": shapely.to_wkb(gather(polygons, rows), byte_order=1),
            "pixels": add_up(whole, runs.stop - runs.start),
            "score_sum": add_up(whole, runs.score),
            "open": np.bincount(runs_of[:, 0], minlength=len(first)) > 0,
            "is_piece": np.zeros(len(first), bool),
            "row": runs.row[first] + window.row0,
            "col": runs.start[first] + window.col0,
            "border": border,
        }
    )


def _polygons(
    runs: _Runs, part: NDArray[np.int64], window: Window
) -> Iterator[NDArray[np.object_]]:
    """Yield the polygons of all parts in batches that bound the memory of noise."""
    ends = np.cumsum(np.bincount(part))
    cuts = np.searchsorted(ends, np.arange(_BATCH, ends[-1], _BATCH))
    batch = np.searchsorted(np.unique(cuts), part)
    for number in range(int(batch.max()) + 1):
        chosen = np.flatnonzero(batch == number)
        left, right = runs.start[chosen], runs.stop[chosen]
        top = runs.row[chosen]
        corners = Corners(
            np.tile(part[chosen], 4),
            np.concatenate([left, right, left, right]) + window.col0,
            np.concatenate([top, top, top + 1, top + 1]) + window.row0,
            np.repeat(np.array([1, -1, -1, 1]), len(chosen)),
        )
        yield trace(add_corners(corners))


def _borders(
    runs: _Runs,
    region: NDArray[np.int64],
    part: NDArray[np.int64],
    window: Window,
) -> NDArray[np.int64]:
    """Return the runs along the four sides: region and the columns of `BORDER`."""
    row, start, stop = runs.row, runs.start, runs.stop
    sides = (
        (0, window.row0, row == 0, start, stop, window.col0),
        (1, window.col1, stop == window.width, row, row + 1, window.row0),
        (2, window.row1, row == window.height - 1, start, stop, window.col0),
        (3, window.col0, start == 0, row, row + 1, window.row0),
    )
    found = []
    for side, line, here, begin, end, origin in sides:
        at = np.flatnonzero(here)
        columns = [region[at], np.full(len(at), side), np.full(len(at), line)]
        columns += [begin[at] + origin, end[at] + origin, part[at]]
        found.append(np.column_stack(columns))
    return np.concatenate(found)
