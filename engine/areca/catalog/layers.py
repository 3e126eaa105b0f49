"""One layer of a cube: acquisitions laid over each other in a window of its grid."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from rasterio.windows import Window as RasterWindow
from shapely import to_wkb

from areca.catalog.backends import reader_named
from areca.catalog.gdal import set_gdal
from areca.catalog.masks import inside, touching
from areca.catalog.mosaic import lay_mosaic
from areca.catalog.pixels import Encoding, as_integers
from areca.catalog.reader import read_file, read_scene
from areca.catalog.roles import method_of
from areca.catalog.signing import Signer, signing
from areca.catalog.target import ground_window, is_aligned
from areca.catalog.warp import Warp
from areca.tiles import Window

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from shapely.geometry.base import BaseGeometry

    from areca.catalog.acquisitions import Acquisition
    from areca.catalog.masks import Mask
    from areca.catalog.mosaic import Mosaic
    from areca.catalog.scenes import Scene, SceneBand
    from areca.tiles import Lattice

    Pixels = tuple[NDArray[Any], NDArray[np.bool_] | None]


_CODES = Encoding(np.dtype(np.float64), np.nan)
"""Holds the whole numbers of any quality band, and what is missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerReader:
    """How all layers of a cube are read; small, for it travels with each task."""

    bands: tuple[str, ...]
    lattice: Lattice
    """The cube's grid; its tiles are the cells of a warp."""
    encoding: Encoding
    methods: tuple[tuple[str, str], ...] = ()
    """Resampling by name of band, see `areca.catalog.roles.method_of`."""
    masks: tuple[Mask, ...] = ()
    """What quality bands must not show."""
    backend: str = "direct"
    """Who reads stored pixels, see `areca.catalog.backends`."""
    sign: Signer | None = None
    """Signs links when files are opened."""
    gdal: tuple[tuple[str, str], ...] = ()
    """Options of GDAL for the process that reads."""
    area: tuple[BaseGeometry, ...] | None = None
    """Polygons in the CRS of the grid; pixels outside are missing. None: no area."""
    keeps_cells: bool = False
    """Whether warped cells are kept, for windows that are no whole cells."""

    @property
    def key(self) -> tuple[Any, ...]:
        """What tells it from others, for the names of a graph."""
        area = None if self.area is None else to_wkb(self.area).tolist()
        return str(replace(self, area=None)), area

    def within(self, window: Window) -> LayerReader:
        """Return the same with only those polygons of the area that touch a window."""
        if self.area is None:
            return self
        return replace(self, area=touching(self.area, self.lattice, window))

    def read(self, found: Sequence[Acquisition], window: Window) -> NDArray[Any]:
        """Read a window.

        Args:
            found: What to lay over each other, the first on top; all of them cover it
                or lie near it.
            window: Pixels of the cube's grid.

        Returns:
            Shape (band, height, width), in the number type of the cube, with its nodata
            (NaN in floats) where nothing is valid.

        Raises:
            ReadError: A file could not be read, or is not what its item says.
        """  # noqa: DOC502 - raised by the reader
        nodata = self.encoding.nodata
        fill = 0 if nodata is None else nodata
        if self.area is None:
            return self.mosaic(found, window).filled(fill)
        within = inside(self.area, self.lattice, window)
        pixels = self.mosaic(found if within.any() else (), window).filled(fill)
        pixels[:, ~within] = fill
        return pixels

    def mosaic(self, found: Sequence[Acquisition], window: Window) -> Mosaic:
        """Read a window as `read` does, without its area: what shows each pixel.

        Args:
            found: What to lay over each other, as for `read`.
            window: Pixels of the cube's grid.

        Returns:
            Pixels in the number type of the cube, what of them is valid, and which of
            `found` shows them.

        Raises:
            ReadError: A file could not be read, or is not what its item says.
        """  # noqa: DOC502 - raised by the reader
        set_gdal(self.gdal)
        with signing(self.sign):
            return self._mosaic(found, window)

    def _mosaic(self, found: Sequence[Acquisition], window: Window) -> Mosaic:
        sources = []
        for number, one in enumerate(found):
            box = self.ground(one)
            part = None if box is None else box.intersection(window)
            if part is not None:
                sources.append(_Source(one, self, window, part, number))
        shape = (len(self.bands), window.height, window.width)
        return lay_mosaic(sources, shape, self.encoding.dtype)

    def ground(self, one: Acquisition) -> Window | None:
        """Return the pixels of the grid around an acquisition, None if it has none."""
        return ground_window(one.with_bands(self.bands)[0][0], self.lattice)


@dataclass(frozen=True, slots=True)
class _Source:
    """An acquisition in a window; see `areca.catalog.mosaic.Source`."""

    one: Acquisition
    how: LayerReader
    window: Window
    ground: Window
    """Pixels of the window that the acquisition may show."""
    number: int

    @property
    def box(self) -> Window:
        return _shifted(self.ground, -self.window.row0, -self.window.col0)

    def read(self, part: Window) -> Pixels:
        place = _shifted(part, self.window.row0, self.window.col0)
        names = self.how.bands
        scenes = self.one.with_bands(names)
        if len(scenes) == 1 and len(scenes[0][1]) == len(names):
            bands = [self.one.band(name) for name in names]
            pixels, valid = read_part(scenes[0][0], bands, place, self.how)
        else:
            pixels, valid = self._gathered(scenes, place)
        # Two masks of one band look at what is read once.
        quality = dict.fromkeys(mask.band for mask in self.how.masks)
        codes = {name: self._codes(name, place, (pixels, valid)) for name in quality}
        for mask in self.how.masks:
            kept = mask.keeps(*codes[mask.band])
            valid = (
                np.broadcast_to(kept, pixels.shape) if valid is None else valid & kept
            )
        return pixels, None if valid is None or valid.all() else valid

    def _gathered(
        self, scenes: Sequence[tuple[Scene, Sequence[int]]], place: Window
    ) -> Pixels:
        """Return bands that lie on several pixel grids."""
        names = self.how.bands
        shape = (len(names), place.height, place.width)
        pixels: NDArray[Any] = np.zeros(shape, self.how.encoding.dtype)
        valid: NDArray[np.bool_] = np.zeros(shape, bool)
        for scene, positions in scenes:
            bands = [self.one.band(names[position]) for position in positions]
            values, seen = read_part(scene, bands, place, self.how)
            pixels[positions] = values
            valid[positions] = True if seen is None else seen
        return pixels, valid

    def _codes(
        self, name: str, place: Window, cube: Pixels
    ) -> tuple[NDArray[Any], NDArray[np.bool_]]:
        """Return the values of a quality band, and where it tells any."""
        shown = self._shown(name)
        if shown is not None:
            return cube[0][shown], _seen(cube, shown)
        ((scene, _),) = self.one.with_bands([name])
        # What is asked of values means nothing for classes: a mean of two classes is a
        # third, and a scaled bit field is none.
        stored = replace(self.how, encoding=_CODES, methods=())
        band = replace(self.one.band(name), categorical=True, scale=1.0, offset=0.0)
        found = read_part(scene, [band], place, stored)
        return found[0][0], _seen(found, 0)

    def _shown(self, name: str) -> int | None:
        """Return which band of the cube has the numbers of a quality band."""
        band, how = self.one.band(name), self.how
        shown = [self.one.band(other) for other in how.bands]
        if band not in shown or band.is_scaled or band.dtype is None:
            return None
        if not np.can_cast(band.dtype, how.encoding.dtype):
            return None
        ((scene, _),) = self.one.with_bands([name])
        is_same = is_aligned(scene, how.lattice) or (
            method_of(band, 1.0, dict(how.methods)) == "nearest"
        )
        return shown.index(band) if is_same else None


def read_part(
    scene: Scene, bands: Sequence[SceneBand], place: Window, how: LayerReader
) -> Pixels:
    """Read bands of a scene on the cube's grid: as they are where it is its grid too.

    Returns:
        Pixels in the cube's number type, shape (band, height, width), and where each
        band is valid, the same shape; None where all are everywhere.
    """
    if is_aligned(scene, how.lattice):
        return _as_it_is(scene, bands, place, how)
    warp = Warp.of(scene, how.lattice)
    read = _ReadStored(how.encoding.dtype, how.backend)
    methods = dict(how.methods)
    stored = warp.read(bands, place, methods, read, keeps=how.keeps_cells)
    pixels: NDArray[Any] = np.zeros(stored.shape, how.encoding.dtype)
    for out, values, band in zip(pixels, stored, bands, strict=True):
        _fill(out, values, band, how.encoding)
    return pixels, ~np.isnan(stored)


@dataclass(frozen=True, slots=True)
class _ReadStored:
    """Reads stored pixels of a file; two that read alike are equal."""

    dtype: np.dtype[Any]
    backend: str

    def __call__(
        self, scene: Scene, bands: Sequence[SceneBand], window: RasterWindow
    ) -> tuple[NDArray[Any], list[NDArray[np.bool_] | None]]:
        return read_file(scene, bands, window, self.dtype, reader_named(self.backend))


def _as_it_is(
    scene: Scene, bands: Sequence[SceneBand], place: Window, how: LayerReader
) -> Pixels:
    dtype, backend = how.encoding.dtype, reader_named(how.backend)
    ground = ground_window(scene, how.lattice)
    part = None if ground is None else ground.intersection(place)
    shape = (len(bands), place.height, place.width)
    if ground is None or part is None:
        return np.zeros(shape, dtype), np.zeros(shape, bool)
    window = RasterWindow.from_slices(*part.slices_in(ground))
    values, seen = read_scene(
        # Windows that are no chunks of the grid share tiles with those beside them.
        scene,
        bands,
        window,
        dtype,
        backend,
        every_thread=not how.keeps_cells,
    )
    if part == place:
        return values, seen
    pixels: NDArray[Any] = np.zeros(shape, dtype)
    valid: NDArray[np.bool_] = np.zeros(shape, bool)
    there = (slice(None), *part.slices_in(place))
    pixels[there] = values
    valid[there] = True if seen is None else seen
    return pixels, valid


def _seen(found: Pixels, band: int) -> NDArray[np.bool_]:
    """Return where a band is valid, shape (height, width)."""
    pixels, valid = found
    return np.ones(pixels.shape[1:], bool) if valid is None else valid[band]


def _fill(
    out: NDArray[Any], stored: NDArray[Any], band: SceneBand, encoding: Encoding
) -> None:
    """Turn stored numbers, NaN where missing, into the numbers of a cube, in place."""
    dtype, nodata = encoding
    if band.is_scaled:
        stored = stored.astype(np.float64) * band.scale + band.offset
    if dtype.kind == "f":
        out[...] = stored
        return
    whole = as_integers(stored, dtype, nodata)
    out[...] = np.where(np.isnan(whole), 0, whole)


def _shifted(window: Window, rows: int, cols: int) -> Window:
    return Window(
        window.row0 + rows, window.col0 + cols, window.row1 + rows, window.col1 + cols
    )
