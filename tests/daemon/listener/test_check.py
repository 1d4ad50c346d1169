"""What `amendsd check` says of the listener, before it runs and while it runs."""

from __future__ import annotations

import socket
import threading
from pathlib import Path

import pytest

from amends.casework.office import Office
from amends.kernel.errors import NeedsOperator
from daemon.checks.listener import check
from tests.builders import an_office
from tests.daemon.listener.wire import listening, socket_of
from tests.servers import free_port, self_signed


def an_office_that_listens(tmp_path: Path, **keys: object) -> Office:
    return an_office(tmp_path, listener=keys)


def said(office: Office) -> list[tuple[str, str]]:
    return [(one.state, one.sentence) for one in check(office.settings)]


def test_free_places_can_be_listened_on_and_are_left_as_they_are(tmp_path):
    port = free_port()
    office = an_office_that_listens(tmp_path, lmtp="unix:amends-lmtp.sock", smtp=f"127.0.0.1:{port}")
    before = sorted(tmp_path.iterdir())
    assert said(office) == [
        ("ok", f"lmtp: {socket_of(office)} can be listened on."),
        ("ok", f"smtp: 127.0.0.1:{port} can be listened on."),
    ]
    assert sorted(tmp_path.iterdir()) == before


def test_a_daemon_that_runs_is_no_fault(tmp_path):
    port = free_port()
    keys = {"lmtp": "unix:amends-lmtp.sock", "smtp": f"127.0.0.1:{port}"}
    office = an_office_that_listens(tmp_path, **keys)
    with listening(office, **keys):
        assert [one.sentence.split(": ")[1] for one in check(office.settings)] == [
            f"amendsd listens at {socket_of(office)}.",
            f"amendsd listens at 127.0.0.1:{port}.",
        ]


def test_another_program_in_the_place_is_named(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        office = an_office_that_listens(tmp_path, lmtp=f"127.0.0.1:{port}")
        other.settimeout(5)
        threading.Thread(target=lambda: other.accept()[0].sendall(b"220 mx.example.org ESMTP Postfix\r\n")).start()
        sentence = f"lmtp: another program listens at 127.0.0.1:{port}; stop it, or name another address."
        assert said(office) == [("wrong", sentence)]


def test_a_folder_or_a_certificate_that_cannot_be_used_is_one_sentence(tmp_path):
    with pytest.raises(NeedsOperator, match="create it"):
        said(an_office_that_listens(tmp_path, lmtp="unix:nowhere/a.sock"))
    certificate, key = self_signed(tmp_path)
    office = an_office_that_listens(tmp_path, smtp="0.0.0.0:2525", certificate=certificate, key=key)
    key.write_text("nothing")
    with pytest.raises(NeedsOperator, match="no certificate"):
        said(office)
