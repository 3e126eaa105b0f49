"""Each function against SciPy, scikit-image, or the definition pixel by pixel."""

import numpy as np
import pytest
from feature_cubes import drawn_cube
from scipy import ndimage
from skimage import exposure, feature, filters
from skimage.filters import rank
from skimage.morphology import footprint_rectangle

import areca

OPTIONS = {"window": 5, "low": 0, "high": 256, "levels": 8}


@pytest.fixture(scope="module")
def cube():
    """Without holes, in chunks that no window fits into."""
    return drawn_cube(holes=False).sel(band=["nir"]).chunk(y=11, x=13)


@pytest.fixture(scope="module")
def holed():
    return drawn_cube(40, 44).sel(band=["nir"])


def found_in(cube, name, **options):
    return areca.stack_features(cube, [_text(name, options)]).values[0]


def _text(name, options):
    words = ["nir", *(f"{key}={value}" for key, value in options.items())]
    return f"{name}({', '.join(words)})"


def inner(array, rim):
    return array[rim:-rim, rim:-rim]


def pixels_of(cube, dtype=np.float64):
    return cube.values[0].astype(dtype)


SCIPY = {
    "mean": (lambda v: ndimage.uniform_filter(v, 5), {"window": 5}, 2),
    "std": (lambda v: ndimage.generic_filter(v, np.std, 5), {"window": 5}, 2),
    "range": (
        lambda v: ndimage.maximum_filter(v, 7) - ndimage.minimum_filter(v, 7),
        {"window": 7}, 3,
    ),
    "median": (lambda v: ndimage.median_filter(v, 5), {"window": 5}, 2),
    "gaussian": (lambda v: ndimage.gaussian_filter(v, 1.7), {"sigma": 1.7}, 7),
    "sharpen": (
        lambda v: filters.unsharp_mask(v, 1.2, 0.8, preserve_range=True),
        {"sigma": 1.2, "amount": 0.8}, 5,
    ),
    "sobel": (filters.sobel, {}, 1),
    "gradient": (lambda v: np.hypot(*np.gradient(v)), {}, 1),
}  # fmt: skip


@pytest.mark.parametrize("name", SCIPY)
def test_a_function_equals_scipy_or_scikit_image_on_the_whole_array(cube, name):
    reference, options, rim = SCIPY[name]
    expected = reference(pixels_of(cube))
    found = found_in(cube, name, **options)
    np.testing.assert_allclose(
        inner(found, rim), inner(expected, rim), rtol=1e-5, atol=1e-4
    )


@pytest.mark.parametrize(
    ("name", "reference"),
    [("mean", np.nanmean), ("std", np.nanstd), ("median", np.nanmedian),
     ("range", lambda w: np.nanmax(w) - np.nanmin(w))],
)  # fmt: skip
@pytest.mark.parametrize("window", [3, 5, 9])
def test_windows_take_what_is_there_also_at_the_rim(holed, name, reference, window):
    values = np.where(holed.values[0] == 0, np.nan, pixels_of(holed))
    half = window // 2
    padded = np.pad(values, half, constant_values=np.nan)
    expected = np.full_like(values, np.nan)
    for row, col in zip(*np.nonzero(np.isfinite(values)), strict=True):
        expected[row, col] = reference(padded[row : row + window, col : col + window])
    found = found_in(holed.chunk(y=9, x=16), name, window=window)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-4)


def test_gaussian_weighs_what_is_there(holed):
    values = pixels_of(holed)
    seen = (values != 0).astype(float)
    total, weight = (
        ndimage.gaussian_filter(part, 2, mode="constant") for part in (values, seen)
    )
    expected = np.where(seen > 0, total / np.maximum(weight, 1e-9), np.nan)
    found = found_in(holed, "gaussian", sigma=2)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_entropy_equals_that_of_scikit_image_also_with_holes(holed):
    levels = (holed.values[0] // 32).astype(np.uint8)
    there = (holed.values[0] != 0).astype(np.uint8)
    expected = rank.entropy(levels, footprint_rectangle((5, 5)), mask=there)
    found = found_in(holed, "entropy", **OPTIONS)
    seen = there > 0
    np.testing.assert_allclose(found[seen], expected[seen], atol=1e-5)


def by_scikit_image(levels, window, distance, count):
    """Measures of the co-occurrence matrix of each whole window."""
    half = window // 2
    names = ("contrast", "dissimilarity", "homogeneity", "correlation", "ASM", "energy")
    out = {name: np.full(levels.shape, np.nan) for name in names}
    angles = [0, np.pi / 4, np.pi / 2, 3 * np.pi / 4]
    for row in range(half, levels.shape[0] - half):
        for col in range(half, levels.shape[1] - half):
            part = levels[row - half : row + half + 1, col - half : col + half + 1]
            pairs = feature.graycomatrix(
                part, [distance], angles, levels=count, symmetric=True
            )
            together = pairs.sum(axis=3, keepdims=True).astype(np.float64)
            together /= together.sum()
            for name in names:
                out[name][row, col] = feature.graycoprops(together, name)[0, 0]
    return out


@pytest.mark.parametrize(("window", "distance"), [(5, 1), (7, 2)])
def test_cooccurrence_equals_scikit_image(window, distance):
    cube = drawn_cube(24, 26, holes=False).sel(band=["nir"])
    cube[0, :9, :9] = 100  # a flat window has a correlation of 1
    levels = (cube.values[0] // 32).astype(np.uint8)
    expected = by_scikit_image(levels, window, distance, 8)
    rim = window // 2
    for name, values in expected.items():
        found = found_in(
            cube.chunk(y=7, x=9), name.lower(),
            **OPTIONS | {"window": window, "distance": distance},
        )  # fmt: skip
        np.testing.assert_allclose(
            inner(found, rim), inner(values, rim), atol=1e-5, err_msg=name
        )


def test_pairs_with_a_missing_pixel_are_left_out(holed):
    """The definition, pair by pair."""
    levels = np.where(holed.values[0] == 0, -1, holed.values[0].astype(int) // 32)
    found = found_in(holed, "contrast", **OPTIONS)
    asm = found_in(holed, "asm", **OPTIONS)
    for row, col in [(0, 0), (3, 43), (19, 29), (20, 28), (26, 35), (39, 10), (12, 12)]:
        if levels[row, col] < 0:
            assert np.isnan(found[row, col])
            continue
        matrix = np.zeros((8, 8))
        for r in range(max(row - 2, 0), min(row + 3, 40)):
            for c in range(max(col - 2, 0), min(col + 3, 44)):
                for dr, dc in ((0, 1), (1, 1), (1, 0), (1, -1)):
                    rr, cc = r + dr, c + dc
                    inside = rr < min(row + 3, 40)
                    inside &= max(col - 2, 0) <= cc < min(col + 3, 44)
                    if inside and levels[r, c] >= 0 and levels[rr, cc] >= 0:
                        matrix[levels[r, c], levels[rr, cc]] += 1
                        matrix[levels[rr, cc], levels[r, c]] += 1
        matrix /= matrix.sum()
        i, j = np.mgrid[:8, :8]
        assert found[row, col] == pytest.approx((matrix * (i - j) ** 2).sum(), rel=1e-5)
        assert asm[row, col] == pytest.approx((matrix**2).sum(), rel=1e-5)


@pytest.mark.filterwarnings("ignore:Applying `local_binary_pattern`:UserWarning")
def test_binary_patterns_equal_scikit_image_and_level_ground_has_one_code():
    cube = drawn_cube(holes=False, floats=True).sel(band=["nir"])
    expected = feature.local_binary_pattern(pixels_of(cube), 8, 1)
    found = found_in(cube.chunk(y=11, x=13), "lbp")
    np.testing.assert_array_equal(inner(found, 1), inner(expected, 1))
    level = found_in(cube * 0 + 0.1, "lbp")
    assert (inner(level, 1) == 255).all()


def test_clahe_equals_the_definition_and_is_near_that_of_scikit_image():
    cube = drawn_cube(64, 96, holes=False).sel(band=["nir"])
    left, top = 500_480.0, 4_000_480.0  # where cells of 16 pixels of 10 m begin
    cube = cube.assign_coords(
        x=left + 10 * (np.arange(96) + 0.5), y=top - 10 * (np.arange(64) + 0.5)
    ).rio.write_transform(
        type(cube.rio.transform())(10, 0, left, 0, -10, top)
    )  # fmt: skip
    found = found_in(cube.chunk(y=20, x=23), "clahe", cell=16, clip=0.03,
                     low=0, high=256)  # fmt: skip
    levels = cube.values[0].astype(int)
    maps = np.empty((4, 6, 256))
    for row in range(4):
        for col in range(6):
            part = levels[row * 16 : row * 16 + 16, col * 16 : col * 16 + 16]
            counts = np.bincount(part.ravel(), minlength=256).astype(float)
            kept = np.minimum(counts, 0.03 * 256)
            maps[row, col] = np.cumsum(kept + (256 - kept.sum()) / 256) / 256
    for row, col in np.random.default_rng(0).integers(0, (64, 96), (200, 2)):
        y, x = (row + 0.5) / 16 - 0.5, (col + 0.5) / 16 - 0.5
        value = weight = 0.0
        for r in (int(np.floor(y)), int(np.floor(y)) + 1):
            for c in (int(np.floor(x)), int(np.floor(x)) + 1):
                if 0 <= r < 4 and 0 <= c < 6:
                    share = (1 - abs(y - r)) * (1 - abs(x - c))
                    value += share * maps[r, c, levels[row, col]]
                    weight += share
        assert found[row, col] == pytest.approx(value / weight, abs=1e-5)
    theirs = exposure.equalize_adapthist(
        cube.values[0], kernel_size=16, clip_limit=0.03, nbins=256
    )
    # It stretches to the extremes of the array first and deals out in rounds.
    assert np.corrcoef(found.ravel(), theirs.ravel())[0, 1] > 0.98


@pytest.mark.parametrize("window", [91, 129])
def test_counts_of_large_windows_do_not_overflow(window):
    cube = drawn_cube(window, window, holes=False).sel(band=["nir"]) // 200 * 127 + 1
    levels = (cube.values[0] // 128).astype(np.uint8)
    expected = by_scikit_image(levels, window, 1, 2)
    for name in ("asm", "contrast", "correlation"):
        options = {"window": window, "low": 0, "high": 256, "levels": 2}
        found = found_in(cube, name, **options)[window // 2, window // 2]
        wanted = expected["ASM" if name == "asm" else name][window // 2, window // 2]
        assert found == pytest.approx(wanted, rel=1e-5)
