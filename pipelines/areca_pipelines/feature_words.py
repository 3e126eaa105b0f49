"""What `areca features` reads of its words, and what it says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from areca.features import INDICES, NEIGHBOURHOODS, spectral_indices
from areca_pipelines.console import OUT

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from areca_pipelines.featuring import Written

SHOWN_DATES = 8
"""Dates that are named on the screen."""


def split_features(texts: Iterable[str]) -> list[str]:
    """Return features from `red,std(nir, 7)`: cut at commas outside of brackets.

    Args:
        texts: What the user wrote, once or several times.
    """
    found: list[str] = []
    for text in texts:
        depth, start = 0, 0
        for place, letter in enumerate(text):
            depth += (letter == "(") - (letter == ")")
            if letter == "," and depth == 0:
                found.append(text[start:place])
                start = place + 1
        found.append(text[start:])
    return [text.strip() for text in found if text.strip()]


def print_written(written: Written, sheet: Path | None = None) -> None:
    """Say what was written and where."""
    OUT.print(
        f"[bold]{len(written.bands)} bands[/bold] of {written.height:,} x "
        f"{written.width:,} pixels"
    )
    if written.warped_to:
        OUT.print(f"warped  to {written.warped_to}", markup=False)
    if len(written.dates) > 1:
        OUT.print(_told(written.dates), markup=False)
    if written.undated:
        OUT.print(
            f"undated {len(written.undated):,} items lie over each other by name, "
            f"{written.undated[0]} on top; a catalogue can tell dates",
            markup=False,
        )
    if written.unscaled:
        OUT.print(
            f"numbers {', '.join(written.unscaled)} want reflectance of 0 to 1, and "
            "these are stored whole numbers: scale the bands in a formula, or in "
            "Python (scale_offset)",
            markup=False,
        )
    OUT.print(f"file    {written.path}", markup=False)
    if sheet is not None:
        OUT.print(f"sheet   {sheet}", markup=False)


def _told(dates: Sequence[str]) -> str:
    shown = list(dates)
    if len(shown) > SHOWN_DATES:
        shown = [*shown[: SHOWN_DATES - 1], "…", shown[-1]]
    return (
        f"dates   {', '.join(shown)} ({len(dates):,}); the newest is on top, the "
        "others show where it has no pixels. --datetime takes some, e.g. "
        f"--datetime {dates[-1]}"
    )


def print_features() -> None:
    """List what a feature can be made of, a line each."""
    lines = ["functions of a band or a formula"]
    lines += [f"  {one.usage:58} {one.about}" for one in NEIGHBOURHOODS.values()]
    lines += ["  sqrt log exp abs (one), min max (two), + - * / **", "", "indices"]
    lines += [f"  {o.name:12} {o.about}: {o.formula}" for o in INDICES.values()]
    lines += ["", "indices of spyndex (Awesome Spectral Indices)"]
    lines += [
        f"  {one.name:12} {one.about}: {one.formula}"
        for one in spectral_indices().values()
        if one.name.lower() not in INDICES
    ]
    OUT.print("\n".join(lines), markup=False, soft_wrap=True)
