"""Is the census of a whole scene the same for two block sizes and two clusters?

    python benchmarks/exactness.py CATALOG [--out DIR]

Runs `oil_palm_census` over the catalogue once per arm and compares the tables bit for
bit. Prints, for each arm: blocks, objects, wall time, share of forward passes, peak
memory, and the share of blocks that each worker did.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

import areca
from areca.runs.ledger import workers_of
from areca_pipelines import run

ARMS = (
    {"block_tiles": 2, "cluster": "local"},
    {"block_tiles": 3, "cluster": "local"},
    {"block_tiles": 5, "cluster": "threads"},
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("catalog")
    parser.add_argument("--recipe", default="oil_palm_census")
    parser.add_argument("--out", type=Path, default=None)
    words = parser.parse_args()
    folder = words.out or Path(tempfile.mkdtemp())
    tables = []
    for arm in ARMS:
        out = folder / f"{arm['cluster']}-{arm['block_tiles']}"
        shutil.rmtree(out, ignore_errors=True)
        result = run(
            words.recipe,
            out=out,
            catalog=words.catalog,
            cluster=arm["cluster"],
            settings={"block_tiles": arm["block_tiles"]},
        )
        workers = workers_of(result.blocks)
        shares = [f"{w['blocks'] / len(result.blocks):.0%}" for w in workers.values()]
        peak = max(w["peak_memory_bytes"] for w in workers.values()) / 1e9
        print(
            f"{arm}: {len(result.blocks)} blocks, {result.summary.count} objects, "
            f"{result.wall_s:.1f} s, forward {result.forward_share:.0%}, "
            f"peak {peak:.2f} GB a process, blocks by worker {' '.join(shares)}"
        )
        objects = areca.read_objects(out / "objects")
        tables.append(objects.sort_values("object_id", ignore_index=True))
    same = all(table.equals(tables[0]) for table in tables[1:])
    print("equal, bit for bit" if same else "DIFFERENT")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
