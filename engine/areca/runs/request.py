"""What a run was asked for: everything that fixes its answer, and nothing else."""

from __future__ import annotations

import hashlib
import json
from copy import copy
from dataclasses import asdict, dataclass
from functools import cached_property
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import shapely

from areca.catalog import canonical_order, choose_bands, grid_of, redact, select
from areca.errors import AoiError
from areca.features import FeatureStack
from areca.inference import Area, Predictor, check_fit, origin_of
from areca.objects import ImageSource
from areca.runs.block_task import BlockTask
from areca.runs.quicklook import step_of
from areca.tiles import Block, BlockGrid, Lattice, Window

if TYPE_CHECKING:
    from odc.geo.geobox import GeoBox
    from shapely.geometry.base import BaseGeometry

    from areca.catalog import Scene
    from areca.inference import PredictOptions
    from areca.models.handle import Model
    from areca.objects import Origin
    from areca.runs.folder import RunFolder


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
    """The imagery, any order."""
    model: Model
    """Handle of the model."""
    options: PredictOptions
    """How to run it."""
    aoi: BaseGeometry | None = None
    """Area of interest in EPSG:4326; None takes all the imagery."""

    @cached_property
    def plan(self) -> RunPlan:
        """The blocks of the run; bad requests are refused here, before any I/O."""
        return RunPlan(self)

    def to_dict(self) -> dict[str, Any]:
        """Return the request as plain JSON data, without secrets.

        Signatures in hrefs are no part of a request: they expire, and the request
        does not.
        """
        lattice = self.plan.predictor.lattice
        card = self.model.card
        return {
            "recipe": self.recipe,
            "model": {
                "name": card.name,
                "version": card.version,
                "digest": card.digest,
                "weights_sha256": card.sha256,
            },
            "options": asdict(self.options),
            "statistics": {"mean": list(card.mean), "std": list(card.std)},
            "lattice": asdict(lattice),
            "aoi": None if self.aoi is None else shapely.to_wkt(self.aoi, 12),
            "items": [_public(scene) for scene in self.plan.scenes],
            "software": {name: version(name) for name in ("areca", "torch")},
        }

    @property
    def digest(self) -> str:
        """SHA-256 over the request: equal digests mean equal answers."""
        text = json.dumps(self.to_dict(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


class RunPlan:
    """A request laid out on the ground: which blocks, which tiles, which pixels."""

    def __init__(self, request: RunRequest) -> None:
        """Lay out a request; reads nothing."""
        card, options = request.model.card, request.options
        self.scenes: list[Scene] = canonical_order(request.scenes)
        """The imagery in mosaic order."""
        self.bands = FeatureStack(card.bands).inputs
        """Bands of the imagery that the model and its indices need."""
        choose_bands(self.scenes, self.bands)
        self.geobox: GeoBox = grid_of(self.scenes)
        """All of the imagery."""
        check_fit(card, self.bands, self.geobox)
        lattice = Lattice.of(self.geobox, core_px=card.core_px)
        self.predictor = Predictor(
            model=request.model, lattice=lattice, options=options
        )
        """The model on its lattice."""
        self.grid = BlockGrid(
            lattice=lattice,
            region=lattice.window(self.geobox),
            tiles_down=options.block_tiles,
            tiles_across=options.block_tiles,
        )
        """All blocks of the imagery."""
        self.area = None if request.aoi is None else Area.of(request.aoi, lattice)
        """The area of interest in pixels of the lattice."""
        self.blocks = self._blocks()
        """The blocks that have imagery and that the area needs, in order."""

    @property
    def origin(self) -> Origin:
        """What all objects of the run share."""
        return origin_of(self.predictor, tuple(self._image(s) for s in self.scenes))

    def padded(self, block: Block) -> GeoBox:
        """Return the ground that the task of a block reads.

        Args:
            block: A block of the run.
        """
        window = block.window.grow(self.predictor.halo_px)
        return self.predictor.lattice.geobox(window)

    def scenes_of(self, block: Block) -> list[Scene]:
        """Return the scenes that a block and its halo touch, in mosaic order.

        Args:
            block: A block of the run.
        """
        return select(self.scenes, self.padded(block))

    def with_blocks(self, more: list[Block]) -> RunPlan:
        """Return the plan with further blocks.

        Args:
            more: Blocks of the same grid.
        """
        plan = copy(self)
        plan.blocks = sorted([*self.blocks, *more])
        return plan

    def with_imagery(self, window: Window) -> list[Block]:
        """Return the blocks that touch a window and have imagery, in order.

        Args:
            window: Absolute pixels.
        """
        return [b for b in self.grid.blocks(window) if self._has_imagery(b)]

    def tasks(self, folder: RunFolder, key: str) -> list[BlockTask]:
        """Return the task of every block, in order.

        Args:
            folder: Where the run writes.
            key: Digest of the request.
        """
        return [
            BlockTask(
                block=block,
                tiles=tuple(self.grid.tiles(block)),
                scenes=tuple(self.scenes_of(block)),
                bands=self.bands,
                predictor=self.predictor,
                folder=folder,
                key=key,
                look_step=step_of(self.grid),
            )
            for block in self.blocks
        ]

    def _blocks(self) -> list[Block]:
        near = (
            list(self.grid.blocks())
            if self.area is None
            else self.area.blocks(self.grid, self.predictor.influence_px)
        )
        found = [block for block in near if self._has_imagery(block)]
        if not found:
            raise AoiError(
                "no block of the imagery touches the area of interest; check the order "
                "west,south,east,north"
            )
        return found

    def _has_imagery(self, block: Block) -> bool:
        ground = self.predictor.lattice.geobox(block.window)
        return bool(select(self.scenes, ground))

    def _image(self, scene: Scene) -> ImageSource:
        return ImageSource(
            item_id=scene.id,
            start=scene.start,
            end=scene.end,
            window=scene_pixels(scene, self.predictor.lattice),
        )


def scene_pixels(scene: Scene, lattice: Lattice) -> Window:
    """Return the pixels of a scene.

    Args:
        scene: A scene on the grid of the lattice.
        lattice: What pixels are counted on.

    Returns:
        Absolute pixels.
    """
    return lattice.window(grid_of([scene]))


def _public(scene: Scene) -> dict[str, Any]:
    data = scene.to_dict()
    data["bands"] = [{**b, "href": redact(b["href"])} for b in data["bands"]]
    return data
