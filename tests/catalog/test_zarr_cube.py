"""Cubes in Zarr: read back, resumed, made longer, seen by other readers."""

import json
import shutil

import dask
import dask.array as da
import numpy as np
import pytest
import rasterio
import rioxarray  # noqa: F401 - registers the .rio accessor
import xarray as xr
import zarr
from affine import Affine
from zarr_cm import multiscales, proj, spatial
from zarr_cubes import DATES, drawn

import areca
from areca.catalog import zarr_cube, zarr_overviews
from areca.errors import InputError


def assert_same(one, other):
    xr.testing.assert_identical(one.compute(), other.compute())
    assert one.dtype == other.dtype
    assert one.rio.crs == other.rio.crs
    assert one.rio.transform() == other.rio.transform()
    assert one.rio.nodata == other.rio.nodata or np.isnan(one.rio.nodata)


@pytest.mark.parametrize(
    ("dtype", "nodata", "times"),
    [
        ("uint8", None, None),
        ("uint16", 0, None),
        ("int16", -9999, DATES),
        ("float32", None, None),
        ("float32", None, DATES),
    ],
)
def test_reading_back_is_the_same_cube(tmp_path, dtype, nodata, times):
    cube = drawn(dtype, nodata, times=times)
    areca.write_cube(cube, tmp_path / "c.zarr", chunk_px=16)
    back = areca.read_cube(tmp_path / "c.zarr")
    assert_same(back, cube)
    assert back.chunks == cube.chunks


def test_a_dask_block_is_a_shard_and_each_chunk_is_computed_once(tmp_path):
    computed = []

    def seen(block, block_info):
        computed.append(block_info[0]["chunk-location"])
        return block

    cube = drawn()
    cube.data = cube.data.map_blocks(seen, dtype=cube.dtype, meta=cube.data._meta)
    areca.write_cube(cube, tmp_path / "c.zarr", chunk_px=16)
    array = zarr.open_array(tmp_path / "c.zarr" / "cube", mode="r")
    assert array.shards == (2, 32, 32)
    assert array.chunks == (2, 16, 16)
    assert sorted(computed) == [(0, i, j) for i in range(3) for j in range(3)]


@pytest.mark.parametrize("seed", range(10))
def test_any_chunks_and_shards_give_the_same_store(tmp_path, seed):
    rng = np.random.default_rng(seed)
    cube = drawn("int16", -9999)

    def cuts(size):
        inner = rng.choice(np.arange(1, size), 3, replace=False)
        return tuple(np.diff([0, *sorted(inner), size]).tolist())

    cube = cube.chunk({"y": cuts(70), "x": cuts(90)})
    shard = int(rng.choice([8, 16, 24, 40, 64]))
    areca.write_cube(cube, tmp_path / "c.zarr", chunk_px=8, shard_px=shard)
    assert_same(areca.read_cube(tmp_path / "c.zarr"), drawn("int16", -9999))


def test_writing_is_resumed_where_it_stopped(tmp_path):
    """The second call computes what the first one did not write, and only that."""
    limit, computed = 4, []

    def fails(block, block_info):
        computed.append(block_info[0]["chunk-location"])
        if limit is not None and len(computed) > limit:
            message = "the disk of the worker is gone"
            raise OSError(message)
        return block

    cube, path = drawn(), tmp_path / "c.zarr"
    plain = cube.data
    cube.data = plain.map_blocks(fails, dtype=cube.dtype, meta=plain._meta)
    with (
        dask.config.set(scheduler="sync"),
        pytest.raises(OSError, match="the disk of the worker is gone"),
    ):
        areca.write_cube(cube, path, chunk_px=16)
    shards = [*path.glob("cube/c/*/*/*")]
    there = len(shards)
    assert 0 < there <= 4
    shards[0].with_name("9.abc.partial").write_bytes(b"what a killed writer leaves")

    limit = None
    computed.clear()
    told = []
    areca.write_cube(cube, path, chunk_px=16, progress=lambda *now: told.append(now))
    assert len(computed) == 9 - there
    assert told[-1] == (9, 9)
    assert_same(areca.read_cube(path), drawn())

    computed.clear()
    areca.write_cube(cube, path, chunk_px=16)
    assert computed == []


def test_a_shard_of_nodata_alone_counts_as_written(tmp_path):
    cube = drawn("uint16", 0)
    cube.data = da.zeros_like(cube.data)
    areca.write_cube(cube, tmp_path / "c.zarr", chunk_px=16)
    assert len([*tmp_path.glob("c.zarr/cube/c/*/*/*")]) == 9


def test_later_dates_make_a_cube_longer(tmp_path):
    whole, path = drawn("float32", times=DATES), tmp_path / "c.zarr"
    whole.attrs["items"] = [{"id": "a"}, {"id": "b"}]
    first = whole.isel(time=slice(0, 2)).assign_attrs(items=[{"id": "a"}])
    later = whole.isel(time=slice(1, 3)).assign_attrs(items=[{"id": "b"}])
    areca.write_cube(first, path, chunk_px=16)
    told = []
    areca.write_cube(later, path, chunk_px=16, progress=lambda *now: told.append(now))
    assert told == [(18, 18)]  # 9 shards of the date that was there are not written
    assert_same(areca.read_cube(path), whole)


def test_dates_that_do_not_rise_are_refused(tmp_path):
    cube, path = drawn(times=DATES), tmp_path / "c.zarr"
    areca.write_cube(cube.isel(time=[1]), path, chunk_px=16)
    with pytest.raises(InputError, match=r"2024-05-01.* would follow 2024-06-01"):
        areca.write_cube(cube.isel(time=[0]), path, chunk_px=16)
    with pytest.raises(InputError, match="sort the cube by time"):
        areca.write_cube(cube.isel(time=[2, 1]), tmp_path / "d.zarr", chunk_px=16)
    assert_same(areca.read_cube(path), cube.isel(time=[1]))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda c: c.isel(x=slice(0, 80)), "height and width is"),
        (lambda c: c.astype("float32"), "numbers is uint16 there and float32 here"),
        (lambda c: c.assign_coords(band=["red", "swir16"]), "bands is"),
        (lambda c: c.rio.write_crs("EPSG:32615"), "EPSG:32614 there and EPSG:32615"),
        (lambda c: c.assign_attrs(items=[{"id": "b"}]), "items is"),
        (lambda c: c.assign_attrs(_FillValue=9), "nodata is None there and 9 here"),
    ],
)
def test_another_cube_is_refused_and_nothing_is_lost(tmp_path, change, says):
    cube, path = drawn(), tmp_path / "c.zarr"
    areca.write_cube(cube, path, chunk_px=16)
    with pytest.raises(InputError, match=says):
        areca.write_cube(change(cube).chunk({"y": 32, "x": 32}), path, chunk_px=16)
    assert_same(areca.read_cube(path), cube)


@pytest.mark.parametrize(
    ("cube", "options", "says"),
    [
        (drawn(), {"chunk_px": 24}, "32 px does not consist of whole chunks of 24 px"),
        (drawn(), {"chunk_px": 16, "shard_px": 40}, "for example 8"),
        (drawn().transpose("y", "x", "band"), {}, "bring it there with transpose"),
        (drawn().drop_vars("spatial_ref"), {"chunk_px": 16}, "has no CRS"),
    ],
)
def test_what_cannot_be_stored_is_named_before_anything_is_written(
    tmp_path, cube, options, says
):
    with pytest.raises(InputError, match=says):
        areca.write_cube(cube, tmp_path / "c.zarr", **options)
    assert not (tmp_path / "c.zarr").exists()


def test_a_store_that_is_no_cube_is_named(tmp_path):
    zarr.create_group(tmp_path / "other.zarr")
    for name in ("other.zarr", "nowhere.zarr"):
        with pytest.raises(InputError, match=f"{name} holds no cube"):
            areca.read_cube(tmp_path / name)


def test_a_folder_of_other_things_is_left_as_it_is(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.txt").write_text("four years")
    zarr.create_group(tmp_path / "other.zarr").create_array("a", data=np.arange(3))
    for name in ("mine", "other.zarr"):
        with pytest.raises(InputError, match="holds no cube that areca wrote"):
            areca.write_cube(drawn(), tmp_path / name, chunk_px=16)
    assert (tmp_path / "mine/thesis.txt").read_text() == "four years"
    assert [*zarr.open_group(tmp_path / "other.zarr").array_keys()] == ["a"]


def test_a_store_whose_writer_was_killed_at_once_is_made_whole(tmp_path):
    cube, path = drawn(times=DATES), tmp_path / "c.zarr"
    areca.write_cube(cube, path, chunk_px=16)
    shutil.rmtree(path / "spatial_ref")
    areca.write_cube(cube, path, chunk_px=16)
    assert_same(areca.read_cube(path), cube)


def test_other_readers_see_the_place(tmp_path):
    """xarray with rioxarray by CF, and the conventions by their own checker."""
    cube = drawn("int16", -9999, times=DATES)
    areca.write_cube(cube, tmp_path / "c.zarr", chunk_px=16)
    other = xr.open_zarr(tmp_path / "c.zarr", consolidated=False, decode_coords="all")
    assert other.cube.rio.crs == rasterio.CRS.from_epsg(32614)
    assert other.cube.rio.transform() == Affine(2, 0, 500_000, 0, -2, 5_000_000)
    np.testing.assert_array_equal(other.time.values, DATES)
    np.testing.assert_array_equal(other.cube, cube.where(cube != -9999))

    told = json.loads((tmp_path / "c.zarr/zarr.json").read_text())
    for convention in (proj, spatial):
        convention.validate_group_metadata(told)
    assert told["attributes"]["proj:code"] == "EPSG:32614"
    west, south, east, north = told["attributes"]["spatial:bbox"]
    assert (west, south, east, north) == (500_000, 4_999_860, 500_180, 5_000_000)


def test_writing_stays_lazy_in_its_graphs(tmp_path, monkeypatch):
    """No graph holds more than a batch of shards."""
    sizes, compute = [], zarr_cube.compute

    def counted(*tasks):
        sizes.append(len(tasks))
        return compute(*tasks)

    monkeypatch.setattr(zarr_cube, "AT_ONCE", 4)
    monkeypatch.setattr(zarr_cube, "compute", counted)
    areca.write_cube(drawn(), tmp_path / "c.zarr", chunk_px=16)
    assert sizes == [4, 4, 1]


@pytest.mark.parametrize("dtype", ["uint16", "float32"])
def test_overviews_are_averages_of_what_is_seen(tmp_path, dtype):
    path = tmp_path / "c.zarr"
    cube = drawn(dtype, 0 if dtype == "uint16" else None)
    areca.write_cube(cube, path, chunk_px=16)
    assert areca.write_overviews(path, largest_px=30) == 2
    wide = np.full((2, 72, 92), np.nan)
    wide[:, :70, :90] = cube.where(cube != 0) if dtype == "uint16" else cube
    for factor in (2, 4):
        here = areca.read_cube(path / f"overviews/{factor}")
        blocks = wide.reshape(2, wide.shape[1] // 2, 2, wide.shape[2] // 2, 2)
        few = np.isfinite(blocks).sum(axis=(2, 4))
        wide = np.nansum(blocks, axis=(2, 4)) / np.where(few == 0, np.nan, few)
        if dtype == "uint16":
            wide = np.round(wide)
        wanted = np.nan_to_num(wide) if dtype == "uint16" else wide
        seen = here.to_numpy()
        np.testing.assert_allclose(
            seen, wanted[:, : seen.shape[1], : seen.shape[2]], rtol=1e-6
        )
        assert here.dtype == dtype
        assert here.rio.transform() == cube.rio.transform() * Affine.scale(factor)
        wide = wide[:, : seen.shape[1], : seen.shape[2]]
        odd = [size % 2 for size in wide.shape[1:]]
        wide = np.pad(wide, ((0, 0), (0, odd[0]), (0, odd[1])), constant_values=np.nan)

    told = json.loads((path / "zarr.json").read_text())
    multiscales.validate_group_metadata(told)
    layout = told["attributes"]["multiscales"]["layout"]
    assert [level["asset"] for level in layout] == [
        "cube", "overviews/2/cube", "overviews/4/cube",
    ]  # fmt: skip
    assert_same(areca.read_cube(path), cube)


def test_overviews_of_classes_hold_only_classes(tmp_path):
    path = tmp_path / "c.zarr"
    areca.write_cube(drawn("uint8"), path, chunk_px=16)
    areca.write_overviews(path, resampling="nearest", largest_px=50)
    coarse = areca.read_cube(path / "overviews/2").to_numpy()
    np.testing.assert_array_equal(coarse, drawn("uint8").to_numpy()[:, ::2, ::2])


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_bands_of_classes_have_no_mean_in_overviews(tmp_path, dtype):
    """The mean of shadow (3) and cloud (9) of SCL would be water (6)."""
    cube = drawn(dtype).assign_coords(band=["red", "SCL"])
    told = drawn(dtype).assign_attrs(categorical=["nir"])
    for number, one in enumerate([cube, told]):
        path = tmp_path / f"{number}.zarr"
        areca.write_cube(one, path, chunk_px=16)
        areca.write_overviews(path, largest_px=50)
        coarse = areca.read_cube(path / "overviews/2")
        np.testing.assert_array_equal(coarse[1], one[1, ::2, ::2])
        means = one[0, :70, :90].to_numpy().reshape(35, 2, 45, 2).astype("f4")
        wanted = np.full((35, 45), np.nan, "f4")
        some = ~np.isnan(means).all(axis=(1, 3))
        wanted[some] = (
            np.nansum(means, (1, 3))[some] / (~np.isnan(means)).sum((1, 3))[some]
        )
        wanted = wanted if dtype == "float32" else np.rint(wanted)
        np.testing.assert_allclose(coarse[0], wanted, rtol=1e-6)
        layout = json.loads((path / "zarr.json").read_text())["attributes"]
        method = layout["multiscales"]["layout"][1]["resampling_method"]
        assert method == f"average; nearest of {one.band.values[1]}"


@pytest.mark.parametrize(
    ("dtype", "nodata", "pixels", "mean"),
    [
        ("int16", 0, [[-1, 1], [-1, 1]], 1),
        ("uint8", 255, [[254, 254], [255, 255]], 254),
        ("uint8", 255, [[255, 255], [255, 255]], 255),
        ("float32", -9999.0, [[-9999, -9999], [-9999, -9999]], -9999),
        ("float32", -9999.0, [[-9999, 3], [4, 5]], 4),
        (
            "float32",
            0.0,
            [[-1, 1], [-1, 1]],
            np.nextafter(np.float32(0), np.float32(1)),
        ),
    ],
)
def test_a_mean_of_what_is_seen_is_never_nodata(dtype, nodata, pixels, mean):
    cube = drawn(dtype, shape=(2, 2))[:1].copy(data=np.array([pixels], dtype))
    cube.attrs |= {"_FillValue": nodata, "nodata": nodata}
    coarse = zarr_overviews.halved(cube, "average")
    assert coarse.dtype == dtype
    assert coarse.item() == mean


def test_overviews_follow_new_dates(tmp_path):
    path, cube = tmp_path / "c.zarr", drawn("float32", times=DATES)
    areca.write_cube(cube.isel(time=[0]), path, chunk_px=16)
    areca.write_overviews(path, largest_px=50)
    areca.write_cube(cube, path, chunk_px=16)
    areca.write_overviews(path, largest_px=50)
    wanted = zarr_overviews.halved(cube, "average")
    np.testing.assert_array_equal(areca.read_cube(path / "overviews/2"), wanted)


def test_overviews_of_half_a_cube_are_refused(tmp_path):
    path = tmp_path / "c.zarr"
    areca.write_cube(drawn(), path, chunk_px=16)
    next(path.glob("cube/c/*/*/*")).unlink()
    with pytest.raises(InputError, match="1 of 9 shards are missing"):
        areca.write_overviews(path)


def test_a_cube_of_real_imagery(shared_data, tmp_path):
    scene = shared_data / "kluang_oil_palm" / "kluang_west.tif"
    cube = areca.open_cube(areca.search(scene), bands=["red", "green", "blue"])
    areca.write_cube(cube, tmp_path / "c.zarr")
    back = areca.read_cube(tmp_path / "c.zarr")
    assert_same(back, cube)
    with rasterio.open(scene) as file:
        np.testing.assert_array_equal(back, file.read([1, 2, 3]))


def test_layers_without_a_date_are_refused_but_for_one_alone(tmp_path):
    cube, path = drawn(times=DATES[:2]), tmp_path / "c.zarr"
    for number, times in enumerate((["NaT", "NaT"], ["NaT", "2024-05-01"])):
        undated = cube.assign_coords(time=np.array(times, "M8[ns]"))
        with pytest.raises(InputError, match=r"of 2 layers have no date"):
            areca.write_cube(undated, tmp_path / f"{number}.zarr", chunk_px=16)
        assert not (tmp_path / f"{number}.zarr").exists()
    one = cube.isel(time=[0]).assign_coords(time=np.array(["NaT"], "M8[ns]"))
    for _ in range(2):
        areca.write_cube(one, path, chunk_px=16)
        np.testing.assert_array_equal(areca.read_cube(path).values, one.values)
    with pytest.raises(InputError, match="1 of 2 layers have no date"):
        areca.write_cube(cube.isel(time=[1]), path, chunk_px=16)


def test_two_layers_of_one_moment_are_sent_to_days(tmp_path):
    cube = drawn(times=DATES[:2]).assign_coords(time=DATES[[0, 0]])
    with pytest.raises(InputError, match='time="day"'):
        areca.write_cube(cube, tmp_path / "c.zarr", chunk_px=16)


@pytest.mark.parametrize(
    ("place", "told"),
    [
        ("memory://x.zarr?sig=SECRET", "holds no cube that areca wrote"),
        ("https://user:SECRET@127.0.0.1:9/x.zarr", r"127\.0\.0\.1:9/x\.zarr"),
        ("nowhere://SECRET@host/x.zarr", "cannot use nowhere://.*x.zarr"),
        ("ftp://user:SECRET@127.0.0.1:9/x.zarr", r"cannot use ftp://127\.0\.0\.1:9"),
    ],
)
def test_a_place_that_cannot_be_used_is_told_without_secrets(place, told):
    with pytest.raises(InputError, match=told) as refused:
        areca.read_cube(place)
    assert "SECRET" not in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_folder_that_cannot_be_made_is_told_in_one_line(tmp_path):
    (tmp_path / "file").write_text("here")
    with pytest.raises(InputError, match=r"cannot use .*c\.zarr for a Zarr cube"):
        areca.write_cube(drawn(), tmp_path / "file" / "c.zarr", chunk_px=16)
