"""A second game in a process of its own meanwhile: two numbers of handlers are tried in the time of one."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import ParamSpec, TypeVar

from pebble import ProcessExpired, ProcessPool

_Given = ParamSpec("_Given")
_Made = TypeVar("_Made")


def has_room() -> bool:
    """Whether this machine lets us have a second processor."""
    allowed = getattr(os, "sched_getaffinity", None)
    return (len(allowed(0)) if allowed is not None else os.cpu_count() or 1) > 1


@contextmanager
def beside(work: Callable[_Given, _Made], *args: _Given.args, **named: _Given.kwargs) -> Iterator[Callable[[], _Made]]:
    """`work` goes on during the block, which is given a function that waits for what it makes.

    Where that process dies, the function does the work itself.  A block that ends early takes the process with it.
    """
    pool = ProcessPool(1, context=multiprocessing.get_context("spawn"))
    try:
        with _unheard():  # Ctrl-C is ours to hear: the other one is ended by us
            under_way = pool.schedule(work, args=list(args), kwargs=dict(named))

        def made() -> _Made:
            try:
                found: _Made = under_way.result()
            except (ProcessExpired, BrokenProcessPool):
                found = work(*args, **named)
            return found

        yield made
    finally:
        pool.stop()  # type: ignore[no-untyped-call]
        pool.join()


@contextmanager
def _unheard() -> Iterator[None]:
    """What is started in the block does not hear Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
