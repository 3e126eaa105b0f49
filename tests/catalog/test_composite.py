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


def series(red, nir, dtype="float32", **attrs):
    """One pixel of two bands over time."""
    return xr.DataArray(
        np.array([red, nir], dtype).T[..., None, None],
        dims=("time", "band", "y", "x"),
        coords={"band": ["red", "nir"]},
        attrs=attrs,
    )


@pytest.mark.parametrize(
    ("red", "nir", "chosen"),
    [
        ([0.05, -0.02], [0.45, 0.03], 0),  # shadow: 5
        ([0.05, -0.02], [0.45, 0.01], 0),  # shadow: -3, a negative sum
        ([0.05, -0.03], [0.45, -0.01], 0),  # shadow: -0.5 of two negatives
        ([0.0, 0.3], [0.0, 0.1], 1),
        ([0.0, 0.0], [0.0, 0.0], 0),  # valid, so not missing
        ([np.nan, -0.1], [0.5, 0.1], 1),
        ([0.2, 0.0], [0.2, 0.5], 1),
    ],
)
def test_max_ndvi_takes_what_has_no_ndvi_last(red, nir, chosen):
    found = composite(series(red, nir), "max_ndvi").values.ravel()
    np.testing.assert_array_equal(found, np.float32([red[chosen], nir[chosen]]))


@pytest.mark.parametrize("dtype", ["int16", "float32"])
@pytest.mark.parametrize("name", ["_FillValue", "nodata"])
def test_nodata_is_what_rioxarray_says(dtype, name):
    cube = series([-9999, 7], [5, 8], dtype, **{name: -9999})
    for how in ("first", "median"):
        assert composite(cube, how).values.ravel()[0] == 7
    nothing = composite(cube[:1], "first").values.ravel()
    np.testing.assert_array_equal(nothing, [-9999, -9999])


@pytest.mark.parametrize("name", ["time", "x"])
def test_a_score_of_another_place_or_date_is_refused(name):
    cube = drawn().assign_coords(y=np.arange(23.0), x=np.arange(31.0))
    score = cube[:, 0].drop_vars("band")
    composite(cube, "best", score=score.assign_coords(x=score.x + 1e-4))
    undated = np.full(5, np.datetime64("NaT", "ns"), "M8[ns]")
    composite(
        cube.assign_coords(time=undated), "best",
        score=score.assign_coords(time=undated),
    )  # fmt: skip
    moved = score.assign_coords({name: score[name] + 1})
    with pytest.raises(GridError, match=f"the score has {name} 1"):
        composite(cube, "best", score=moved)
    reversed_ = score.isel({name: slice(None, None, -1)})
    with pytest.raises(GridError, match=f"the score has {name}"):
        composite(cube, "best", score=reversed_)


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
