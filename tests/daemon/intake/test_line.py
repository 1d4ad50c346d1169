"""The line to a server that behaves as Dovecot never does: it says what a script tells it to."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from amends.config import Mailbox
from amends.kernel.errors import TryLater
from daemon.intake.line import Line, Lost

ANSWERS = {
    "CAPABILITY": "* CAPABILITY IMAP4rev1 IDLE MOVE UIDPLUS\r\n",
    "SELECT": "* 2 EXISTS\r\n* OK [UIDVALIDITY 7] it is\r\n* OK [UIDNEXT 3] next\r\n",
}


class Scripted:
    """A server for one client; while the client idles it says `words`, piece by piece, and then closes if told to.

    Its answer to FETCH is message 1, `words` again, just as slowly.
    """

    def __init__(self, *words: str, closes: bool = False) -> None:
        self._words, self._closes = words, closes
        self._door = socket.create_server(("127.0.0.1", 0))
        self.port = self._door.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        client, _ = self._door.accept()
        with client, client.makefile("rb") as lines:
            client.sendall(b"* OK ready\r\n")
            for line in lines:
                tag, _, command = line.decode().strip().partition(" ")
                verb = command.split(" ")[0].upper()
                if verb == "IDLE":
                    client.sendall(b"+ idling\r\n")
                    for word in self._words:
                        client.sendall(word.encode())
                        time.sleep(0.2)
                    if self._closes:
                        return
                    lines.readline()
                if command.upper().startswith("UID FETCH"):
                    size = len("".join(self._words))
                    client.sendall(f"* 1 FETCH (UID 1 BODY[] {{{size}}}\r\n".encode())
                    for word in self._words:
                        client.sendall(word.encode())
                        time.sleep(0.2)
                    client.sendall(b")\r\n")
                client.sendall(f"{ANSWERS.get(verb, '')}{tag} OK [READ-WRITE] done\r\n".encode())

    def close(self) -> None:
        self._door.close()


@pytest.fixture
def box() -> Iterator[Any]:
    servers: list[Scripted] = []

    def make(*words: str, closes: bool = False) -> Mailbox:
        servers.append(Scripted(*words, closes=closes))
        return Mailbox(name="complaints", host="127.0.0.1", port=servers[-1].port, security="none", username="x")

    yield make
    for server in servers:
        server.close()


def test_a_word_that_comes_in_parts_is_one_word(box: Any) -> None:
    with Line.open(box("* 3 EX", "IS", "TS\r\n"), "secret") as line:
        began = time.monotonic()
        line.idle(20, enough=lambda: time.monotonic() - began > 10)
        assert line._exists == 3


def test_a_server_that_goes_away_while_we_wait_is_lost(box: Any) -> None:
    with Line.open(box("* OK still here\r\n", closes=True), "secret") as line, pytest.raises(Lost):
        line.idle(20, enough=lambda: False)


def test_a_message_that_comes_slowly_is_no_silence(box: Any) -> None:
    words = [f"line {n}\r\n" for n in range(8)]
    signs: list[int] = []
    with Line.open(box(*words), "secret", alive=lambda: signs.append(1)) as line:
        before = len(signs)
        assert line.messages([1], size=8) == {1: "".join(words).encode()}
        assert len(signs) - before >= len(words)


def test_what_a_sign_of_life_raises_ends_the_step(box: Any) -> None:
    def lost() -> None:
        raise TryLater("the lease is lost")

    with Line.open(box("word"), "secret") as line:
        line.alive = lost
        with pytest.raises(TryLater, match="the lease is lost"):
            line.messages([1], size=4)
