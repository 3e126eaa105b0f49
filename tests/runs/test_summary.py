import geopandas as gpd
import numpy as np
import pytest
import shapely

from areca.measures import measure
from areca.runs.charts import lay_out
from areca.runs.summary import Histogram, round_step, summarise


def crowns(count=997, seed=6):
    rng = np.random.default_rng(seed)
    points = shapely.points(rng.uniform(4e5, 4.1e5, count), rng.uniform(0, 1e4, count))
    table = gpd.GeoDataFrame(
        {
            "score": rng.uniform(0.3, 1.0, count),
            "label": np.where(rng.random(count) < 0.9, "palm", "coconut"),
        },
        geometry=shapely.buffer(points, rng.normal(5, 0.4, count), quad_segs=4),
        crs=32648,
    )
    return measure(table)


@pytest.mark.parametrize("size", [1, 100, 997])
def test_the_figures_equal_those_of_the_whole_table(size):
    table = crowns()
    table.loc[3, ["radius_m", "area_m2"]] = np.nan
    table.loc[5, "score"] = np.nan

    found = summarise(table.iloc[i : i + size] for i in range(0, len(table), size))

    assert found.count == 997
    assert found.unmeasured == 1
    assert found.area_m2 == pytest.approx(table.area_m2.sum(), rel=1e-12)
    assert found.radius_mean_m == pytest.approx(table.radius_m.mean(), rel=1e-12)
    assert found.score_mean == pytest.approx(table.score.mean(), rel=1e-12)
    for value, share in (
        (found.radius_p10_m, 0.1),
        (found.radius_median_m, 0.5),
        (found.radius_p90_m, 0.9),
    ):
        assert value == pytest.approx(table.radius_m.quantile(share), abs=5.1e-4)
    assert found.labels == table.label.value_counts().to_dict()
    assert found.radius_methods == {"mask": 997}


def test_the_bars_hold_every_object_once():
    table = crowns()
    table.loc[0, "radius_m"] = 400.0  # one outlier must not squeeze the rest

    found = summarise(table)
    radius, score = found.radius_histogram, found.score_histogram

    assert sum(radius.counts) == 997
    assert radius.above == 1
    assert radius.edges[-1] < 8
    millimetres = np.rint(table.radius_m * 1000)
    inner = np.histogram(millimetres, np.rint(np.multiply(radius.edges, 1000)))[0]
    assert radius.counts[1:-1] == tuple(inner[1:-1])
    assert score.counts == tuple(np.histogram(table.score, 20, (0, 1))[0])


def test_radii_on_a_border_stand_in_the_bar_above():
    table = crowns(count=6)
    table["radius_m"] = [0.1, 0.2, 0.3, 0.3, 0.7, 1.0]

    radius = summarise(table).radius_histogram

    bars = dict(zip(radius.edges[:-1], radius.counts, strict=True))
    assert bars[0.2] == 1
    assert bars[0.3] == 2
    assert bars[0.7] == 1
    assert sum(radius.counts) == 6


@pytest.mark.parametrize("parts", [[], [crowns(count=3).iloc[:0]]])
def test_no_objects_have_no_mean(parts):
    found = summarise(parts)

    assert (found.count, found.area_m2, found.unmeasured) == (0, 0.0, 0)
    assert found.radius_mean_m is None
    assert found.radius_median_m is None
    assert found.score_mean is None
    assert found.radius_histogram is None
    assert found.score_histogram is None


def test_equal_radii_make_one_bar():
    table = crowns(count=4).assign(radius_m=5.0).drop(columns="score")

    found = summarise(table)

    assert found.radius_median_m == 5.0
    assert sum(found.radius_histogram.counts) == 4
    assert found.score_histogram is None


def test_parts_are_taken_one_after_the_other():
    taken = []

    def parts():
        for number in range(3):
            taken.append(number)
            yield crowns(count=5, seed=number)

    assert summarise(parts()).count == 15
    assert taken == [0, 1, 2]


@pytest.mark.parametrize(
    ("span", "most", "step"),
    [(1.0, 5, 0.2), (1.0, 4, 0.5), (40.0, 4, 10.0), (41.0, 4, 20.0), (0.03, 3, 0.01)],
)
def test_steps_are_round(span, most, step):
    assert round_step(span, most) == pytest.approx(step)


def test_a_chart_is_to_scale():
    histogram = Histogram(edges=(1.0, 2.0, 3.0, 4.0), counts=(5, 10, 0))

    chart = lay_out(histogram, "radius, m", {"median": 2.5, "mode": None, "far": 9.0})

    heights = [bar.height for bar in chart.bars]
    assert heights == pytest.approx([heights[1] / 2, chart.base - chart.top, 0.0])
    assert [bar.y + bar.height for bar in chart.bars] == pytest.approx([chart.base] * 3)
    ticks = {tick.text: tick.at for tick in chart.x_ticks}
    assert ticks["1"] == pytest.approx(chart.left)
    assert ticks["4"] == pytest.approx(chart.right)
    assert [mark.text for mark in chart.marks] == ["median"]
    assert chart.marks[0].at == pytest.approx((chart.left + chart.right) / 2)
    assert chart.bars[1].title == "2 to 3: 10"
    up = {tick.text: tick.at for tick in chart.y_ticks}
    assert up["0"] == pytest.approx(chart.base)
    assert up["10"] == pytest.approx(chart.top)
