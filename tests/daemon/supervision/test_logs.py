"""The log: readable, one line an event, and nothing in it that is nobody's business."""

from __future__ import annotations

import io
import json
import logging
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from daemon import logs


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    yield io.StringIO()
    structlog.reset_defaults()


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def written(stream: io.StringIO, *events: tuple[str, dict[str, object]]) -> list[str]:
    end = logs.configure(stream)
    for event, fields in events:
        structlog.get_logger().info(event, **fields)
    end()
    return stream.getvalue().splitlines()


def test_an_event_is_one_json_object_with_its_fields(stream: io.StringIO) -> None:
    (line,) = written(stream, ("outbox.sent", {"letter": 17, "took_ms": 4}))
    found = json.loads(line)
    assert (found["event"], found["level"], found["letter"], found["took_ms"]) == ("outbox.sent", "info", 17, 4)
    assert found["timestamp"].endswith("Z")


def test_on_a_terminal_an_event_is_for_eyes() -> None:
    (line,) = written(Terminal(), ("intake.filed", {"mailbox": "complaints", "why": 'he said "no"'}))
    assert line.split()[1:3] == ["info", "intake.filed"]
    assert "mailbox=complaints" in line
    assert 'why="he said \\"no\\""' in line


@pytest.mark.parametrize("terminal", [True, False])
def test_nobody_outside_can_write_a_line_or_paint_the_screen(terminal: bool) -> None:
    evil = "x\n12:00:00 error house.fell\x1b]52;c;ZXZpbA==\x07\x9b2J"
    stream = Terminal() if terminal else io.StringIO()
    lines = written(stream, ("outbox.failed", {"why": evil}), (evil, {}))
    assert len(lines) == 2
    assert not any(ord(c) < 32 or 127 <= ord(c) < 160 for line in lines for c in line)


def test_addresses_and_secrets_are_withheld(stream: io.StringIO) -> None:
    fields: dict[str, object] = {
        "why": "550 5.1.1 <edith@example.org>: no such user (see jürgen@bücher.example)",
        "password": "hunter2",
        "subject": "My complaint",
        "letter": 3,
    }
    (line,) = written(stream, ("outbox.failed", fields))
    assert not any(word in line for word in ("edith", "example.org", "gen@", "hunter2", "My complaint"))
    assert "550 5.1.1" in line
    assert json.loads(line)["letter"] == 3


def test_a_traceback_is_kept_without_the_rows_a_database_error_quotes(stream: io.StringIO) -> None:
    said = "bad\n[SQL: INSERT INTO letters]\n[parameters: ('edith@example.org', 'The boiler')]"
    end = logs.configure(stream)
    try:
        raise ValueError(said)
    except ValueError as fault:
        structlog.get_logger().error("duty.fell", exc_info=fault)
    end()
    (line,) = stream.getvalue().splitlines()
    assert "Traceback" in json.loads(line)["exception"]
    assert "boiler" not in line
    assert "edith" not in line


def test_the_journal_gets_the_priority_of_each_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with (tmp_path / "journal").open("w+") as journal:
        status = os.fstat(journal.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", f"{status.st_dev}:{status.st_ino}")
        end = logs.configure(journal)
        log = structlog.get_logger()
        log.info("house.ready")
        log.error("house.fell")
        logging.getLogger("some.library").warning("careful with %s", "that")
        end()
        journal.seek(0)
        lines = journal.read().splitlines()
    assert [line[:3] for line in lines] == ["<6>", "<3>", "<4>"]
    assert json.loads(lines[2][3:])["event"] == "careful with that"


class Stuck(io.StringIO):
    """A journal that has stopped reading."""

    def __init__(self) -> None:
        super().__init__()
        self.reading = threading.Event()

    def write(self, text: str) -> int:
        self.reading.wait(60)
        return super().write(text)


def test_a_log_that_nobody_reads_stops_nobody_and_counts_what_it_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "_KEEP_LINES", 5)
    stream = Stuck()
    end = logs.configure(stream)
    for number in range(50):
        structlog.get_logger().info("outbox.sent", letter=number)
    stream.reading.set()
    end()
    text = stream.getvalue()
    assert text.count("outbox.sent") < 10
    assert "lines were dropped" in text


def test_debug_is_not_written_unless_asked_for(stream: io.StringIO) -> None:
    end = logs.configure(stream)
    structlog.get_logger().debug("duty.still-failing")
    end()
    assert stream.getvalue() == ""
