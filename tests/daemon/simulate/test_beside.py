"""Work in a process of its own meanwhile."""

from __future__ import annotations

import multiprocessing
import os
import time

import pytest

from daemon.simulate.beside import beside


def _end(here: int) -> int:
    if os.getpid() != here:
        os._exit(9)
    return 42


def test_the_work_is_done_elsewhere_and_what_it_makes_comes_back() -> None:
    with beside(os.getpid) as made:
        assert made() != os.getpid()


def test_where_the_other_process_dies_the_work_is_done_here() -> None:
    with beside(_end, os.getpid()) as made:
        assert made() == 42


def test_a_block_that_ends_early_takes_the_process_with_it() -> None:
    before = multiprocessing.active_children()  # of other tests
    with pytest.raises(KeyboardInterrupt), beside(time.sleep, 600):
        raise KeyboardInterrupt
    assert set(multiprocessing.active_children()) <= set(before)
