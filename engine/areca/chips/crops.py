"""Crops at chosen places: turned, mirrored and scaled together with their circles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn import functional

from areca.chips.targets import Targets, draw_targets
from areca.labels import CircleLabels

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from areca.chips.scene import LabelledScene


@dataclass(frozen=True, kw_only=True)
class Placement:
    """Where a crop lies and how it is turned."""

    row: int
    """First row in the scene, px; may lie outside."""
    col: int
    """First column in the scene, px; may lie outside."""
    source_px: int
    """Edge of the window that is read, px: more than the crop's edge shrinks it."""
    turns: int
    """Quarter turns, 0 to 3."""
    mirrored: bool
    """Mirrored left to right before it is turned."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Crop:
    """One crop and its targets."""

    pixels: NDArray[np.float32]
    """Shape (band, size, size), 0 to 1."""
    valid: NDArray[np.bool_]
    """Where there is imagery, shape (size, size)."""
    targets: Targets
    """What to find."""


def cut_crop(
    scene: LabelledScene, place: Placement, *, size_px: int, stride: int
) -> Crop:
    """Return one crop; ground outside the scene is invalid and has no loss."""
    pixels = _window(scene.pixels, place).astype(np.float32) / np.float32(255)
    valid = _window(scene.valid, place)
    trained = _window(scene.trained, place) & valid
    if place.source_px != size_px:
        pixels = _resize(pixels, size_px)
        index = ((np.arange(size_px) + 0.5) * place.source_px / size_px).astype(int)
        valid, trained = valid[np.ix_(index, index)], trained[np.ix_(index, index)]
    pixels, valid, trained = (_turn(array, place) for array in (pixels, valid, trained))
    half = stride // 2
    return Crop(
        pixels=np.ascontiguousarray(pixels),
        valid=np.ascontiguousarray(valid),
        targets=draw_targets(
            _move(scene.circles, place, size_px),
            _move(scene.doubtful, place, size_px),
            trained[half::stride, half::stride],
            stride=stride,
        ),
    )


def _window(array: NDArray[Any], place: Placement) -> NDArray[Any]:
    """Return the window of a placement, 0 or False outside the array."""
    height, width = array.shape[-2:]
    size = place.source_px
    out = np.zeros((*array.shape[:-2], size, size), array.dtype)
    row0, row1 = max(place.row, 0), min(place.row + size, height)
    col0, col1 = max(place.col, 0), min(place.col + size, width)
    if row0 < row1 and col0 < col1:
        out[
            ...,
            row0 - place.row : row1 - place.row,
            col0 - place.col : col1 - place.col,
        ] = array[..., row0:row1, col0:col1]
    return out


def _resize(pixels: NDArray[np.float32], size_px: int) -> NDArray[np.float32]:
    resized: NDArray[np.float32] = functional.interpolate(
        torch.from_numpy(pixels)[None],
        size=(size_px, size_px),
        mode="bilinear",
        antialias=True,
    )[0].numpy()
    return resized


def _turn(array: NDArray[Any], place: Placement) -> NDArray[Any]:
    if place.mirrored:
        array = array[..., ::-1]
    return np.rot90(array, place.turns, axes=(-2, -1))


def _move(circles: CircleLabels, place: Placement, size_px: int) -> CircleLabels:
    """Return the circles that touch the crop, in its pixels."""
    scale = size_px / place.source_px
    x, y = (circles.x - place.col) * scale, (circles.y - place.row) * scale
    radius = circles.radius * scale
    reach = np.nan_to_num(radius, nan=size_px / 8)
    near = (x > -reach) & (y > -reach) & (x < size_px + reach) & (y < size_px + reach)
    x, y, radius = x[near], y[near], radius[near]
    if place.mirrored:
        x = size_px - x
    for _ in range(place.turns):  # np.rot90 turns counter-clockwise
        x, y = y, size_px - x
    return CircleLabels(x=x, y=y, radius=radius)
