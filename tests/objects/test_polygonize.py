"""One polygon per region of a class raster, whatever the chunks and the blocks."""

import math

import dask
import dask.array as da
import dask_geopandas as dgpd
import numpy as np
import pandas as pd
import pytest
import rioxarray
import shapely
import xarray as xr
from affine import Affine
from class_rasters import (
    AFFINE,
    chunkings,
    class_rasters,
    computed,
    drawn,
    raster,
    regions_by_other_tools,
    sorted_bytes,
)
from hypothesis import given, settings
from hypothesis import strategies as st

import areca
from areca.errors import GridError, InputError
from areca.objects import PolygonOptions, polygonize, region_rows


def blocks(block_px, **more):
    return PolygonOptions(block_px=block_px, **more)


def in_one_order(expected):
    return expected.sort_values(["label", "pixels", "geometry"], ignore_index=True)


@settings(deadline=None, max_examples=20)
@given(
    data=st.data(),
    labels=class_rasters(largest=13),
    connectivity=st.sampled_from([4, 8]),
)
def test_any_chunks_and_blocks_give_what_other_tools_give_for_the_whole(
    data, labels, connectivity
):
    chunks = data.draw(chunkings(labels.shape))
    edge = data.draw(st.integers(3, min(labels.shape) // 3))

    lazy = polygonize(
        raster(labels, chunks=chunks),
        nodata=255,
        connectivity=connectivity,
        options=blocks(edge),
    )
    table = computed(lazy)

    rows, cols = (-(-size // edge) for size in labels.shape)
    assert lazy.npartitions >= rows * cols + rows
    expected = regions_by_other_tools(labels, [255], connectivity)
    pd.testing.assert_frame_equal(sorted_bytes(table), in_one_order(expected))
    assert table["object_id"].is_unique
    assert shapely.is_valid(table.geometry.to_numpy()).all()


@settings(deadline=None, max_examples=5)
@given(data=st.data(), labels=class_rasters(largest=12))
def test_chunks_do_not_even_change_the_order_of_rows(data, labels):
    whole = computed(polygonize(raster(labels), classes=[1], options=blocks(5)))

    chunks = data.draw(chunkings(labels.shape))
    cut = polygonize(raster(labels, chunks=chunks), classes=[1], options=blocks(5))

    pd.testing.assert_frame_equal(computed(cut), whole)


def snake(size):
    """A path one pixel wide that goes through every block, with holes beside it."""
    labels = np.zeros((size, size), np.uint8)
    labels[::2] = 1
    labels[1::4, -1] = 1
    labels[3::4, 0] = 1
    return labels


DRAWN = {
    "touch where four blocks meet": drawn(
        ".........", ".........", "..11.....", "..11.....", "....11...", "....11...",
        ".........", ".........", ".........",
    ),
    "hole across four block corners": drawn(
        "111111111", "111111111", "11.....11", "11.....11", "11.....11", "11.....11",
        "11.....11", "111111111", "111111111",
    ),
    "holes in holes": drawn(
        "111111111", "1.......1", "1.22222.1", "1.2...2.1", "1.2.1.2.1", "1.2...2.1",
        "1.22222.1", "1.......1", "111111111",
    ),
    "through all blocks": snake(9),
    "diagonals of two classes": drawn(*("121212121", "212121212") * 4, "121212121"),
    "a ring that touches itself": drawn(
        "1111.....", "1..1.....", "1..1.....", "111.11111", "....1...1", "....1...1",
        "....11111", ".........", ".........",
    ),
    "nodata between": drawn(
        "11#11....", "11#11....", "1##1111..", "###111...", ".11#11...", ".11#11...",
        "......###", "......#1#", "......###",
    ),
}  # fmt: skip


@pytest.mark.parametrize("connectivity", [4, 8])
@pytest.mark.parametrize("edge", [3, 4])
@pytest.mark.parametrize("labels", DRAWN.values(), ids=DRAWN)
def test_drawn_regions_are_whole(labels, edge, connectivity):
    table = computed(
        polygonize(
            raster(labels, chunks=(4, 2)),
            nodata=255,
            connectivity=connectivity,
            options=blocks(edge),
        )
    )

    expected = regions_by_other_tools(labels, [255], connectivity)
    pd.testing.assert_frame_equal(sorted_bytes(table), in_one_order(expected))


def test_blocks_that_are_not_united_are_noticed(monkeypatch):
    """The mutation that the tests above must catch."""
    monkeypatch.setattr(region_rows, "stitch", lambda rows, **_: rows)
    labels = DRAWN["hole across four block corners"]

    table = computed(polygonize(raster(labels), options=blocks(3)))

    assert not sorted_bytes(table).equals(
        in_one_order(regions_by_other_tools(labels, [255], 4))
    )


ALIGNED = Affine(0.5, 0, 500_000, 0, -0.5, 300_000)
"""Blocks of 4 x 4 pixels begin at the raster's own corner."""


def test_corners_that_are_not_looked_at_are_noticed(monkeypatch):
    """Another one: 4-connectivity where blocks meet."""
    honest = region_rows.stitch

    def blind(rows, *, connectivity, most_vertices):
        assert connectivity == 8
        return honest(rows, connectivity=4, most_vertices=most_vertices)

    monkeypatch.setattr(region_rows, "stitch", blind)
    labels = DRAWN["touch where four blocks meet"]
    at_a_block = raster(labels, affine=ALIGNED)
    call = {"classes": [1], "connectivity": 8, "options": blocks(4)}

    assert len(computed(polygonize(at_a_block, **call))) == 2
    assert len(regions_by_other_tools(labels, [0, 255], 8)) == 1


@pytest.mark.usefixtures("no_compute")
def test_nothing_is_read_before_it_is_asked_for():
    def refuse(_block_info=None):
        message = "a pixel was read"
        raise AssertionError(message)

    pixels = da.map_blocks(
        refuse, chunks=((1000,) * 5, (1000,) * 5), dtype=np.uint8, meta=np.empty((0, 0))
    )
    lazy = polygonize(raster(np.zeros((5000, 5000), np.uint8)).copy(data=pixels))

    assert isinstance(lazy, dgpd.GeoDataFrame)
    assert lazy.crs == "EPSG:32648"
    assert list(lazy.columns) == [
        "object_id", "geometry", "label", "pixels", "is_piece", "radius_method",
    ]  # fmt: skip
    measured = areca.measure(lazy)
    assert "area_m2" in measured.columns


def test_no_task_holds_the_whole_raster():
    labels = np.kron(
        np.random.default_rng(0).integers(0, 3, (100, 100), np.uint8),
        np.ones((4, 4), np.uint8),
    )
    seen = []
    pixels = raster(labels, chunks=(50, 50)).data.map_blocks(
        lambda block: seen.append(block.shape) or block, dtype=np.uint8
    )
    lazy = polygonize(
        raster(labels).copy(data=pixels), classes=[1], options=blocks(100)
    )

    sizes = []
    honest = region_rows.polygonise_block

    def watched(labels, window, **options):
        sizes.append(labels.shape)
        return honest(labels, window, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(region_rows, "polygonise_block", watched)
        computed(lazy)
    assert max(sizes) <= (100, 100)
    assert set(seen) <= {(0, 0), (50, 50)}


def test_the_dtypes_of_every_partition_are_those_of_the_promise():
    labels = DRAWN["holes in holes"]
    lazy = polygonize(raster(labels), classes=[1, 2], options=blocks(4))

    parts = dask.compute(*lazy.to_delayed(), scheduler="synchronous")

    assert any(part.empty for part in parts)
    for part in parts:
        assert part.dtypes.astype(str).equals(lazy.dtypes.astype(str))
        assert part.crs == lazy.crs


@pytest.mark.parametrize("connectivity", [4, 8])
def test_too_many_vertices_leave_pieces_that_share_an_id(connectivity):
    labels = snake(40)
    limit = {"most_vertices": 30}
    call = {"classes": [1], "connectivity": connectivity}

    whole = computed(polygonize(raster(labels), **call, options=blocks(10)))
    apart = computed(polygonize(raster(labels), **call, options=blocks(10, **limit)))

    assert len(whole) == 1
    assert not whole["is_piece"].any()
    assert len(apart) > 16
    assert apart["is_piece"].all()
    assert set(apart["object_id"]) == set(whole["object_id"])
    assert apart["pixels"].sum() == whole["pixels"].sum()
    united = shapely.union_all(apart.geometry.to_numpy())
    assert united.symmetric_difference(whole.geometry[0]).area < 1e-6
    lazy = polygonize(
        raster(labels), **call,
        options=blocks(10, min_area_m2=whole["pixels"][0] * 0.09 / 1.001, **limit),
    )  # fmt: skip
    assert len(computed(lazy)) == len(apart), "pieces are judged by the whole"


def test_a_region_just_above_the_limit_stays_in_pieces_too():
    labels = snake(40)
    whole = computed(polygonize(raster(labels), classes=[1], options=blocks(10)))
    vertices = shapely.get_num_coordinates(whole.geometry[0]) - 1

    for most, pieces in ((vertices, False), (vertices - 1, True)):
        options = blocks(10, most_vertices=most)
        table = computed(polygonize(raster(labels), classes=[1], options=options))
        assert table["is_piece"].all() == pieces
        assert (len(table) > 1) == pieces


def test_ids_do_not_change_with_a_crop_that_holds_the_first_pixel():
    labels = DRAWN["holes in holes"]
    whole = computed(polygonize(raster(labels), classes=[2]))

    crop = computed(polygonize(raster(labels)[1:, 2:], classes=[2]))

    assert whole["object_id"].tolist() == crop["object_id"].tolist()
    apart = shapely.hausdorff_distance(
        whole.geometry.to_numpy(), crop.geometry.to_numpy()
    )
    assert apart.max() < 1e-9


@pytest.mark.parametrize(
    "dtype", ["uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"]
)
def test_whole_numbers_of_every_size_are_classes(dtype):
    labels = DRAWN["holes in holes"].astype(dtype)
    if dtype != "uint8":
        labels = labels * np.array(15_000, dtype)

    table = computed(polygonize(raster(labels), options=blocks(4)))

    expected = regions_by_other_tools(labels, [], 4)
    pd.testing.assert_frame_equal(sorted_bytes(table), in_one_order(expected))


def test_negative_classes_and_the_smallest_number_are_classes():
    labels = np.array([[-1, -1, -(2**31)], [2**31 - 1, -1, 0]], np.int32)

    table = computed(polygonize(raster(labels), options=blocks(1)))

    assert sorted(table["label"]) == [-(2**31), -1, 0, 2**31 - 1]


def test_a_mask_gives_its_true_pixels():
    labels = DRAWN["holes in holes"] == 2

    table = computed(polygonize(raster(labels), options=blocks(4)))

    assert table["label"].tolist() == [1]
    assert table["pixels"].tolist() == [labels.sum()]


def test_nodata_comes_from_the_raster_unless_it_is_given():
    labels = drawn("11#", "122")

    def values(array, **given_):
        return sorted(computed(polygonize(array, **given_))["label"])

    assert values(raster(labels)) == [1, 2, 255]
    assert values(raster(labels).rio.write_nodata(255)) == [1, 2]
    assert values(raster(labels).rio.write_nodata(255), nodata=1) == [2, 255]
    assert values(raster(labels).assign_attrs(_FillValue=-9999)) == [1, 2, 255]


def test_names_of_classes_are_taken_and_given():
    array = raster(drawn("112", "002")).assign_attrs(
        flag_values=[0, 1, 2], flag_meanings="ground oil_palm water"
    )

    table = computed(polygonize(array, classes=["oil_palm", 2]))

    assert table["label"].tolist() == ["oil_palm", "water"]


def test_names_of_classes_survive_a_geotiff(tmp_path):
    array = raster(drawn("112", "002")).assign_attrs(
        flag_values=[0, 1, 2], flag_meanings="ground oil_palm water"
    )
    array.rio.to_raster(tmp_path / "classes.tif")  # it writes the list as text

    again = rioxarray.open_rasterio(tmp_path / "classes.tif", chunks={})
    table = computed(polygonize(again, classes=["oil_palm", 2]))

    assert table["label"].tolist() == ["oil_palm", "water"]


def test_a_raster_masked_on_opening_is_the_same_as_one_that_was_not(tmp_path):
    path = tmp_path / "classes.tif"
    raster(drawn("11#", "122")).rio.write_nodata(255).rio.to_raster(path)

    plain = rioxarray.open_rasterio(path, chunks={})
    masked = rioxarray.open_rasterio(path, chunks={}, masked=True)

    assert masked.dtype.kind == "f"
    a, b = computed(polygonize(plain)), computed(polygonize(masked))
    assert a["label"].tolist() == [1, 2]
    pd.testing.assert_frame_equal(a, b)


def test_a_zarr_of_classes_opens_as_it_is(tmp_path):
    array = raster(drawn("11#", "122"), chunks=(1, 2)).rio.write_nodata(255)
    array.rename("label").to_dataset().to_zarr(tmp_path / "r.zarr", consolidated=False)

    opened = xr.open_zarr(tmp_path / "r.zarr", consolidated=False, decode_coords="all")[
        "label"
    ]

    assert computed(polygonize(opened))["label"].tolist() == [1, 2]


def test_nothing_but_nodata_is_an_empty_table():
    labels = np.full((9, 9), 255, np.uint8)

    table = computed(polygonize(raster(labels), nodata=255, options=blocks(3)))

    assert len(table) == 0
    assert table.crs == "EPSG:32648"
    assert list(table.columns)[:3] == ["object_id", "geometry", "label"]
    assert areca.measure(table).empty


@pytest.mark.parametrize("shape", [(1, 1), (1, 30), (30, 1)])
def test_rasters_of_one_row_or_column_are_rasters(shape):
    labels = np.random.default_rng(1).integers(0, 3, shape, np.uint8)

    table = computed(polygonize(raster(labels), options=blocks(4)))

    expected = regions_by_other_tools(labels, [], 4)
    pd.testing.assert_frame_equal(sorted_bytes(table), in_one_order(expected))


def test_measures_of_regions_are_those_of_masks_also_of_a_single_pixel():
    table = areca.measure(computed(polygonize(raster(drawn("1.", ".1")), classes=[1])))

    assert table["radius_method"].tolist() == ["mask", "mask"]
    assert table["area_m2"].to_numpy() == pytest.approx(0.09, rel=2e-3)


def rotated():
    turned = Affine(0.3, 0.1, 0, 0.1, -0.3, 0)
    return raster(drawn("11", "12")).rio.write_transform(turned)


def upside_down():
    return raster(drawn("11", "12"), affine=Affine(0.3, 0, 0, 0, 0.3, 0))


BAD = {
    "float": (lambda: raster(np.zeros((2, 2), np.float32)), {}, InputError,
              "float32, and classes are whole numbers.*raster > 0.5"),
    "no CRS": (lambda: raster(drawn("12")).drop_vars("spatial_ref"), {}, GridError,
               "no CRS"),
    "rotated": (rotated, {}, GridError, "rotated or not north-up"),
    "upside down": (upside_down, {}, GridError, "rotated or not north-up"),
    "empty": (lambda: raster(drawn("12", "11"))[:0], {}, InputError, "empty"),
    "bands": (lambda: raster(drawn("12")).expand_dims(band=3), {}, InputError,
              r"dims \{'band': 3.*sel\(band=1\)"),
    "no coordinates": (lambda: xr.DataArray(drawn("12"), dims=("y", "x")), {},
                       GridError, "no coordinates along y"),
    "connectivity": (lambda: raster(drawn("12")), {"connectivity": 6}, InputError,
                     "connectivity=6"),
    "options": (lambda: raster(drawn("12")), {"options": {"min": 1}}, InputError,
                "options is a dict"),
    "class name": (lambda: raster(drawn("12")), {"classes": ["tree"]}, InputError,
                   r"classes=\['tree'\], but the raster names none"),
    "no class": (lambda: raster(drawn("12")), {"classes": []}, InputError,
                 "give a list"),
}  # fmt: skip


@pytest.mark.usefixtures("no_compute")
@pytest.mark.parametrize(("make", "given_", "error", "message"), BAD.values(), ids=BAD)
def test_bad_input_is_named_before_a_pixel_is_read(make, given_, error, message):
    with pytest.raises(error, match=message):
        polygonize(make(), **given_)


def test_floats_that_are_no_whole_numbers_are_named():
    array = raster(np.array([[1, 2.5]]))
    array.encoding["dtype"] = "uint8"

    with pytest.raises(InputError, match=r"the raster holds 2\.5, which is no class"):
        computed(polygonize(array))


@pytest.mark.parametrize(
    ("given_", "message"),
    [
        ({"min_area_m2": -1}, "min_area_m2=-1"),
        ({"fill_holes_m2": math.nan}, "fill_holes_m2=nan"),
        ({"simplify_px": math.inf}, "simplify_px=inf"),
        ({"simplify_px": 1, "regularize_px": 1}, "only one of the two"),
        ({"simplify_px": 1, "block_px": 100}, "multiple of 512"),
        ({"block_px": 0}, "block_px=0"),
        ({"most_vertices": 3}, "most_vertices=3"),
    ],
)
def test_options_that_cannot_be_are_named(given_, message):
    with pytest.raises(InputError, match=message):
        PolygonOptions(**given_)


def test_the_transform_is_that_of_the_raster_to_the_last_digit():
    table = computed(polygonize(raster(drawn("..", ".1")), classes=[1]))

    left, top = AFFINE * (1, 1)
    right, bottom = AFFINE * (2, 2)
    assert table.geometry[0].bounds == (left, bottom, right, top)


@pytest.mark.parametrize("connectivity", [4, 8])
def test_the_green_of_a_real_orchard_is_that_of_other_tools(shared_data, connectivity):
    """Crowns, shadows and very much noise; EPSG:3395 stretches lengths by 1.29."""
    path = shared_data / "oam_tcd_samples" / "5c15321f63d9810007f8b06f_10_00000.tif"
    red, green, blue = rioxarray.open_rasterio(path).astype("int16")[:, 400:1300, :900]
    mask = (2 * green - red - blue > 60).drop_vars("band")
    chunked = mask.chunk(y=170, x=230)

    table = computed(
        polygonize(chunked, connectivity=connectivity, options=blocks(300))
    )

    expected = regions_by_other_tools(
        mask.to_numpy().astype(np.uint8), [0], connectivity, mask.rio.transform()
    )
    assert len(expected) > 400
    pd.testing.assert_frame_equal(sorted_bytes(table), in_one_order(expected))
    crowns = computed(
        polygonize(
            chunked,
            connectivity=connectivity,
            options=blocks(300, min_area_m2=2, fill_holes_m2=1),
        )
    )
    area = areca.measure(crowns)["area_m2"]
    assert 5 < len(crowns) < len(table) / 3
    assert (area >= 2 * (1 - 1e-6)).all()
