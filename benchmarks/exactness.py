"""Is the census of a whole scene the same for two block sizes and two clusters?

    python benchmarks/exactness.py [CATALOG] [--out DIR]

Runs `oil_palm_census` over the catalogue once per arm with the built-in detector, and
with a U-Net ResNet-18 of random weights; compares the tables of both and the rasters of
the segmenter bit for bit. Prints, for each arm: blocks, objects, wall time, share of
forward passes, peak memory, and the share of blocks that each worker did.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr
from arms import fresh, print_table, reported
from networks import calm_unet

import areca
from areca.runs.ledger import workers_of
from areca_pipelines import run

if TYPE_CHECKING:
    import pandas as pd

KLUANG = Path(__file__).parents[2] / "shared/data/kluang_oil_palm/kluang_west.tif"
ARMS = (
    {"block_tiles": 2, "cluster": "local"},
    {"block_tiles": 3, "cluster": "local"},
    {"block_tiles": 5, "cluster": "threads"},
)


def census(recipe: str, catalog: str, out: Path, arm: dict, more: dict) -> tuple:
    """Run a census; returns a row of the table."""
    result = run(
        recipe,
        out=out,
        catalog=catalog,
        cluster=arm["cluster"],
        settings={"block_tiles": arm["block_tiles"], **more},
    )
    workers = workers_of(result.blocks)
    shares = [f"{w['blocks'] / len(result.blocks):.0%}" for w in workers.values()]
    peak = max(w["peak_memory_bytes"] for w in workers.values()) / 1e9
    if result.holes:
        raise SystemExit(f"holes: {result.holes[0].error}")
    return (len(result.blocks), f"{result.summary.count:,}", f"{result.wall_s:.1f}",
            f"{result.forward_share:.0%}", f"{peak:.2f}", " ".join(shares))  # fmt: skip


def objects_of(run_folder: Path) -> pd.DataFrame:
    objects = areca.read_objects(run_folder / "objects")
    return objects.sort_values("object_id", ignore_index=True)


def rasters_of(run_folder: Path) -> xr.Dataset | None:
    """Return the rasters of a run; their window begins with its first block."""
    path = run_folder / "rasters.zarr"
    return xr.open_zarr(path, mask_and_scale=False) if path.exists() else None


def differences(one: Path, other: Path) -> list[str]:
    """Return how the answers of two runs differ."""
    found = [] if objects_of(one).equals(objects_of(other)) else ["the tables differ"]
    first, second = rasters_of(one), rasters_of(other)
    if first is None or second is None:
        return found
    for name in first:
        a, b = xr.align(first[name], second[name], join="inner")
        if not a.size or not np.array_equal(a, b, equal_nan=a.dtype.kind == "f"):
            found.append(f"raster {name} differs")
        elif name == "label":
            rasters = (a, first[name], second[name])
            seen = {int((raster != 255).sum()) for raster in rasters}
            print(f"{name}: {max(seen):,} pixels compared")
            if len(seen) > 1:
                found.append(f"they saw other ground: {seen}")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("catalog", nargs="?", default=str(KLUANG))
    parser.add_argument("--recipe", default="oil_palm_census")
    parser.add_argument("--out", type=Path, default=None)
    words = parser.parse_args()
    folder = words.out or Path(tempfile.mkdtemp())
    shutil.rmtree(folder / "unet", ignore_errors=True)
    unet = str(calm_unet(folder / "unet").folder)
    models = {
        "the recipe's": {},
        "U-Net ResNet-18": {"model": unet, "confidence": ["top1"]},
    }
    same = True
    with reported("Exactness"):
        for number, (model, more) in enumerate(models.items()):
            rows, outs = [], []
            for arm in ARMS:
                outs.append(folder / f"{number}-{arm['cluster']}-{arm['block_tiles']}")
                shutil.rmtree(outs[-1], ignore_errors=True)
                facts = fresh(census, words.recipe, words.catalog, outs[-1], arm, more)
                rows.append((model, *arm.values(), *facts))
            print_table(
                ("model", "block, tiles", "cluster", "blocks", "objects", "wall, s",
                 "forward", "peak, GB", "blocks by worker"), rows,
            )  # fmt: skip
            found = [d for pair in pairwise(outs) for d in differences(*pair)]
            print(f"{model}: {', '.join(found) or 'equal, bit for bit'}", flush=True)
            same = same and not found
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
