"""Processes that share a GPU keep to their parts of its memory."""

import pytest
import torch

from areca.inference.device import device_of, part_of_memory, share_memory
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


def test_workers_of_a_machine_share_it():
    with open_client("local", workers=2, threads=1) as client:
        found = sharers_of(client, "cpu")
        assert found == dict.fromkeys(client.nthreads(), 2)


def test_a_worker_without_the_device_is_not_left_out():
    with open_client("threads", threads=1) as client:
        found = sharers_of(client, "cuda:99")
        assert list(found.values()) == [1]


@pytest.mark.gpu
def test_processes_of_a_gpu_divide_its_memory():
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device on this machine")
    with open_client("local", workers=2, threads=1) as client:
        assert set(sharers_of(client, "cuda").values()) == {2}
        parts = client.run(_part_after_sharing)

    assert all(0.25 <= part < 0.5 for part in parts.values())


def _part_after_sharing():
    share_memory("cuda", 2)
    size = int(0.6 * torch.cuda.get_device_properties(0).total_memory)
    with pytest.raises(torch.OutOfMemoryError):
        torch.empty(size, dtype=torch.uint8, device="cuda")
    return part_of_memory(torch.cuda.get_device_properties(0).total_memory, 2)
