"""The log: one event a line with its fields, to standard error.

On a terminal `09:30:02 info  outbox.sent letter=17 took_ms=4`; elsewhere one JSON object a line; under journald with
the priority before it (sd-daemon(3)).  Events carry ids, never addresses, subjects, bodies or
secrets; what slips into the text of an error is taken out here, and control characters are escaped, so that nobody
outside can write a log line.

Lines are written by a thread of their own.  A journal that has stopped reading must not stop the answering of mail:
then lines are dropped, and counted when it reads again.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import queue
import re
import sys
import threading
from collections.abc import Callable, MutableMapping
from typing import Any, Final, TextIO

import structlog

_KEEP_LINES: Final = 10_000
_LONGEST: Final = 2_000
_LONGEST_TRACEBACK: Final = 20_000

_SECRET: Final = re.compile(r"pass|secret|token|credential|authori[sz]ation|\bkey\b|hmac", re.IGNORECASE)
_PERSONAL: Final = frozenset({"address", "sender", "recipient", "from", "to", "cc", "subject", "body", "text", "raw"})
_ADDRESS: Final = re.compile(r"[^\s@<>\"'(),;:=\[\]]+@[^\s@<>\"'(),;:=\[\]]+")
_PARAMETERS: Final = re.compile(r"^\[(?:parameters|SQL): .*$", re.MULTILINE)  # SQLAlchemy quotes the rows it wrote
_PRIORITY: Final = {"critical": 2, "error": 3, "warning": 4, "info": 6, "debug": 7}

_Event = MutableMapping[str, Any]


def configure(stream: TextIO | None = None, *, level: str = "info") -> Callable[[], None]:
    """Log to `stream` (standard error) from now on; returns what writes out the rest and ends it."""
    stream = stream if stream is not None else sys.stderr
    writer = _Writer(stream)
    chain: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="%H:%M:%S" if stream.isatty() else "iso", utc=not stream.isatty()),
        structlog.processors.format_exc_info,
        withhold,
    ]
    handler = _Handler(writer)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=chain,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _renderer(stream)],
        )
    )
    root = logging.getLogger()
    before, before_level = root.handlers[:], root.level
    root.handlers, root.level = [handler], getattr(logging, level.upper())
    for chatty in ("sqlalchemy", "alembic", "asyncio", "imapclient", "aiosmtpd", "mailparser"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *chain,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )

    def end() -> None:
        root.handlers, root.level = before, before_level
        structlog.reset_defaults()
        writer.end()

    return end


def withhold(_logger: object, _method: str, event: _Event) -> _Event:
    """Take out secrets and personal data, by the name of the field and, for addresses, wherever they stand."""
    for key, value in list(event.items()):
        if key.startswith("_"):
            continue
        if _SECRET.search(key) or key in _PERSONAL:
            event[key] = "[withheld]"
        elif isinstance(value, str):
            event[key] = scrub(value, _LONGEST_TRACEBACK if key == "exception" else _LONGEST)
    return event


def scrub(text: str, limit: int = _LONGEST) -> str:
    """`text` without e-mail addresses and the rows that a database error quotes."""
    return _ADDRESS.sub("[address]", _PARAMETERS.sub("[withheld]", text[: limit * 2]))[:limit]


def _renderer(stream: TextIO) -> Callable[[object, str, _Event], str]:
    if stream.isatty():
        return _for_eyes
    return _for_journald if _is_journal(stream) else _as_json


def _is_journal(stream: TextIO) -> bool:
    """Whether `stream` is the journal: JOURNAL_STREAM holds its device and inode (systemd.exec(5))."""
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


def _as_json(_logger: object, _method: str, event: _Event) -> str:
    return json.dumps(_in_order(event), default=str)


def _in_order(event: _Event) -> dict[str, Any]:
    """What is asked for most stands first."""
    first = ("timestamp", "level", "event")
    return {key: event[key] for key in first if key in event} | {k: v for k, v in event.items() if k not in first}


def _for_journald(_logger: object, _method: str, event: _Event) -> str:
    event.pop("timestamp", None)  # the journal has its own
    return f"<{_PRIORITY.get(event.get('level', 'info'), 6)}>{json.dumps(_in_order(event), default=str)}"


def _for_eyes(_logger: object, _method: str, event: _Event) -> str:
    exception = event.pop("exception", None)
    head = f"{event.pop('timestamp', '')} {event.pop('level', ''):<7} {_plain(event.pop('event', ''))}"
    fields = "".join(f" {key}={_value(value)}" for key, value in event.items())
    # a traceback is shown line by line, each of them without control characters
    lines = [f"    {_plain(line)}" for line in str(exception).splitlines()] if exception else []
    return "\n".join([head + fields, *lines])


def _plain(value: object) -> str:
    """As it stands, but for control characters."""
    return "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in str(value))


def _value(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    simple = text and all(c.isalnum() or c in "-_.:/+" for c in text)
    return text if simple or not isinstance(value, str) else json.dumps(text, ensure_ascii=not text.isprintable())


class _Writer:
    """Lines to a stream, in order, by a thread of their own."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lines: queue.Queue[str | None] = queue.Queue(_KEEP_LINES)
        self._dropped = 0
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    def put(self, line: str) -> None:
        try:
            self._lines.put_nowait(line)
        except queue.Full:
            self._dropped += 1

    def end(self, seconds: float = 1.0) -> None:
        with contextlib.suppress(queue.Full):
            self._lines.put(None, timeout=seconds)
        self._thread.join(seconds)

    def _run(self) -> None:
        while (line := self._lines.get()) is not None:
            if self._dropped:
                line, self._dropped = f"{line}\n({self._dropped} lines were dropped: the log was not read)", 0
            try:
                self._stream.write(line + "\n")
                if self._lines.empty():
                    self._stream.flush()
            except (OSError, ValueError):
                self._dropped += 1  # a closed pipe: nobody is there to be told
        with contextlib.suppress(OSError, ValueError):
            self._stream.flush()


class _Handler(logging.Handler):
    def __init__(self, writer: _Writer) -> None:
        super().__init__()
        self._writer = writer

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._writer.put(self.format(record))
        except Exception:  # noqa: BLE001  (a log line that cannot be written must never stop the work)
            self._writer.put(f'{{"event": "log.failed", "logger": {json.dumps(record.name)}}}')
