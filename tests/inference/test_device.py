"""Processes that share a GPU keep to their parts of its memory."""

import pytest
import torch
from distributed import Client, LocalCluster

from areca.inference import device
from areca.inference.device import device_of, part_of_memory, share_memory
from areca.runs import devices
from areca.runs.devices import sharers_of
from areca.runtime import open_client

GB = 10**9


@pytest.mark.parametrize("total", [8 * GB, 24 * GB, 141 * GB])
@pytest.mark.parametrize("sharers", [2, 4, 8, 14])
def test_parts_and_contexts_together_fit_the_card(total, sharers):
    part = part_of_memory(total, sharers)

    assert 0.5 / sharers <= part < 1 / sharers
    if total >= 2 * GB * sharers:
        assert sharers * (part * total + GB) <= total * (1 + 1e-9)


def test_one_process_has_the_whole_card():
    assert part_of_memory(8 * GB, 1) == 1.0


def test_a_processor_is_named_and_not_bounded():
    assert device_of("cpu") == "cpu"
    share_memory("cpu", 8)
    share_memory("cuda:99", 8)  # is not there, which loading a model says


def test_workers_of_a_machine_share_it():
    with open_client("local", workers=2, threads=1) as client:
        found = sharers_of(client, "cpu")
        assert found == dict.fromkeys(client.nthreads(), 2)


def test_a_worker_without_the_device_is_not_left_out():
    with open_client("threads", threads=1) as client:
        found = sharers_of(client, "cuda:99")
        assert list(found.values()) == [1]


def test_workers_that_come_later_keep_to_their_part_too(monkeypatch):
    """As the process that a nanny starts for one that lost its device."""
    told = []
    monkeypatch.setattr(device, "share_memory", lambda *how: told.append(how))
    with (
        LocalCluster(processes=False, n_workers=2, threads_per_worker=1,
                     dashboard_address=":0") as cluster,
        Client(cluster) as client,
    ):  # fmt: skip
        monkeypatch.setattr(devices, "_place", lambda _device: ("here", "one"))
        devices.divide_memory(client, "cuda")
        assert told == [("cuda", 2)] * 2
        cluster.scale(3)
        client.wait_for_workers(3)
        assert told == [("cuda", 2)] * 3
        devices.divide_memory(client, "cpu")
        assert len(told) == 3


@pytest.mark.gpu
def test_processes_of_a_gpu_divide_its_memory():
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device on this machine")
    with open_client("local", workers=2, threads=1) as client:
        assert set(sharers_of(client, "cuda").values()) == {2}
        devices.divide_memory(client, "cuda")
        found = client.run(_fits, 0.4)
        assert set(found.values()) == {True}
        found = client.run(_fits, 0.6)
        assert set(found.values()) == {False}


def _fits(part):
    size = int(part * torch.cuda.get_device_properties(0).total_memory)
    try:
        torch.empty(size, dtype=torch.uint8, device="cuda")
    except torch.OutOfMemoryError:
        return False
    torch.cuda.empty_cache()
    return True
