"""Servers on loopback for tests: a STAC API, and files with faults on order."""

from __future__ import annotations

import contextlib
import re
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator

ServerT = TypeVar("ServerT", bound=ThreadingHTTPServer)
HTML = b"<!DOCTYPE html><html><body>Please log in</body></html>"


def free_port() -> int:
    """Return a TCP port of loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class FileServer(ThreadingHTTPServer):
    """Serves a folder with byte ranges; counts requests; misbehaves on order.

    `faults` maps a file name to a fault: a status such as `"404"` or `"503"`, `"html"`
    (status 200 and a login page), `"truncate"` (half of each answer, then the end),
    `"drop"` (the connection is closed), `"flaky"` (every second request is a 503), or
    `"late"` (404 once the header has been read).
    `redirects` maps a file name to the link that a 302 sends its readers to.
    """

    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), _FileHandler)
        self.folder = folder
        self.faults: dict[str, str] = {}
        self.redirects: dict[str, str] = {}
        self.requests: list[tuple[str, str, str]] = []
        """Method, path with query, range of each request."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request, client_address):
        """Stay quiet about clients that hang up."""


class _FileHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FileServer

    def do_HEAD(self):
        self._answer(with_body=False)

    def do_GET(self):
        self._answer(with_body=True)

    def log_message(self, *_args):
        pass

    def _answer(self, *, with_body: bool):
        name = self.path.partition("?")[0].lstrip("/")
        asked = self.headers.get("Range", "")
        self.server.requests.append((self.command, self.path, asked))
        if name in self.server.redirects:
            self._redirect(self.server.redirects[name])
            return
        fault = self.server.faults.get(name, "")
        count = sum(path.lstrip("/") == name for _, path, _ in self.server.requests)
        if fault == "flaky":
            fault = "503" if count % 2 else ""
        if fault == "late":
            is_head = not asked or asked.startswith("bytes=0-")
            fault = "" if is_head else "404"
        if fault == "drop":
            self.close_connection = True
            self.connection.close()
            return
        if fault.isdigit():
            self._send(int(fault), b"", with_body=with_body)
            return
        path = self.server.folder / name
        if not path.is_file():
            self._send(404, b"", with_body=with_body)
            return
        body = HTML if fault == "html" else path.read_bytes()
        self._send_part(body, asked, with_body=with_body, cut=fault == "truncate")

    def _redirect(self, link: str):
        self.send_response(302)
        self.send_header("Location", link)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _send_part(self, body: bytes, asked: str, *, with_body: bool, cut: bool):
        match = re.fullmatch(r"bytes=(\d+)-(\d*)", asked)
        if match is None:
            self._send(200, body, with_body=with_body, cut=cut)
            return
        first = int(match[1])
        last = min(int(match[2] or len(body) - 1), len(body) - 1)
        if first > last:
            self._send(416, b"", with_body=with_body)
            return
        place = f"bytes {first}-{last}/{len(body)}"
        part = body[first : last + 1]
        self._send(206, part, with_body=with_body, cut=cut, place=place)

    def _send(self, status, body, *, with_body, cut=False, place=""):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Accept-Ranges", "bytes")
        kind = "text/html" if body == HTML else "application/octet-stream"
        if body[:1] == b"{":
            kind = "application/json"
        self.send_header("Content-Type", kind)
        if place:
            self.send_header("Content-Range", place)
        self.end_headers()
        if with_body:
            self.wfile.write(body[: len(body) // 2] if cut else body)
        if cut:
            self.close_connection = True
            self.connection.close()


@contextlib.contextmanager
def running(server: ServerT) -> Iterator[ServerT]:
    """Let a server answer in a thread of its own until the block ends."""
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


def serve_files(folder: Path) -> contextlib.AbstractContextManager[FileServer]:
    """Serve a folder on a free port of loopback until the block ends."""
    return running(FileServer(folder))


@contextlib.contextmanager
def serve_stac(*documents: Path, deadline_s: float = 20) -> Iterator[str]:
    """Serve collections and items with `rustac serve`, a real STAC API.

    Args:
        documents: JSON files of collections, items and item lists.
        deadline_s: How long the server may take to come up.

    Yields:
        The address of the landing page.
    """
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    rustac = Path(sys.executable).parent / "rustac"
    server = subprocess.Popen(
        [rustac, "serve", "-a", f"127.0.0.1:{port}", *documents],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        end = time.monotonic() + deadline_s
        while True:
            try:
                urllib.request.urlopen(url, timeout=1).close()
                break
            except OSError:
                if server.poll() is not None or time.monotonic() > end:
                    message = f"rustac did not serve {documents}"
                    raise RuntimeError(message) from None
                time.sleep(0.05)
        yield url
    finally:
        server.kill()
        server.wait(10)
