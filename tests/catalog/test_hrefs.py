import os

import pytest

from areca.catalog.hrefs import (
    check_address,
    check_href,
    gdal_path,
    reach_of,
    redact,
    redact_link,
)
from areca.errors import CatalogError

PUBLIC = "https://stac.example.com/v1"
LOOPBACK = "http://127.0.0.1:8080/"
LOCAL = "catalog.json"

ALLOWED = [
    ("https://data.example.com/a.tif", PUBLIC),
    ("https://data.example.com/a.tif?sig=abc%2F", PUBLIC),
    ("HTTPS://data.example.com/a.tif", PUBLIC),
    ("https://data.example.com:8443/a%20b.tif", PUBLIC),
    ("s3://bucket/key/a.tif", PUBLIC),
    ("gs://bucket/a.tif", PUBLIC),
    ("az://container/a.tif", PUBLIC),
    ("https://8.8.8.8/a.tif", PUBLIC),
    ("http://data.example.com/a.tif", "http://stac.example.com"),
    ("http://data.example.com/a.tif", LOCAL),
    ("http://127.0.0.1:9000/a.tif", LOOPBACK),
    ("http://10.0.0.5/a.tif", LOCAL),
    ("https://data.example.com/a.tif", LOOPBACK),
]

REFUSED = [
    ("<VRTDataset rasterXSize='1'/>", LOCAL),
    ("  <VRTDataset/>", LOCAL),
    ("/vsicurl/https://data.example.com/a.tif", PUBLIC),
    ("/vsicurl/https://data.example.com/a.tif", LOCAL),
    ("/vsizip/a.zip/a.tif", LOCAL),
    ("https://data.example.com//vsimem/a.tif", PUBLIC),
    ("https://data.example.com/%2Fvsizip/a.tif", PUBLIC),
    ("https://data.example.com/a.tif\n/etc/passwd", PUBLIC),
    ("https://data.example.com/a\0.tif", PUBLIC),
    ("https://data.example.com/a b.tif", PUBLIC),
    ("https://data.example.com/<a>.tif", PUBLIC),
    ("https:data.example.com/a.tif", PUBLIC),
    ("https:///a.tif", PUBLIC),
    ("https://[::1/a.tif", PUBLIC),
    ("https://data.example.com:port/a.tif", PUBLIC),
    ("http://data.example.com/a.tif", PUBLIC),
    ("ftp://data.example.com/a.tif", PUBLIC),
    ("vrt://a.tif", PUBLIC),
    ("zip+https://data.example.com/a.zip!a.tif", PUBLIC),
    ("GTIFF_DIR:1:/etc/a.tif", LOCAL),
    ("javascript:alert(1)", PUBLIC),
    ("data:image/tiff;base64,AAAA", PUBLIC),
    ("file:///etc/passwd", PUBLIC),
    ("/etc/passwd", PUBLIC),
    ("/etc/passwd", "s3://bucket/catalog.json"),
    ("../../etc/passwd", PUBLIC),
    ("/dev/zero", LOCAL),
    ("/proc/self/environ", LOCAL),
    ("/", LOCAL),
    ("/no/such/file.tif", LOCAL),
    ("a.tif\0.png", LOCAL),
    ("\\\\server\\share\\a.tif", LOCAL),
    ("//server/share/a.tif", LOCAL),
    ("file://server/share/a.tif", LOCAL),
    ("https://localhost/a.tif", PUBLIC),
    ("https://LOCALHOST./a.tif", PUBLIC),
    ("https://127.0.0.1/a.tif", PUBLIC),
    ("https://127.1/a.tif", PUBLIC),
    ("https://2130706433/a.tif", PUBLIC),
    ("https://0x7f000001/a.tif", PUBLIC),
    ("https://0/a.tif", PUBLIC),
    ("https://[::1]/a.tif", PUBLIC),
    ("https://[::ffff:127.0.0.1]/a.tif", PUBLIC),
    ("https://169.254.169.254/latest/meta-data", PUBLIC),
    ("https://metadata.google.internal/a.tif", PUBLIC),
    ("https://10.1.2.3/a.tif", PUBLIC),
    ("https://192.168.0.1/a.tif", PUBLIC),
    ("https://172.16.0.1/a.tif", PUBLIC),
    ("https://[fd00::1]/a.tif", PUBLIC),
    ("https://user:pass@127.0.0.1/a.tif", PUBLIC),
]


@pytest.mark.parametrize(("href", "catalog"), ALLOWED)
def test_a_listed_link_passes_unchanged(href, catalog):
    assert check_href(href, catalog) == href


@pytest.mark.parametrize(("href", "catalog"), REFUSED)
def test_a_link_that_is_not_listed_is_refused_in_one_line(href, catalog):
    with pytest.raises(CatalogError, match="refused to read") as err:
        check_href(href, catalog)
    assert "\n" not in str(err.value)
    assert "pass@" not in str(err.value)


def test_a_local_catalogue_may_name_a_regular_file_by_its_real_path(tmp_path):
    file, link = tmp_path / "a.tif", tmp_path / "b.tif"
    file.write_bytes(b"x")
    link.symlink_to(file)
    assert check_href(str(link), str(tmp_path)) == str(file.resolve())
    assert check_href(file.as_uri(), str(tmp_path)) == str(file.resolve())


def test_a_pipe_is_no_regular_file(tmp_path):
    os.mkfifo(tmp_path / "pipe.tif")
    with pytest.raises(CatalogError, match="no regular file"):
        check_href(str(tmp_path / "pipe.tif"), str(tmp_path))


def test_a_public_name_of_an_inner_address_is_refused_when_connecting(monkeypatch):
    answer = [(2, 1, 6, "", ("169.254.169.254", 0))]
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: answer)
    with pytest.raises(CatalogError, match="private address"):
        check_address("https://rebound.example.com/a.tif?sig=secret")


@pytest.mark.parametrize(
    ("catalog", "reach"),
    [(PUBLIC, "public"), ("s3://b/c.json", "public"), (LOOPBACK, "private"),
     ("/data", "local"), ("file:///data", "local")],
)  # fmt: skip
def test_what_a_catalogue_may_name_depends_on_where_it_is(catalog, reach):
    assert reach_of(catalog) == reach


@pytest.mark.parametrize(
    ("href", "path"),
    [("https://h/a.tif?s", "/vsicurl/https://h/a.tif?s"), ("s3://b/k", "/vsis3/b/k"),
     ("gs://b/k", "/vsigs/b/k"), ("az://c/k", "/vsiaz/c/k"), ("/a.tif", "/a.tif")],
)  # fmt: skip
def test_links_become_gdal_paths(href, path):
    assert gdal_path(href) == path


def test_redacting_drops_queries_and_users_and_keeps_the_rest():
    text = "open 'https://me:pw@h/a.tif?sig=SECRET&x=1' and s3://b/k failed (why?)"
    assert redact(text) == "open 'https://h/a.tif?…' and s3://b/k failed (why?)"


SECRETS = [
    ("https://user:p@ss@host/", "https://host/"),
    ("https://user:PASS@host/a.tif", "https://host/a.tif"),
    ("https://TOKEN@host/a.tif", "https://host/a.tif"),
    ("https://user:PA/SS@host/a.tif", "https://…@host/a.tif"),
    ("https://user:PA@S/S@host/a.tif", "https://…@host/a.tif"),
    ("https://user:1/SS@host/a.tif", "https://…@host/a.tif"),
    ("https://user:PA?SS@host/a.tif", "https://…"),
    ("https://user:PA#SS@host/a.tif", "https://…"),
    ("https://user:PA/S?S@host/a.tif", "https://…"),
    ("https://user:PASS", "https://…"),
    ("https://h/a.tif?s=AB'SECRET", "https://h/a.tif?…"),
    ('https://h/a.tif?s=AB"SECRET', "https://h/a.tif?…"),
    ("https://h/a.tif?s=AB)SECRET", "https://h/a.tif?…"),
    ("https://h/a.tif?s=AB>SECRET", "https://h/a.tif?…"),
    ("https://h/a.tif?s=AB?SECRET", "https://h/a.tif?…"),
    ("https://h/a.tif?s=AB://SECRET@x", "https://h/a.tif?…"),
    ("https://h/a.tif#SECRET", "https://h/a.tif#…"),
    ("/vsicurl/https://user:PASS@h/a.tif?SECRET", "/vsicurl/https://h/a.tif?…"),
    ("user:PASS@h/a.tif?SECRET", "…@h/a.tif?…"),
    ("/a.tif?s=SECRET://x", "/a.tif?…"),
    ("https://h:8080/a.tif?mail=SECRET@x", "https://…"),
]


@pytest.mark.parametrize(("href", "shown"), SECRETS)
@pytest.mark.parametrize(
    "sentence", ["{}", "'{}'", "see '{}'.", "<{}> failed", "({}) "]
)
def test_no_part_of_a_secret_survives(href, shown, sentence):
    found = redact(sentence.format(href))
    assert found == sentence.format(shown)
    for part in ("PA", "SS", "TOKEN", "AB", "SECRET", "p@", "ss@"):
        assert part not in found
    again = redact(found)
    assert again == found.replace("…@", "") or again == found


def test_a_link_with_white_space_is_redacted_as_a_whole():
    assert redact_link("https://h/a?s=AB SECRET") == "https://h/a?…"
    assert redact_link("https://user:PA SS@h/a") == "https://h/a"
    with pytest.raises(CatalogError, match="refused to read") as err:
        check_href("https://h/a?s=AB SECRET", PUBLIC)
    assert "SECRET" not in str(err.value)


@pytest.mark.parametrize(
    "text",
    ["https://h:8080/a.tif", "https://[::1]:80/a.tif", "s3://bucket/a.tif",
     "/data/a@2x.tif", "C:/data/a.tif", "https://h/a.tif: HTTP 404 (why?)"],
)  # fmt: skip
def test_what_is_no_secret_stays(text):
    assert redact(text) == text
