"""A request laid out on the ground: which blocks, which tiles, which images."""

from __future__ import annotations

from copy import copy
from functools import cached_property
from typing import TYPE_CHECKING

import shapely

from areca.catalog import canonical_order, choose_bands, grid_of
from areca.errors import AoiError
from areca.inference import (
    Predictor,
    check_fit,
    check_options,
    needed_bands,
    origin_of,
    window_box,
    with_tile,
)
from areca.objects import ImageSource
from areca.runs.block_task import BlockTask
from areca.runs.layout import Layout
from areca.runs.raster_store import RasterStore
from areca.tiles import Lattice

if TYPE_CHECKING:
    from collections.abc import Sequence

    from odc.geo.geobox import GeoBox
    from shapely.geometry.base import BaseGeometry

    from areca.catalog import Scene
    from areca.inference import Area, PredictOptions
    from areca.models.handle import Model
    from areca.objects import Origin
    from areca.runs.ledger import Ledger
    from areca.tiles import Block, BlockGrid, Window


class RunPlan:
    """The blocks of a run; bad requests are refused here, before any pixel is read."""

    def __init__(
        self,
        scenes: Sequence[Scene],
        model: Model,
        options: PredictOptions,
        aoi: BaseGeometry | None,
    ) -> None:
        """Lay out a run.

        Args:
            scenes: The imagery, any order.
            model: Handle of the model.
            options: How to run it.
            aoi: Area of interest in EPSG:4326; None takes all the imagery.
        """
        model = with_tile(model, options)
        card = model.card
        check_options(card, options)
        self.scenes: list[Scene] = canonical_order(scenes)
        """The imagery in mosaic order."""
        offered = [b.name for b in self.scenes[0].bands] if self.scenes else []
        self.bands = tuple(needed_bands(card, offered))
        """Bands of the imagery that the model and its indices need."""
        choose_bands(self.scenes, self.bands)
        self.geobox: GeoBox = grid_of(self.scenes)
        """All of the imagery."""
        check_fit(card, self.bands, self.geobox)
        lattice = Lattice.of(self.geobox, core_px=card.core_px)
        self.predictor = Predictor(model=model, lattice=lattice, options=options)
        """The model on its lattice."""
        self.layout = Layout.of(
            self.geobox, lattice, block_tiles=options.block_tiles, aoi=aoi
        )
        """Where it takes place."""
        self.images = tuple(_image(scene, lattice) for scene in self.scenes)
        """The ground of each scene, in mosaic order."""
        self.blocks = self._blocks()
        """The blocks that have imagery and that the area needs, in order."""

    @property
    def origin(self) -> Origin:
        """What all objects of the run share."""
        return origin_of(self.predictor, self.images)

    @property
    def grid(self) -> BlockGrid:
        """All blocks of the imagery."""
        return self.layout.grid

    @property
    def area(self) -> Area | None:
        """The area of interest in pixels of the lattice."""
        return self.layout.area

    def padded(self, block: Block) -> GeoBox:
        """Return the ground that the task of a block reads."""
        window = block.window.grow(self.predictor.halo_px)
        return self.predictor.lattice.geobox(window)

    def scenes_of(self, block: Block) -> list[Scene]:
        """Return the scenes that a block and its halo touch, in mosaic order."""
        window = block.window.grow(self.predictor.halo_px)
        return [self.scenes[number] for number in self._touching(window)]

    def task(self, block: Block, ledger: Ledger) -> BlockTask:
        """Return the task of one block.

        Args:
            block: A block of the run.
            ledger: Where it is marked when it is done.

        Returns:
            All that a worker needs.
        """
        images = self._touching(block.window.grow(self.predictor.halo_px))
        return BlockTask(
            block=block,
            tiles=tuple(self.grid.tiles(block)),
            scenes=tuple(self.scenes[number] for number in images),
            images=tuple(images),
            bands=self.bands,
            predictor=self.predictor,
            ledger=ledger,
            store=RasterStore.of(ledger.folder.rasters, self.grid),
            area=self.area,
            look_step=self.layout.step,
        )

    def with_blocks(self, more: list[Block]) -> RunPlan:
        """Return the plan with further blocks of the same grid."""
        return self.only([*self.blocks, *more])

    def only(self, blocks: list[Block]) -> RunPlan:
        """Return the plan with other blocks of the same grid."""
        plan = copy(self)
        plan.blocks = sorted(blocks)
        return plan

    def with_imagery(self, window: Window) -> list[Block]:
        """Return the blocks that touch a window and have imagery in it, in order."""
        found: set[Block] = set()
        for number in self._touching(window):
            found.update(self.grid.blocks(self.images[number].window))
        return sorted(b for b in found if b.window.intersection(window) is not None)

    def _blocks(self) -> list[Block]:
        found = self.with_imagery(self.grid.region)
        if self.area is not None:
            found = self.area.pick(found, self.predictor.influence_px)
        if not found:
            raise AoiError(
                "no block of the imagery touches the area of interest; check the order "
                "west,south,east,north"
            )
        return found

    def _touching(self, window: Window) -> list[int]:
        """Return the positions of the scenes that share a pixel with a window."""
        near = sorted(self._tree.query(window_box(window)).tolist())
        return [n for n in near if self.images[n].window.intersection(window)]

    @cached_property
    def _tree(self) -> shapely.STRtree:
        return shapely.STRtree([window_box(image.window) for image in self.images])


def _image(scene: Scene, lattice: Lattice) -> ImageSource:
    return ImageSource(
        item_id=scene.id,
        start=scene.start,
        end=scene.end,
        window=lattice.window(grid_of([scene])),
    )
