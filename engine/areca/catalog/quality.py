"""Quality bands by the names of what they tell: classes and bits of public products.

Sources: Sentinel-2 products specification (SCL, QA60); Landsat Collection 2 level-2
science product guide (QA_PIXEL); Landsat Collection 1 and pre-collection quality bands
(BQA); HLS user guide 2.0 (Fmask); Geoscience Australia's ARD (oa_fmask).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

Bits = tuple[int, int, int]
"""First bit, number of bits, and the smallest value that counts."""


@dataclass(frozen=True, slots=True)
class Scheme:
    """What the numbers of a quality band mean."""

    classes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """Values by name."""
    bits: Mapping[str, Bits] = field(default_factory=dict)
    """Bit fields by name."""
    fields: Mapping[str, Bits] = field(default_factory=dict)
    """Bit fields by name of which one value counts, the third number."""

    @property
    def names(self) -> list[str]:
        """What can be dropped."""
        return [*self.classes, *self.bits, *self.fields]

    def shows(self, name: str, values: NDArray[Any]) -> NDArray[np.bool_]:
        """Return where a band says that something is there.

        Args:
            name: One of `names`.
            values: Whole numbers of the band, any shape.
        """
        if name in self.classes:
            return np.isin(values, self.classes[name])
        first, width, value = self.bits.get(name) or self.fields[name]
        found = (values >> first) & ((1 << width) - 1)
        return np.asarray(found >= value if name in self.bits else found == value)

    def meaning(self, name: str) -> tuple[Any, ...]:
        """Return what a name stands for, empty where it is not known, to compare.

        Args:
            name: As of `shows`.

        Returns:
            The values, after the first bit and the number of bits if it is of bits.
        """
        if name in self.classes:
            return tuple(sorted(self.classes[name]))
        if name in self.bits:
            first, width, least = self.bits[name]
            return "bits", first, width, *range(least, 1 << width)
        if name in self.fields:
            first, width, value = self.fields[name]
            return "bits", first, width, value
        return ()

    def completed(self, other: Scheme) -> Scheme:
        """Return a scheme with the names of another that are missing here.

        Values and bits do not go together: where one scheme has only values and the
        other only bits, nothing is added.
        """
        if bool(self.classes) != bool(other.classes) and bool(
            self.bits or self.fields
        ) != bool(other.bits or other.fields):
            return self
        known = self.names
        return Scheme(
            {k: v for k, v in other.classes.items() if k not in known}
            | dict(self.classes),
            {k: v for k, v in other.bits.items() if k not in known} | dict(self.bits),
            {k: v for k, v in other.fields.items() if k not in known}
            | dict(self.fields),
        )


_SCL = Scheme(
    classes={
        "nodata": (0,),
        "saturated": (1,),
        "dark": (2,),
        "shadow": (3,),
        "vegetation": (4,),
        "bare": (5,),
        "water": (6,),
        "unclassified": (7,),
        "cloud": (8, 9),
        "cloud_medium": (8,),
        "cloud_high": (9,),
        "cirrus": (10,),
        "snow": (11,),
    }
)
_QA_PIXEL = Scheme(
    bits={
        "nodata": (0, 1, 1),
        "dilated_cloud": (1, 1, 1),
        "cirrus": (2, 1, 1),
        "cloud": (3, 1, 1),
        "shadow": (4, 1, 1),
        "snow": (5, 1, 1),
        "clear": (6, 1, 1),
        "water": (7, 1, 1),
        "cloud_medium": (8, 2, 2),
        "cloud_high": (8, 2, 3),
        "shadow_high": (10, 2, 3),
        "snow_high": (12, 2, 3),
        "cirrus_high": (14, 2, 3),
    }
)
_BQA_C1 = Scheme(
    bits={
        "nodata": (0, 1, 1),
        "occluded": (1, 1, 1),
        "saturated": (2, 2, 1),
        "cloud": (4, 1, 1),
        "cloud_medium": (5, 2, 2),
        "cloud_high": (5, 2, 3),
        "shadow": (7, 2, 3),
        "snow": (9, 2, 3),
        "cirrus": (11, 2, 3),
    }
)
_BQA_PRE = Scheme(
    bits={
        "nodata": (0, 1, 1),
        "dropped": (1, 1, 1),
        "occluded": (2, 1, 1),
        "water": (4, 2, 3),
        "vegetation": (8, 2, 3),
        "snow": (10, 2, 3),
        "cirrus": (12, 2, 3),
        "cirrus_medium": (12, 2, 2),
        "cloud": (14, 2, 3),
        "cloud_medium": (14, 2, 2),
    }
)
_QA60 = Scheme(bits={"cloud": (10, 1, 1), "cirrus": (11, 1, 1)})
_HLS = Scheme(
    bits={
        "cirrus": (0, 1, 1),
        "cloud": (1, 1, 1),
        "adjacent": (2, 1, 1),
        "shadow": (3, 1, 1),
        "snow": (4, 1, 1),
        "water": (5, 1, 1),
        "aerosol_high": (6, 2, 3),
    }
)
_GA = Scheme(
    classes={
        "nodata": (0,),
        "clear": (1,),
        "cloud": (2,),
        "shadow": (3,),
        "snow": (4,),
        "water": (5,),
    }
)
_CFMASK = Scheme(
    classes={
        "clear": (0,),
        "water": (1,),
        "shadow": (2,),
        "snow": (3,),
        "cloud": (4,),
        "nodata": (255,),
    }
)

SCHEMES: Mapping[str, Scheme] = {
    "scl": _SCL,
    "qa_pixel": _QA_PIXEL,
    "qa60": _QA60,
    "bqa": _BQA_C1,
    "bqa_pre": _BQA_PRE,
    "fmask": _HLS,
    "oa_fmask": _GA,
    "cfmask": _CFMASK,
}
"""Schemes by the name of their band in lower case.

Two products share a name: `bqa` is that of Landsat Collection 1 (`bqa_pre`: of scenes
before the collections), `fmask` that of HLS (`cfmask`: the classes 0 to 4 of the
original program).
"""

UNSURE = frozenset({"bqa"})
"""Names of bands that alone do not tell a scheme: a wrong one would mask nothing."""
