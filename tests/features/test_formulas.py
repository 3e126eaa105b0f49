"""Indices by name and free formulas, against NumPy, spyndex and Python itself."""

import numpy as np
import pytest
import spyndex
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from areca.errors import BandError
from areca.features import (
    INDICES,
    FeatureStack,
    find_index,
    inputs_of,
    spectral_indices,
)
from areca.features.expression import parse_feature
from areca.features.indices import write

BANDS = [
    "coastal", "blue", "green", "green05", "yellow", "red", "rededge", "rededge071",
    "rededge075", "rededge078", "nir", "nir08", "nir09", "swir16", "swir22", "lwir",
    "lwir11", "lwir12", "vv", "vh", "hh", "hv",
]  # fmt: skip


def block_of(seed=0, bands=BANDS, shape=(6, 7)):
    rng = np.random.default_rng(seed)
    pixels = rng.uniform(0.01, 0.6, (len(bands), *shape)).astype(np.float32)
    return xr.DataArray(pixels, dims=("band", "y", "x"), coords={"band": list(bands)})


def one(formula, **bands):
    """The value of a formula at one pixel."""
    pixels = np.float32([[[value]] for value in bands.values()])
    block = xr.DataArray(pixels, dims=("band", "y", "x"), coords={"band": list(bands)})
    return FeatureStack((formula,))(block).values[0, 0, 0]


def test_every_index_of_spyndex_equals_spyndex_itself():
    """spyndex evaluates its text with Python; areca reads it as data."""
    block = block_of()
    found = spectral_indices()
    assert len(found) > 200
    common = {key: spyndex.bands[key].common_name for key in spyndex.bands}
    common |= {key: key.lower() for key in ("VV", "VH", "HH", "HV")}
    constants = {key: spyndex.constants[key].default for key in spyndex.constants}
    for name in found:
        needed = spyndex.indices[name].bands
        given = {
            key: block.sel(band=common[key]).values.astype(np.float64)
            if key in common
            else constants[key]
            for key in needed
        }
        with np.errstate(all="ignore"):
            expected = spyndex.computeIndex(name, given)
        got = FeatureStack((f"x = {found[name].formula}",))(block).values[0]
        defined = np.isfinite(expected) & (np.abs(expected) < 1e30)
        np.testing.assert_array_equal(np.isfinite(got), defined, err_msg=name)
        spread = np.abs(expected[defined]).max(initial=0) + 1e-3
        np.testing.assert_allclose(
            got[defined], expected[defined], rtol=5e-3, atol=1e-4 * spread, err_msg=name
        )


def test_left_out_are_only_indices_that_need_more_than_bands():
    left = set(spyndex.indices) - set(spectral_indices())
    for name in left:
        needs = set(spyndex.indices[name].bands)
        assert any(key.startswith(("k", "lambda", "PAR")) for key in needs), name


@pytest.mark.parametrize("name", sorted(INDICES))
def test_an_index_equals_its_formula_in_double_precision(name):
    block = block_of(3)
    values = {band: block.sel(band=band).values.astype(np.float64) for band in BANDS}
    expected = eval(INDICES[name].formula, {"sqrt": np.sqrt}, values)  # noqa: S307
    got = FeatureStack((name,))(block).values[0]
    np.testing.assert_allclose(got, expected, rtol=2e-4, atol=1e-5)


def test_names_are_found_in_any_case_and_case_tells_two_apart():
    assert find_index("NDVI") is find_index("ndvi") is INDICES["ndvi"]
    assert find_index("kndvi") is None or find_index("kndvi").name != "kNDVI"
    assert find_index("BAI").formula != find_index("BaI").formula
    assert find_index("bai") is None


@pytest.mark.parametrize(
    ("formula", "bands", "value"),
    [
        ("nir / red", {"nir": 1, "red": 0}, np.nan),
        ("1 / (nir / red)", {"nir": 1, "red": 0}, np.nan),
        ("1 / (nir * 1e30 * 1e30)", {"nir": 1}, np.nan),
        ("nir * 1e30 * 1e30", {"nir": 1}, np.nan),
        ("nir ** 0", {"nir": np.nan}, np.nan),
        ("1 ** nir", {"nir": np.nan}, np.nan),
        ("red ** -1", {"red": 0}, np.nan),
        ("max(nir, red)", {"nir": np.nan, "red": 2}, np.nan),
        ("log(nir)", {"nir": 0}, np.nan),
        ("sqrt(nir)", {"nir": -1}, np.nan),
        ("nir * 0", {"nir": np.nan}, np.nan),
        ("vari = (green - red) / (green + red - blue)",
         {"green": 3, "red": 1, "blue": 2}, 1.0),
        ("-nir ** 2", {"nir": 3}, -9.0),
        ("nir - red - red", {"nir": 5, "red": 2}, 1.0),
        ("nir / red / red", {"nir": 8, "red": 2}, 2.0),
        ("2 * ndvi", {"nir": 3, "red": 1}, 1.0),
        ("(nir + 1e8) - 1e8", {"nir": 1}, 0.0),  # float32, from the left
    ],
)  # fmt: skip
def test_what_is_not_defined_is_nan_and_the_order_is_that_of_python(
    formula, bands, value
):
    np.testing.assert_equal(one(formula, **bands), np.float32(value))


LEAVES = st.sampled_from(["nir", "red", "blue", "2.0", "0.5"])
FORMULAS = st.recursive(
    LEAVES,
    lambda inner: (
        st.builds(
            "({} {} {})".format, inner, st.sampled_from(["+", "-", "*", "/"]), inner
        )
        | inner.map("(-{})".format)
        | inner.map("abs({})".format)
    ),
    max_leaves=12,
)


@settings(deadline=None, max_examples=100)
@given(FORMULAS)
def test_a_formula_equals_numpy_in_float32_bit_for_bit(formula):
    block = block_of(5, ("nir", "red", "blue"))
    names = {band: block.sel(band=band).values for band in ("nir", "red", "blue")}
    if not any(name in formula for name in names):
        return
    text = formula.replace("2.0", "two").replace("0.5", "half")
    names |= {"two": np.float32(2), "half": np.float32(0.5), "abs": np.abs}
    with np.errstate(all="ignore"):
        expected = eval(text, {}, names)  # noqa: S307
    got = FeatureStack((f"x = {formula}",))(block).values[0]
    same = np.isfinite(got)
    np.testing.assert_array_equal(got[same], np.broadcast_to(expected, got.shape)[same])
    assert write(parse_feature(formula).tree) == write(
        parse_feature(write(parse_feature(formula).tree)).tree
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ndvj", "did you mean 'ndvi'"),
        ("nri / red", "did you mean 'nir'"),
        ("cirrus", "there is no band or index 'cirrus': the cube has"),
        ("sloppe(nir)", "no function 'sloppe', did you mean 'slope'"),
        ("__import__('os').system('true')", "uses"),
        ("nir if red else blue", "uses"),
        ("[nir for nir in red]", "uses"),
        ("nir().real", "after something that is no name"),
        ("nir.real.imag()", "uses"),
        ("(lambda: nir)()", "uses"),
        ("nir[0]", "uses"),
        ("nir @ red", "uses"),
        ("'nir'", "uses"),
        ("True * nir", "uses"),
        ("nir +", "cannot be read"),
        ("x = nir +", "cannot be read"),
        ("1 + 1", "names no band"),
        ("sqrt(nir, red)", "takes 1"),
        ("std(nir, 4)", "window=4, which must be an odd number"),
        ("std(nir, red)", r"std\(band, window=5\)"),
        ("std(nir, windw=3)", "no option windw"),
        ("contrast(nir)", "needs low and high"),
        ("contrast(nir, low=3, high=3)", "low must be less"),
        ("contrast(nir, 3, low=0, high=9, distance=3)", "make the window larger"),
        ("nir + " * 600 + "nir", "characters"),
        ("(" * 60 + "nir" + "+1)" * 60, "nested"),
        ("nir * 1" + "0" * 400, "too large"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(text, message):
    with pytest.raises(BandError, match=message):
        FeatureStack((text,))(block_of())


def test_a_band_may_have_dots_or_spaces_in_its_name_or_be_a_number():
    block = block_of(1, ("image.b1", "band 2", "3"))
    found = FeatureStack(("image.b1 * 2", "band 2", "3"))(block)
    np.testing.assert_array_equal(found.values[2], block.values[2])
    np.testing.assert_array_equal(found.values[0], block.values[0] * 2)
    np.testing.assert_array_equal(found.values[1], block.values[1])


def test_only_what_is_needed_is_asked_for():
    wanted = ("red", "ndvi", "q = std(ndre, 3) / blue")
    assert inputs_of(wanted) == ("red", "nir", "rededge", "blue")
    there = ["blue", "rededge071", "nir08", "red", "other"]
    assert inputs_of(wanted, there) == ("red", "nir08", "rededge071", "blue")


def test_a_band_may_be_given_a_new_meaning_under_its_own_name():
    assert one("nir = nir / 2", nir=3, red=1) == np.float32(1.5)
    # Where the bands of the formula are gone, its name is what was made of them.
    assert one("q = nir / 2", q=7, red=1) == np.float32(7)
    with pytest.raises(BandError, match="no band or index 'nir'"):
        one("q = nir / 2", red=1)


def test_landsat_near_infrared_stands_in():
    assert one("ndvi", nir08=3, red=1) == np.float32(0.5)
