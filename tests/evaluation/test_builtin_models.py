"""The models that come with areca find real objects on ground they were not shown."""

import numpy as np
import pytest
import rasterio
from odc.geo.geobox import GeoBox
from scipy.spatial import cKDTree

from areca.evaluation import detect, disturb, score_detections
from areca.labels import circles_of, pixel_size_m, read_labels
from areca.models.adapter import load_network
from areca.models.handle import load_model

BLOCK = (slice(3340, 3674), slice(2004, 2338))
"""One block of 72 m of the test ground of train_oil_palm (rows, columns)."""


@pytest.fixture(scope="module")
def plantation(shared_data):
    """Pixels of the block with 100 px around it, and the labels in its pixels."""
    folder = shared_data / "kluang_oil_palm"
    rows, cols = (slice(part.start - 100, part.stop + 100) for part in BLOCK)
    with rasterio.open(folder / "kluang_west.tif") as file:
        geobox = GeoBox(file.shape, file.transform, str(file.crs))[rows, cols]
        window = rasterio.windows.Window.from_slices(rows, cols)
        pixels = file.read(window=window).astype(np.float32)
    labels = read_labels(folder / "kluang_west_boxes.parquet", geobox)
    return pixels, labels, geobox


@pytest.fixture(scope="module")
def oil_palm():
    return load_network(load_model("oil-palm"))


def score(found, plantation):
    pixels, labels, geobox = plantation
    ground = np.zeros(pixels.shape[1:], bool)
    ground[100:-100, 100:-100] = True
    return score_detections(
        found,
        circles_of(labels, geobox),
        ground=ground,
        resolution_m=pixel_size_m(geobox),
        max_distance_m=2.5,
        counted=labels["agreement"].to_numpy() == 1,
    )


@pytest.mark.parametrize("light", [None, "gain 0.7", "blur sigma 1.5 px"])
def test_oil_palms_are_found_in_any_light(plantation, oil_palm, light):
    pixels = plantation[0] if light is None else disturb(plantation[0], light)
    scores = score(detect(pixels, oil_palm), plantation)
    assert scores.n_true > 30
    assert scores.recall >= 0.95
    assert abs(scores.radius_bias) < 0.03
    assert scores.centre_error_median_m < 0.5


def test_oil_palms_stand_at_the_distance_they_were_planted(plantation, oil_palm):
    found = detect(plantation[0], oil_palm)
    xy = np.column_stack([found.x, found.y]) * pixel_size_m(plantation[2])
    nearest = cKDTree(xy).query(xy, k=2)[0][:, 1]
    # Triangular planting, 8.6 m (median) to the nearest neighbour.
    assert np.median(nearest) == pytest.approx(8.6, abs=0.6)
    assert nearest.min() > 3.0


def test_bare_ground_and_missing_ground_hold_no_palms(oil_palm):
    rng = np.random.default_rng(0)
    bare = rng.normal(110, 6, (3, 400, 400)).astype(np.float32)
    bare[:, 200:] = np.nan
    assert len(detect(bare, oil_palm)) == 0
