"""Clusters: always a `dask.distributed` client, on this machine or elsewhere."""

from __future__ import annotations

import ctypes
import logging
import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import dask
from distributed import Client, LocalCluster

from areca.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

KINDS = ("local", "threads", "cuda")
THREADS_PER_WORKER = 2
"""One block is predicted while the next is read and decoded."""
THREADS_ALONE = 3
"""Of `threads`, whose one process has all processors: one block is predicted, one is
read and one is written. With two, a device of 200 tiles/s waited a fifth of its time on
two cores."""
TUNABLES = "GLIBC_TUNABLES"
"""What glibc reads when a process starts; it passes over what it does not know."""
ALLOCATOR = {
    "glibc.malloc.hugetlb": 1,
    "glibc.malloc.top_pad": 64 << 20,
    "glibc.malloc.mmap_threshold": 32 << 20,
    "glibc.malloc.trim_threshold": 1 << 30,
}
"""Huge pages (glibc 2.35), and heaps that stay mapped: a thread's heap has 64 MiB, and
what is larger than half of it is mapped alone."""
RARER = {
    "distributed.worker.profile.enabled": False,
    "distributed.admin.tick.interval": "500ms",
    "distributed.admin.system-monitor.interval": "5s",
    "distributed.admin.system-monitor.disk": False,
}
"""What Dask does for its dashboard, at intervals that cost little."""
CLOSE_TIMEOUT_S = 10
CONNECT_TIMEOUT = "10s"
COMMON: dict[str, Any] = {
    "dashboard_address": "127.0.0.1:0",
    "worker_dashboard_address": "127.0.0.1:0",
    "memory_limit": 0,
    "silence_logs": logging.CRITICAL,
}
"""What every cluster that is started here has: only this machine sees it, and workers
are not stopped for their memory. An error of a task comes back with its future, worker
frames included; workers would print it on the console a second time, at length."""


@contextmanager
def open_client(
    cluster: str = "local", *, workers: int | None = None, threads: int | None = None
) -> Iterator[Client]:
    """Open a client for the time of a `with` block; close what was started.

    Args:
        cluster: `local` (worker processes on this machine), `threads` (all in this
            process), `cuda` (a worker per GPU), or the address of a scheduler.
        workers: Worker processes; a number of processors when left out. Not for
            `threads` or an address.
        threads: Block tasks that a worker runs side by side; 3 for `threads` and else
            2 when left out.

    Yields:
        The client.

    Raises:
        InputError: The cluster is unknown or cannot be had here.
    """
    if cluster == "cuda":
        with _cuda(workers, threads or THREADS_PER_WORKER) as client:
            yield client
    elif cluster in KINDS:
        usual = THREADS_PER_WORKER if cluster == "local" else THREADS_ALONE
        with _local(cluster, workers, threads or usual) as client:
            yield client
    elif "://" in cluster:
        with _connect(cluster) as client:
            yield client
    else:
        raise InputError(
            f"unknown cluster {cluster!r}; give {', '.join(KINDS)} or the address of a "
            "scheduler such as tcp://10.0.0.1:8786"
        )


@contextmanager
def _local(kind: str, workers: int | None, threads: int) -> Iterator[Client]:
    with dask.config.set(_settings()), _glibc_defaults():
        cluster = LocalCluster(
            processes=kind == "local",
            n_workers=(workers or os.cpu_count() or 1) if kind == "local" else 1,
            threads_per_worker=threads,
            # In one process nothing listens; otherwise only this machine can connect.
            host="127.0.0.1" if kind == "local" else None,
            **COMMON,
            **({"preload": "areca.runtime.worker"} if kind == "local" else {}),
        )
    with _client_of(cluster, timeout="30s") as client:
        yield client


@contextmanager
def _cuda(workers: int | None, threads: int) -> Iterator[Client]:
    _check_driver()
    try:
        from dask_cuda import LocalCUDACluster
    except ImportError as error:
        raise InputError(
            f"cluster 'cuda' needs dask-cuda ({error}); install areca[cuda]"
        ) from error
    with dask.config.set(_settings()), _glibc_defaults():
        cluster = LocalCUDACluster(**cuda_arguments(workers, threads))
    with _client_of(cluster, timeout="60s") as client:
        yield client


@contextmanager
def _client_of(cluster: LocalCluster, *, timeout: str) -> Iterator[Client]:
    """Connect to a cluster of our own, and close it afterwards.

    Args:
        cluster: What was started.
        timeout: How long to wait for its scheduler.

    Yields:
        The client.
    """
    try:
        with Client(cluster, timeout=timeout) as client:
            yield client
    finally:
        # Workers of an overloaded machine may not end in time. What they were asked
        # for is done; that must not fail now, and they end with this process.
        with suppress(TimeoutError):
            cluster.close(timeout=CLOSE_TIMEOUT_S)


def cuda_arguments(workers: int | None, threads: int) -> dict[str, object]:
    """Return what a `dask_cuda.LocalCUDACluster` is started with.

    Each worker process sees one GPU, so its device is "cuda". Torch has the memory of
    the device to itself: Dask keeps no pool there and spills nothing.

    Args:
        workers: Worker processes; one per GPU when None.
        threads: Block tasks that a worker runs side by side.

    Returns:
        Keyword arguments.
    """
    return {
        "n_workers": workers,
        "threads_per_worker": threads,
        "device_memory_limit": 0,
        "host": "127.0.0.1",
        **COMMON,
        "preload": ["areca.runtime.worker"],  # dask-cuda adds its own to this list
    }


@contextmanager
def _connect(address: str) -> Iterator[Client]:
    try:
        client = Client(address, timeout=CONNECT_TIMEOUT)
    except (OSError, ValueError) as error:
        raise InputError(
            f"no Dask scheduler answers at {address} ({error}); start one with "
            "`dask scheduler` or use --cluster local"
        ) from error
    with client:
        yield client


def _settings() -> dict[str, object]:
    """Return Dask settings for workers.

    By default a nanny sets MALLOC_TRIM_THRESHOLD_ for its worker. Setting any glibc
    malloc variable turns off its dynamic mmap threshold, so that every large tensor is
    mapped and unmapped again: torch on the CPU runs 1.45 times slower.

    With huge pages a pass touches new memory 2 MB at a time, not 4 kB: U-Net ResNet-18
    has 4,600 page faults a tile, and 23,000 without. A thread gives the heaps that it
    has emptied back to the system after each layer, and takes them again: 5 to 8 % of
    the time of a detector. They stay mapped; the mmap threshold, no longer dynamic
    then, is set to the largest that it would reach.

    Dask looks after itself at short intervals: a worker's profiler at every thread 100
    times a second, all event loops at their own lateness 50 times, and at the disks and
    the network twice. Without the first and with the others rarer an event loop takes a
    tenth of its processor time, and a census on two cores 3 to 8 % less time.
    """
    key = "distributed.nanny.pre-spawn-environ"
    environment = dict(dask.config.get(key, default={}))
    environment.pop("MALLOC_TRIM_THRESHOLD_", None)
    # Threads that wait for work would spin on the processors of the other workers.
    environment["OMP_WAIT_POLICY"] = "PASSIVE"
    own = os.environ.get(TUNABLES) or str(environment.get(TUNABLES, ""))
    environment[TUNABLES] = _tunables(own)
    return {key: environment, **RARER}


def _tunables(kept: str) -> str:
    """Return the settings of glibc's allocator; those that a user has set go first."""
    set_already = {setting.partition("=")[0] for setting in kept.split(":")}
    ours = [f"{n}={value}" for n, value in ALLOCATOR.items() if n not in set_already]
    return ":".join(filter(None, [kept, *ours]))


@contextmanager
def _glibc_defaults() -> Iterator[None]:
    """Hide variables of the allocator from the nannies that are started inside.

    A nanny prefers what the environment of this process has to what its settings say,
    and writes into it; what it has written does not stay, for other programs that this
    process starts.
    """
    names = ("MALLOC_TRIM_THRESHOLD_", TUNABLES)
    left = {name: os.environ.pop(name) for name in names if name in os.environ}
    try:
        yield
    finally:
        for name in names:
            os.environ.pop(name, None)
        os.environ.update(left)


def _check_driver() -> None:
    """Refuse a machine without an NVIDIA driver.

    Raises:
        InputError: There is none.
    """
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError as error:
        raise InputError(
            "cluster 'cuda' needs an NVIDIA GPU, and there is no NVIDIA driver on this "
            "machine. Use --cluster local"
        ) from error
