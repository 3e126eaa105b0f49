"""Masks as commands and recipes word them: `scl:cloud,shadow`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from areca.catalog import Mask
from areca.errors import InputError
from areca_pipelines.lists import split_words

if TYPE_CHECKING:
    from collections.abc import Iterable

_BAND = re.compile(r"[^\W_][\w@ -]*(\.b\d+)?")
"""What can be the name of a band, and is no vector file: those have an ending."""


def mask_of(text: str, option: str = "--mask") -> Mask | str:
    """Return the mask that `BAND[@scheme]:kind,kind` or the path of a file means.

    Args:
        text: What was given.
        option: What it was given with, for messages.

    Raises:
        InputError: There are no kinds, or no colon before them.
    """
    band, colon, kinds = text.partition(":")
    if not colon and _BAND.fullmatch(text) and not Path(text).exists():
        raise InputError(
            f"{option} {text!r} names a band, but not what to leave out: write "
            f"{text}:cloud,shadow; or give a vector file, and there is none of this "
            "name"
        )
    if not colon or "/" in band or "\\" in band:
        return text
    drop = split_words(kinds)
    if not drop:
        raise InputError(
            f"{option} {text!r} names nothing to leave out; for example "
            "scl:cloud,shadow, or a vector file"
        )
    name, _, scheme = band.partition("@")
    return Mask(name, drop=drop, scheme=scheme or None)


def quality_masks(texts: Iterable[str]) -> tuple[Mask, ...]:
    """Return the masks of a run or of features, which are of quality bands alone.

    Args:
        texts: Each `BAND[@scheme]:kind,kind`.

    Raises:
        InputError: One is none, or is a vector file.
    """
    masks = []
    for text in texts:
        mask = mask_of(text, "mask")
        if isinstance(mask, str):
            raise InputError(
                f"mask {mask!r} is no quality band; give BAND:kind,kind, for "
                "example scl:cloud,shadow. Areas are given with --aoi"
            )
        masks.append(mask)
    return tuple(masks)
