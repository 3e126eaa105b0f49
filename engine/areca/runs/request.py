"""What a run was asked for: everything that fixes its answer, and nothing else."""

from __future__ import annotations

import hashlib
import json
import platform
from dataclasses import asdict, dataclass
from functools import cached_property
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import shapely

from areca.catalog import redact
from areca.catalog.hrefs import is_remote
from areca.runs.plan import AskedGrid, RunPlan

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

    from areca.catalog import Mask, Scene
    from areca.inference import PredictOptions
    from areca.models.handle import Model

_ASKED_WHEN_SET = {"merge_policy": None}
"""Options younger than the first runs, and the value at which they change nothing."""


@dataclass(frozen=True, kw_only=True)
class RunRequest:
    """One regional run, before any pixel is read."""

    recipe: str
    """Name of the recipe."""
    title: str
    """Heading of the report."""
    command: str
    """What to type to resume the run; without secrets."""
    scenes: tuple[Scene, ...]
    """The imagery, any order; an item of several grids is a scene for each of them."""
    model: Model
    """Handle of the model."""
    options: PredictOptions
    """How to run it."""
    aoi: BaseGeometry | None = None
    """Area of interest in EPSG:4326; None takes all the imagery."""
    grid: AskedGrid | None = None
    """The pixel grid that is asked for; the imagery's own where it has one."""
    masks: tuple[Mask, ...] = ()
    """What quality bands of the imagery must not show."""
    notes: tuple[str, ...] = ()
    """What was assumed, one line each; no part of the request's identity."""

    @cached_property
    def plan(self) -> RunPlan:
        """The blocks of the run; bad requests are refused here, before any I/O."""
        return RunPlan(
            self.scenes,
            self.model,
            self.options,
            aoi=self.aoi,
            grid=self.grid,
            masks=self.masks,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the request as plain JSON data, without secrets.

        Signatures in hrefs are no part of a request: they expire, and the request
        does not.
        """
        lattice = self.plan.predictor.lattice
        card = self.model.card
        reader = self.plan.imagery.reader
        masks = () if reader is None else reader.masks
        return {
            "recipe": self.recipe,
            "model": {
                "name": card.name,
                "version": card.version,
                "digest": card.digest,
                "weights_sha256": card.sha256,
            },
            "options": _asked(self.options),
            "statistics": {"mean": list(card.mean), "std": list(card.std)},
            "lattice": asdict(lattice),
            **({} if reader is None else {"grid": _place(self.plan)}),
            **({"masks": [asdict(one) for one in masks]} if masks else {}),
            "aoi": None if self.aoi is None else shapely.to_wkt(self.aoi, 12),
            "items": [_public(scene) for scene in self.plan.scenes],
            "software": {name: version(name) for name in ("areca", "torch")},
            "arithmetic": f"float32, channels last, {platform.machine()}",
        }

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the request: equal digests mean equal answers."""
        text = json.dumps(self.to_dict(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


def _place(plan: RunPlan) -> dict[str, Any]:
    """Return the grid that imagery is brought to, where its own does not tell it."""
    affine, shape = plan.geobox.affine, plan.geobox.shape
    return {
        "crs": plan.predictor.lattice.crs,
        "transform": [float(value) for value in tuple(affine)[:6]],
        "shape": [int(size) for size in shape],
    }


def _asked(options: PredictOptions) -> dict[str, Any]:
    every = asdict(options)
    unset = [name for name, value in _ASKED_WHEN_SET.items() if every[name] == value]
    return {name: value for name, value in every.items() if name not in unset}


def _public(scene: Scene) -> dict[str, Any]:
    data = scene.to_dict()
    data["bands"] = [{**b, "href": _public_href(b["href"])} for b in data["bands"]]
    return data


def _public_href(href: str) -> str:
    """Return a link without secrets; a path on this disk has none, even with a `?`."""
    return redact(href) if is_remote(href) else href
