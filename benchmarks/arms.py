"""What the programs share: arms in fresh processes and in turn, tables, the machine."""

from __future__ import annotations

import argparse
import os
import pickle
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib import import_module
from inspect import getfile
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

T = TypeVar("T")
HERE = Path(__file__).resolve().parent
CPUINFO = Path("/proc/cpuinfo")


def options(about: str, rounds: int = 5) -> argparse.ArgumentParser:
    """Return the parser of a program: `--rounds`, and what the program adds."""
    parser = argparse.ArgumentParser(
        description=about, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=rounds)
    return parser


def machine() -> str:
    """Return processors, date and load in one line."""
    name = platform.processor() or platform.machine()
    if CPUINFO.exists():
        facts = dict(re.findall(r"(?m)^([a-z ]+?)\t*: (.+)$", CPUINFO.read_text()))
        family, model = facts.get("cpu family", "?"), facts.get("model", "?")
        name = f"{facts.get('model name', name)} (family {family}, model {model})"
    return f"{os.cpu_count()} cores, {name}, {datetime.now(UTC).date()}, {load()}"


def load() -> str:
    return f"load average {os.getloadavg()[0]:.1f}"


@contextmanager
def reported(what: str) -> Iterator[None]:
    """Print the machine before and the load after a measurement."""
    print(f"{what}. {machine()} at the start", flush=True)
    yield
    print(f"{load()} at the end", flush=True)


def fresh(arm: Callable[..., T], *given: object) -> T:
    """Return what a function of a program gives in a process of its own.

    Nothing of another arm is in it: no import, no environment that a cluster left, no
    memory that was mapped. Its main module is empty, so that the workers it starts
    import what they need and not the program.
    """
    with tempfile.TemporaryDirectory() as folder:
        job = Path(folder, "job")
        job.write_bytes(pickle.dumps((Path(getfile(arm)).stem, arm.__name__, given)))
        path = os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")])
        code = "import sys, arms; arms.answer(sys.argv[1])"
        subprocess.run(  # noqa: S603 - this interpreter and this program
            [sys.executable, "-c", code, str(job)],
            env=os.environ | {"PYTHONPATH": path.rstrip(os.pathsep)},
            check=True,
        )
        return pickle.loads(job.read_bytes())  # noqa: S301 - written by `answer`


def answer(job: str) -> None:
    """Do what `fresh` asks for: the file of the job becomes that of the answer."""
    module, name, given = pickle.loads(Path(job).read_bytes())  # noqa: S301 - by `fresh`
    found = getattr(import_module(module), name)(*given)
    Path(job).write_bytes(pickle.dumps(found))


def in_turn(
    arms: Mapping[str, tuple[Callable[..., T], *tuple[object, ...]]], rounds: int
) -> dict[str, list[T]]:
    """Run each arm in a fresh process, one after the other, `rounds` times.

    Args:
        arms: By name, a function and what it is given.
        rounds: How often.

    Returns:
        By name, what the function gave in each round. Each also goes to
        stderr at once: a program that is stopped has not measured in vain.
    """
    found: dict[str, list[T]] = {name: [] for name in arms}
    for turn in range(rounds):
        for name, (arm, *given) in arms.items():
            start = time.perf_counter()
            found[name].append(fresh(arm, *given))
            seconds = time.perf_counter() - start
            print(f"round {turn + 1} of {rounds}, {name}: {found[name][-1]}, "
                  f"{seconds:.1f} s, {load()}", file=sys.stderr)  # fmt: skip
    return found


def spread(values: Iterable[float], form: str = ".2f") -> str:
    """Return median and range."""
    seen = list(values)
    middle, low, high = statistics.median(seen), min(seen), max(seen)
    return f"{middle:{form}} ({low:{form}}-{high:{form}})"


def print_table(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a Markdown table."""
    print(f"\n| {' | '.join(heads)} |\n|{'---|' * len(heads)}")
    for row in rows:
        print(f"| {' | '.join(map(str, row))} |")
    print(flush=True)
