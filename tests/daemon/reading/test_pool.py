"""The reading processes: what a message does to its reader costs that message alone."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from amends.mail.facts import Reading
from daemon.reading.pool import ReadingPool
from daemon.reading.worker import Limits
from tests.builders import some_settings
from tests.servers import until

MEBIBYTE = 1024 * 1024


def a_mail(order: str = "", *, n: int = 1, headers: str = "", size: int = 10) -> bytes:
    return (
        f"From: Ann <ann{n}@example.org>\r\nTo: complaints@northwind.example\r\nSubject: mail {n}\r\n"
        f"Message-ID: <{n}@example.org>\r\nX-Do: {order}\r\n"
        + (f"X-Headers: {headers}\r\n" if headers else "")
        + "\r\n"
        + "x" * size
        + "\r\n"
    ).encode()


def a_pool(tmp_path: Path, **more: object) -> ReadingPool:
    limits = Limits(seconds=1.5, cpu_seconds=1, memory=600 * MEBIBYTE)
    options = {"workers": 2, "limits": limits, "reader": "tests.daemon.stand_in"} | more
    return ReadingPool(some_settings(tmp_path), **options)  # type: ignore[arg-type]


@pytest.fixture
def pool(tmp_path: Path) -> Iterator[ReadingPool]:
    pool = a_pool(tmp_path)
    yield pool
    pool.close()


def subjects(results: list[Reading | str]) -> list[str]:
    return [one if isinstance(one, str) else one.subject for one in results]


def test_readings_come_back_in_order_however_they_were_divided(pool: ReadingPool) -> None:
    raws = [a_mail(n=n, size=(n % 5) * 100_000 + 10) for n in range(40)]
    results = pool.read_all(raws, headers_only={3, 17})
    assert subjects(results) == [f"mail {n}" for n in range(40)]
    assert [n for n, one in enumerate(results) if isinstance(one, Reading) and not one.text] == [3, 17]


@pytest.mark.parametrize("order", ["die", "hang", "spin", "eat", "raise", "write"])
def test_a_message_that_hurts_its_reader_is_read_by_its_headers_and_the_others_whole(
    pool: ReadingPool, order: str
) -> None:
    raws = [a_mail(n=1), a_mail(order, n=2), a_mail(n=3)]
    first, hurt, third = pool.read_all(raws)
    assert isinstance(first, Reading) and isinstance(third, Reading) and isinstance(hurt, Reading)
    assert (first.text, third.text) == ("x" * 10 + "\r\n",) * 2
    assert hurt.subject == "mail 2" and hurt.text == ""
    assert hurt.defects, "the handler is told that the words are missing"
    assert subjects(pool.read_all([a_mail(n=4)])) == ["mail 4"], "the pool has whole processes again"


@pytest.mark.parametrize("order", ["die", "hang", "raise"])
def test_where_the_headers_hurt_too_there_is_a_reason_in_their_place(pool: ReadingPool, order: str) -> None:
    first, hurt = pool.read_all([a_mail(n=1), a_mail(order, n=2, headers=order)])
    assert isinstance(first, Reading)
    assert isinstance(hurt, str) and hurt.startswith("it cannot be read, nor can its headers")


def test_a_reader_writes_no_file_and_knows_no_environment(pool: ReadingPool) -> None:
    [_, asked] = pool.read_all([a_mail("write"), a_mail("environment")])
    written = Path("/tmp/amends-must-not-be-written")
    assert not written.exists() or written.read_bytes() == b""
    written.unlink(missing_ok=True)
    assert isinstance(asked, Reading) and "environment: {}" in asked.defects[-1]


def test_the_processor_time_of_many_messages_is_not_added_up(tmp_path: Path) -> None:
    pool = a_pool(tmp_path, workers=1)
    try:
        pool.read_all([a_mail("spin", n=1)])
        results = pool.read_all([a_mail(n=n, size=MEBIBYTE) for n in range(60)])
        assert all(isinstance(one, Reading) and one.text for one in results)
    finally:
        pool.close()


def test_the_processes_go_when_it_is_quiet_and_come_again(tmp_path: Path) -> None:
    pool = a_pool(tmp_path, quiet_seconds=0.2)
    try:
        pool.read_all([a_mail()])
        until(lambda: pool._pool is None, what="the processes to go")
        assert subjects(pool.read_all([a_mail(n=7)])) == ["mail 7"]
    finally:
        pool.close()


def test_processes_that_died_while_idle_are_replaced(pool: ReadingPool) -> None:
    pool.read_all([a_mail()])
    assert pool._pool is not None
    for pid in list(pool._pool._pool_manager.worker_manager.workers):
        os.kill(pid, 9)
    assert subjects(pool.read_all([a_mail(n=8)])) == ["mail 8"]


def test_who_waits_for_readers_that_hang_shows_life_meanwhile(
    pool: ReadingPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("daemon.reading.pool._ALIVE_EVERY", 0.1)
    signs: list[int] = []
    results = pool.read_all([a_mail(n=1), a_mail("hang", n=2)], alive=lambda: signs.append(1))
    assert subjects(results) == ["mail 1", "mail 2"]
    assert len(signs) > 4, "more than one for each of the tasks that this took"


def test_who_is_told_to_end_while_he_waits_does_not_wait(pool: ReadingPool) -> None:
    def end() -> None:
        raise KeyError("ended")

    with pytest.raises(KeyError, match="ended"):
        pool.read_all([a_mail("hang")], alive=end)


def test_several_threads_read_at_once(pool: ReadingPool) -> None:
    found: list[list[str]] = []
    threads = [
        threading.Thread(target=lambda n=n: found.append(subjects(pool.read_all([a_mail(n=n)] * 20)))) for n in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == [[f"mail {n}"] * 20 for n in range(4)]


def test_the_daemon_itself_never_loads_the_parser_and_leaves_no_process_behind(tmp_path: Path) -> None:
    program = """
        import os, sys
        from pathlib import Path
        from daemon.reading.pool import ReadingPool
        from tests.builders import some_settings
        pool = ReadingPool(some_settings(Path(sys.argv[1])), reader="tests.daemon.stand_in")
        pool.read_all([b"From: a@example.org\\r\\n\\r\\nx"])
        loaded = {name.partition(".")[0] for name in sys.modules}
        assert not loaded & {"mailparser", "inscriptis", "mailparser_reply"}, loaded
        print(*pool._pool._pool_manager.worker_manager.workers, flush=True)
        os.kill(os.getpid(), 9)
    """
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), str(tmp_path)], capture_output=True, text=True, check=False
    )
    workers = [int(pid) for pid in run.stdout.split()]
    assert run.returncode == -9 and workers, run.stderr
    until(lambda: not any(_alive(pid) for pid in workers), what="the reading processes to end with their daemon")


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
