"""From what a feature is called to what it is made of, or why it cannot be."""

from __future__ import annotations

from difflib import get_close_matches
from functools import lru_cache
from typing import TYPE_CHECKING

from areca.catalog.roles import COMMON_NAMES
from areca.errors import BandError
from areca.features.arithmetic import ELEMENTWISE
from areca.features.expression import (
    Call,
    Feature,
    Name,
    Number,
    names_in,
    parse_feature,
)
from areca.features.functions import NEIGHBOURHOODS, check_options
from areca.features.indices import INDICES, find_index, spectral_indices

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from areca.features.expression import Tree

STAND_INS: dict[str, tuple[str, ...]] = {
    "nir": ("nir08",),
    "nir08": ("nir",),
    "rededge": ("rededge071",),
    "rededge071": ("rededge",),
    "lwir": ("lwir11",),
    "lwir11": ("lwir",),
}
"""Bands of an index that another one takes the place of, where a cube has only that:
Landsat's near infrared is `nir08`."""

HEIGHTS = ("dem", "dtm", "dsm", "elevation", "height", "data")
"""Bands that `slope` alone is the slope of, the first that there is."""


def resolve(text: str, present: Sequence[str] | None = None) -> Feature:
    """Say what a feature is made of.

    Args:
        text: A band, an index, a formula or `name = formula`.
        present: Bands that there are. One called as the whole text is that band; one
            called as a formula is taken where the formula's own bands are not there, as
            in a cube that was stacked before. None takes every name that is no index
            for a band.

    Returns:
        The feature, with bands, numbers, operators and functions only.

    Raises:
        BandError: Names what is not there or cannot be, what there is, and the nearest.
    """
    feature = parse_feature(text)
    known = present or ()
    if text.strip() in known:
        return Feature(text.strip(), Name(text.strip()))
    try:
        tree = _resolved(feature.tree, present)
    except BandError:
        if feature.name not in known:
            raise
        tree = Name(feature.name)
    if not any(True for _ in names_in(tree)):
        raise BandError(
            f"the feature {text!r} names no band; a feature is made of bands"
        )
    return Feature(feature.name, tree)


_kept = lru_cache(maxsize=4096)(resolve)


def resolve_all(
    texts: Iterable[str], present: Sequence[str] | None = None
) -> list[Feature]:
    """Return what several features are made of; each is read once in a process.

    Args:
        texts: As `resolve` takes them.
        present: Bands that there are.
    """
    bands = None if present is None else tuple(present)
    return [_kept(text, bands) for text in texts]


def reach_of(tree: Tree) -> int:
    """Return how many pixels around a pixel a resolved tree must see."""
    if not isinstance(tree, Call):
        return 0
    inner = max(map(reach_of, tree.arguments))
    function = NEIGHBOURHOODS.get(tree.function)
    return inner if function is None else inner + function.reach(dict(tree.options))


def _resolved(tree: Tree, present: Sequence[str] | None) -> Tree:
    if isinstance(tree, Name):
        return _named(tree.text, present)
    if isinstance(tree, Number):
        return tree
    if tree.function in NEIGHBOURHOODS:
        return _neighbourhood(tree, present)
    if tree.function not in ELEMENTWISE:
        known = [name for name in ELEMENTWISE if name.isidentifier()]
        raise BandError(
            f"there is no function {tree.function!r}"
            f"{_nearest(tree.function, [*known, *NEIGHBOURHOODS])}; `areca features "
            "--list` names them all"
        )
    count, _ = ELEMENTWISE[tree.function]
    if len(tree.arguments) != count or tree.options:
        raise BandError(
            f"{tree.function} takes {count} bands or formulas and nothing else, got "
            f"{len(tree.arguments)} and {len(tree.options)} options"
        )
    return Call(
        tree.function, tuple(_resolved(each, present) for each in tree.arguments)
    )


def _named(name: str, present: Sequence[str] | None) -> Tree:
    if name in (COMMON_NAMES if present is None else present):
        return Name(name)
    function = NEIGHBOURHOODS.get(name)
    if function is not None and function.group == "terrain":
        heights = _heights(present or ())
        return _neighbourhood(Call(name, (Name(heights),)), present)
    index = find_index(name)
    if index is None and present is None:
        return Name(name)
    if index is None:
        close = ""
        if name not in COMMON_NAMES:  # a band that is meant, and not there
            close = _nearest(name, [*(present or ()), *INDICES])
            close = close or _nearest(name, list(spectral_indices()))
        raise BandError(
            f"there is no band or index {name!r}{close}: the cube has "
            f"{list(present or ())}, and `areca features --list` names all indices. "
            "Open the cube with this band"
        )
    if present is None:
        return index.tree
    needed = list(dict.fromkeys(names_in(index.tree)))
    missing = [band for band in needed if _stand_in(band, present) is None]
    if missing:
        raise BandError(
            f"the index {name!r} needs {needed}, and the cube has no {missing}: it has "
            f"{list(present)}. Open the cube with these bands"
        )
    return _swapped(index.tree, present)


def _heights(present: Sequence[str]) -> str:
    """Return the band that terrain is made of: the only one, or `dem` and its like."""
    if len(present) == 1:
        return present[0]
    return next((band for band in HEIGHTS if band in present), HEIGHTS[0])


def _stand_in(band: str, present: Sequence[str]) -> str | None:
    return next((b for b in (band, *STAND_INS.get(band, ())) if b in present), None)


def _swapped(tree: Tree, present: Sequence[str]) -> Tree:
    """Return the tree of an index, with the bands that stand in for missing ones."""
    if isinstance(tree, Name):
        return Name(_stand_in(tree.text, present) or tree.text)
    if isinstance(tree, Call):
        arguments = tuple(_swapped(each, present) for each in tree.arguments)
        return Call(tree.function, arguments, tree.options)
    return tree


def _neighbourhood(tree: Call, present: Sequence[str] | None) -> Tree:
    """Return a call with one layer and all its options.

    Raises:
        BandError: It has too many arguments, or an option is missing or unknown.
    """
    function = NEIGHBOURHOODS[tree.function]
    numbers = [each.value for each in tree.arguments[1:] if isinstance(each, Number)]
    if len(numbers) != len(tree.arguments) - 1 or len(numbers) > len(function.options):
        raise BandError(
            f"{tree.function} takes one band or formula and then numbers: "
            f"{function.usage}"
        )
    given = dict(zip(function.options, numbers, strict=False))
    unknown = [name for name, _ in tree.options if name not in function.options]
    if unknown or any(name in given for name, _ in tree.options):
        raise BandError(
            f"{tree.function} has no option {', '.join(unknown) or 'given twice'}: "
            f"{function.usage}"
        )
    given |= dict(tree.options)
    complete = {
        name: given.get(name, value) for name, value in function.options.items()
    }
    missing = [name for name, value in complete.items() if value is None]
    if missing:
        raise BandError(
            f"{tree.function} needs {' and '.join(missing)}, the range of the values, "
            "which must be the same for all blocks: for example "
            f"{tree.function}(nir, low=0, high=255)"
        )
    options = {name: value for name, value in complete.items() if value is not None}
    check_options(function, options)
    layer = _resolved(tree.arguments[0], present)
    return Call(tree.function, (layer,), tuple(sorted(options.items())))


def _nearest(name: str, offered: Sequence[str]) -> str:
    lower = {each.lower(): each for each in reversed(offered)}
    close = get_close_matches(name.lower(), lower, n=1)
    return f", did you mean {lower[close[0]]!r}?" if close else ""
