"""Acquisitions: items whose bands may lie on several pixel grids."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from areca.catalog.roles import is_categorical
from areca.errors import BandError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from areca.catalog.scenes import Scene, SceneBand


@dataclass(frozen=True, slots=True)
class Acquisition:
    """One item, as a scene for each pixel grid that its bands lie on."""

    parts: tuple[Scene, ...]
    """The finest grid first; no band is in two of them."""

    @property
    def id(self) -> str:
        """The item's id."""
        return self.parts[0].id

    def with_bands(self, names: Sequence[str]) -> list[tuple[Scene, list[int]]]:
        """Return the parts that hold some bands.

        Args:
            names: Names or aliases of bands.

        Returns:
            Each part with the positions, among `names`, of the bands that it holds.

        Raises:
            BandError: No part has a band.
        """
        found: dict[int, list[int]] = {}
        for position, name in enumerate(names):
            holders = [i for i, part in enumerate(self.parts) if part.find(name)]
            if not holders:
                there = [band.name for part in self.parts for band in part.bands]
                raise BandError(
                    f"item {self.id} has no band {name!r}: it has {there}. Choose "
                    "among these, or items that have the band"
                )
            found.setdefault(holders[0], []).append(position)
        return [(self.parts[i], found[i]) for i in sorted(found)]

    def with_scales(self, given: Mapping[str, tuple[float, float]]) -> Acquisition:
        """Return the same with other scales and offsets.

        Args:
            given: By name or alias of a band; `*` means all that hold no classes.
        """
        if not given:
            return self
        bands = [tuple(_rescaled(b, given) for b in part.bands) for part in self.parts]
        parts = zip(self.parts, bands, strict=True)
        return Acquisition(tuple(replace(part, bands=those) for part, those in parts))

    def with_classes(self, names: Iterable[str]) -> Acquisition:
        """Return the same where some bands are known to hold classes.

        Args:
            names: Names or aliases of the bands that masks read.

        Raises:
            BandError: There is no such band.
        """  # noqa: DOC502 - raised by band
        known = {self.band(name) for name in names}
        if not known:
            return self
        parts = [
            replace(
                part,
                bands=tuple(
                    replace(b, categorical=True) if b in known else b
                    for b in part.bands
                ),
            )
            for part in self.parts
        ]
        return Acquisition(tuple(parts))

    def band(self, name: str) -> SceneBand:
        """Return a band by name or alias.

        Raises:
            BandError: No part has it.
        """
        ((part, _),) = self.with_bands([name])
        band = part.find(name)
        if band is None:
            raise BandError(f"item {self.id!r} has no band {name!r}")
        return band


def _rescaled(band: SceneBand, given: Mapping[str, tuple[float, float]]) -> SceneBand:
    names = [name for name in (band.name, *band.aliases) if name in given]
    if not names and not is_categorical(band) and "*" in given:
        names = ["*"]
    if not names:
        return band
    scale, offset = given[names[0]]
    return replace(band, scale=float(scale), offset=float(offset))


def in_canonical_order(found: Iterable[Acquisition]) -> list[Acquisition]:
    """Return acquisitions newest first, then by id; see `canonical_order`."""
    by_name = sorted(found, key=lambda one: (one.id, one.parts[0].collection))
    return sorted(by_name, key=lambda one: one.parts[0].end, reverse=True)
