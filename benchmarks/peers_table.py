"""What `peers.py` prints: one table a model, and whether its goals are reached."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

import numpy as np
import shapely

if TYPE_CHECKING:
    from pathlib import Path

    from peers_ground import Case

    Seen = dict[str, list[dict[str, float]]]

PLAIN, OURS = "forward, plain torch", "forward, areca's network"
SPLIT, DECODE = "forward, areca's network, 2 processes", "decode"
DEFAULT = "areca, 2 processes"
AREAS = (DEFAULT, "areca, 1 process")
GOAL = 1.10


def show(case: Case, title: str, seen: Seen, outputs: dict[str, Path]) -> None:
    """Print the table of one model, and what follows from it."""
    limit = _limit(seen)
    truth = outputs.get(DEFAULT)
    loads = [run["load"] for runs in seen.values() for run in runs]
    rounds = len(next(iter(seen.values())))
    tiles = f"{len(case.corners)} tiles of {case.card.tile_px} px"
    print(
        f"**{title}**, batches of {case.batch}: {tiles}, core {case.card.core_px} px, "
        f"{rounds} rounds, load {min(loads):.1f}-{max(loads):.1f}\n"
    )
    print("| arm | seconds | Mpx/s | time over forward only | against areca |")
    print("|---|---|---|---|---|")
    for arm, runs in seen.items():
        seconds = [run["seconds"] for run in runs]
        rate = case.ground_px / statistics.median(seconds) / 1e6
        over = (
            spread([s / low for s, low in zip(seconds, limit, strict=True)])
            if limit
            else ""
        )
        print(f"| {arm} | {spread(seconds)} | {rate:.2f} | {over} | "
              f"{against(case, outputs[arm], truth)} |")  # fmt: skip
    print()
    for line in verdicts(seen, limit):
        print(f"- {line}")
    print(flush=True)


def spread(values: list[float]) -> str:
    """Return median and range."""
    return f"{statistics.median(values):.2f} ({min(values):.2f}-{max(values):.2f})"


def _limit(seen: Seen) -> list[float]:
    """Return the faster of areca's forward passes, round by round."""
    arms = [
        [run["seconds"] for run in seen[arm]] for arm in (OURS, SPLIT) if arm in seen
    ]
    return [min(both) for both in zip(*arms, strict=True)] if arms else []


def _ratios(seen: Seen, one: str, other: str) -> list[float]:
    return [
        a["seconds"] / b["seconds"] for a, b in zip(seen[one], seen[other], strict=True)
    ]


def verdicts(seen: Seen, limit: list[float]) -> list[str]:
    """Say what the goals were and whether they are reached, losses too."""
    lines = []
    if PLAIN in seen and OURS in seen:
        ratio = spread(_ratios(seen, PLAIN, OURS))
        lines.append(f"time of plain torch over {OURS}: {ratio}")
    for arm in [arm for arm in AREAS if arm in seen]:
        lines.append(_time_of(arm, seen[arm]))
        if limit and DECODE in seen:
            lines.append(_goal(arm, seen, limit))
    peers = [a for a in seen if not a.startswith(("forward", "areca", DECODE))]
    for peer in peers if DEFAULT in seen else []:
        ratios = _ratios(seen, peer, DEFAULT)
        word = "ahead" if statistics.median(ratios) > 1 else "BEHIND, a loss"
        lines.append(f"{peer} over {DEFAULT}: {spread(ratios)}, areca is {word}")
    return lines


def _time_of(arm: str, runs: list[dict[str, float]]) -> str:
    """Say where the time of a run of areca went."""
    busy = [r["forward_s"] / r["processes"] / r["seconds"] for r in runs]
    read = [r["read_s"] / r["processes"] / r["seconds"] for r in runs]
    table = [r["measured_s"] for r in runs if "measured_s" in r]
    of_it = f", of it {spread(table)} s for the table in metres" if table else ""
    return (
        f"{arm}: its forward lanes were busy {spread(busy)} of the time, reading took "
        f"{spread(read)} of it; what no peer makes took "
        f"{spread([r['after_s'] for r in runs])} s more{of_it}"
    )


def _goal(arm: str, seen: Seen, limit: list[float]) -> str:
    ours, reading = ([r["seconds"] for r in seen[name]] for name in (arm, DECODE))
    over = statistics.median(a / b for a, b in zip(ours, limit, strict=True))
    both = statistics.median(
        a / (b + c) for a, b, c in zip(ours, limit, reading, strict=True)
    )
    word = "reached" if over <= GOAL or both <= 1 else "a loss"
    return (
        f"{arm}: {over:.2f} of forward only (goal {GOAL:.2f}), {both:.2f} of forward "
        f"only + decode (goal 1): {word}"
    )


def against(case: Case, folder: Path, truth: Path | None) -> str:
    """Compare what an arm gave with areca's: equal pixels, or objects matched."""
    if truth is None:
        return ""
    for kind, compare in (("labels", equal_pixels), ("boxes", matched)):
        if (folder / f"{kind}.npy").exists():
            one, other = (np.load(f / f"{kind}.npy") for f in (folder, truth))
            return compare(case, one, other)
    return ""


def equal_pixels(case: Case, one: np.ndarray, other: np.ndarray) -> str:
    """Return the share of equal pixels where both have a class, in the cores."""
    halo = case.card.halo_px
    inner = (slice(halo, -halo),) * 2
    one, other = one[inner], other[inner]
    both = (one != 255) & (other != 255)
    missing = (one == 255).mean()
    note = f", {missing:.1%} without a class" if missing else ""
    return f"{(one == other)[both].mean():.4%} of pixels equal{note}"


def matched(case: Case, one: np.ndarray, other: np.ndarray) -> str:
    """Return the number of objects, and the share of areca's that one of them is.

    Pairs of boxes with an intersection over union of 0.5 or more, the best first, each
    box once; areca counts no object larger than the card's largest.
    """
    one, other = (
        rows[
            case.inside(rows)
            & ((rows[:, 2:] - rows[:, :2]).max(1) <= case.card.max_object_px)
        ]
        for rows in (one, other)
    )
    shapes, wanted = shapely.box(*one.T), shapely.box(*other.T)
    left, right = shapely.STRtree(shapes).query(wanted, predicate="intersects")
    common = shapely.area(shapely.intersection(wanted[left], shapes[right]))
    share = common / (shapely.area(wanted[left]) + shapely.area(shapes[right]) - common)
    used: tuple[set[int], set[int]] = (set(), set())
    for number in np.argsort(-share, kind="stable"):
        a, b = int(left[number]), int(right[number])
        if share[number] >= 0.5 and a not in used[0] and b not in used[1]:
            used[0].add(a)
            used[1].add(b)
    return (f"{len(one):,} objects, {len(used[0]) / max(1, len(other)):.1%} of areca's "
            f"{len(other):,} matched")  # fmt: skip
