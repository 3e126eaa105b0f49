"""A run that has ended, as its folder tells it; no model and no imagery is opened."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import shapely
from affine import Affine
from odc.geo.geobox import GeoBox

from areca.errors import InputError
from areca.inference import Area
from areca.runs.folder import RunFolder
from areca.runs.quicklook import assemble, step_of
from areca.tiles import BlockGrid, Lattice, Window

if TYPE_CHECKING:
    from pathlib import Path

    from PIL import Image


@dataclass(frozen=True, kw_only=True)
class FinishedRun:
    """What a run left behind, for those who come later."""

    folder: RunFolder
    request: dict[str, Any]
    """What was asked (`run.json`)."""
    manifest: dict[str, Any]

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
            request, manifest = (
                json.loads(file.read_text(encoding="utf-8"))
                for file in (folder.request, folder.manifest)
            )
        except ValueError as error:
            raise InputError(
                f"the run in {path} is damaged: {error}; repeat its command"
            ) from error
        return cls(folder=folder, request=request, manifest=manifest)

    @property
    def holes(self) -> int:
        """Blocks without an answer; the run is PARTIAL where there are any."""
        return len(self.manifest.get("holes", []))

    @property
    def lattice(self) -> Lattice:
        """What pixels of the run are counted on."""
        return Lattice(**self.request["lattice"])

    @property
    def items(self) -> list[dict[str, Any]]:
        """The scenes of the run as plain data, in mosaic order (see `Scene`)."""
        items: list[dict[str, Any]] = self.request["items"]
        return items

    @property
    def shown(self) -> Window:
        """The ground that the report shows: the area of interest, or all imagery."""
        region = self._region()
        if self.request["aoi"] is None:
            return region
        area = Area.of(shapely.from_wkt(self.request["aoi"]), self.lattice)
        return area.window(0).intersection(region) or region

    def picture(self) -> tuple[Image.Image, int]:
        """Return a picture of the ground, and how many pixels one of its is.

        Returns:
            What the quick-looks of the blocks show of `shown`; grey where none is.
        """
        shown, grid = self.shown, self._grid()
        step = step_of(shown)
        looks = (
            (block.window, self.folder.block(block) / "quicklook.png")
            for block in grid.blocks(shown)
        )
        return assemble(looks, shown, step), step

    def _grid(self) -> BlockGrid:
        tiles = self.request["options"]["block_tiles"]
        return BlockGrid(
            lattice=self.lattice,
            region=self._region(),
            tiles_down=tiles,
            tiles_across=tiles,
        )

    def _region(self) -> Window:
        """Return the pixels around all imagery."""
        lattice = self.lattice
        windows = [
            lattice.window(GeoBox(tuple(i["shape"]), Affine(*i["transform"]), i["crs"]))
            for i in self.items
        ]
        edges = np.array([(w.row0, w.col0, w.row1, w.col1) for w in windows])
        first, last = edges.min(axis=0).tolist(), edges.max(axis=0).tolist()
        return Window(first[0], first[1], last[2], last[3])
