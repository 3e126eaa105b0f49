"""The knobs of measuring, in one frozen object."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from areca.errors import InputError

RadiusMethod = Literal[
    "mask", "ellipse_of_box", "model", "bounding_circle", "inscribed"
]
"""What a radius means; see `areca.measures.measure`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasureOptions:
    """What to measure; the defaults give the columns of `areca.measures.MEASURES`.

    Attributes:
        rectangle: Whether to find the smallest rectangle around each object (`width_m`,
            `length_m`, `orientation_deg`). About half of the time goes into it.
        bounding: Whether to add the columns of `areca.measures.BOUNDING`: bounding and
            inscribed circle, pole of inaccessibility, calipers, circularity.
        radius_method: One estimator for all objects, whatever the column
            `radius_method` says; None keeps what is there and chooses "mask" or
            "ellipse_of_box" by shape.
        pixel_m: Size of a pixel on the ground, m, or the name of a column that holds
            it: adds the columns of `areca.measures.ERRORS`. None takes the column
            `pixel_m` if there is one.
        edge_sigma_m: How far the outline of an object as a whole may lie outside or
            inside the true one, m (one standard deviation, known from an evaluation); 0
            leaves only the error of pixels. Part of the errors alone.
        notes: Whether to add the column `measure_note`, which names what was not plain
            about a geometry (see `areca.measures.notes`).
    """

    rectangle: bool = True
    bounding: bool = False
    radius_method: RadiusMethod | None = None
    pixel_m: float | str | None = None
    edge_sigma_m: float = 0.0
    notes: bool = False

    def __post_init__(self) -> None:
        if self.radius_method not in (None, *get_args(RadiusMethod)):
            raise InputError(
                f"radius_method is {self.radius_method!r}; give one of "
                f"{', '.join(get_args(RadiusMethod))}, or none to choose by shape"
            )
        if not isinstance(self.pixel_m, str | None) and not self.pixel_m > 0:
            raise InputError(
                f"pixel_m is {self.pixel_m!r}; give the size of a pixel on the ground "
                "in metres, more than 0, or the name of a column"
            )
        if not self.edge_sigma_m >= 0:
            raise InputError(
                f"edge_sigma_m is {self.edge_sigma_m!r}; give a distance in metres, 0 "
                "or more"
            )
