import dataclasses
import logging

import numpy as np
import pytest
from catalog_rasters import draw, make_item
from servers import serve_files

from areca.catalog import grid_of, links, normalise_items, read_scenes
from areca.catalog.headers import read_header
from areca.errors import CatalogError, ReadError

RGB = ["red", "green", "blue"]


@pytest.fixture(autouse=True)
def no_memory():
    """Every test asks anew, whatever port its servers were given."""
    links._ends.clear()


@pytest.fixture
def other(tmp_path_factory):
    """A second server, which holds what the first must not reach."""
    with serve_files(tmp_path_factory.mktemp("other")) as server:
        yield server


@pytest.fixture
def refuse(monkeypatch):
    """Stand in for the look-up of addresses: these servers are inside, others not."""
    inside = []

    def check(link):
        if any(link.startswith(server.url) for server in inside):
            raise CatalogError("refused to read: it is at a private address")

    monkeypatch.setattr(links, "check_address", check)
    return inside.append


@pytest.fixture
def pixels():
    return draw(3, 60, 60)


@pytest.fixture
def scenes(write_tiff, file_server, other, pixels):
    """The scene of a public item on the first server; its file is on the second."""
    path = write_tiff("a.tif", pixels)
    item = make_item(path, href=f"{file_server.url}/a.tif?sig=SECRET")
    path.rename(other.folder / "b.tif")
    file_server.redirects["a.tif"] = f"{other.url}/b.tif?sig=HIDDEN"
    (scene,) = normalise_items([item], catalog_href=file_server.url)
    return [dataclasses.replace(scene, allow_private=False)]


def test_a_redirect_to_a_refused_address_is_not_followed(
    scenes, other, refuse, file_server
):
    refuse(other)
    with pytest.raises(ReadError, match="private address") as err:
        read_scenes(scenes, RGB, grid_of(scenes))
    with pytest.raises(CatalogError, match="private address"):
        read_header(f"{file_server.url}/a.tif")
    assert other.requests == []
    assert "SECRET" not in str(err.value)
    assert "HIDDEN" not in str(err.value)


def test_every_hop_is_checked(scenes, other, refuse, tmp_path_factory):
    with serve_files(tmp_path_factory.mktemp("third")) as third:
        refuse(third)
        other.redirects["b.tif"] = f"{third.url}/c.tif"
        with pytest.raises(ReadError, match="private address"):
            read_scenes(scenes, RGB, grid_of(scenes))
        assert third.requests == []


@pytest.mark.usefixtures("refuse")
def test_an_allowed_redirect_is_followed_once(scenes, other, file_server, pixels):
    grid = grid_of(scenes)
    np.testing.assert_array_equal(read_scenes(scenes, RGB, grid), pixels)
    np.testing.assert_array_equal(
        read_scenes(scenes, RGB, grid[:9, :9]), pixels[:, :9, :9]
    )
    asked = [(method, part) for method, _, part in file_server.requests]
    assert asked == [("GET", "bytes=0-0")]
    assert {path for _, path, _ in other.requests} == {"/b.tif?sig=HIDDEN"}


@pytest.mark.usefixtures("refuse")
def test_after_a_fault_the_link_is_followed_anew(scenes, other, file_server, pixels):
    grid = grid_of(scenes)
    read_scenes(scenes, RGB, grid[:9, :9])
    scene = dataclasses.replace(scenes[0], shape=(61, 60))
    with pytest.raises(ReadError, match="its item says"):
        read_scenes([scene], RGB, grid_of([scene]))
    (other.folder / "b.tif").rename(other.folder / "c.tif")
    file_server.redirects["a.tif"] = f"{other.url}/c.tif?sig=LATER"
    np.testing.assert_array_equal(read_scenes(scenes, RGB, grid), pixels)


@pytest.mark.usefixtures("refuse")
@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("file:///etc/passwd", "file of this machine"),
        ("ftp://h/a.tif?sig=HIDDEN", "no scheme"),
        ("/vsizip/a.zip?sig=HIDDEN", "/vsi path"),
        ("a.tif?sig=HIDDEN", "more than 10 times"),
    ],
)
def test_a_redirect_to_what_is_no_link_is_refused(scenes, file_server, target, message):
    file_server.redirects["a.tif"] = target
    with pytest.raises(ReadError, match=message) as err:
        read_scenes(scenes, RGB, grid_of(scenes))
    assert "SECRET" not in str(err.value)
    assert "HIDDEN" not in str(err.value)
    assert "\n" not in str(err.value)


@pytest.mark.usefixtures("refuse")
@pytest.mark.parametrize("fault", ["404", "drop"])
def test_a_fault_after_a_redirect_shows_no_secret(
    scenes, other, fault, monkeypatch, caplog
):
    monkeypatch.setenv("GDAL_HTTP_MAX_RETRY", "0")
    monkeypatch.setattr(links, "_RETRY_DELAY_S", 0.0)
    links._session.cache_clear()
    caplog.set_level(logging.DEBUG)
    other.faults["b.tif"] = fault
    with pytest.raises(ReadError, match="item 'a'") as err:
        read_scenes(scenes, RGB, grid_of(scenes))
    for text in (str(err.value), caplog.text):
        assert "SECRET" not in text
        assert "HIDDEN" not in text


def test_links_of_object_stores_are_left_alone():
    assert links.final_link("s3://bucket/a.tif") == "s3://bucket/a.tif"


def test_a_link_is_forgotten_under_any_signature(monkeypatch):
    link, other = "https://a.org/a.tif", "https://a.org/b.tif?sig=1"
    ends = {f"{link}?sig=1": "1", f"{link}?sig=2": "2", other: "3"}
    monkeypatch.setattr(links, "_ends", ends)
    links.forget_link(link)
    assert ends == {other: "3"}
