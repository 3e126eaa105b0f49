"""Links are signed when files are opened, and no signature is kept anywhere."""

import http.server
import json
import pickle
import threading
import time
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pytest
from catalog_rasters import draw, make_item

from areca.catalog import (
    CubeOptions,
    close_idle,
    handles,
    open_cube,
    set_origin,
    signing,
)
from areca.catalog.signing import PLANETARY_COMPUTER, SasSigner
from areca.errors import InputError, ReadError


class TokenServer(http.server.ThreadingHTTPServer):
    """Gives tokens of a short life, and files to those who bring a living one."""

    def __init__(self, folder, life_s):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.folder, self.life_s = folder, life_s
        self.given = {}
        self.refused = 0

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_args):
        pass

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        parts = urlsplit(self.path)
        if parts.path.startswith("/token/"):
            end = time.time() + self.server.life_s
            token = f"sig=secret{len(self.server.given)}"
            self.server.given[token] = end
            stamp = datetime.now(UTC) + timedelta(seconds=self.server.life_s)
            answer = {"token": token, "msft:expiry": stamp.isoformat()}
            self._send(200, json.dumps(answer).encode())
            return
        sig = f"sig={parse_qs(parts.query).get('sig', [''])[0]}"
        if self.server.given.get(sig, 0) < time.time():
            self.server.refused += 1
            self._send(403, b"")
            return
        body = (self.server.folder / parts.path.rpartition("/")[2]).read_bytes()
        if "Range" not in self.headers:
            self._send(200, body)
            return
        asked = self.headers["Range"].removeprefix("bytes=")
        first, _, last = asked.partition("-")
        last = min(int(last or len(body) - 1), len(body) - 1)
        place = f"bytes {first}-{last}/{len(body)}"
        self._send(206, body[int(first) : last + 1], place)

    def _send(self, status, body, place=""):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        if place:
            self.send_header("Content-Range", place)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)


@pytest.fixture
def token_server(tmp_path):
    server = TokenServer(tmp_path, life_s=3)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    signing._tokens.clear()
    yield server
    close_idle()
    server.shutdown()
    server.server_close()
    thread.join(5)


def signer_of(server):
    return SasSigner(endpoint=f"{server.url}/token", hosts=r"(?P<account>127)\.0\.0\.1")


def test_a_cube_outlives_its_tokens_and_holds_none(write_tiff, token_server):
    pixels = draw(3, 200, 200)
    path = write_tiff("a.tif", pixels)
    link = f"{token_server.url}/container/a.tif"
    items = set_origin([make_item(path, href=link)], token_server.url)
    options = CubeOptions(sign=signer_of(token_server))
    cube = open_cube(items, bands=["red", "green", "blue"], options=options)
    np.testing.assert_array_equal(cube.values, pixels)
    time.sleep(3.1)
    close_idle()  # as a worker that starts later
    np.testing.assert_array_equal(cube.values, pixels)
    assert len(token_server.given) == 2
    assert token_server.refused == 0
    assert b"secret" not in pickle.dumps(cube)
    assert "secret" not in json.dumps(cube.attrs) + repr(cube)


def test_one_token_serves_a_container_until_shortly_before_its_end(token_server):
    sign = signer_of(token_server)
    link = f"{token_server.url}/container/a.tif"
    assert sign(link) == sign(link) == f"{link}?sig=secret0"
    assert sign(link.replace("container", "other")).endswith("secret1")
    assert sign(f"{link}?own=1") == f"{link}?own=1"
    time.sleep(2.6)  # its life is 3 s, and it is renewed a fifth of that before
    assert sign(link).endswith("secret2")


def test_without_a_signer_the_server_refuses_and_no_secret_is_told(
    write_tiff, token_server
):
    path = write_tiff("a.tif", draw(1, 50, 50))
    link = f"{token_server.url}/container/a.tif"
    items = set_origin([make_item(path, href=link)], token_server.url)
    with pytest.raises(ReadError, match="403"):
        open_cube(items, bands=["red"]).compute()
    wrong = CubeOptions(sign=str_with_secret)
    with pytest.raises(ReadError) as caught:
        open_cube(items, bands=["red"], options=wrong).compute()
    assert "hunter2" not in str(caught.value)


def str_with_secret(href):
    return f"{href}?sig=hunter2"


def test_only_blobs_of_the_service_are_signed_by_it():
    other = "https://example.com/container/a.tif"
    assert PLANETARY_COMPUTER(other) == other
    assert CubeOptions(sign="planetary-computer").sign == "planetary-computer"
    with pytest.raises(InputError, match="'azure' is not known"):
        CubeOptions(sign="azure")


def test_options_of_gdal_may_not_be_secrets():
    assert CubeOptions(gdal={"AWS_REQUEST_PAYER": "requester"})
    for name in ("AWS_SECRET_ACCESS_KEY", "AZURE_STORAGE_SAS_TOKEN"):
        with pytest.raises(InputError, match="environment variables of the workers"):
            CubeOptions(gdal={name: "x"})


class Unhashable(list):
    """A signer that no dictionary takes as a key."""

    def __call__(self, href):
        return f"{href}?sig={self[0]}"


def test_an_open_file_is_lent_under_its_own_signer_only():
    link = "https://example.com/a.tif"
    signers = [None, PLANETARY_COMPUTER, str_with_secret, Unhashable("a")]
    keys = []
    for signer in [*signers, SasSigner(), Unhashable("a")]:
        with signing.signing(signer):
            keys.append(handles.file_key(link, allow_private=False))
    assert len(set(keys)) == len(signers)
    assert keys[1] == keys[4]
    assert keys[3] == keys[5]
