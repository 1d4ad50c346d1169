"""What systemd is told: that we are ready, how we fare, that we live, that we are ending (sd_notify(3))."""

from __future__ import annotations

import os
from typing import Final

from sdnotify import SystemdNotifier

_MAX_STATUS: Final = 200


class Systemd:
    """The notification socket of the unit that started us; outside systemd everything here does nothing."""

    def __init__(self) -> None:
        self._notifier = SystemdNotifier()
        self.watchdog_seconds = _watchdog_seconds()
        """Within how many seconds the watchdog wants to be fed, or None where nobody asks for it."""
        for name in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"):
            os.environ.pop(name, None)  # ours alone: the reading processes must not speak for us
        self._status = ""

    def ready(self) -> None:
        self._notifier.notify("READY=1")

    def status(self, text: str) -> None:
        """One line for `systemctl status`; sent when it differs from the last."""
        text = " ".join(text.encode("ascii", "replace").decode().split())[:_MAX_STATUS]
        if text != self._status:
            self._status = text
            self._notifier.notify(f"STATUS={text}")

    def feed(self) -> None:
        self._notifier.notify("WATCHDOG=1")

    def stopping(self) -> None:
        self._notifier.notify("STOPPING=1")


def _watchdog_seconds() -> float | None:
    micros, pid = os.environ.get("WATCHDOG_USEC", ""), os.environ.get("WATCHDOG_PID", "")
    if not micros.isdigit() or (pid and pid != str(os.getpid())):
        return None
    return int(micros) / 1_000_000 or None
