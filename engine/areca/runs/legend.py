"""Scale bars and colour legends, drawn into a picture."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from PIL import Image, ImageDraw, ImageFont

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

Ramp: TypeAlias = tuple[tuple[int, int, int], ...]
"""Colours (red, green, blue) at even steps from low to high."""

SCORE_RAMP: Ramp = ((255, 120, 40), (255, 225, 90), (80, 235, 255))
"""Low to high score; told apart by people who do not see red and green."""
DENSITY_RAMP: Ramp = ((110, 90, 235), (204, 71, 160), (248, 130, 85), (252, 240, 90))
"""Low to high density; no green, so that it stands out on vegetation."""


def round_length(longest: float) -> float:
    """Return the largest of 1, 2, 5, 10, 20, 50, ... that is not above `longest`.

    Args:
        longest: A length above 0, any unit.

    Returns:
        The round length in the same unit.

    Example:
        >>> round_length(73.0), round_length(0.3), round_length(2000.0)
        (50.0, 0.2, 2000.0)
    """
    power = 10.0 ** math.floor(math.log10(longest) + 1e-12)
    return max(m * power for m in (1.0, 2.0, 5.0) if m * power <= longest * (1 + 1e-9))


def colours_of(
    values: NDArray[np.float64],
    between: tuple[float, float],
    ramp: Ramp,
) -> list[tuple[int, int, int]]:
    """Return the colour of each value; NaN has that of the lowest."""
    low, high = between
    share = np.nan_to_num((values - low) / ((high - low) or 1.0)).clip(0, 1)
    stops = np.linspace(0, 1, len(ramp))
    channels = [np.interp(share, stops, [c[i] for c in ramp]) for i in range(3)]
    red, green, blue = (np.rint(c).astype(int).tolist() for c in channels)
    return list(zip(red, green, blue, strict=True))


def round_range(values: NDArray[np.float64]) -> tuple[float, float]:
    """Return a range of round twentieths around the values."""
    known = values[np.isfinite(values)]
    if not known.size:
        return 0.0, 1.0
    low, high = math.floor(known.min() * 20) / 20, math.ceil(known.max() * 20) / 20
    return (low, high) if high > low else (low, low + 0.05)


def round_up(value: float) -> float:
    """Return the next number of two digits."""
    if value <= 0:
        return 1.0
    power = 10.0 ** (math.floor(math.log10(value)) - 1)
    return float(math.ceil(value / power - 1e-9) * power)


def draw_furniture(
    picture: Image.Image,
    metres_per_pixel: float,
    legend: tuple[float, float] | None,
    ramp: Ramp,
    name: str,
) -> None:
    """Draw the scale bar at the left and the colour legend at the right."""
    width, height = picture.size
    text = int(np.clip(min(width, height) / 45, 11, 26))
    font = ImageFont.load_default(size=text)
    length = round_length(width * metres_per_pixel / 4)
    label = f"{length:g} m" if length < 1000 else f"{length / 1000:g} km"
    pad, bar = text, max(3, text // 4)
    base = height - pad
    _panel(picture, (pad, length / metres_per_pixel), text, label, font)
    pen = ImageDraw.Draw(picture)
    pen.rectangle(
        (pad, base - bar, pad + length / metres_per_pixel, base), fill="white"
    )
    if legend is None:
        return
    title = f"{name}  {legend[0]:g} to {legend[1]:g}"
    span = max(font.getlength(title), text * 8)
    left = width - pad - span
    _panel(picture, (left, span), text, title, font)
    pen = ImageDraw.Draw(picture)
    for step, colour in enumerate(
        colours_of(np.linspace(0, 1, int(span)), (0.0, 1.0), ramp)
    ):
        pen.rectangle((left + step, base - bar, left + step + 1, base), fill=colour)


def draw_key(
    picture: Image.Image,
    entries: Sequence[tuple[str, tuple[int, int, int]]],
    *,
    at_top: bool = False,
) -> None:
    """Write what colours mean into the lower right, or the upper left, corner.

    Args:
        picture: What to draw on; one that is too narrow for the words stays as it is.
        entries: Words and their colours (red, green, blue), in order.
        at_top: Upper left instead of lower right, where the colour legend is.
    """
    width, height = picture.size
    text = int(np.clip(min(width, height) / 45, 11, 26))
    font = ImageFont.load_default(size=text)
    span = max((font.getlength(name) for name, _ in entries), default=0) + 2.6 * text
    if not entries or span > width:
        return
    top = text if at_top else height - text // 2 - len(entries) * text * 1.5
    left = text / 2 if at_top else width - span - text / 2
    bottom = top + len(entries) * text * 1.5 + text / 4
    mask = Image.new("L", picture.size)
    ImageDraw.Draw(mask).rounded_rectangle(
        (left, top - text / 2, left + span, bottom), text / 3, fill=170
    )
    picture.paste((12, 14, 16), mask=mask)
    pen = ImageDraw.Draw(picture)
    for row, (name, colour) in enumerate(entries):
        y = top + row * text * 1.5
        pen.rectangle((left + text / 2, y, left + text * 1.4, y + text), fill=colour)
        pen.text((left + text * 1.8, y - text * 0.1), name, fill="white", font=font)


def _panel(
    picture: Image.Image,
    place: tuple[float, float],
    text: int,
    label: str,
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
) -> None:
    """Darken a strip (left edge and length, px) and write a label into it."""
    left, length = place
    bottom = picture.height - text // 2
    right = left + max(length, font.getlength(label)) + text / 2
    mask = Image.new("L", picture.size)
    ImageDraw.Draw(mask).rounded_rectangle(
        (left - text / 2, bottom - text * 2.4, right, bottom), text / 3, fill=150
    )
    picture.paste((12, 14, 16), mask=mask)
    top = bottom - text * 2.2
    ImageDraw.Draw(picture).text((left, top), label, fill="white", font=font)
