"""Tasks for one worker."""

import time

import pytest

from areca.runs.schedule import submit_to
from areca.runtime import open_client


@pytest.fixture
def client():
    with open_client("local", workers=2, threads=1) as client:
        yield client


def test_a_task_goes_to_the_worker_it_is_for(client):
    from distributed import get_worker  # noqa: PLC0415

    for worker in client.nthreads():
        asked = submit_to(client, worker, lambda: get_worker().address)
        assert asked.result(timeout=20) == worker


def test_a_task_for_a_worker_that_is_gone_is_done_by_another(client):
    gone, other = client.nthreads()
    asked = submit_to(client, gone, time.sleep, 0.5)
    waits = submit_to(client, gone, abs, -7)  # behind the first
    client.retire_workers([gone], close_workers=True)
    asked.cancel()
    assert waits.result(timeout=20) == 7
    assert submit_to(client, gone, abs, -8).result(timeout=20) == 8
    assert list(client.nthreads()) == [other]
