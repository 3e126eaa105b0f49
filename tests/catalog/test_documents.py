import pytest
import requests
from pystac_client.exceptions import APIError

from areca.catalog.documents import Fetcher, resolve
from areca.errors import CatalogError

PUBLIC = "https://stac.example.com/catalog.json"


@pytest.mark.parametrize(
    ("href", "base", "expected"),
    [
        ("./b/c.json", "/data/a.json", "/data/b/c.json"),
        ("../c.json", "/data/a/b.json", "/data/c.json"),
        ("/c.json", "/data/a.json", "/c.json"),
        ("../c.json?x=1", "https://h/a/b/d.json?y=2", "https://h/a/c.json?x=1"),
        ("https://h/c.json", "/data/a.json", "https://h/c.json"),
        ("file:///c.json", "/data/a.json", "/c.json"),
    ],
)
def test_links_are_relative_to_their_document(href, base, expected):
    assert resolve(href, base) == expected


@pytest.mark.parametrize(
    "link",
    [
        "http://169.254.169.254/search",
        "https://127.0.0.1/",
        "ftp://h/a",
        "file:///etc/x",
    ],
)
def test_a_public_catalogue_cannot_send_requests_or_redirects_inside(link):
    fetch = Fetcher(PUBLIC)
    with pytest.raises(APIError, match="refused"):
        fetch.io.request(link)
    response = requests.Response()
    response.status_code, response.url = 302, PUBLIC
    response.headers["location"] = link
    (check,) = fetch.io.session.hooks["response"]
    with pytest.raises(CatalogError, match="refused"):
        check(response)


@pytest.mark.parametrize(
    "link", ["https://127.0.0.1/a.json", "/etc/hosts", "s3://bucket/catalog.json"]
)
def test_a_public_catalogue_cannot_link_to_inner_documents(link):
    with pytest.raises(CatalogError):
        Fetcher(PUBLIC)(link)
