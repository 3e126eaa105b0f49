"""A request laid out on the ground: which blocks, which tiles, which images."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import shapely

from areca.catalog import Imagery, acquisitions_of, target_grid
from areca.errors import AoiError, CatalogError
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

    from areca.catalog import Acquisition, Mask, Scene
    from areca.inference import Area, PredictOptions
    from areca.models.handle import Model
    from areca.objects import Origin
    from areca.runs.ledger import Ledger
    from areca.tiles import Block, BlockGrid, Window


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedGrid:
    """The pixel grid that a run is asked for; see `areca.open_cube`."""

    crs: str | None = None
    """Its CRS; the imagery's own, or a UTM zone, when left out."""
    resolution: float | None = None
    """Edge of a pixel, CRS units; that of the finest imagery when left out."""


class RunPlan:
    """The blocks of a run; bad requests are refused here, before any pixel is read."""

    def __init__(
        self,
        scenes: Sequence[Scene],
        model: Model,
        options: PredictOptions,
        *,
        aoi: BaseGeometry | None = None,
        grid: AskedGrid | None = None,
        masks: Sequence[Mask] = (),
    ) -> None:
        """Lay out a run.

        Args:
            scenes: The imagery, any order.
            model: Handle of the model.
            options: How to run it.
            aoi: Area of interest in EPSG:4326; None takes all the imagery.
            grid: The grid that is asked for; the imagery's own where it has one.
            masks: What quality bands of the imagery must not show.

        Raises:
            CatalogError: There are no scenes.
        """
        model = with_tile(model, options)
        card = model.card
        check_options(card, options)
        found = acquisitions_of(scenes)
        if not found:
            raise CatalogError("there is no imagery to run over; widen the search")
        offered = [band.name for part in found[0].parts for band in part.bands]
        bands = tuple(needed_bands(card, offered))
        finest = [one.with_bands(bands)[0][0] for one in found]
        asked = grid or AskedGrid()
        self.geobox: GeoBox = target_grid(
            finest, crs=asked.crs, resolution=asked.resolution
        )
        """All of the imagery."""
        check_fit(card, bands, self.geobox)
        self.imagery = Imagery.of(found, bands, self.geobox, masks=masks)
        """What is read, in mosaic order."""
        lattice = Lattice.of(self.geobox, core_px=card.core_px)
        self.predictor = Predictor(model=model, lattice=lattice, options=options)
        """The model on its lattice."""
        self.layout = Layout.of(
            self.geobox, lattice, block_tiles=options.block_tiles, aoi=aoi
        )
        """Where it takes place."""
        self.images = tuple(_image(one, self.imagery) for one in found)
        """The ground of each acquisition, in mosaic order."""
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

    @property
    def scenes(self) -> list[Scene]:
        """The imagery in mosaic order; an item of several grids is several scenes."""
        return [part for one in self.imagery.found for part in one.parts]

    @property
    def notes(self) -> tuple[str, ...]:
        """What is done to the imagery, a line each."""
        grid, reader = self.predictor.lattice, self.imagery.reader
        notes = []
        if self.imagery.is_warped:
            notes.append(
                "not all imagery lies on the pixel grid of the run; it is warped to "
                f"{grid.crs[:40]} with pixels of {grid.pixel_x:g} (crs and resolution "
                "ask for another)"
            )
        if reader is not None and reader.masks:
            told = "; ".join(mask.words for mask in reader.masks)
            notes.append(f"pixels that a quality band shows are left out ({told})")
        return tuple(notes)

    def decoded_bytes(self) -> int:
        """Return about how many bytes of pixels the run decodes."""
        windows = [b.window.grow(self.predictor.halo_px) for b in self.blocks]
        return sum(
            self.imagery.only(self._touching(window)).decoded_bytes(window)
            for window in windows
        )

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
            imagery=self.imagery.only(images),
            images=tuple(images),
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


def _image(one: Acquisition, imagery: Imagery) -> ImageSource:
    first = one.parts[0]
    return ImageSource(
        item_id=first.id,
        start=first.start,
        end=first.end,
        window=imagery.ground(one),
    )
