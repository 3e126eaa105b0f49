"""Indices that can be asked for by name: formulas of a few bands, as text."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from areca.errors import BandError
from areca.features.expression import Call, Name, Number, parse_feature

if TYPE_CHECKING:
    from collections.abc import Mapping

    from areca.features.expression import Tree


@dataclass(frozen=True, slots=True, kw_only=True)
class BandIndex:
    """One index."""

    name: str
    formula: str
    """Of STAC common names of bands; values in reflectance, 0 to 1, where the formula
    has constants."""
    about: str
    """What it is called in full."""
    source: str
    """Where the formula is from."""

    @property
    def tree(self) -> Tree:
        """The formula, read."""
        return parse_feature(self.formula).tree


_OWN = (
    ("ndvi", "(nir - red) / (nir + red)", "Normalised difference vegetation index",
     "Rouse et al. 1974, NASA SP-351, paper A 20"),
    ("gndvi", "(nir - green) / (nir + green)", "Green NDVI",
     "Gitelson, Kaufman & Merzlyak 1996, doi 10.1016/S0034-4257(96)00072-7"),
    ("ndre", "(nir - rededge) / (nir + rededge)", "Normalised difference red edge",
     "Gitelson & Merzlyak 1994, doi 10.1016/S0176-1617(11)81633-0"),
    ("ndwi", "(green - nir) / (green + nir)", "Normalised difference water index",
     "McFeeters 1996, doi 10.1080/01431169608948714"),
    ("ndmi", "(nir - swir16) / (nir + swir16)", "Normalised difference moisture index",
     "Gao 1996, doi 10.1016/S0034-4257(96)00067-3"),
    ("nbr", "(nir - swir22) / (nir + swir22)", "Normalised burn ratio",
     "Key & Benson 2006, USDA RMRS-GTR-164"),
    ("ndbi", "(swir16 - nir) / (swir16 + nir)", "Normalised difference built-up index",
     "Zha, Gao & Ni 2003, doi 10.1080/01431160304987"),
    ("ndsi", "(green - swir16) / (green + swir16)", "Normalised difference snow index",
     "Hall, Riggs & Salomonson 1995, doi 10.1016/0034-4257(95)00137-P"),
    ("savi", "1.5 * (nir - red) / (nir + red + 0.5)", "Soil-adjusted vegetation index",
     "Huete 1988, doi 10.1016/0034-4257(88)90106-X, with L = 0.5"),
    ("osavi", "(nir - red) / (nir + red + 0.16)", "Optimised SAVI",
     "Rondeaux, Steven & Baret 1996, doi 10.1016/0034-4257(95)00186-7"),
    ("msavi", "(2 * nir + 1 - sqrt((2 * nir + 1) ** 2 - 8 * (nir - red))) / 2",
     "Modified SAVI", "Qi et al. 1994, doi 10.1016/0034-4257(94)90134-1"),
    ("evi", "2.5 * (nir - red) / (nir + 6 * red - 7.5 * blue + 1)",
     "Enhanced vegetation index",
     "Huete et al. 2002, doi 10.1016/S0034-4257(02)00096-2"),
    ("evi2", "2.5 * (nir - red) / (nir + 2.4 * red + 1)", "EVI of two bands",
     "Jiang et al. 2008, doi 10.1016/j.rse.2008.06.006"),
    ("vari", "(green - red) / (green + red - blue)",
     "Visible atmospherically resistant index",
     "Gitelson et al. 2002, doi 10.1016/S0034-4257(01)00289-9"),
    ("exg", "(2 * green - red - blue) / (red + green + blue)", "Excess green",
     "Woebbecke et al. 1995, doi 10.13031/2013.27838"),
)  # fmt: skip

INDICES: dict[str, BandIndex] = {
    name: BandIndex(name=name, formula=formula, about=about, source=source)
    for name, formula, about, source in _OWN
}
"""The indices of areca itself."""


OF_REFLECTANCE = frozenset({"savi", "osavi", "msavi", "evi", "evi2"})
"""Those with constants beside bands: of stored numbers (0 to 255, or 10,000) they mean
nothing, as the constants are for reflectance of 0 to 1."""


def find_index(name: str) -> BandIndex | None:
    """Return an index by its name; None where there is none.

    Args:
        name: Of areca, in any case; else of spyndex, where case tells names apart.
    """
    if name.lower() in INDICES:
        return INDICES[name.lower()]
    known = spectral_indices()
    if name in known:
        return known[name]
    same = [other for other in known if other.lower() == name.lower()]
    return known[same[0]] if len(same) == 1 else None


@cache
def spectral_indices() -> Mapping[str, BandIndex]:
    """Return the indices of the Awesome Spectral Indices that need bands alone.

    Their constants have the values that the list proposes. Left out are indices that
    need more than bands: wavelengths, kernels, polarisations without a common name.
    """
    import spyndex  # noqa: PLC0415 - a third of a second, which not every stack needs

    bands = {key: Name(spyndex.bands[key].common_name) for key in spyndex.bands}
    bands |= {key: Name(key.lower()) for key in ("VV", "VH", "HH", "HV")}
    constants = {
        key: Number(float(spyndex.constants[key].default))
        for key in spyndex.constants
        if spyndex.constants[key].default is not None
    }
    meanings: dict[str, Tree] = {**constants, **bands}
    found: dict[str, BandIndex] = {}
    for key, entry in spyndex.indices.items():
        if all(needed in meanings for needed in entry.bands):
            tree = _renamed(parse_feature(entry.formula).tree, meanings)
            found[key] = BandIndex(
                name=key,
                formula=write(tree),
                about=" ".join(entry.long_name.split()),
                source=entry.reference,
            )
    return found


def write(tree: Tree) -> str:
    """Return a tree as text that reads back as the same tree."""
    if isinstance(tree, Name):
        return tree.text
    if isinstance(tree, Number):
        return f"{tree.value!r}" if tree.value >= 0 else f"({tree.value!r})"
    inner = [write(argument) for argument in tree.arguments]
    if tree.function == "negative":
        return f"(-{inner[0]})"
    if tree.function.isidentifier():
        options = [f"{key}={value!r}" for key, value in tree.options]
        return f"{tree.function}({', '.join([*inner, *options])})"
    return f"({inner[0]} {tree.function} {inner[1]})"


def _renamed(tree: Tree, meanings: Mapping[str, Tree]) -> Tree:
    if isinstance(tree, Name):
        if tree.text not in meanings:
            raise BandError(f"spyndex names {tree.text!r}, which areca does not know")
        return meanings[tree.text]
    if isinstance(tree, Call):
        arguments = tuple(_renamed(each, meanings) for each in tree.arguments)
        return Call(tree.function, arguments, tree.options)
    return tree
