"""Whatever the CRS, one figure: that of pyproj's Geod and of analytic shapes."""

import geopandas as gpd
import numpy as np
import pandas as pd
import pyproj
import pytest
import shapely
from outline_shapes import WGS84, lobed
from scipy.spatial.distance import pdist

from areca.measures import MeasureOptions, measure

LATITUDES = [-80, -65, -45, -20, -0.0001, 0, 3, 15, 40, 60, 72, 80]
PLACES = [(25.0, latitude) for latitude in LATITUDES]
PLACES += [(x, y) for x in (179.99998, -180.0) for y in (-62, 0, 5, 80)]
ALL = MeasureOptions(bounding=True, pixel_m=0.1)
SIZES = [
    "area_m2", "perimeter_m", "radius_m", "width_m", "length_m", "bounding_radius_m",
    "feret_min_m", "feret_max_m", "circularity", "area_sigma_m2", "radius_sigma_m",
]  # fmt: skip


def local_frame(longitude, latitude, name="aeqd"):
    return pyproj.CRS.from_proj4(
        f"+proj={name} +lat_0={latitude} +lon_0={longitude} +datum=WGS84"
    )


def utm(longitude, latitude):
    zone = int((longitude + 180) // 6) % 60 + 1
    return (32600 if latitude >= 0 else 32700) + zone


def in_degrees(geometry, longitude, latitude):
    """Shapes of a local frame in EPSG:4326, longitudes continuous over 180."""
    to_degrees = pyproj.Transformer.from_crs(
        local_frame(longitude, latitude), 4326, always_xy=True
    )

    def move(xy):
        lon, lat = to_degrees.transform(xy[:, 0], xy[:, 1])
        lon = longitude + (lon - longitude + 180) % 360 - 180
        return np.column_stack([lon, lat])

    moved = shapely.transform(np.asarray(geometry), move)
    return gpd.GeoDataFrame(geometry=moved, crs=4326).assign(radius_method="mask")


def shapes():
    """A crown, one with a hole, one in two parts, a turned box, one of a few metres."""
    crowns = lobed(4, seed=7)
    hole = shapely.Point(0.3, 0.2).buffer(0.8)
    turned = shapely.affinity.rotate(shapely.box(-4, -1.5, 4, 1.5), 30)
    apart = shapely.affinity.translate(crowns[2], 20, 5)
    return np.array(
        [
            crowns[0],
            crowns[1].difference(hole),
            shapely.MultiPolygon([crowns[1], apart]),
            turned,
            shapely.affinity.scale(crowns[3], 0.1, 0.1, origin=(0, 0)),
            shapely.affinity.scale(crowns[3], 40, 40, origin=(0, 0)),
        ]
    )


def around(drawn):
    """Sides of the smallest rectangles, by GEOS, and calipers over all directions."""
    corners = shapely.get_coordinates(shapely.oriented_envelope(drawn)).reshape(
        -1, 5, 2
    )
    sides = np.linalg.norm(np.diff(corners, axis=1)[:, :2], axis=2)
    hulls = [shapely.get_coordinates(hull) for hull in shapely.convex_hull(drawn)]
    edges = [np.diff(hull, axis=0) for hull in hulls]
    across = [
        np.ptp(hull @ (edge[:, ::-1] * [1, -1]).T, axis=0)
        / np.linalg.norm(edge, axis=1)
        for hull, edge in zip(hulls, edges, strict=True)
    ]
    return {
        "width_m": sides.min(axis=1),
        "length_m": sides.max(axis=1),
        "feret_min_m": [widths.min() for widths in across],
        "feret_max_m": [pdist(hull).max() for hull in hulls],
    }


@pytest.mark.parametrize(("longitude", "latitude"), PLACES)
def test_all_crs_agree_with_geod_and_with_the_local_frame(longitude, latitude):
    drawn = shapes()
    degrees = in_degrees(drawn, longitude, latitude)
    truth = pd.DataFrame(
        {
            # aeqd is off by (size / radius of the Earth)**2 / 24 of an area
            "perimeter_m": shapely.length(drawn),
            "bounding_radius_m": shapely.minimum_bounding_radius(drawn),
            **around(drawn),
        }
    )
    for name in ("area_m2", "radius_m"):
        equal_area = degrees.to_crs(local_frame(longitude, latitude, "laea")).area
        truth[name] = equal_area if name == "area_m2" else np.sqrt(equal_area / np.pi)
    oriented = [shapely.orient_polygons(g) for g in degrees.geometry]
    area = np.abs([WGS84.geometry_area_perimeter(g)[0] for g in oriented])
    perimeter = [WGS84.geometry_length(g.boundary) for g in oriented]

    found = {
        "EPSG:4326": degrees,
        "EPSG:3857": degrees.to_crs(3857),
        "EPSG:3395": degrees.to_crs(3395),
        "UTM": degrees.to_crs(utm(longitude, latitude)),
    }
    found = {crs: measure(table, options=ALL) for crs, table in found.items()}

    for crs, table in found.items():
        for name, expected in truth.items():
            np.testing.assert_allclose(table[name], expected, rtol=1e-6, err_msg=crs)
        np.testing.assert_array_less(
            np.abs(table.area_m2 - area), np.maximum(1e-6 * area, 5e-4)
        )
        np.testing.assert_allclose(table.perimeter_m, perimeter, rtol=1e-6, atol=1e-6)
        for name in SIZES:
            # Far better; but pixels lie along the axes of a CRS, and errors know that.
            rtol = 0.02 if "sigma" in name else 5e-8
            np.testing.assert_allclose(
                table[name], found["EPSG:4326"][name], rtol=rtol, err_msg=(crs, name)
            )
        inside = shapely.length(shapely.maximum_inscribed_circle(drawn, tolerance=1e-4))
        assert (np.abs(table.inscribed_radius_m / inside - 1) < 0.011).all(), crs
        # The pole is any place within 1 % of the best one.
        np.testing.assert_allclose(
            table.inscribed_radius_m, found["EPSG:4326"].inscribed_radius_m, rtol=0.011
        )
        turn = table.orientation_deg - found["EPSG:4326"].orientation_deg
        assert (np.abs((turn + 90) % 180 - 90) < 1e-4).all(), crs


@pytest.mark.parametrize("latitude", [-80, 0, 45, 80])
def test_the_pole_lies_where_its_circle_fits(latitude):
    drawn = shapes()
    degrees = in_degrees(drawn, 25.0, latitude)

    row = measure(degrees.to_crs(3857), options=ALL)

    poles = gpd.GeoSeries(gpd.points_from_xy(row.pole_x, row.pole_y), crs=3857)
    local = poles.to_crs(local_frame(25.0, latitude)).to_numpy()
    np.testing.assert_allclose(
        shapely.distance(local, shapely.boundary(drawn)), row.inscribed_radius_m, 1e-6
    )
    assert shapely.contains(drawn, local).all()


def test_boxes_agree_with_the_ellipse_on_the_ground():
    for latitude in LATITUDES:
        x, y = pyproj.Transformer.from_crs(4326, 3857, always_xy=True).transform(
            25.0, latitude
        )
        box = shapely.box(x - 4, y - 3, x + 4, y + 3)
        mercator = gpd.GeoDataFrame(geometry=[box], crs=3857)
        lon, lat = pyproj.Transformer.from_crs(3857, 4326, always_xy=True).transform(
            [x - 4, x + 4, x, x], [y, y, y - 3, y + 3]
        )
        across, along = WGS84.inv(lon[::2], lat[::2], lon[1::2], lat[1::2])[2]

        row = measure(mercator, options=ALL).iloc[0]

        assert row.radius_method == "ellipse_of_box"
        assert row.area_m2 == pytest.approx(np.pi / 4 * across * along, rel=1e-6)
        assert row.bounding_radius_m == pytest.approx(across / 2, rel=3e-6)
        assert row.inscribed_radius_m == pytest.approx(along / 2, rel=3e-6)


def test_real_crowns_have_one_area_in_every_crs(shared_data):
    sources = {
        "NEON field crowns": "neon_tree_crowns/OSBS_field_crown_polygons.parquet",
        "OAM crowns": "oam_tcd_samples/5b90f92da0d7280005fab355_4310_crowns.parquet",
    }
    rows = []
    for name, path in sources.items():
        crowns = gpd.read_parquet(shared_data / path).assign(radius_method="mask")
        degrees = crowns.to_crs(4326)
        geod = [abs(WGS84.geometry_area_perimeter(g)[0]) for g in degrees.geometry]
        zone = degrees.estimate_utm_crs()
        for crs in (4326, 3857, 3395, zone, "ESRI:54034"):
            table = crowns.to_crs(crs)
            area = measure(table).area_m2.to_numpy()
            rows.append(
                {
                    "crowns": name,
                    "crs": table.crs.name,
                    "sum_m2": area.sum(),
                    "planar_sum": table.area.sum() if crs != 4326 else np.nan,
                    "off_geod_m2": np.abs(area - geod).max(),
                    "off_geod": np.abs(area / geod - 1).max(),
                    "areas": area,
                }
            )
    report = pd.DataFrame(rows)
    print(report.drop(columns="areas").to_string())  # noqa: T201 - the table, with -s

    for _, group in report.groupby("crowns"):
        for areas in group.areas:
            np.testing.assert_allclose(areas, group.areas.iloc[0], rtol=1e-7)
    assert ((report.off_geod < 1e-6) | (report.off_geod_m2 < 5e-4)).all()
    # A plane is wrong by as much as its CRS stretches there.
    stretched = report[report.crs == "WGS 84 / Pseudo-Mercator"]
    assert (stretched.planar_sum > 1.05 * stretched.sum_m2).all()
    assert len(report) == 10
