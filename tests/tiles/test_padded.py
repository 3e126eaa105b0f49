from dataclasses import dataclass

import dask.array as da
import numpy as np
import pytest
import rioxarray  # noqa: F401 - the .rio accessor
import xarray as xr
from affine import Affine
from odc.geo.geobox import GeoBox
from scipy import ndimage

from areca.errors import GridError
from areca.tiles import Window, cube_geobox, ground_pixel_m, map_stage, pad_block

CHUNKS = [{"y": 7, "x": 9}, {"y": 13, "x": 40}, {"y": -1, "x": -1}, {"y": 1, "x": 5}]
KERNEL = np.full((5, 5), 1 / 25)


@dataclass(frozen=True)
class Mean:
    """The mean of a square, a stage that needs a halo."""

    halo_px: int = 2
    cut_px: int = 2
    bands: tuple[str, ...] = ("mean",)

    def __call__(self, block, /):
        mean = ndimage.convolve(block.to_numpy()[0], KERNEL)
        inner = mean[self.cut_px : -self.cut_px, self.cut_px : -self.cut_px]
        return xr.DataArray(inner[None], dims=("band", "y", "x"))


@pytest.fixture
def cube():
    rng = np.random.default_rng(1)
    x = 500_000 + (np.arange(40) + 0.5) * 0.2
    y = 100_000 - (np.arange(30) + 0.5) * 0.2
    data = xr.DataArray(
        rng.integers(0, 255, (2, 30, 40)).astype(np.uint8),
        dims=("band", "y", "x"),
        coords={"band": ["red", "nir"], "y": y, "x": x},
    )
    data = data.rio.write_crs("EPSG:32648")
    return data.rio.write_transform(Affine(0.2, 0, 500_000, 0, -0.2, 100_000))


@pytest.mark.parametrize("chunks", CHUNKS)
def test_chunking_never_changes_a_stage(cube, chunks):
    out = map_stage(Mean(), cube.chunk(chunks))

    inner = out.to_numpy()[0, 2:-2, 2:-2]
    whole = ndimage.convolve(cube.to_numpy()[0].astype(np.float32), KERNEL)
    np.testing.assert_array_equal(inner, whole[2:-2, 2:-2])


def test_without_its_halo_a_stage_would_change_with_the_chunks(cube):
    """The mutation that the test above must catch."""

    @dataclass(frozen=True)
    class Blind(Mean):
        halo_px: int = 0
        cut_px: int = 0

        def __call__(self, block, /):
            mean = ndimage.convolve(block.to_numpy()[0], KERNEL)
            return xr.DataArray(mean[None], dims=("band", "y", "x"))

    small = map_stage(Blind(), cube.chunk(y=7, x=9)).to_numpy()
    whole = map_stage(Blind(), cube.chunk(y=-1, x=-1)).to_numpy()
    assert not np.allclose(small, whole, equal_nan=True)


@pytest.mark.usefixtures("no_compute")
def test_a_stage_stays_lazy_and_costs_one_task_a_chunk(cube):
    out = map_stage(Mean(), cube.chunk(y=10, x=10))

    assert isinstance(out.data, da.Array)
    assert out.data.numblocks == (1, 3, 4)
    own = [key for key in out.data.dask if "_run_stage" in str(key)]
    assert len(own) == 12


def test_the_georeference_survives(cube):
    out = map_stage(Mean(), cube.chunk(y=10, x=10))

    assert out.rio.crs == cube.rio.crs
    assert out.rio.transform() == cube.rio.transform()
    np.testing.assert_array_equal(out.x, cube.x)
    assert cube_geobox(out) == cube_geobox(cube)


def test_nodata_is_nan_to_a_stage(cube):
    marked = cube.rio.write_nodata(7).copy()
    marked[0, 12, 12] = 7

    out = map_stage(Mean(), marked.chunk(y=10, x=10)).to_numpy()[0]

    assert np.isnan(out[12, 12])
    assert np.isnan(out[10:15, 10:15]).all()


@pytest.mark.parametrize(
    "crop", [(slice(3, 20), slice(5, 31)), (slice(29, 30), slice(39, 40))]
)
def test_a_cropped_cube_knows_its_place(cube, crop):
    rows, cols = crop
    cropped = cube.isel(y=rows, x=cols)

    whole = GeoBox((30, 40), Affine(0.2, 0, 500_000, 0, -0.2, 100_000), "EPSG:32648")
    assert cube_geobox(cropped).affine.almost_equals(whole[rows, cols].affine)
    assert cube_geobox(cropped).shape == whole[rows, cols].shape


def test_a_cube_whose_transform_is_stale_or_missing_is_refused(cube):
    with pytest.raises(GridError, match="off by"):
        cube_geobox(cube.isel(x=slice(None, None, 2)))
    with pytest.raises(GridError, match="no CRS"):
        cube_geobox(cube.drop_vars("spatial_ref"))


def test_padding_is_nan_and_moves_nothing():
    pixels = np.arange(12, dtype=np.float32).reshape(1, 3, 4)

    out = pad_block(pixels, Window(0, 0, 3, 4), Window(-1, 2, 4, 6))

    assert out.shape == (1, 5, 4)
    np.testing.assert_array_equal(out[0, 1:4, :2], pixels[0, :, 2:])
    assert np.isnan(out[0, 0]).all()
    assert np.isnan(out[0, :, 2:]).all()


def test_a_pixel_is_measured_on_the_ground():
    degrees = GeoBox((100, 100), Affine(1e-5, 0, 10, 0, -1e-5, 60), "EPSG:4326")
    across, down = ground_pixel_m(degrees)
    assert across == pytest.approx(0.5580, abs=2e-3)
    assert down == pytest.approx(1.1141, abs=2e-3)

    mercator = GeoBox((10, 10), Affine(1, 0, 0, 0, -1, 8_399_737.9), "EPSG:3857")
    assert ground_pixel_m(mercator)[0] == pytest.approx(0.5013, abs=2e-3)
