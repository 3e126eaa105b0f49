"""A run that has ended, as its folder tells it; no model and no imagery is opened."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import shapely
from affine import Affine
from odc.geo.geobox import GeoBox

from areca.catalog import Scene, acquisitions_of, grid_of
from areca.errors import InputError
from areca.runs.folder import RunFolder
from areca.runs.layout import Layout
from areca.tiles import Lattice

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class FinishedRun:
    """What a run left behind, for those who come later."""

    folder: RunFolder
    request: dict[str, Any]
    """What was asked (`run.json`)."""
    manifest: dict[str, Any]
    scenes: tuple[Scene, ...]
    """The imagery in mosaic order; hrefs without what was secret in them."""
    layout: Layout

    @classmethod
    def open(cls, path: Path) -> FinishedRun:
        """Read the request and the manifest of a run.

        Args:
            path: The run folder.

        Returns:
            The run.

        Raises:
            InputError: It is none, or the run has not ended.
        """
        folder = RunFolder(path)
        if not folder.request.is_file():
            raise InputError(
                f"{path} is no run folder: it has no {folder.request.name}; give the "
                "folder of `areca run --out`"
            )
        if not folder.manifest.is_file():
            raise InputError(
                f"the run in {path} has not ended: it has no {folder.manifest.name}; "
                "repeat its command to resume it"
            )
        try:
            return cls._read(folder)
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"the run in {path} is damaged ({type(error).__name__}: {error}); "
                "repeat its command"
            ) from error

    @property
    def images(self) -> list[Scene]:
        """One scene an item, that of its finest pixels, in mosaic order."""
        return [one.parts[0] for one in acquisitions_of(self.scenes)]

    @property
    def holes(self) -> int:
        """Blocks without an answer; the run is PARTIAL where there are any."""
        return len(self.manifest.get("holes", []))

    @classmethod
    def _read(cls, folder: RunFolder) -> FinishedRun:
        request, manifest = (
            json.loads(file.read_text(encoding="utf-8"))
            for file in (folder.request, folder.manifest)
        )
        scenes = tuple(map(Scene.of_dict, request["items"]))
        layout = Layout.of(
            _grid(request, scenes),
            Lattice(**request["lattice"]),
            block_tiles=request["options"]["block_tiles"],
            aoi=None if request["aoi"] is None else shapely.from_wkt(request["aoi"]),
        )
        return cls(
            folder=folder,
            request=request,
            manifest=manifest,
            scenes=scenes,
            layout=layout,
        )


def _grid(request: dict[str, Any], scenes: tuple[Scene, ...]) -> GeoBox:
    """Return all of the imagery, on the grid that it was brought to if it was."""
    place = request.get("grid")
    if place is None:
        return grid_of(scenes)
    return GeoBox(tuple(place["shape"]), Affine(*place["transform"]), place["crs"])
