"""The queue of forward passes: the block that began first goes first."""

from __future__ import annotations

import threading

import pytest

from areca.inference.lanes import Lanes, next_block


def test_passes_run_in_the_order_of_their_blocks():
    lanes, gate, ran = Lanes(1), threading.Event(), []
    held = lanes.submit(0, gate.wait)  # while it runs, the others queue up
    later = [
        lanes.submit(block, lambda name=name: ran.append(name))
        for block, name in [(2, "2a"), (1, "1a"), (2, "2b"), (1, "1b")]
    ]
    gate.set()
    for future in [held, *later]:
        future.result(timeout=10)
    assert ran == ["1a", "1b", "2a", "2b"]


def test_an_error_reaches_who_waits_and_the_lane_goes_on():
    lanes = Lanes(1)
    failed = lanes.submit(0, lambda: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        failed.result(timeout=10)
    assert lanes.submit(0, lambda: "well").result(timeout=10) == "well"


def test_two_lanes_run_two_passes_at_once():
    lanes, both = Lanes(2), threading.Barrier(2)
    waiting = [lanes.submit(0, lambda: both.wait(timeout=10)) for _ in range(2)]
    assert {future.result(timeout=20) for future in waiting} == {0, 1}


def test_blocks_are_numbered_in_the_order_in_which_they_begin():
    first, second = next_block(), next_block()
    assert first < second
