import geopandas as gpd
import numpy as np
import pytest
import shapely
from scipy.stats import betabinom

import areca
from areca.errors import InputError
from areca.measures import CountCalibration, SummaryOptions
from areca.measures.intervals import _Share

SHARES = [(1011, 1257), (52, 72), (959, 961), (54, 93)]


@pytest.mark.parametrize(("hits", "trials"), SHARES)
def test_the_low_end_is_the_quantile_of_a_beta_binomial(hits, trials):
    size = np.array([1, 3, 10, 50, 300, 3000])
    exact = betabinom.ppf(0.025, size, hits + 0.5, trials - hits + 0.5)

    low = _Share(hits=hits, trials=trials).low_number(size, 0.025)

    assert (low <= exact).all()
    assert (exact - low <= 1).all()


@pytest.mark.parametrize(("hits", "trials"), SHARES)
def test_the_high_end_is_where_so_few_hits_become_unlikely(hits, trials):
    found = np.array([0, 1, 3, 10, 50, 300])
    most = _Share(hits=hits, trials=trials).most_trials(found, 0.025)

    for few, size in zip(found, most, strict=True):
        sizes = np.arange(few, 4 * few + 40)
        chance = betabinom.cdf(few, sizes, hits + 0.5, trials - hits + 0.5)
        assert abs(sizes[chance > 0.025].max() - size) <= 1


@pytest.mark.parametrize("truth", [12, 60, 400, 5000])
@pytest.mark.parametrize(("precision", "recall"), [(0.85, 0.9), (0.97, 0.7), (1, 1)])
def test_at_least_95_percent_of_intervals_hold_the_truth(truth, precision, recall):
    """With complete labels, and with labels that miss what the model finds."""
    rng = np.random.default_rng(0)
    labels, held, held_bare = 300, [], []
    for _ in range(400):
        hit = rng.binomial(labels, recall)
        false = rng.poisson(labels * recall * (1 - precision) / precision)
        calibration = CountCalibration(
            n_found=hit + false, n_confirmed=hit, n_true=labels, n_matched=hit
        )
        right = rng.binomial(truth, recall)
        wrong = rng.poisson(truth * recall * (1 - precision) / precision)
        low, high = calibration.interval(np.array([right + wrong, right]))
        held.append(low[0] <= truth <= high[0])
        # All that is found is right, and labels alone say otherwise.
        held_bare.append(low[1] <= truth <= high[1])
    assert np.mean(held) >= 0.95
    assert np.mean(held_bare) >= 0.95


def test_intervals_of_zones_hold_what_stands_in_them():
    """Objects, missed and false ones strewn over 400 zones, by way of `summarize`."""
    rng = np.random.default_rng(3)
    recall, precision = 0.85, 0.9
    side = np.arange(20)
    west, south = (v.ravel() * 1e-3 for v in np.meshgrid(side, side))
    zones = gpd.GeoDataFrame(
        geometry=shapely.box(west, south, west + 1e-3, south + 1e-3), crs=4326
    )
    truth = rng.uniform(0, 0.02, (24_000, 2))
    found = truth[rng.random(len(truth)) < recall]
    wrong = rng.uniform(0, 0.02, (round(len(found) * (1 / precision - 1)), 2))
    objects = gpd.GeoDataFrame(
        geometry=gpd.points_from_xy(*np.concatenate([found, wrong]).T, crs=4326)
    )
    hit = rng.binomial(3000, recall)
    calibration = CountCalibration(
        n_found=round(hit / precision), n_confirmed=hit, n_true=3000, n_matched=hit
    )

    options = SummaryOptions(calibration=calibration)
    table = areca.summarize(objects, zones, options=options).iloc[:400]

    number = np.floor(truth / 1e-3).astype(int)
    standing = np.bincount(number[:, 1] * 20 + number[:, 0], minlength=400)
    held = table["count_low"].le(standing) & table["count_high"].ge(standing)
    assert held.mean() >= 0.95
    assert (table["count_high"] - table["count_low"]).median() < 40
    # And it can fail: the count alone, taken for the truth, is nearly always wrong.
    assert (table["count"].to_numpy() == standing).mean() < 0.2


def test_a_narrow_interval_would_miss():
    """The test above can fail: at a level of 50 % it does."""
    rng = np.random.default_rng(0)
    held = []
    for _ in range(400):
        hit = rng.binomial(300, 0.7)
        calibration = CountCalibration(
            n_found=hit, n_confirmed=hit, n_true=300, n_matched=hit, level=0.5
        )
        low, high = calibration.interval(np.array([rng.binomial(400, 0.7)]))
        held.append(low[0] <= 400 <= high[0])
    assert np.mean(held) < 0.9


def test_the_test_grounds_of_a_card_are_added_up():
    ground = {"n_true": 100, "n_found": 120, "n_matched": 90, "precision": 0.8}
    scores = {
        "a.tif": {
            "validation": ground,
            "test": ground,
            "test disturbed": {"x": ground},
        },
        "b.tif": {"test": ground | {"n_found": 80}},
        "note": "words",
    }

    found = CountCalibration.of_scores(scores)

    assert found == CountCalibration(
        n_found=200, n_confirmed=96 + 64, n_true=200, n_matched=180
    )


@pytest.mark.parametrize(
    "scores",
    [
        {},
        {"a.tif": {"validation": {"n_true": 9, "n_found": 9, "n_matched": 9}}},
        {"a.tif": {"test": {"recall": 0.9, "precision": 0.9}}},
        {
            "a.tif": {
                "test": {"n_true": 0, "n_found": 0, "n_matched": 0, "precision": None}
            }
        },
    ],
)
def test_a_card_without_counts_on_test_ground_gives_no_interval(scores):
    assert CountCalibration.of_scores(scores) is None


def test_the_models_of_areca_have_an_interval():
    for name in ("oil-palm", "tree-crown"):
        found = CountCalibration.of_scores(areca.load_model(name).card.scores)
        low, high = found.interval(np.array([0, 1, 1000]))
        assert (low <= [0, 1, 1000]).all()
        assert (high >= [0, 1, 1000]).all()


def test_scores_that_cannot_be_are_named():
    with pytest.raises(InputError, match="n_confirmed=11"):
        CountCalibration(n_found=10, n_confirmed=11, n_true=10, n_matched=9)
