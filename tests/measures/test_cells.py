import dask_geopandas as dgpd
import geopandas as gpd
import h3
import numpy as np
import pandas as pd
import pyproj
import pytest
import shapely

import areca
from areca.errors import GridError, InputError
from areca.measures import cells, measure
from areca.measures.places import centres_of


def crowns(count=600, seed=3, lon=103.29, lat=2.16, reach=0.01):
    """Discs of metres around a place, in degrees."""
    rng = np.random.default_rng(seed)
    points = gpd.GeoSeries.from_xy(
        lon + rng.uniform(-reach, reach, count),
        lat + rng.uniform(-reach, reach, count),
        crs=4326,
    )
    utm = points.estimate_utm_crs()
    discs = points.to_crs(utm).buffer(rng.uniform(1, 6, count), quad_segs=8)
    return measure(gpd.GeoDataFrame(geometry=discs).to_crs(4326))


def test_squares_hold_what_floor_division_says():
    table = crowns()

    found = areca.summarize_cells(table, size_m=250, crs="EPSG:32648")

    to_grid = pyproj.Transformer.from_crs(4326, 32648, always_xy=True)
    x, y = to_grid.transform(*centres_of(table).T)
    names = pd.Series(
        [f"{int(a // 250)}_{int(b // 250)}" for a, b in zip(x, y, strict=True)]
    )
    expected = names.value_counts()
    counts = found.set_index("cell")["count"].drop("without a place")
    assert counts.to_dict() == expected.to_dict()
    assert len(counts) > 60
    area = table.groupby(names.to_numpy())["area_m2"].sum()
    np.testing.assert_allclose(
        found.set_index("cell")["area_m2"].reindex(area.index), area, atol=1e-4
    )


def test_squares_lie_around_what_they_count():
    table = crowns()
    found = areca.summarize_cells(table, size_m=250, crs=32648)

    centre = gpd.GeoSeries.from_xy(*centres_of(table).T, crs=4326).to_crs(32648)
    inside = gpd.sjoin(
        gpd.GeoDataFrame(geometry=centre), found[:-1], predicate="within"
    )
    assert inside.groupby("cell").size().to_dict() == dict(
        zip(found["cell"][:-1], found["count"][:-1], strict=True)
    )
    assert found.crs == "EPSG:32648"
    # True hectares: UTM is 0.04 % small here.
    np.testing.assert_allclose(found["cell_area_ha"][:-1], 6.25 / 0.9996**2, rtol=1e-3)


def test_metres_of_mercator_are_not_taken_for_true_ones():
    table = crowns(lat=60.0)
    found = areca.summarize_cells(table, size_m=200, crs="EPSG:3857")[:-1]

    np.testing.assert_allclose(found["cell_area_ha"], 4 * 0.25, rtol=0.01)
    assert (found["density_per_ha"] == found["count"] / found["cell_area_ha"]).all()


@pytest.mark.parametrize(
    ("lon", "lat"), [(103.29, 2.16), (-70, -54.5), (179.999, 10), (20, 79)]
)
@pytest.mark.parametrize("resolution", [5, 9, 11])
def test_h3_cells_are_those_of_the_package_h3(lon, lat, resolution):
    table = crowns(120, lon=lon, lat=lat)

    found = areca.summarize_cells(table, h3_resolution=resolution)

    names = pd.Series(
        [h3.latlng_to_cell(y, x, resolution) for x, y in centres_of(table)]
    )
    counts = found.set_index("cell")["count"].drop("without a place")
    assert counts.to_dict() == names.value_counts().to_dict()
    for name, shape in zip(found["cell"][:-1], found.geometry[:-1], strict=True):
        ring = np.array(h3.cell_to_boundary(name))[:, ::-1]
        drawn = shapely.get_coordinates(shape)[:-1]
        turned = np.column_stack([(drawn[:, 0] + 180) % 360 - 180, drawn[:, 1]])
        np.testing.assert_allclose(
            turned[np.lexsort(turned.T)], ring[np.lexsort(ring.T)], atol=1e-9
        )
        assert np.ptp(drawn[:, 0]) < 10  # in one piece over the antimeridian


def test_the_area_of_an_h3_cell_is_the_true_one():
    """H3 itself reckons on a sphere, 0.4 % off."""
    found = areca.summarize_cells(crowns(50), h3_resolution=9)[:-1]
    geod = pyproj.Geod(ellps="WGS84")
    true = [
        abs(geod.geometry_area_perimeter(shape)[0]) / 1e4 for shape in found.geometry
    ]
    sphere = [h3.cell_area(name, "m^2") / 1e4 for name in found["cell"]]

    np.testing.assert_allclose(found["cell_area_ha"], true, rtol=1e-6)
    np.testing.assert_allclose(found["cell_area_ha"], sphere, rtol=0.01)


@pytest.mark.parametrize(
    "words", [{"size_m": 150, "crs": 32648}, {"h3_resolution": 10}]
)
@pytest.mark.parametrize("parts", [5])
def test_any_partitioning_gives_the_same_bits(words, parts):
    table = crowns()
    lazy = dgpd.from_geopandas(
        table.sample(frac=1, random_state=1).reset_index(drop=True), npartitions=parts
    )

    found = areca.summarize_cells(lazy, **words).compute(scheduler="sync")
    sorted_parts = areca.summarize_cells(
        lazy.spatial_shuffle(npartitions=parts), **words
    ).compute(scheduler="sync")

    whole = areca.summarize_cells(table, **words)
    pd.testing.assert_frame_equal(found, whole, check_exact=True, check_dtype=False)
    pd.testing.assert_frame_equal(
        sorted_parts, whole, check_exact=True, check_dtype=False
    )


@pytest.mark.usefixtures("no_compute")
def test_a_lazy_table_stays_lazy():
    lazy = dgpd.from_geopandas(crowns(30), npartitions=2)
    for words in ({"size_m": 150, "crs": 32648}, {"h3_resolution": 10}):
        found = areca.summarize_cells(lazy, **words)
        assert isinstance(found, dgpd.GeoDataFrame)
        assert "density_per_ha" in found.columns


@pytest.mark.parametrize(
    "words", [{"size_m": 150, "crs": 32648}, {"h3_resolution": 10}]
)
def test_an_empty_table_has_no_cells_and_null_geometry_is_counted(words):
    empty = areca.summarize_cells(crowns(5).iloc[:0], **words)
    lost = crowns(5).assign(center_lon=np.nan, geometry=None).set_crs(4326)

    assert empty["cell"].tolist() == ["without a place"]
    assert areca.summarize_cells(lost, **words)["count"].tolist() == [5]


BAD = {
    "neither": ({}, InputError, "give one of them"),
    "both": ({"size_m": 9, "h3_resolution": 9}, InputError, "give one of them"),
    "degrees": ({"size_m": 9}, GridError, "degrees"),
    "no length": ({"size_m": 0, "crs": 32648}, InputError, "size_m is 0"),
    "not finite": ({"size_m": float("nan"), "crs": 32648}, InputError, "size_m is nan"),
    "too fine": ({"h3_resolution": 16}, InputError, "0 .* to 15"),
}


@pytest.mark.parametrize("case", BAD)
def test_cells_that_cannot_be_are_named(case):
    words, kind, says = BAD[case]
    with pytest.raises(kind, match=says):
        areca.summarize_cells(crowns(5), **words)


def test_without_its_package_h3_says_what_to_install(monkeypatch):
    def absent(name):
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(cells, "import_module", absent)
    with pytest.raises(InputError, match=r"pip install \.\[cells\]"):
        areca.summarize_cells(crowns(5), h3_resolution=9)
