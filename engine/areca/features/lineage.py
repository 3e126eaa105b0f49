"""Where bands come from: the formula of each, and the files of what it is made of.

A cube of `areca.open_cube` keeps in `attrs["items"]` which asset, scale, offset and
resampling each of its bands has. What areca computes from it says in
`attrs["lineage"]` how each of its bands was made, and of what.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from areca.features.expression import Call, Name, Number, names_in

if TYPE_CHECKING:
    from collections.abc import Mapping

    import xarray as xr

    from areca.features.expression import Tree

    Origin: TypeAlias = dict[str, Any]

LINEAGE = "lineage"
"""Attribute of a cube: origins of its bands that are not read as they are."""
_OPERATORS = frozenset({"+", "-", "*", "/", "**"})


def lineage(cube: xr.DataArray) -> dict[str, dict[str, Any]]:
    """Tell where each band of a cube comes from; nothing is computed.

    Args:
        cube: Of `areca.open_cube`, or made of one by areca; dims (band, y, x), or
            (y, x) with a name.

    Returns:
        The origin of each band. One that is read has `sources`, a list with `asset`
        (its key, and the number of the band), `scale`, `offset`, `resampling` (None
        where pixels are as they are stored), the `items` that agree in these, newest
        first, and `composite` where one was made over time. One that is computed has
        its `formula` and `of`, the origins of the bands in that.
    """
    kept = cube.attrs.get(LINEAGE, {})
    names = cube.band.values.tolist() if "band" in cube.dims else [cube.name]
    return {
        name: kept[name] if name in kept else {"sources": _sources(cube, name)}
        for name in map(str, names)
    }


def _sources(cube: xr.DataArray, band: str) -> list[dict[str, Any]]:
    """Return where a band is read from, items that agree together."""
    groups: dict[tuple[Any, ...], list[str]] = {}
    for item in cube.attrs.get("items", ()):
        if band in item.get("assets", {}):
            scale, offset = item.get("scale_offset", {}).get(band, (1.0, 0.0))
            method = item.get("resampling", {}).get(band)
            key = (item["assets"][band], scale, offset, method)
            groups.setdefault(key, []).append(item["id"])
    over_time = {k: v for k, v in cube.attrs.items() if k == "composite"}
    names = ("asset", "scale", "offset", "resampling")
    return [
        {**dict(zip(names, key, strict=True)), "items": items, **over_time}
        for key, items in groups.items()
    ]


def traced(
    made: xr.DataArray, trees: Mapping[str, Tree], origins: Mapping[str, Origin]
) -> xr.DataArray:
    """Return bands with what they were made of in their attributes.

    Args:
        made: The bands.
        trees: What each of them is, of bands that `origins` has.
        origins: Of these, see `lineage`.
    """
    kept = {}
    for name, tree in trees.items():
        if tree != Name(name):
            used = dict.fromkeys(names_in(tree))
            of = {band: origins[band] for band in used}
            kept[name] = {"formula": _text(tree), "of": of}
        elif "sources" not in origins[name]:
            kept[name] = origins[name]
    out = made.copy(deep=False)
    out.attrs = {k: v for k, v in made.attrs.items() if k != LINEAGE}
    out.attrs |= {LINEAGE: kept} if kept else {}
    return out


def traced_each(
    made: xr.DataArray,
    cube: xr.DataArray,
    function: str,
    options: Mapping[str, Mapping[str, float]] | None = None,
) -> xr.DataArray:
    """Return bands that a function made, each of that of the same name.

    Args:
        made: The bands.
        cube: What they were made of.
        function: What the function is called.
        options: Its numbers, by band.
    """
    trees = {}
    for band in map(str, cube.band.values):
        given = tuple((options or {}).get(band, {}).items())
        trees[band] = Call(function, (Name(band),), given)
    return traced(made, trees, lineage(cube))


def traced_all(made: xr.DataArray, cube: xr.DataArray, function: str) -> xr.DataArray:
    """Return the one layer that a function made of all bands.

    Args:
        made: Dims (y, x), with a name.
        cube: What it was made of.
        function: What the function is called.
    """
    bands = tuple(Name(str(band)) for band in cube.band.values)
    return traced(made, {str(made.name): Call(function, bands)}, lineage(cube))


def _text(tree: Tree, *, inner: bool = False) -> str:
    """Return a tree as one would write it."""
    if isinstance(tree, Number):
        return f"{tree.value:g}"
    if isinstance(tree, Name):
        return tree.text
    is_operator = tree.function in _OPERATORS
    parts = [_text(one, inner=is_operator) for one in tree.arguments]
    if is_operator:
        text = f" {tree.function} ".join(parts)
        return f"({text})" if inner else text
    if tree.function == "negative":
        return f"-{_text(tree.arguments[0], inner=True)}"
    parts += [f"{name}={value:g}" for name, value in tree.options]
    return f"{tree.function}({', '.join(parts)})"
