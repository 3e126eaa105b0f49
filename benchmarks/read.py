"""How fast pixels come in: areca's readers beside those of the field.

    python benchmarks/read.py [--rounds 5] [--edge 4096] [--threads 2] [--delays 0 30]

A scene of four bands (uint8, drawn from a seed, deflate, tiles of 512 px) as one
pixel-interleaved file and as four files of one band, from the disk and over HTTP on
loopback by a server of a process of its own that waits before each answer. Items and
files tell nodata 0. All arms read the same window, which starts off the tiles, in
chunks of 1024 px with the same number of threads, into one uint8 array; each in a
fresh process, imports and a first small read not counted. The chunks of rasterio,
areca, rioxarray and async-geotiff share no tile; odc-stac and stackstac cut theirs from
the corner of the window. rasterio's threads have a handle and half of the rows each.
"areca, .compute()" leaves it to Dask to join the chunks. areca and async-geotiff wait
for several remote files at once. What an arm read is compared with rasterio's by a
checksum, and a difference stops the program. Samples are pixels times bands.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from arms import in_turn, options, print_table, reported, spread
from read_arms import (
    BANDS,
    CRS,
    PLACE,
    SMALL,
    Job,
    by_areca,
    by_areca_computed,
    by_async_geotiff,
    by_odc_stac,
    by_rasterio,
    by_rioxarray,
    by_stackstac,
)

SERVER = """
import sys, time, http.server, pathlib
folder, delay = pathlib.Path(sys.argv[1]), float(sys.argv[2]) / 1000
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def log_message(self, *_): pass
    def do_HEAD(self): self.do_GET()
    def do_GET(self):
        time.sleep(delay)
        path = folder / self.path.lstrip("/")
        size = path.stat().st_size
        asked = self.headers.get("Range")
        first, last = 0, size - 1
        if asked:
            low, _, high = asked.removeprefix("bytes=").partition("-")
            first, last = int(low), min(int(high or last), last)
        self.send_response(206 if asked else 200)
        self.send_header("Content-Length", str(last - first + 1))
        self.send_header("Accept-Ranges", "bytes")
        if asked:
            self.send_header("Content-Range", f"bytes {first}-{last}/{size}")
        self.end_headers()
        if self.command == "GET":
            with path.open("rb") as file:
                file.seek(first)
                self.wfile.write(file.read(last - first + 1))
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
"""


def draw_scene(folder: Path, edge: int, prefix: str = "") -> None:
    """Write the scene in both layouts; noise on waves, so that it packs as imagery."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:edge, :edge]
    waves = 100 + 60 * np.sin(x / 90) * np.cos(y / 70)
    noisy = [waves + 8 * k + rng.normal(0, 6, (edge, edge)) for k in range(4)]
    pixels = np.clip(noisy, 1, 255).astype(np.uint8)
    profile: dict[str, Any] = {
        "driver": "GTiff", "height": edge, "width": edge, "dtype": "uint8", "crs": CRS,
        "transform": PLACE, "tiled": True, "blockxsize": 512, "blockysize": 512,
        "compress": "deflate", "nodata": 0,
    }  # fmt: skip
    four = {"count": 4, "interleave": "pixel", "photometric": "rgb", "alpha": "no"}
    with rasterio.open(folder / f"{prefix}four.tif", "w", **profile, **four) as file:
        file.write(pixels)
    for name, band in zip(BANDS, pixels, strict=True):
        with rasterio.open(
            folder / f"{prefix}{name}.tif", "w", **profile, count=1
        ) as file:
            file.write(band, 1)


def arms_of(job: Job) -> dict[str, tuple[Any, ...]]:
    arms: dict[str, tuple[Any, ...]] = {
        "rasterio threads": (by_rasterio, job),
        "areca": (by_areca, job, "direct"),
        "areca, .compute()": (by_areca_computed, job),
        "rioxarray": (by_rioxarray, job),
        "odc-stac": (by_odc_stac, job),
        "async-geotiff": (by_async_geotiff, job),
    }
    if len(job.files) > 1:
        arms["stackstac"] = (by_stackstac, job)
    return arms


def measure(what: str, job: Job, rounds: int) -> list[list[str]]:
    found = in_turn(arms_of(job), rounds)
    reference = found["rasterio threads"]
    rows = []
    for name, figures in found.items():
        if {figure.checksum for figure in figures} != {reference[0].checksum}:
            sys.exit(f"{what}: {name} read other pixels than rasterio")
        pairs = list(zip(reference, figures, strict=True))
        rows.append([
            what, name, spread([f.rate for f in figures], ".0f"),
            spread([base.rate / figure.rate for base, figure in pairs]),
            spread([base.processor / figure.processor for base, figure in pairs]),
            spread([f.peak_mb for f in figures], ".0f"),
        ])  # fmt: skip
    return rows


def main() -> None:
    parser = options(__doc__ or "")
    parser.add_argument("--edge", type=int, default=4096)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--delays", type=float, nargs="*", default=[0, 30])
    args = parser.parse_args()
    layouts = {
        "one file": ("four.tif",),
        "four files": tuple(f"{name}.tif" for name in BANDS),
    }
    rows: list[list[str]] = []
    with tempfile.TemporaryDirectory() as place, reported("Readers"):
        folder = Path(place)
        draw_scene(folder, args.edge)
        draw_scene(folder, SMALL, "small-")
        for layout, files in layouts.items():
            job = Job(place, files, args.edge, args.threads)
            rows += measure(f"disk, {layout}", job, args.rounds)
        for delay in args.delays:
            command = [sys.executable, "-c", SERVER, place, str(delay)]
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:  # noqa: S603 - this interpreter
                assert server.stdout is not None  # noqa: S101
                root = f"http://127.0.0.1:{int(server.stdout.readline())}"
                for layout, files in layouts.items():
                    job = Job(root, files, args.edge, args.threads)
                    what = f"HTTP {delay:g} ms, {layout}"
                    rows += measure(what, job, args.rounds)
                server.kill()
    heads = [
        "from", "reader", "Msamples/s", "time, of rasterio's",
        "processor time, of rasterio's", "memory, MB",
    ]  # fmt: skip
    print_table(heads, rows)


if __name__ == "__main__":
    main()
