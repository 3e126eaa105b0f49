"""The allocator of Dask workers: as areca starts them, and as a nanny does by default.

    python benchmarks/workers.py [--rounds 5] [--tiles 8]

A nanny sets MALLOC_TRIM_THRESHOLD_ for its worker, which turns off the dynamic mmap
threshold of glibc; areca starts workers without. Runs over a drawn scene on the cluster
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
from areca.runtime import cluster, open_client

TRIM = "MALLOC_TRIM_THRESHOLD_"
ARMS = {"absent (areca)": None, "65536 (nanny)": "65536"}
PRE_SPAWN = "distributed.nanny.pre-spawn-environ"


def page_faults() -> int:
    """Return how many pages this process has had mapped without a read."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


def arm(scene: Path, model: Path, trim: str | None) -> tuple[float, float]:
    """Return tiles a second and page faults a tile."""
    ours = cluster._settings()  # noqa: SLF001
    if trim is not None:
        ours[PRE_SPAWN][TRIM] = trim
    cluster._settings = lambda: ours  # noqa: SLF001
    request = pipeline.request_of(scene, load_model(model))
    with open_client("local") as client:
        if set(client.run(environment).values()) != {trim}:
            raise SystemExit(f"the workers of {trim} have another environment")
        _check_networks(client, request.plan.predictor)
        before = sum(client.run(page_faults).values())
        done, seconds = pipeline.run_all(client, request)
        faults = sum(client.run(page_faults).values()) - before
    tiles = sum(block.tiles for block in done)
    return tiles / seconds, faults / tiles


def environment() -> str | None:
    import os  # noqa: PLC0415 - this function runs in a worker

    return os.environ.get(TRIM)


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
                {n: (arm, folder / "scene.tif", model, t) for n, t in ARMS.items()},
                given.rounds,
            )
            ours, theirs = seen.values()
            gain = [a[0] / b[0] for a, b in zip(ours, theirs, strict=True)]
            for setting, runs in seen.items():
                rows.append((title, setting, spread(r for r, _ in runs),
                             spread((1e-3 * f for _, f in runs), ".1f"),
                             spread(gain) if runs is ours else ""))  # fmt: skip
        print_table(
            ("model", TRIM, "tiles/s", "thousand page faults a tile", "gain"), rows
        )


if __name__ == "__main__":
    main()
