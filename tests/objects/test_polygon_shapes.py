"""Smallest size, holes, simplification, right angles: each the same for any blocks."""

import math

import numpy as np
import pandas as pd
import pytest
import rasterio.features
import shapely
from affine import Affine
from class_rasters import (
    chunkings,
    class_rasters,
    computed,
    drawn,
    raster,
    sorted_bytes,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyproj import Geod
from scipy.ndimage import gaussian_filter
from shapely import affinity

import areca
from areca.objects import (
    PolygonOptions,
    polygonise_block,
    polygonize,
    region_rows,
    simplify,
)
from areca.objects import polygon_options as options_module
from areca.objects.rings import draw_through
from areca.tiles import Window

UNIT = Affine(1, 0, 512 * 1000, 0, -1, 512 * 600)
"""Pixels of a metre, so that shapes can be compared in whole numbers."""
ARCTIC = Affine(2e-6, 0, 25, 0, -1e-6, 60)
"""Degrees: a pixel is about 0.11 m both ways."""
SLOW = settings(
    deadline=None,
    max_examples=8,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@pytest.fixture
def small_cells(monkeypatch):
    """Cells of 8 pixels, so that a small raster has many."""
    for module in (simplify, options_module):
        monkeypatch.setattr(module, "CELL_PX", 8)


def polygons(
    labels, affine=UNIT, crs="EPSG:32648", chunks=None, classes=None, **given_
):
    connectivity = given_.pop("connectivity", 4)
    lazy = polygonize(
        raster(labels, affine, crs, chunks),
        classes=classes,
        connectivity=connectivity,
        options=PolygonOptions(**given_),
    )
    return computed(lazy)


def in_pixels(table):
    """Geometry of a table, x to the right and y down in pixels of a metre."""
    return shapely.transform(
        table.geometry.to_numpy(),
        lambda p: np.column_stack([p[:, 0] - UNIT.c, UNIT.f - p[:, 1]]),
    )


def geodesic_area_m2(shape):
    return abs(Geod(ellps="WGS84").geometry_area_perimeter(shape)[0])


class TestSize:
    @SLOW
    @given(data=st.data(), labels=class_rasters(largest=12))
    def test_regions_below_the_size_are_left_out_whatever_the_blocks(
        self, data, labels
    ):
        chunks = data.draw(chunkings(labels.shape))
        least = data.draw(st.sampled_from([1.5, 3.5, 9.5]))
        everything = polygons(labels, block_px=100)

        table = polygons(labels, chunks=chunks, block_px=4, min_area_m2=least)

        expected = everything[everything["pixels"] > least]
        assert set(table["object_id"]) == set(expected["object_id"])
        pd.testing.assert_frame_equal(sorted_bytes(table), sorted_bytes(expected))

    @pytest.mark.parametrize("size", [1, 4, 9])
    def test_the_size_is_that_on_the_ground(self, size):
        labels = np.zeros((20, 20), np.uint8)
        labels[5 : 5 + round(size**0.5), 6 : 6 + round(size**0.5)] = 1
        call = {"affine": ARCTIC, "crs": "EPSG:4326", "classes": [1]}
        area = geodesic_area_m2(polygons(labels, **call).geometry[0])
        # A degree is no metre here: half of what it is at the equator.
        assert area == pytest.approx(size * 0.0124, rel=0.01)

        below = polygons(labels, **call, min_area_m2=area * (1 - 1e-4))
        above = polygons(labels, **call, min_area_m2=area * (1 + 1e-4))

        assert (len(below), len(above)) == (1, 0)


class TestHoles:
    @SLOW
    @given(
        data=st.data(),
        labels=class_rasters(largest=13),
        connectivity=st.sampled_from([4, 8]),
    )
    def test_small_holes_are_filled_whatever_the_blocks(
        self, data, labels, connectivity
    ):
        chunks = data.draw(chunkings(labels.shape))
        least = data.draw(st.sampled_from([1.5, 4.5, math.inf]))
        call = {"classes": [1, 2], "connectivity": connectivity}
        everything = polygons(labels, **call)

        table = polygons(labels, **call, chunks=chunks, block_px=4, fill_holes_m2=least)

        expected = everything.assign(
            geometry=[_filled(shape, least) for shape in everything.geometry]
        )
        merged = table.merge(expected, on="object_id", suffixes=("", "_expected"))
        assert len(merged) == len(table) == len(expected)
        for ours, theirs in zip(
            merged["geometry"], merged["geometry_expected"], strict=True
        ):
            assert ours.is_valid
            assert ours.equals(theirs)
        assert (table["pixels"].sort_values().to_numpy() ==
                everything["pixels"].sort_values().to_numpy()).all()  # fmt: skip

    def test_a_hole_over_four_blocks_is_filled_and_one_that_is_too_large_is_not(self):
        labels = np.ones((12, 20), np.uint8)
        labels[3:7, 3:7] = 0
        labels[3:9, 10:16] = 0

        (shape,) = polygons(labels, classes=[1], block_px=5, fill_holes_m2=20).geometry

        assert [shapely.Polygon(hole).area for hole in shape.interiors] == [36]

    def test_what_lies_in_a_filled_hole_is_taken_up_by_its_own_region(self):
        """With 8-connectivity a part can touch the rim of the hole in a corner."""
        labels = drawn("11111", "11..1", "1.1.1", "1...1", "11111")
        assert len(polygons(labels, classes=[1], connectivity=8)) == 1

        (shape,) = polygons(
            labels, classes=[1], connectivity=8, fill_holes_m2=math.inf
        ).geometry

        assert shape.is_valid
        assert shape.equals(shapely.box(UNIT.c, UNIT.f - 5, UNIT.c + 5, UNIT.f))

    def test_regions_in_holes_go_with_the_same_limit_of_size(self):
        labels = drawn("111111", "1....1", "1.22.1", "1....1", "111111")

        table = polygons(labels, classes=[1, 2], min_area_m2=13, fill_holes_m2=13)

        assert table["label"].tolist() == [1]
        assert table.geometry[0].area == 30


def _filled(shape, least):
    parts = [
        shapely.Polygon(
            part.exterior,
            [h for h in part.interiors if shapely.Polygon(h).area >= least],
        )
        for part in shapely.get_parts(shape)
    ]
    return shapely.union_all(parts)


class TestSimplification:
    @pytest.mark.usefixtures("small_cells")
    @SLOW
    @given(
        data=st.data(),
        labels=class_rasters(smallest=25, largest=28),
        tolerance=st.sampled_from([0.75, 1.5, 4.0]),
    )
    def test_blocks_and_chunks_change_nothing(self, data, labels, tolerance):
        chunks = data.draw(chunkings(labels.shape))
        call = {
            "simplify_px": tolerance,
            "connectivity": data.draw(st.sampled_from([4, 8])),
        }
        whole = polygons(labels, **call, block_px=64)

        cut = polygons(labels, **call, chunks=chunks, block_px=8)

        pd.testing.assert_frame_equal(sorted_bytes(cut), sorted_bytes(whole))

    @pytest.mark.usefixtures("small_cells")
    @SLOW
    @given(labels=class_rasters(smallest=20, largest=30),
           tolerance=st.sampled_from([0.75, 1.5, 4.0]))  # fmt: skip
    def test_borders_stay_shared_without_gaps_and_overlaps(self, labels, tolerance):
        table = polygons(labels, simplify_px=tolerance, block_px=8)

        shapes = in_pixels(table)
        assert shapely.is_valid(shapes).all()
        assert shapely.coverage_is_valid(shapes)
        height, width = labels.shape
        assert shapely.area(shapes).sum() == labels.size
        assert shapely.union_all(shapes).equals(shapely.box(0, 0, width, height))

    def test_within_one_cell_it_is_what_geos_makes_of_the_whole(self):
        labels = blobs(200, seed=4)
        window = Window(0, 0, *labels.shape)
        exact = shapely.from_wkb(
            polygonise_block(labels, window)["outline"].to_numpy(object)
        )
        corners = np.unique(shapely.get_coordinates(exact).astype(int), axis=0)
        coverage = draw_through(exact, corners)
        assert shapely.coverage_is_valid(coverage)

        # The corner of the raster is that of a cell: it lies within one.
        ours = in_pixels(polygons(labels, simplify_px=1.5))

        theirs = shapely.coverage_simplify(coverage, 1.5, simplify_boundary=False)
        assert _bytes(ours) == _bytes(theirs)
        assert shapely.get_num_coordinates(ours).sum() < 0.5 * len(
            shapely.get_coordinates(exact)
        )

    @pytest.mark.usefixtures("small_cells")
    def test_blocks_simplified_alone_are_noticed(self, monkeypatch):
        """The mutation that the tests above must catch: cells are those of a block."""
        labels = blobs(40, seed=2)
        whole = polygons(labels, simplify_px=1.5, block_px=64)
        monkeypatch.setattr(simplify, "_cells", lambda window: [window])

        cut = polygons(labels, simplify_px=1.5, block_px=16)

        assert not sorted_bytes(cut).equals(sorted_bytes(whole))

    @pytest.mark.usefixtures("small_cells")
    def test_points_of_neighbours_along_a_block_are_needed(self, monkeypatch):
        """Another one: only what a region's own block saw."""
        labels = blobs(64, seed=3)
        whole = polygons(labels, simplify_px=1.5, block_px=64)
        honest = region_rows.unite

        def blind(parts, how):
            united = honest(parts, how)
            return region_rows.Traced(rows=united.rows, points=parts[0].points)

        monkeypatch.setitem(polygonize.__globals__, "unite", blind)
        with pytest.raises((AssertionError, ValueError)):
            pd.testing.assert_frame_equal(
                sorted_bytes(polygons(labels, simplify_px=1.5, block_px=16)),
                sorted_bytes(whole),
            )

    @pytest.mark.usefixtures("small_cells")
    def test_pieces_of_a_large_region_are_simplified_too(self):
        labels = blobs(48, seed=5)
        call = {"simplify_px": 1.0, "block_px": 16}
        whole = polygons(labels, **call)

        apart = polygons(labels, **call, most_vertices=60)

        assert apart["is_piece"].any()
        united = apart.dissolve("object_id")["geometry"]
        for name, shape in whole.set_index("object_id")["geometry"].items():
            assert united[name].symmetric_difference(shape).area < 1e-6

    def test_real_cells_of_512_pixels_are_anchored_to_the_crs(self):
        labels = blobs(1100, seed=6)
        call = {"affine": UNIT, "simplify_px": 1.0}

        whole = polygons(labels, **call, block_px=4096)
        cut = polygons(labels, **call, chunks=(700, 333), block_px=512)

        pd.testing.assert_frame_equal(sorted_bytes(cut), sorted_bytes(whole))

    def test_the_area_of_round_regions_is_kept(self):
        rows, cols = np.indices((300, 300))
        labels = (np.hypot(rows % 60 - 29.7, cols % 60 - 30.2) < 12).astype(np.uint8)
        exact = polygons(labels, classes=[1])

        simple = polygons(labels, classes=[1], simplify_px=1.0)

        ratio = simple.geometry.area.sum() / exact.geometry.area.sum()
        assert ratio == pytest.approx(1, abs=0.01)
        assert simple.geometry.count_coordinates().sum() < 0.6 * (
            exact.geometry.count_coordinates().sum()
        )


def _bytes(shapes):
    return sorted(shapely.to_wkb(shapely.normalize(shapes)).tolist())


def blobs(size, seed):
    """Three classes with smooth borders and islands, from smoothed noise."""
    noise = np.random.default_rng(seed).normal(size=(size, size))
    smooth = gaussian_filter(noise, 4)
    return np.digitize(smooth, np.quantile(smooth, [0.4, 0.7])).astype(np.uint8)


def drawn_houses(angles, *, size=24, spacing=64, wide=1):
    """Rotated houses in one raster: rectangles, L and U shapes, courts.

    A pixel is as many times as wide as it is high.
    """
    box = shapely.box
    plans = [
        box(0, 0, size, size * 0.6),
        box(0, 0, size, size * 0.4) | box(0, 0, size * 0.4, size),
        box(0, 0, size, size) - box(size * 0.35, size * 0.4, size * 0.65, size),
        box(0, 0, size, size) - box(size * 0.3, size * 0.3, size * 0.7, size * 0.7),
    ]
    rng = np.random.default_rng(7)
    houses = []
    for number, angle in enumerate(angles):
        plan = affinity.rotate(plans[number % 4], angle, origin="centroid")
        row, col = divmod(number, 6)
        x, y = np.array([col + 0.5, row + 0.5]) * spacing + rng.uniform(-8, 8, 2)
        shape = affinity.translate(plan, x - plan.centroid.x, y - plan.centroid.y)
        houses.append(affinity.scale(shape, 1 / wide, 1, origin=(0, 0)))
    height = -(-len(angles) // 6) * spacing
    labels = rasterio.features.rasterize(
        houses, (height, 6 * spacing // wide), default_value=1, dtype="uint8"
    )
    return labels, np.array(houses, object)


class TestRightAngles:
    ANGLES = np.random.default_rng(8).uniform(0, 90, 24)

    def test_houses_come_out_as_they_were_drawn(self):
        labels, houses = drawn_houses(self.ANGLES)
        raw = in_pixels(polygons(labels, classes=[1]))

        table = polygons(labels, classes=[1], regularize_px=1.5)

        assert table["regularized"].all()
        shapes = in_pixels(table)
        truth = houses[shapely.STRtree(houses).nearest(shapely.centroid(shapes))]
        before = houses[shapely.STRtree(houses).nearest(shapely.centroid(raw))]
        assert np.median(_overlap(raw, before)) < 0.945
        assert _overlap(shapes, truth).min() > 0.93
        assert np.median(_overlap(shapes, truth)) > 0.98
        area = shapely.area(shapes).sum() / shapely.area(truth).sum()
        assert area == pytest.approx(1, abs=0.004)
        assert (shapely.get_num_coordinates(shapes) ==
                shapely.get_num_coordinates(shapely.normalize(truth.astype(object)
                ))).mean() > 0.7  # fmt: skip

    @pytest.mark.parametrize(("affine", "crs", "wide"), [
        (UNIT, "EPSG:32648", 1),
        (ARCTIC, "EPSG:4326", 1),
        (Affine(4e-6, 0, 25, 0, -1e-6, 60), "EPSG:4326", 2),
    ])  # fmt: skip
    def test_angles_are_right_on_the_ground(self, affine, crs, wide):
        labels, _ = drawn_houses(self.ANGLES, wide=wide)

        table = polygons(labels, affine, crs, classes=[1], regularize_px=1.5)

        shapes = table.to_crs(4326).geometry[table["regularized"]]
        assert len(shapes) > 20
        geod = Geod(ellps="WGS84")
        for shape in shapes:
            for ring in (shape.exterior, *shape.interiors):
                x, y = shapely.get_coordinates(ring).T
                azimuth, _, _ = geod.inv(x[:-1], y[:-1], x[1:], y[1:])
                turn = np.diff([*azimuth, azimuth[0]]) % 180
                assert turn == pytest.approx(90, abs=0.01)

    def test_blocks_and_chunks_change_nothing(self):
        labels, _ = drawn_houses(self.ANGLES)
        whole = polygons(labels, classes=[1], regularize_px=1.5)

        for chunks, edge in (((50, 77), 40), ((200, 90), 61)):
            cut = polygons(
                labels, classes=[1], regularize_px=1.5, chunks=chunks, block_px=edge
            )
            pd.testing.assert_frame_equal(sorted_bytes(cut), sorted_bytes(whole))

    def test_what_is_round_stays_as_it_is(self):
        rows, cols = np.indices((180, 180))
        labels = (np.hypot(rows % 60 - 29.7, cols % 60 - 30.2) < 15).astype(np.uint8)
        exact = polygons(labels, classes=[1])

        table = polygons(labels, classes=[1], regularize_px=1.5)

        assert not table["regularized"].any()
        pd.testing.assert_frame_equal(sorted_bytes(table), sorted_bytes(exact))

    @SLOW
    @given(labels=class_rasters(largest=16), tolerance=st.sampled_from([0.5, 1.5, 5.0]),
           connectivity=st.sampled_from([4, 8]))  # fmt: skip
    def test_any_raster_gives_valid_shapes_not_far_from_their_pixels(
        self, labels, tolerance, connectivity
    ):
        call = {"classes": [1, 2], "connectivity": connectivity}
        exact = polygons(labels, **call)

        table = polygons(labels, **call, regularize_px=tolerance)

        assert shapely.is_valid(table.geometry.to_numpy()).all()
        assert table["object_id"].tolist() == exact["object_id"].tolist()
        moved = table.geometry.symmetric_difference(exact.geometry).area
        assert (moved <= 0.5 * tolerance * table.geometry.length + 1e-6).all()
        same = ~table["regularized"]
        assert (table.geometry[same].to_wkb() == exact.geometry[same].to_wkb()).all()


def _overlap(one, other):
    both = shapely.area(shapely.intersection(one, other))
    return both / shapely.area(shapely.union(one, other))


def test_measures_and_writes_as_any_table(tmp_path):
    labels, _ = drawn_houses(TestRightAngles.ANGLES)
    lazy = polygonize(
        raster(labels, UNIT), classes=[1], options=PolygonOptions(regularize_px=1.5)
    )

    areca.write_objects(areca.measure(lazy), tmp_path / "houses")

    table = areca.read_objects(tmp_path / "houses")
    assert len(table) == 24
    assert (table["area_m2"] > 100).all()
