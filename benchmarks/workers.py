"""The allocator of Dask workers: as areca starts them, and other settings of glibc.

    python benchmarks/workers.py [--rounds 5] [--tiles 8]

A nanny sets MALLOC_TRIM_THRESHOLD_ for its worker, which turns off the dynamic mmap
threshold of glibc; areca starts workers without, asks for huge pages, and lets heaps
stay. "One heap" never maps nor returns memory. Runs over a drawn scene on the cluster
that `areca run` starts, each arm in a process of its own (a nanny writes into the
environment of its parent). Start-up and loading are not counted. Random weights.
"""

from __future__ import annotations

import resource
import tempfile
from pathlib import Path

import pipeline
from arms import in_turn, options, print_table, reported, spread
from networks import calm_unet

from areca.models.handle import load_model
from areca.runs.run import _check_networks
from areca.runtime import cluster, open_client, peak_memory_bytes

TRIM, TUNABLES = "MALLOC_TRIM_THRESHOLD_", cluster.TUNABLES
HUGE = {TUNABLES: "glibc.malloc.hugetlb=1"}
ONE_HEAP = {"MALLOC_ARENA_MAX": "1", "MALLOC_MMAP_MAX_": "0", TRIM: "8000000000"}
ARMS = {
    "huge pages, heaps stay (areca)": {TUNABLES: cluster._tunables("")},  # noqa: SLF001
    "huge pages": HUGE,
    "huge pages, one heap": HUGE | ONE_HEAP,
    "as glibc is": {},
    "as a nanny sets it": {TRIM: "65536"},
}
READ = (TRIM, TUNABLES)
PRE_SPAWN = "distributed.nanny.pre-spawn-environ"


def page_faults() -> int:
    """Return how many pages this process has had mapped without a read."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


def arm(scene: Path, model: Path, wanted: dict[str, str]) -> tuple[float, float, float]:
    """Return tiles a second, page faults a tile and the peak of a worker in bytes."""
    ours = cluster._settings()  # noqa: SLF001
    ours[PRE_SPAWN].pop(TUNABLES)
    ours[PRE_SPAWN].update(wanted)
    cluster._settings = lambda: ours  # noqa: SLF001
    request = pipeline.request_of(scene, load_model(model))
    with open_client("local") as client:
        for found in client.run(environment).values():
            if found != {name: wanted.get(name) for name in READ}:
                raise SystemExit(f"wanted {wanted}, the workers have {found}")
        _check_networks(client, request.plan.predictor)
        before = sum(client.run(page_faults).values())
        done, seconds = pipeline.run_all(client, request)
        faults = sum(client.run(page_faults).values()) - before
        peak = max(client.run(peak_memory_bytes).values())
    tiles = sum(block.tiles for block in done)
    return tiles / seconds, faults / tiles, peak


def environment() -> dict[str, str | None]:
    import os  # noqa: PLC0415 - this function runs in a worker

    return {name: os.environ.get(name) for name in READ}


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--tiles", type=int, default=8, help="along each side")
    given = parser.parse_args()
    rows = []
    with (
        tempfile.TemporaryDirectory() as name,
        reported(f"Workers, {given.tiles**2} tiles of 512 px"),
    ):
        folder = Path(name)
        pipeline.draw(folder / "scene.tif", given.tiles)
        models = {
            "U-Net ResNet-18": calm_unet(folder / "unet").folder,
            "built-in oil-palm": load_model("oil-palm").folder,
        }
        for title, model in models.items():
            seen = in_turn(
                {n: (arm, folder / "scene.tif", model, e) for n, e in ARMS.items()},
                given.rounds,
            )
            ours = next(iter(seen.values()))
            for setting, runs in seen.items():
                gain = (a[0] / b[0] for a, b in zip(ours, runs, strict=True))
                rates, faults, peaks = zip(*runs, strict=True)
                rows.append((
                    title, setting, spread(rates),
                    spread((1e-3 * f for f in faults), ".1f"),
                    spread(1e-9 * p for p in peaks), spread(gain),
                ))  # fmt: skip
        print_table(
            ("model", "memory of workers", "tiles/s", "thousand page faults a tile",
             "GB a worker", "areca's rate over this"), rows,
        )  # fmt: skip


if __name__ == "__main__":
    main()
