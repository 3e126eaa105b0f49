from dataclasses import replace
from html.parser import HTMLParser

import geopandas as gpd
import numpy as np
import pytest
import shapely
from PIL import Image

from areca.catalog import redact
from areca.measures import measure, read_objects, write_objects
from areca.models.handle import load_model
from areca.runs import present
from areca.runs.report import (
    Hole,
    InputItem,
    ModelFacts,
    Picture,
    ReportContext,
    render_report,
)
from areca.runs.summary import summarise

ALERT = "<script>alert(1)</script>"
VOID = {"meta", "img", "link", "line", "rect", "br"}


class Page(HTMLParser):
    """All tags, the raw numbers by the id of the element around them, all text."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.values, self.text, self.open = [], {}, [], []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.tags.append((tag, attributes))
        if "data-value" in attributes:
            names = [a["id"] for _, a in self.open if "id" in a]
            name = names[-1] if names else None
            self.values.setdefault(name, []).append(float(attributes["data-value"]))
        if tag not in VOID:
            self.open.append((tag, attributes))

    def handle_endtag(self, tag):
        if tag not in VOID:
            opened, _ = self.open.pop()
            assert opened == tag, f"<{opened}> is closed by </{tag}>"

    def handle_data(self, data):
        self.text.append(data)


def crowns(count=400, seed=8):
    rng = np.random.default_rng(seed)
    points = shapely.points(rng.uniform(4e5, 4.02e5, count), rng.uniform(0, 2e3, count))
    table = gpd.GeoDataFrame(
        {
            "object_id": [f"{i:04x}" for i in range(count)],
            "score": rng.uniform(0.3, 1.0, count),
            "label": "palm",
        },
        geometry=shapely.buffer(points, rng.normal(5, 0.4, count), quad_segs=8),
        crs=32648,
    )
    return measure(table)


def context(table):
    return ReportContext(
        title="Oil palms",
        state="DONE",
        recipe="oil_palm_census",
        created="2026-05-01T10:20:30+02:00",
        region="a plantation",
        searched_m2=4e6,
        summary=summarise(table),
        resume_command="areca run oil_palm_census --out runs/x",
        model=ModelFacts(
            name="oil-palm",
            version="1",
            sha256="ab" * 32,
            licence="Apache-2.0",
            data="boxes",
            scores={"recall": 0.91},
        ),
        inputs=(
            InputItem(
                id="scene-1",
                datetime="2024-05-01",
                href="https://h.example/a.tif?sig=KEY",
            ),
        ),
        pictures=(
            Picture(
                image=Image.new("RGB", (64, 48), "green"),
                title="The region",
                caption="All of it.",
            ),
        ),
        settings={"Tile, px": 256, "Pixels computed twice, share": 0.5625},
        timings={"Read": 1.25, "Wall": 3725.0},
        versions={"areca": "0.1.0"},
    )


def test_the_numbers_are_those_of_the_parquet(tmp_path):
    write_objects(crowns(), tmp_path / "crowns.parquet")
    table = read_objects(tmp_path / "crowns.parquet")

    values = Page(render_report(context(table))).values

    assert values["count"] == [400]
    assert values["density"] == [pytest.approx(1.0)]
    assert values["searched"] == [400.0]
    assert values["area"] == [pytest.approx(table.area_m2.sum() / 1e4, rel=1e-12)]
    assert values["radius-mean"] == [pytest.approx(table.radius_m.mean(), rel=1e-12)]
    assert values["radius-median"] == [
        pytest.approx(table.radius_m.median(), abs=5.1e-4)
    ]
    assert values["score-mean"] == [pytest.approx(table.score.mean(), rel=1e-12)]


def test_the_page_is_whole_and_fetches_nothing():
    html = render_report(context(crowns()))
    page = Page(html)

    assert not page.open, "a tag is not closed"
    tags = [tag for tag, _ in page.tags]
    assert not {"script", "link", "iframe", "object", "form"} & set(tags)
    policy = next(a["content"] for _, a in page.tags if "http-equiv" in a)
    assert policy == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    for _, attributes in page.tags:
        for name in ("src", "href", "srcset", "action"):
            assert attributes.get(name, "data:").startswith(
                ("data:image/jpeg", "#", "data:")
            )
        assert not [name for name in attributes if name.startswith("on")]
    assert "url(" not in html
    assert "@import" not in html
    assert tags.count("svg") == 2


def test_what_others_wrote_is_text_and_never_markup():
    hostile = replace(
        context(crowns()),
        title=ALERT,
        recipe=ALERT,
        region=ALERT,
        created=ALERT,
        resume_command=ALERT,
        state="PARTIAL",
        inputs=(InputItem(id=ALERT, datetime=ALERT, href=f"s3://b/{ALERT}"),),
        holes=(Hole(block=ALERT, reason=ALERT, area_m2=1.0),),
        model=ModelFacts(
            name=ALERT,
            version=ALERT,
            sha256=ALERT,
            licence=ALERT,
            data=ALERT,
            scores={ALERT: ALERT},
        ),
        settings={ALERT: ALERT, '"><b>': 1.5},
        versions={"areca": ALERT},
        pictures=(
            Picture(image=Image.new("RGB", (4, 4)), title=f'"{ALERT}', caption=ALERT),
        ),
    )
    hostile.summary.labels.update({ALERT: 1, "palm": 2})
    hostile.summary.radius_methods.update({ALERT: 1})

    html = render_report(hostile)

    assert "<script" not in html
    page = Page(html)
    assert "b" not in [tag for tag, _ in page.tags]
    assert page.text.count(ALERT) >= 10


def test_secrets_of_an_address_stay_out():
    secret = "https://me:PASS@h.example/a.tif?sig=KEY#frag"  # noqa: S105
    assert redact(secret).startswith("https://h.example/a.tif")
    report = replace(
        context(crowns()), inputs=(InputItem(id="i", datetime="d", href=secret),)
    )

    html = render_report(report)

    assert f"<code>{redact(secret)}</code>" in html
    for part in ("PASS", "KEY", "#frag"):
        assert part not in html


def test_holes_are_told_at_the_top_and_listed():
    holes = tuple(
        Hole(block=f"{i}_0", reason="no answer", area_m2=2e4) for i in range(3)
    )

    page = Page(render_report(replace(context(crowns()), state="PARTIAL", holes=holes)))

    text = " ".join("".join(page.text).split())
    assert "3 pieces of ground, 6.00 ha in all, could not be searched" in text
    assert text.count("no answer") == 3
    assert 6.0 in page.values[None]
    assert "2_0" in text


@pytest.mark.parametrize(
    ("oversize", "largest_m", "first", "last"),
    [
        (1200, 19.2, "1,200 candidates larger than 19.2 m were", "them. They are"),
        (1, 12.0, "1 candidate larger than 12.0 m was", "it. It is"),
        (
            2,
            None,
            "2 candidates larger than the model can count were",
            "them. They are",
        ),
    ],
)
def test_what_was_too_large_to_count_is_told(oversize, largest_m, first, last):
    report = replace(context(crowns()), oversize=oversize, largest_m=largest_m)

    page = Page(render_report(report))

    text = " ".join("".join(page.text).split())
    assert (
        f"{first} not counted: the model and its tiles are not made for {last} listed "
        f"with {'its' if oversize == 1 else 'their'} outline in oversize.geojson."
    ) in text
    assert page.values["oversize"] == [n for n in (oversize, largest_m) if n]


def test_nothing_is_told_where_nothing_was_too_large():
    text = "".join(Page(render_report(replace(context(crowns()), largest_m=9.0))).text)

    assert "oversize" not in text
    assert "not counted" not in text
    assert "edge" not in text


def test_a_run_that_found_nothing_has_a_report():
    report = replace(
        context(crowns().iloc[:0]), searched_m2=0.0, pictures=(), inputs=()
    )

    page = Page(render_report(report))

    assert page.values["count"] == [0]
    assert "density" not in page.values
    assert "No object was found" in "".join(page.text)
    assert "svg" not in [tag for tag, _ in page.tags]


def test_long_lists_are_cut_and_say_so():
    holes = tuple(Hole(block=f"b{i}", reason="r", area_m2=1.0) for i in range(201))

    html = render_report(replace(context(crowns()), state="PARTIAL", holes=holes))

    assert "The first 200 of 201" in html
    assert "b199<" in html
    assert "b200<" not in html


def test_times_are_told_in_words():
    text = "".join(Page(render_report(context(crowns()))).text)

    assert "2026-05-01 08:20 UTC" in text
    assert "1 h 02 min" in text
    assert "1.2 s" in text


def test_the_radius_is_explained_by_its_method():
    box = gpd.GeoDataFrame(geometry=[shapely.box(4e5, 0, 4e5 + 9, 9)], crs=32648)

    text = "".join(Page(render_report(context(measure(box)))).text)

    assert "the ellipse inside it" in text
    assert "score" in text.lower()


def test_the_page_starts_as_html_5():
    assert render_report(context(crowns())).startswith("<!doctype html>")


@pytest.mark.parametrize(
    ("hectares", "shown"),
    [(400.0, "400.0"), (9.876, "9.88"), (0.16, "0.16"), (0.0371, "0.0371")],
)
def test_hectares_have_the_digits_of_a_density(hectares, shown):
    page = render_report(replace(context(crowns()), searched_m2=hectares * 1e4))

    assert f">{shown}</span> <small>ha" in page


def test_a_score_says_which_numbers_stand_behind_it():
    card = load_model("tree-crown").card

    words = present._grounds(card.scores)

    [line] = [w for name, w in words.items() if name.startswith("OSBS_029")]
    assert "19 of 61 labels found; 19 of 25 objects found have a label" in line
