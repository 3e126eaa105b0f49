import inspect
import os

import dask
import psutil
import pytest
import torch
from distributed import LocalCluster
from servers import free_port

from areca.errors import InputError
from areca.runtime import open_client, peak_memory_bytes
from areca.runtime.cluster import CLOSE_TIMEOUT_S, cuda_arguments

MALLOC = "MALLOC_TRIM_THRESHOLD_"


def listening():
    """Addresses that this process and its children listen on."""
    me = psutil.Process()
    return {
        link.laddr.ip
        for process in [me, *me.children(recursive=True)]
        for link in process.net_connections("inet")
        if link.status == psutil.CONN_LISTEN
    }


def test_local_workers_are_processes_with_their_own_malloc(monkeypatch):
    """A nanny that sets the variable makes torch 1.45 times slower; it also leaks."""
    monkeypatch.setenv(MALLOC, "65536")
    with open_client("local", workers=2, threads=1) as client:
        found = client.run(os.getenv, MALLOC)
        pids = client.run(os.getpid)
        assert listening() == {"127.0.0.1"}

    assert set(found.values()) == {None}
    assert len(set(pids.values()) - {os.getpid()}) == 2
    assert os.environ[MALLOC] == "65536"


def test_threads_run_in_this_process():
    with open_client("threads", threads=3) as client:
        assert set(client.run(os.getpid).values()) == {os.getpid()}
        assert list(client.nthreads().values()) == [3]


def test_workers_keep_their_heaps_and_seldom_look_after_themselves(monkeypatch):
    monkeypatch.setenv("GLIBC_TUNABLES", "glibc.malloc.top_pad=4096")
    with open_client("local", workers=1) as client:
        (tunables,) = client.run(os.getenv, "GLIBC_TUNABLES").values()
        (timers,) = client.run(
            lambda dask_worker: {
                name: timer.callback_time
                for name, timer in dask_worker.periodic_callbacks.items()
            }
        ).values()
        assert list(client.nthreads().values()) == [2]
    # What a user has set stays, here and there.
    assert os.environ["GLIBC_TUNABLES"] == "glibc.malloc.top_pad=4096"
    assert tunables.split(":") == [
        "glibc.malloc.top_pad=4096",
        "glibc.malloc.hugetlb=1",
        "glibc.malloc.mmap_threshold=33554432",
        "glibc.malloc.trim_threshold=1073741824",
    ]
    assert "heartbeat" in timers
    assert (timers["tick"], timers["monitor"]) == (500, 5000)
    assert not [timer for timer in timers if "profile" in timer]


def test_settings_of_workers_do_not_stay_in_this_process(monkeypatch):
    monkeypatch.delenv("GLIBC_TUNABLES", raising=False)
    key = "distributed.nanny.pre-spawn-environ"
    told = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=0"}
    with dask.config.set({key: told}), open_client("local", workers=1) as client:
        (tunables,) = client.run(os.getenv, "GLIBC_TUNABLES").values()
        assert "GLIBC_TUNABLES" not in os.environ
    assert tunables.startswith("glibc.malloc.hugetlb=0:glibc.malloc.top_pad=")


def test_a_single_process_has_a_thread_more():
    with open_client("threads") as client:
        assert list(client.nthreads().values()) == [3]


def test_workers_that_do_not_end_in_time_fail_no_finished_work(monkeypatch):
    """As on an overloaded machine."""
    close, given_up = LocalCluster.close, []

    def too_slow(cluster, timeout=None):
        given_up.append(timeout)
        close(cluster)
        raise TimeoutError

    monkeypatch.setattr(LocalCluster, "close", too_slow)
    with open_client("threads") as client:
        answer = client.submit(sum, [1, 2]).result(timeout=20)

    assert answer == 3
    assert CLOSE_TIMEOUT_S in given_up


def test_a_running_scheduler_can_be_used():
    with (
        LocalCluster(
            n_workers=1, processes=False, protocol="tcp", host="127.0.0.1",
            dashboard_address="127.0.0.1:0", worker_dashboard_address="127.0.0.1:0",
        ) as cluster,
        open_client(cluster.scheduler_address) as client,
    ):  # fmt: skip
        assert client.submit(sum, [1, 2]).result(timeout=20) == 3


@pytest.mark.parametrize(
    ("cluster", "says"),
    [
        ("cuda", "NVIDIA|not supported"),
        ("slurm", "unknown cluster 'slurm'"),
    ],
)
def test_a_cluster_that_cannot_be_had_is_named(cluster, says):
    if cluster == "cuda" and torch.cuda.is_available():
        pytest.skip("this machine has a CUDA device")
    with pytest.raises(InputError, match=says), open_client(cluster):
        pass


def test_a_scheduler_that_does_not_answer_is_named(monkeypatch):
    monkeypatch.setattr("areca.runtime.cluster.CONNECT_TIMEOUT", "2s")
    address = f"tcp://127.0.0.1:{free_port()}"
    with (
        pytest.raises(InputError, match="no Dask scheduler answers"),
        open_client(address),
    ):
        pass


def test_the_peak_memory_of_a_process_grows_with_what_it_holds():
    before = peak_memory_bytes()
    held = bytearray(300_000_000)
    held[::4096] = b"x" * len(held[::4096])
    assert peak_memory_bytes() > max(before, 300_000_000)


def test_a_gpu_worker_listens_here_only_and_leaves_the_device_to_torch():
    arguments = cuda_arguments(None, 2)

    assert arguments["host"] == "127.0.0.1"
    assert arguments["device_memory_limit"] == 0
    assert arguments["threads_per_worker"] == 2


def test_the_arguments_are_those_of_dask_cuda():
    dask_cuda = pytest.importorskip("dask_cuda", reason="the extra cuda is not here")
    known = inspect.signature(dask_cuda.LocalCUDACluster).parameters
    passed_on = inspect.signature(LocalCluster).parameters

    assert cuda_arguments(1, 2).keys() - {"preload"} <= known.keys() | passed_on.keys()


@pytest.mark.gpu
def test_each_worker_of_a_gpu_cluster_has_its_own_device():
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device on this machine")
    pytest.importorskip("dask_cuda", reason="the extra cuda is not here")
    with open_client("cuda") as client:
        devices = client.run(torch.cuda.device_count)

    assert set(devices.values()) == {1}
    assert len(devices) == torch.cuda.device_count()
