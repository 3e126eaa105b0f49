"""One layer of many dates."""

import numpy as np
import pytest
import xarray as xr

from areca.catalog import composite
from areca.errors import BandError, GridError, InputError

HOW = ["median", "medoid", "max_ndvi", "first", "last"]


def drawn(dtype="float32", times=5):
    """Three bands over time with holes; a column is missing at all times."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(1, 200, (times, 3, 23, 31)).astype(dtype)
    holes = rng.random((times, 3, 23, 31)) < 0.15
    holes[..., 4] = True
    missing = np.nan if np.dtype(dtype).kind == "f" else 0
    pixels[holes] = missing
    return xr.DataArray(
        pixels,
        dims=("time", "band", "y", "x"),
        coords={"band": ["red", "green", "nir"], "time": np.arange(times)},
        attrs={"nodata": missing},
    )


def by_loops(cube, how):
    """The definition, one pixel at a time."""
    values = cube.values.astype(float)
    values[values == cube.attrs["nodata"]] = np.nan
    out = np.full(values.shape[1:], np.nan)
    for y in range(values.shape[2]):
        for x in range(values.shape[3]):
            series = values[:, :, y, x]
            if how == "median":
                for band in range(3):
                    known = series[:, band][~np.isnan(series[:, band])]
                    out[band, y, x] = np.median(known) if len(known) else np.nan
                continue
            whole = series[~np.isnan(series).any(axis=1)]
            if not len(whole):
                continue
            gaps = np.linalg.norm(whole[:, None] - whole[None], axis=2).sum(axis=1)
            ndvi = (whole[:, 2] - whole[:, 0]) / (whole[:, 2] + whole[:, 0])
            place = {"first": 0, "last": -1}
            place |= {"medoid": gaps.argmin(), "max_ndvi": ndvi.argmax()}
            out[:, y, x] = whole[place[how]]
    return out


@pytest.mark.parametrize("dtype", ["float32", "uint8", "uint16"])
@pytest.mark.parametrize("how", HOW)
def test_composites_are_what_their_definition_says(how, dtype):
    cube = drawn(dtype)
    found = composite(cube, how)
    assert found.dims == ("band", "y", "x")
    assert found.dtype == ("float32" if how == "median" else dtype)
    values = found.values.astype(float)
    if found.dtype.kind != "f":
        values[values == 0] = np.nan
    expected = by_loops(cube, how)
    assert np.isnan(expected[..., 4]).all()
    np.testing.assert_allclose(values, expected, rtol=1e-6)


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("chunks", [{"y": 5, "x": 7}, {"time": 1}, {"band": 1, "y": 9}])
def test_chunking_never_changes_a_composite(how, chunks):
    cube = drawn()
    xr.testing.assert_identical(
        composite(cube.chunk(chunks), how).compute(), composite(cube, how).compute()
    )


@pytest.mark.usefixtures("no_compute")
def test_a_composite_stays_lazy():
    assert composite(drawn().chunk(y=9), "medoid").chunks is not None


def test_the_best_pixel_has_the_highest_score_among_whole_ones():
    cube = drawn()
    rng = np.random.default_rng(1)
    score = xr.DataArray(rng.random((5, 23, 31)), dims=("time", "y", "x"))
    score = score.where(score > 0.1)
    whole = ~np.isnan(cube.values).any(axis=1) & ~np.isnan(score.values)
    ranks = np.where(whole, score.values, -1)
    found = composite(cube.chunk(x=10), "best", score=score.chunk(y=4)).values
    best = np.take_along_axis(cube.values, ranks.argmax(0)[None, None], 0)[0]
    best[:, ~whole.any(axis=0)] = np.nan
    np.testing.assert_array_equal(found, best)


@pytest.mark.parametrize(
    ("change", "options", "error", "message"),
    [
        (lambda c: c.isel(time=0), {}, GridError, "needs the dims"),
        (lambda c: c, {"how": "mean"}, InputError, "none of median"),
        (lambda c: c, {"how": "best"}, InputError, "needs a score"),
        (
            lambda c: c,
            {"how": "best", "score": drawn()[:, 0, 1:]},
            GridError,
            "score has",
        ),
        (lambda c: c.isel(band=[0, 1]), {"how": "max_ndvi"}, BandError, "'nir'"),
    ],
)  # fmt: skip
def test_what_cannot_be_composed_is_refused(change, options, error, message):
    with pytest.raises(error, match=message):
        composite(change(drawn()), **options)
