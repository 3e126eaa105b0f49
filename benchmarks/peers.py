"""areca against other ways over the same tiles, with the same weights, on a CPU.

    make peers
    .venv-peers/bin/python benchmarks/peers.py --data ../shared/data [--rounds 5]

Every arm runs in a fresh process, all arms in turn, several rounds; a ratio is of two
arms of one round. A peer that is not installed is named and left out.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import peers_arms
import peers_table
import peers_tools
import torch
from peers_ground import MODELS, Case, prepare

PLAIN = [*peers_arms.ARMS]
ONLY_UNET = {"window loop, plain torch"}
HIDDEN = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "OMP_NUM_THREADS")
"""What a workplace may have set, and no arm shall see."""
LONGEST_S = 3600


def arms_of(name: str) -> dict[str, str]:
    """Return the arms of a model, in turn, and the distribution that each needs."""
    plain = {a: "" for a in PLAIN if name == "unet" or a not in ONLY_UNET}
    return plain | {arm: needs for arm, (needs, _) in peers_tools.ARMS[name].items()}


def run_here(case: Case, arm: str, out: Path) -> None:
    """Run one arm in this process, and leave what it gave in a folder."""
    begun = time.perf_counter()
    run = peers_arms.ARMS.get(arm) or peers_tools.ARMS[case.name][arm][1]
    done = run(case, out)
    for kind in ("labels", "boxes"):
        if (values := getattr(done, kind)) is not None:
            np.save(out / f"{kind}.npy", values)
    whole = time.perf_counter() - begun
    facts = {"seconds": done.seconds, "start_s": whole - done.seconds, **done.notes}
    (out / "done.json").write_text(json.dumps(facts))


class ArmError(Exception):
    """An arm that did not end, or gave nothing."""


def run_apart(case: Case, arm: str, out: Path) -> dict[str, float]:
    """Run one arm in a process of its own and return what it measured.

    Raises:
        ArmError: It failed, or took longer than `LONGEST_S`.
    """
    out.mkdir(parents=True)
    told = {
        "arm": arm,
        "folder": case.folder,
        "out": out,
        "models": case.name,
        "tiles": f"{case.across}x{case.down}",
        "batch": case.batch,
    }
    words = (word for key, value in told.items() for word in (f"--{key}", str(value)))
    command = [sys.executable, __file__, *words]
    clean = {key: value for key, value in os.environ.items() if key not in HIDDEN}
    try:
        ended = subprocess.run(  # noqa: S603
            command, env=clean, capture_output=True, text=True, check=False,
            timeout=LONGEST_S,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise ArmError(f"it took more than {LONGEST_S} s") from error
    if ended.returncode or not (out / "done.json").exists():
        lines = (ended.stderr.strip() or ended.stdout.strip() or "no message").split(
            "\n"
        )
        raise ArmError(f"exit {ended.returncode}: " + "\n".join(lines[-12:]))
    return json.loads((out / "done.json").read_text()) | {"load": os.getloadavg()[0]}


def measure(case: Case, rounds: int, only: list[str] | None) -> None:
    """Run all arms of one model and print its table."""
    arms = []
    for arm, needs in arms_of(case.name).items():
        if only is not None and arm not in only:
            continue
        if needs and not peers_tools.installed(needs):
            print(f"NOT INSTALLED: {needs}, arm {arm!r} is left out (make peers)\n")
        else:
            arms.append(arm)
    if unknown := set(only or ()) - set(arms_of(case.name)):
        raise SystemExit(
            f"{case.name} has no arm {', '.join(sorted(unknown))}; its arms are "
            f"{', '.join(arms_of(case.name))}"
        )
    seen: dict[str, list[dict[str, float]]] = {arm: [] for arm in arms}
    outputs: dict[str, Path] = {}
    for number in range(rounds):
        for arm in list(seen):
            out = case.folder / f"{number}-{arms.index(arm)}"
            try:
                seen[arm].append(run_apart(case, arm, out))
            except ArmError as error:
                print(f"FAILED: arm {arm!r} of {case.name}: {error}\n", flush=True)
                del seen[arm]
                continue
            outputs[arm] = out
            told = f"round {number + 1}, {case.name}, {arm}: {seen[arm][-1]}"
            print(told, file=sys.stderr, flush=True)
    if seen:
        peers_table.show(case, MODELS[case.name], seen, outputs)


def machine() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        cpu = next(
            line.split(": ")[1] for line in lines if line.startswith("model name")
        )
        flags = next(line for line in lines if line.startswith("flags")).split()
        fast = [
            name
            for name in ("avx2", "avx512f", "avx512_bf16", "amx_bf16")
            if name in flags
        ]
    except (OSError, StopIteration):
        cpu, fast = platform.processor(), []
    versions = ", ".join(
        f"{title} {peers_tools.installed(name) or 'not installed'} ({licence})"
        for name, (title, licence) in peers_tools.PEERS.items()
    )
    return (
        f"{os.cpu_count()} cores of {cpu} ({' '.join(fast) or 'no AVX2'}), "
        f"{datetime.now(UTC).date()}, Python {platform.python_version()}, torch "
        f"{torch.__version__}, rasterio {peers_tools.installed('rasterio')}; {versions}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=[*MODELS])
    parser.add_argument("--tiles", default="12x8", help="across x down, multiples of 4")
    parser.add_argument("--batch", type=int, default=4, help="tiles in one pass")
    parser.add_argument("--arms", nargs="+", help="only these")
    parser.add_argument("--unet", type=Path, help="where the trained U-Net is kept")
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--arm", help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    across, down = (int(part) for part in given.tiles.split("x"))
    if given.arm:
        run_here(
            Case(given.models[0], given.folder, down, across, given.batch),
            given.arm,
            given.out,
        )
        return
    print(f"{machine()}\n\nLoad {os.getloadavg()[0]:.1f} at the start.\n", flush=True)
    with tempfile.TemporaryDirectory() as name:
        for model in given.models:
            case = Case(model, Path(name) / model, down, across, given.batch)
            prepare(case, given.data, given.unet)
            measure(case, given.rounds, given.arms)
    print(f"Load {os.getloadavg()[0]:.1f} at the end.")


if __name__ == "__main__":
    main()
