"""Conversations with real servers, recorded, replayed on loopback."""

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pytest
from servers import running

from areca.catalog import normalise_items, search
from areca.errors import CatalogError

SEARCHES = [
    "test_cli_TestCLISearch_test_filter_inprocess",
    "test_client_test_fallback_strategy",
    "test_item_search_TestItemSearchQuery_test_query_json_syntax",
    "test_item_search_TestItemSearch_test_intersects_results",
    "test_item_search_TestItemSearch_test_result_paging",
    "test_item_search_TestItemSearch_test_result_paging_max_items",
    "test_item_search_test_multiple_collections",
]


class Replay(ThreadingHTTPServer):
    """Gives the pages of a conversation, one after the other, whatever is asked.

    Links are those that the server wrote, but for the host. The landing page is the
    recorded one where there is one. After the last page there is no other.
    """

    daemon_threads = True

    def __init__(self, exchanges):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.pages, self.given, self.landing = [], 0, None
        for exchange in exchanges:
            answer = exchange["response"]["json"]
            if not isinstance(answer, dict):
                continue
            host = "{0.scheme}://{0.netloc}".format(
                urlsplit(exchange["request"]["uri"])
            )
            answer = json.loads(json.dumps(answer).replace(host, self.url))
            if answer.get("type") == "FeatureCollection" and answer["features"]:
                if answer["features"] not in [page["features"] for page in self.pages]:
                    self.pages.append(answer)
            elif answer.get("type") == "Catalog" and self.landing is None:
                self.landing = answer
        if self.pages:
            last = self.pages[-1]
            last["links"] = [k for k in last.get("links", []) if k["rel"] != "next"]
        self.landing = self.landing or {
            "type": "Catalog", "stac_version": "1.0.0", "id": "replay",
            "description": "replay",
            "conformsTo": ["https://api.stacspec.org/v1.0.0/core",
                           "https://api.stacspec.org/v1.0.0/item-search"],
            "links": [{"rel": "search", "href": f"{self.url}/search",
                       "type": "application/geo+json", "method": "POST"}],
        }  # fmt: skip


class _Handler(BaseHTTPRequestHandler):
    def log_message(self, *_args):
        pass

    def do_GET(self):
        path = urlsplit(self.path).path
        is_page = path.endswith(("/search", "/items"))
        self._send(self._page() if is_page else self.server.landing)

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self._send(self._page())

    def _page(self):
        page = self.server.pages[self.server.given]
        self.server.given += 1
        return page

    def _send(self, document):
        body = json.dumps(document).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def replayed(shared_data, name):
    path = shared_data / "stac_recorded" / "replay" / f"{name}.json"
    return running(Replay(json.loads(path.read_text())))


@pytest.mark.parametrize("name", SEARCHES)
def test_a_recorded_search_gives_all_its_items_as_scenes(shared_data, name):
    with replayed(shared_data, name) as server:
        expected = {
            (entry.get("collection"), entry["id"])
            for page in server.pages
            for entry in page["features"]
        }
        found = search(server.url)
        assert {(item.collection_id, item.id) for item in found} == expected
        assert server.given == len(server.pages)
        # Public links, so the catalogue that names them is a public one.
        scenes = normalise_items(
            found, catalog_href="https://stac.example.com", read_headers=False
        )
        assert len(scenes) == len(found)


def test_items_that_were_asked_for_without_assets_say_so(shared_data):
    name = "test_cli_TestCLISearch_test_fields_inprocess"
    with replayed(shared_data, name) as server:
        found = search(server.url)
        with pytest.raises(CatalogError, match=r"none of its assets \[\]"):
            normalise_items(found, catalog_href=server.url)
