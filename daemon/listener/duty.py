"""The listener as a duty: the network takes mail in, the duty gives it its fate."""

from __future__ import annotations

import threading
from typing import Final

from amends.casework.office import Office
from amends.config import Listener
from amends.kernel.errors import AmendsError
from daemon.listener.network import Network
from daemon.reading.filer import Filer
from daemon.supervision.duty import Pulse

MAILBOXES: Final = ("listener:lmtp", "listener:smtp")
"""As what the store knows these messages: by the protocol they came by."""
LOOK_EVERY: Final = 30.0  # seconds between two looks at the network, and at messages that a former life left
_AGAIN_AFTER: Final = 2.0  # seconds, when the store or the readers were in trouble


class ListenerDuty:
    """Answers 250 for what is stored, and has it filed at once; what a crash left between the two is filed at start."""

    name = "listener"
    silence = 600.0  # fifty mails that each hang their reader; the network is looked at by `Network.look`

    def __init__(self, office: Office, listener: Listener, filer: Filer) -> None:
        self._office = office
        self._listener = listener
        self._filer = filer
        self._stored = threading.Event()

    def run(self, pulse: Pulse) -> None:
        with Network(self._office, self._listener, on_stored=self._stored.set) as network:
            self._filer.get_ready()
            pause = 0.0
            while not pulse.wait(pause, woken_by=self._stored):
                pause = self._work(pulse, network)

    def _work(self, pulse: Pulse, network: Network) -> float:
        """File what is there; the seconds until the next look.  Mail is taken in meanwhile, and when this fails too."""
        trouble = self._file(pulse)
        figures = network.look()  # afterwards: the row says what has come, not what had come before it was filed
        if trouble is not None:  # the senders' servers need not hear of it: what can be kept is kept
            pulse.failing(str(trouble), **figures)
            return _AGAIN_AFTER
        pulse.beat(**figures)
        return LOOK_EVERY

    def _file(self, pulse: Pulse) -> AmendsError | None:
        try:
            for mailbox in MAILBOXES:
                self._filer.file_stored(mailbox, pulse)
        except AmendsError as trouble:
            return trouble
        return None
