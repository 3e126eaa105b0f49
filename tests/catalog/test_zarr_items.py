"""Zarr cubes as imagery: searched, opened and read like any other items."""

import datetime as dt
import warnings

import dask
import numpy as np
import pytest
import xarray as xr
from zarr.errors import UnstableSpecificationWarning
from zarr_cubes import BANDS, DATES, drawn

import areca
from areca.catalog import CubeOptions, Imagery, normalise_acquisitions, target_grid
from areca.errors import BandError, CatalogError, InputError, ReadError
from areca.tiles import Lattice, with_nan

EACH = CubeOptions(time="each", chunk_px=20)


def seen(cube):
    """Values in float, NaN where missing."""
    values = cube.values.astype("float64")
    if cube.rio.nodata is not None:
        values[values == cube.rio.nodata] = np.nan
    return values


def keep(data, path, **how):
    """Write as xarray does by itself, which warns of its names of fixed length."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UnstableSpecificationWarning)
        data.to_zarr(path, **{"consolidated": False, **how})


@pytest.mark.parametrize(
    ("dtype", "nodata", "times"),
    [
        ("uint8", None, None),
        ("uint16", 0, None),
        ("int16", -9999, DATES),
        ("float32", None, DATES),
    ],
)
def test_a_kept_cube_opens_like_its_imagery(tmp_path, dtype, nodata, times):
    cube, path = drawn(dtype, nodata, times=times), tmp_path / "farm.zarr"
    areca.write_cube(cube, path, chunk_px=16)
    items = areca.search(path)
    assert len(items) == (1 if times is None else 3)

    options = None if times is None else EACH
    back = areca.open_cube(items, bands=BANDS, options=options)

    np.testing.assert_array_equal(seen(back), seen(cube))
    assert back.rio.crs == cube.rio.crs
    assert back.rio.transform() == cube.rio.transform()
    one = areca.open_cube(items[:1], bands=["nir"])
    np.testing.assert_array_equal(
        seen(one)[0], seen(cube)[1] if times is None else seen(cube)[2, 1]
    )


def test_dates_are_items_and_the_newest_is_on_top(tmp_path):
    cube, path = drawn("int16", -9999, times=DATES), tmp_path / "farm.zarr"
    areca.write_cube(cube, path, chunk_px=16)
    ids = [item.id for item in areca.search(path)]
    assert ids == [
        "farm_20240703T000000", "farm_20240601T000000", "farm_20240501T100000"
    ]  # fmt: skip
    june = areca.search(path, datetime="2024-06")
    assert [item.datetime for item in june] == [dt.datetime(2024, 6, 1, tzinfo=dt.UTC)]
    top = areca.open_cube(areca.search(path), bands=BANDS)
    np.testing.assert_array_equal(seen(top), seen(cube)[2])


def test_a_cube_without_dates_has_those_of_its_items(tmp_path):
    cube = drawn()
    cube.attrs["items"] = [
        {"id": "a", "start": "2024-05-01T00:00:00Z", "end": "2024-05-01T00:00:00Z"},
        {"id": "b", "start": "2024-04-01T00:00:00Z", "end": "2024-04-02T00:00:00Z"},
    ]
    areca.write_cube(cube, tmp_path / "farm.zarr", chunk_px=16)
    (item,) = areca.search(tmp_path / "farm.zarr", datetime="2024-04")
    assert item.id == "farm"
    assert item.properties["start_datetime"] == "2024-04-01T00:00:00Z"
    assert item.properties["end_datetime"] == "2024-05-01T00:00:00Z"


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("as_variables", [False, True])
@pytest.mark.parametrize("axes", [("y", "x"), ("latitude", "longitude")])
def test_stores_of_xarray_open_too(tmp_path, version, as_variables, axes):
    cube = drawn("int16", -9999, times=DATES)
    expected, cube.attrs = seen(cube) * 0.5 + 3, {}
    data = cube.to_dataset(dim="band") if as_variables else cube.to_dataset(name="dn")
    for variable in data.data_vars.values():
        variable.encoding["_FillValue"] = -9999
        variable.attrs |= {"scale_factor": 0.5, "add_offset": 3.0}
    data = data.rename(dict(zip(("y", "x"), axes, strict=True)))
    keep(data, tmp_path / "other.zarr", zarr_format=version, consolidated=version == 2)

    back = areca.open_cube(
        areca.search(tmp_path / "other.zarr"), bands=BANDS, options=EACH
    )

    np.testing.assert_array_equal(back.values, expected)
    assert back.rio.transform() == cube.rio.transform()
    assert list(back.time.values) == list(DATES)


def test_a_window_reads_what_is_there_and_no_more(tmp_path):
    """Bands in another order, beyond the rim, and with another date than the first."""
    cube, path = drawn("int16", -9999, times=DATES), tmp_path / "farm.zarr"
    areca.write_cube(cube, path, chunk_px=16)
    items = areca.search(path, datetime="2024-06")
    found = normalise_acquisitions(items, catalog_href=path, bands=["nir", "red"])
    grid = target_grid([found[0].parts[0]])
    imagery = Imagery.of(found, ["nir", "red"], grid)
    assert imagery.reader is None
    whole = Lattice.of(grid, core_px=1).window(grid)
    mosaic = imagery.read(whole.grow(5))
    assert mosaic.pixels.dtype == "int16"
    expected = np.full((2, 80, 100), np.nan, "float32")
    expected[:, 5:-5, 5:-5] = seen(cube)[1, ::-1]
    np.testing.assert_array_equal(with_nan(mosaic.pixels, mosaic.valid), expected)


def test_a_damaged_shard_is_named_and_never_becomes_numbers(tmp_path):
    path = tmp_path / "farm.zarr"
    areca.write_cube(drawn(), path, chunk_px=16)
    cube = areca.open_cube(areca.search(path), bands=BANDS)
    next(path.glob("cube/c/*/*/*")).write_bytes(b"none")
    with pytest.raises(
        ReadError, match=r"item 'farm', band red, nir, .*farm\.zarr/cube"
    ):
        cube.compute()


def written(path, change=lambda data: data):
    cube = drawn("uint8")
    cube.attrs = {}
    keep(change(cube.to_dataset(name="dn")), path)


def told_wrongly(data, name, **attrs):
    data = data.drop_encoding()
    data[name].attrs |= attrs
    return data


def bent(data):
    x = data.x.values.copy()
    x[50:] += 1.3
    return data.assign_coords(x=x)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda data: data.drop_vars("spatial_ref"), "has no CRS"),
        (bent, r"coordinate x of .* has no regular steps \(0.35"),
        (lambda data: data.rename(band="wavelength"), r"dn \('wavelength', 'y', 'x'\)"),
        (lambda data: data.transpose("y", "x", "band"), "transpose and rename"),
        (lambda data: data[["band"]], "it has none of numbers"),
        (
            lambda data: data.assign(low=data.dn[0, ::2].rename(y="lat")),
            r"the shapes \[\(35, 90\), \(70, 90\)\]",
        ),
        (
            lambda data: told_wrongly(data, "spatial_ref", GeoTransform="a b c d e f"),
            "tells its place",
        ),
        (
            lambda data: told_wrongly(data, "dn", scale_factor="abc"),
            "scale_factor='abc', which is no number",
        ),
    ],
)
def test_what_is_no_cube_is_refused_in_one_line(tmp_path, change, told):
    written(tmp_path / "bad.zarr", change)
    with pytest.raises(CatalogError, match=told) as refused:
        areca.search(tmp_path / "bad.zarr")
    assert "\n" not in str(refused.value)


def test_a_place_that_is_none_is_named(tmp_path):
    (tmp_path / "empty.zarr").mkdir()
    for place, told in [
        (tmp_path / "nowhere.zarr", "there is no folder"),
        (tmp_path / "empty.zarr", "is no Zarr group"),
        ("s3://bucket/farm.zarr", "a local folder only"),
    ]:
        with pytest.raises(CatalogError, match=told):
            areca.search(place)
    written(tmp_path / "good.zarr")
    with pytest.raises(CatalogError, match="it has no dates"):
        areca.search(tmp_path / "good.zarr", datetime="2024")
    with pytest.raises(BandError, match=r"no band \['swir'\]: it has \['red', 'nir'\]"):
        areca.open_cube(areca.search(tmp_path / "good.zarr"), bands=["swir"])


def test_a_cube_that_is_not_whole_is_refused(tmp_path):
    """Its missing shards would read as nodata: a hole in silence."""
    path = tmp_path / "farm.zarr"
    areca.write_cube(drawn(), path, chunk_px=16)
    next(path.glob("cube/c/*/*/*")).unlink()
    with pytest.raises(CatalogError, match="1 of 9 shards are missing"):
        areca.search(path)


def test_an_item_of_another_catalogue_may_not_name_a_cube(tmp_path):
    path = tmp_path / "farm.zarr"
    areca.write_cube(drawn(), path, chunk_px=16)
    items = [item.clone() for item in areca.search(path)]  # not known to areca
    with pytest.raises(CatalogError, match="Only a local catalogue may name local"):
        areca.open_cube(items, bands=BANDS)


@pytest.mark.usefixtures("no_compute")
def test_opening_reads_no_pixel(tmp_path, monkeypatch):
    path = tmp_path / "farm.zarr"
    with dask.config.set(scheduler="sync"):
        written(path)

    def refuse(*_):
        raise AssertionError

    monkeypatch.setattr("areca.catalog.reader.read_array", refuse)
    cube = areca.open_cube(areca.search(path), bands=BANDS)
    assert isinstance(cube, xr.DataArray)


def test_a_whole_cube_of_another_writer_may_leave_out_what_is_empty(tmp_path):
    cube = drawn("float32").isel(band=0, drop=True).compute()
    cube[32:] = np.nan
    data = cube.to_dataset(name="cube").drop_encoding()
    keep(data, tmp_path / "x.zarr", encoding={"cube": {"chunks": (32, 32)}})
    assert len(list((tmp_path / "x.zarr" / "cube").rglob("c/*/*"))) < 9
    (item,) = areca.search(tmp_path / "x.zarr")
    back = areca.open_cube([item], bands=["cube"])
    np.testing.assert_array_equal(back.values[0], cube.values)
    with pytest.raises(InputError, match="no cube that areca wrote"):
        areca.read_cube(tmp_path / "x.zarr")


def test_dates_within_one_second_stay_apart(tmp_path):
    times = np.array(["2024-05-01T10:00:00", "2024-05-01T10:00:00.25"], "M8[ns]")
    cube = drawn(times=times)
    areca.write_cube(cube, tmp_path / "farm.zarr", chunk_px=16)
    items = areca.search(tmp_path / "farm.zarr")
    ids = ["farm_20240501T100000.250000", "farm_20240501T100000"]
    assert [item.id for item in items] == ids
