import numpy as np
import pytest

from areca.errors import BandError
from areca.features import standardize


def test_bands_are_scaled_by_their_own_statistics_and_nan_stays():
    rng = np.random.default_rng(0)
    block = rng.normal(size=(2, 3, 4)).astype(np.float32)
    block[0, 1, 2] = np.nan
    before = block.copy()
    found = standardize(block, mean=[1.0, -2.0], std=[0.5, 4.0])
    assert found.dtype == np.float32
    np.testing.assert_allclose(found[0], (block[0] - 1) / 0.5, rtol=1e-6)
    np.testing.assert_allclose(found[1], (block[1] + 2) / 4, rtol=1e-6)
    np.testing.assert_array_equal(block, before)


def test_a_pixel_has_one_value_whatever_block_it_is_in():
    block = np.random.default_rng(1).normal(size=(3, 20, 20)).astype(np.float32)
    whole = standardize(block, [0.1, 0.2, 0.3], [1, 2, 3])
    part = standardize(block[:, 5:9, 3:17], [0.1, 0.2, 0.3], [1, 2, 3])
    np.testing.assert_array_equal(part, whole[:, 5:9, 3:17])


@pytest.mark.parametrize(
    ("mean", "std"),
    [([1.0], [1.0]), ([1.0, 1.0], [1.0]), ([1.0, 1.0], [1.0, 0.0]),
     ([1.0, 1.0], [1.0, -1.0]), ([np.nan, 1.0], [1.0, 1.0]),
     ([1.0, 1.0], [1.0, np.inf])],
)  # fmt: skip
def test_statistics_that_cannot_be_are_refused(mean, std):
    with pytest.raises(BandError):
        standardize(np.zeros((2, 3, 3), np.float32), mean, std)
