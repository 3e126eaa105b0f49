"""Signatures: what the pixels of each class are like, as plain data and as files."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from areca.errors import BandError
from areca.features.signature_text import signature_lines, signature_of_lines

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

NODATA = 255
"""Value of a class raster where a pixel is missing."""
_KINDS = (".json", ".gsg")


@dataclass(frozen=True, slots=True, kw_only=True)
class SignatureClass:
    """What the pixels of one class are like."""

    value: int
    """Its value in a raster, 0 to 254."""
    name: str
    count: int
    """Pixels that this was learnt from."""
    mean: tuple[float, ...]
    """One a band."""
    covariance: tuple[tuple[float, ...], ...]
    """Of a sample (count - 1), shape (band, band)."""

    @property
    def factor(self) -> NDArray[np.float64]:
        """Lower triangle whose product with its transpose is the covariance.

        Raises:
            BandError: The covariance has none, so it has no inverse either.
        """
        covariance = np.array(self.covariance, np.float64)
        try:
            factor = np.linalg.cholesky(covariance)
        except np.linalg.LinAlgError as error:
            raise BandError(
                f"the covariance of class {self.value} ({self.name}) cannot be "
                "inverted: a band has one value in it or follows from others; leave "
                "that band out"
            ) from error
        return np.asarray(factor)


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """Classes of pixels of some bands; `to_dict` is plain data for JSON."""

    bands: tuple[str, ...]
    classes: tuple[SignatureClass, ...]
    """In the order of their values."""
    sample_interval: int = 1
    """Of how many rows and columns one was looked at."""

    def __post_init__(self) -> None:
        values = [one.value for one in self.classes]
        inside = all(0 <= value < NODATA for value in values)
        if not values or sorted(set(values)) != values or not inside:
            raise BandError(
                f"classes must have growing values from 0 to {NODATA - 1}, got "
                f"{values}; number them again"
            )
        count = len(self.bands)
        for one in self.classes:
            if np.shape(one.mean) != (count,) or np.shape(one.covariance) != (
                count,
                count,
            ):
                raise BandError(
                    f"class {one.value} ({one.name}) has {np.shape(one.mean)} means "
                    f"and covariances {np.shape(one.covariance)} for {count} bands, "
                    f"{', '.join(self.bands)}; the signature is damaged"
                )

    def to_dict(self) -> dict[str, Any]:
        """Return plain data, which JSON holds without a loss."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Signature:
        """Return what `to_dict` gave.

        Args:
            data: Plain data.

        Raises:
            BandError: It is something else.
        """
        try:
            classes = [
                SignatureClass(
                    value=int(one["value"]),
                    name=str(one["name"]),
                    count=int(one["count"]),
                    mean=tuple(map(float, one["mean"])),
                    covariance=tuple(tuple(map(float, r)) for r in one["covariance"]),
                )
                for one in data["classes"]
            ]
            bands = tuple(map(str, data["bands"]))
            interval = int(data["sample_interval"])
        except (KeyError, TypeError, ValueError) as error:
            raise BandError(
                f"this is no signature of areca ({error!r}); give what "
                "Signature.to_dict returned"
            ) from error
        return cls(bands=bands, classes=tuple(classes), sample_interval=interval)

    def write(self, path: str | Path) -> Path:
        """Write a file: `.json`, or `.gsg`, the text format of ArcGIS.

        Both hold every digit. A `.gsg` names classes without spaces.

        Args:
            path: Where to; its suffix says how.

        Returns:
            The path.

        Raises:
            BandError: It has another suffix.
        """  # noqa: DOC502 - raised by _kind
        target = Path(path)
        if _kind(target) == ".json":
            text = json.dumps(self.to_dict(), indent=1)
        else:
            text = "\n".join(signature_lines(self.to_dict()))
        target.write_text(text + "\n", encoding="utf-8")
        return target

    @classmethod
    def read(cls, path: str | Path) -> Signature:
        """Return what `write` or ArcGIS wrote to a file.

        Args:
            path: A `.json` or `.gsg` file. The bands of a `.gsg` are the names of its
                layers.

        Raises:
            BandError: It is no signature, or has means without covariances.
        """
        source = Path(path)
        kind, text = _kind(source), source.read_text(encoding="utf-8")
        if kind == ".gsg":
            return cls.from_dict(signature_of_lines(text.splitlines(), str(source)))
        try:
            data = json.loads(text)
        except ValueError as error:
            raise BandError(f"{source} is no JSON ({error}); write it again") from error
        return cls.from_dict(data)


def _kind(path: Path) -> str:
    kind = path.suffix.lower()
    if kind not in _KINDS:
        raise BandError(
            f"a signature is a file {' or '.join(_KINDS)}, got {path.name}; rename it"
        )
    return kind
