"""Clients that lie, smuggle, stall and flood; and how the listener comes and goes."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import smtplib
import socket
import ssl
import stat
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from amends.casework import intake
from amends.casework.office import Office
from amends.kernel.errors import NeedsOperator
from tests.builders import an_office
from tests.daemon.listener.wire import HER, MAIL, US, Client, kept, listening, socket_of, stuffed, trace
from tests.servers import free_port, self_signed, until


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return an_office(tmp_path)


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    return self_signed(tmp_path)


# Every end of data that some server once took for the right one.
NOT_THE_END = [
    b"\n.\n",
    b"\n.\r\n",
    b"\r\n.\n",
    b"\r.\r",
    b"\r.\r\n",
    b"\r\n.\r",
    b"\n.\r",
    b"\r.\n",
    b"\r\r\n.\r\r\n",
    b"\r\n.\r\r\n",
    b"\r\n.\0\r\n",
    b"\r\n\0.\r\n",
    b"\r\n. \r\n",
    b"\r\n.\t\r\n",
    b"\n\n.\n\n",
    b"\x85.\x85",
    b"\xe2\x80\xa8.\xe2\x80\xa8",
]


@pytest.mark.parametrize("end", NOT_THE_END, ids=repr)
def test_a_smuggled_second_message_stays_inside_the_first(office, end):
    inner = MAIL + b"before" + end + f"MAIL FROM:<boss@northwind.example>\r\nRCPT TO:<{US}>\r\nDATA\r\n".encode() + MAIL
    with listening(office), Client(socket_of(office)) as client:
        client.greet().envelope()
        client.send(inner, b".\r\n")
        assert client.reply().startswith("250 2.0.0 ")
        assert client.say("QUIT").startswith("221 ")
    (whole,) = kept(office)
    # what a line begins with is one dot less; nothing else may have changed
    assert whole == trace() + (b"\r\n" + inner).replace(b"\r\n.", b"\r\n")[2:]


@pytest.mark.parametrize(
    "command", [b"NOOP\nQUIT", b"NOOP\rQUIT", b"NOOP \0", b"MAIL FROM:<a@b.example>\nRCPT TO:<x>", b"\n"]
)
def test_a_command_with_a_bare_end_of_line_is_an_error_and_one_command(office, command):
    with listening(office), Client(socket_of(office)) as client:
        client.greet()
        client.send(command + b"\r\n")
        assert client.reply().startswith("500 5.5.2 ")
        assert client.say("NOOP").startswith("250 ")


_numbers = itertools.count()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    body=st.lists(
        st.sampled_from(
            [b"\r\n", b".", b"\r", b"\n", b"..", b"a", b"\r\n.", b"DATA\r\n", b"\x00", b"\xff", b"x" * 70_000]
        ),
        max_size=30,
    ).map(b"".join),
    cuts=st.lists(st.floats(0, 1), max_size=6),
)
def test_whatever_the_pieces_of_the_stream_the_message_is_the_same(running, body, cuts):
    office, client = running
    raw = MAIL + b"%d\r\n" % next(_numbers) + body + b"\r\n"
    stream = f"MAIL FROM:<{HER}>\r\nRCPT TO:<{US}>\r\nDATA\r\n".encode() + stuffed(raw) + b"RSET\r\n"
    at = [0, *sorted(int(cut * len(stream)) for cut in cuts), len(stream)]
    client.send(*(stream[start:end] for start, end in itertools.pairwise(at)))
    assert [client.reply()[:3] for _ in range(5)] == ["250", "250", "354", "250", "250"]
    assert kept(office)[-1] == trace() + raw


@pytest.fixture
def running(office):
    with listening(office), Client(socket_of(office)) as client:
        yield office, client.greet()


def test_pipelined_commands_are_answered_in_order(office):
    with listening(office), Client(socket_of(office)) as client:
        client.greet()
        one = f"MAIL FROM:<{HER}>\r\nRCPT TO:<{US}>\r\nRCPT TO:<{HER}>\r\nDATA\r\n".encode() + stuffed(MAIL)
        client.send(one + one.replace(b"Cold", b"Damp") + b"QUIT\r\n")
        assert [line[:3] for line in client.rest()] == ["250", "250", "550", "354", "250"] * 2 + ["221"]
    assert len(kept(office)) == 2


def test_the_greeting_and_the_offers_tell_nothing_else(office):
    port = free_port()
    with listening(office, lmtp="unix:amends-lmtp.sock", smtp=f"127.0.0.1:{port}"):
        with Client(socket_of(office)) as client:
            assert client.line() == "220 northwind.example LMTP"
            client.send(b"LHLO x\r\n")
            offers = [client.line() for _ in range(6)]
        with Client(port) as client:
            assert client.line() == "220 northwind.example ESMTP"
            assert client.say("HELO x") == "250 northwind.example"
    assert offers == [
        "250-northwind.example",
        "250-PIPELINING",
        "250-SIZE 36700160",
        "250-8BITMIME",
        "250-SMTPUTF8",
        "250 ENHANCEDSTATUSCODES",
    ]


@pytest.mark.parametrize(
    "command", ["VRFY complaints", "EXPN staff", "ETRN northwind.example", "HELP", "AUTH PLAIN AA=="]
)
def test_what_a_complaints_box_has_no_use_for_is_refused(office, command):
    with listening(office), Client(socket_of(office)) as client:
        client.greet()
        assert client.say(command) == "502 5.5.1 Not here"


def test_an_unknown_command_is_not_repeated_and_five_are_enough(office):
    with listening(office), Client(socket_of(office)) as client:
        client.greet()
        assert client.say("\x1b[31mX") == "500 5.5.2 Unknown command"
        client.send(b"X\r\n" * 20)
        assert client.rest()[-1].startswith("502 5.5.1 ")


def test_a_browser_cannot_be_led_to_speak_mail(office):
    port = free_port()
    body = f"EHLO x\r\nMAIL FROM:<{HER}>\r\nRCPT TO:<{US}>\r\nDATA\r\n".encode() + stuffed(MAIL)
    with listening(office, smtp=f"127.0.0.1:{port}"), Client(port) as client:
        client.reply()
        client.send(b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" + body)
        assert client.rest() == ["421 4.7.0 This is no web server"]
    assert kept(office) == []


def test_octets_behind_bdat_are_not_taken_for_commands(office):
    with listening(office), Client(socket_of(office)) as client:
        client.greet()
        client.send(b"BDAT 99 LAST\r\nMAIL FROM:<a@b.example>\r\nNOOP\r\n")
        assert client.rest() == ["502 5.5.1 Not here"]


def test_commands_and_their_lines_are_bounded(office):
    with listening(office), Client(socket_of(office)) as client:
        client.greet()
        assert client.say("NOOP " + "x" * 600).startswith("500 5.5.2 ")
        assert client.say("NOOP " + "x" * 300_000).startswith("500 5.5.2 ")
        answers = [client.say("LHLO again")[:3] for _ in range(20)]
        assert answers[-1] == "421"
        assert client.line() == ""


def test_recipients_are_bounded(office):
    with listening(office, lmtp="unix:amends-lmtp.sock", max_recipients=2), Client(socket_of(office)) as client:
        client.greet()
        client.say(f"MAIL FROM:<{HER}>")
        answers = [client.say(f"RCPT TO:<complaints+{n}@northwind.example>")[:9] for n in range(3)]
    assert answers == ["250 2.1.5", "250 2.1.5", "452 4.5.3"]


def test_connections_are_bounded_and_free_again_when_one_ends(office):
    with listening(office, lmtp="unix:amends-lmtp.sock", max_connections=2) as network:
        first, second = Client(socket_of(office)).greet(), Client(socket_of(office)).greet()
        with Client(socket_of(office)) as third:
            assert third.rest() == ["421 4.7.0 Too many connections; try again later"]
        first.socket.close()
        until(lambda: network.look()["connections"] == 1)
        with Client(socket_of(office)) as third:
            third.greet()
        second.socket.close()


@pytest.mark.parametrize(
    "begin",
    [b"", b"LHLO x\r\nMAIL FR", f"LHLO x\r\nMAIL FROM:<{HER}>\r\nRCPT TO:<{US}>\r\nDATA\r\nSubject: slow\r\n".encode()],
)
def test_a_client_that_stops_is_told_and_disconnected(office, begin):
    with listening(office, lmtp="unix:amends-lmtp.sock", timeout_seconds=1), Client(socket_of(office)) as client:
        client.send(begin)
        assert client.rest()[-1] == "421 4.4.2 Closing: too slow"
    assert kept(office) == []


@pytest.mark.parametrize("drip", [b"x", b"NOOP\r\n"], ids=["octets", "commands"])
def test_a_client_that_drips_is_disconnected_all_the_same(office, drip):
    stop = threading.Event()
    with listening(office, lmtp="unix:amends-lmtp.sock", timeout_seconds=1), Client(socket_of(office)) as client:

        def drop() -> None:
            try:
                while not stop.wait(0.2):
                    client.send(drip)
            except OSError:
                return

        thread = threading.Thread(target=drop)
        thread.start()
        last = client.rest()[-1]
        stop.set()
        thread.join()
    assert last == "421 4.4.2 Closing: too slow"


def test_a_client_that_does_not_read_is_cut_off(office, monkeypatch):
    monkeypatch.setattr("daemon.listener.session._LINGER", 0.2)
    with (
        listening(office, lmtp="unix:amends-lmtp.sock", timeout_seconds=1) as network,
        Client(socket_of(office), timeout=120) as client,
    ):
        client.greet().say(f"MAIL FROM:<{HER}>")
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            while True:  # the replies that nobody reads fill every buffer
                client.send(b"RCPT TO:<nobody@northwind.example>\r\n" * 100)
        until(lambda: network.look()["connections"] == 0)


def test_a_connection_that_breaks_in_the_middle_leaves_nothing(office):
    with listening(office) as network:
        with Client(socket_of(office)) as client:
            client.greet().envelope()
            client.send(MAIL * 1000)
        until(lambda: network.look()["connections"] == 0)
        assert network._room._octets == 0
    assert kept(office) == []


# TLS


def test_starttls_is_offered_and_used(office, certificate):
    port = free_port()
    keys = {"smtp": f"127.0.0.1:{port}", "certificate": certificate[0], "key": certificate[1]}
    with listening(office, **keys), smtplib.SMTP("localhost", port, local_hostname="mx") as client:
        assert client.ehlo()[0] == 250 and client.has_extn("starttls")
        client.starttls(context=ssl.create_default_context(cafile=str(certificate[0])))
        assert client.ehlo()[0] == 250
        assert not client.has_extn("starttls") and not client.has_extn("auth")
        client.sendmail(HER, [US], MAIL)
    assert kept(office) == [trace() + MAIL]


def test_commands_before_tls_are_forgotten_after_it(office, certificate):
    port = free_port()
    keys = {"smtp": f"127.0.0.1:{port}", "certificate": certificate[0], "key": certificate[1]}
    with listening(office, **keys), Client(port) as client:
        client.greet("EHLO")
        client.say("MAIL FROM:<evil@example.org>")
        client.send(f"STARTTLS\r\nEHLO evil\r\nMAIL FROM:<evil@example.org>\r\nRCPT TO:<{US}>\r\n".encode())
        assert client.reply().startswith("220 ")
        assert client._buffer == b""
        client.secure(certificate[0])
        assert client.say(f"MAIL FROM:<{HER}>").startswith("503 5.5.1 ")
        assert client.say("EHLO mx").startswith("250 ")
        assert client.say(f"RCPT TO:<{US}>").startswith("503 5.5.1 ")
        client.envelope()
        client.send(stuffed(MAIL))
        assert client.reply().startswith("250 ")
    assert kept(office) == [trace() + MAIL]


def test_off_loopback_nothing_is_taken_in_clear(office, certificate):
    port = free_port()
    keys = {"smtp": f"0.0.0.0:{port}", "certificate": certificate[0], "key": certificate[1]}
    with listening(office, **keys), Client(port) as client:
        client.greet("EHLO")
        assert client.say(f"MAIL FROM:<{HER}>").startswith("530 5.7.0 ")


def test_without_a_certificate_there_is_no_starttls(office):
    with listening(office), Client(socket_of(office)) as client:
        client.greet()
        assert client.say("STARTTLS").startswith("454 4.7.0 ")


def test_a_renewed_certificate_is_taken_up_and_a_broken_one_is_not(office, certificate, tmp_path):
    port = free_port()
    keys = {"smtp": f"127.0.0.1:{port}", "certificate": certificate[0], "key": certificate[1]}

    def trusts(trusted: Path) -> bool:
        with smtplib.SMTP("localhost", port, local_hostname="mx") as client:
            try:
                client.starttls(context=ssl.create_default_context(cafile=str(trusted)))
            except ssl.SSLCertVerificationError:
                return False
            return True

    (tmp_path / "new").mkdir()
    renewed = self_signed(tmp_path / "new")
    with listening(office, **keys):
        assert trusts(certificate[0]) and not trusts(renewed[0])
        shutil.copy(renewed[1], certificate[1])
        shutil.copy(renewed[0], certificate[0])
        assert trusts(renewed[0])
        certificate[0].write_text("nothing")
        assert trusts(renewed[0])


@pytest.mark.parametrize("wrong", ["missing", "nothing"])
def test_a_certificate_that_cannot_be_used_is_one_sentence(office, certificate, wrong):
    if wrong == "nothing":
        certificate[1].write_text("nothing")
    else:
        certificate[1].unlink()
    keys = {"smtp": f"127.0.0.1:{free_port()}", "certificate": certificate[0], "key": certificate[1]}
    with pytest.raises(NeedsOperator, match=r"key\.pem"), listening(office, **keys):
        pass


# The socket


def test_the_socket_is_for_the_daemon_and_its_group_and_goes_with_it(office):
    with listening(office):
        assert stat.S_IMODE(socket_of(office).stat().st_mode) == 0o660
    assert not socket_of(office).exists()


def test_a_stale_socket_is_replaced(office):
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(socket_of(office)))
    left.close()
    with listening(office), Client(socket_of(office)) as client:
        client.greet()


def test_a_socket_on_which_somebody_listens_is_left_alone(office):
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(socket_of(office)))
        other.listen()
        with pytest.raises(NeedsOperator, match="another program listens"), listening(office):
            pass
    assert socket_of(office).exists()


def test_a_second_daemon_is_told_that_the_first_listens(office):
    with listening(office), Client(socket_of(office)) as client:
        with pytest.raises(NeedsOperator, match="another amendsd listens"), listening(office):
            pass
        client.greet()


def test_a_file_in_the_place_of_the_socket_is_left_alone(office):
    socket_of(office).write_text("precious")
    with pytest.raises(NeedsOperator, match="is no socket"), listening(office):
        pass
    assert socket_of(office).read_text() == "precious"


@pytest.mark.parametrize(
    ("lmtp", "sentence"),
    [
        ("unix:nowhere/a.sock", "create it"),
        ("unix:open/a.sock", "everybody can write"),
        (f"unix:{'x' * 120}", "longer than"),
    ],
)
def test_a_folder_that_cannot_hold_the_socket_is_one_sentence(office, lmtp, sentence):
    (office.settings.folder / "open").mkdir()
    (office.settings.folder / "open").chmod(0o777)
    with pytest.raises(NeedsOperator, match=f"^listener.lmtp: .*{sentence}"), listening(office, lmtp=lmtp):
        pass


def test_a_port_that_is_taken_is_one_sentence(office):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        taken = pytest.raises(NeedsOperator, match=f"listener.smtp: cannot listen on 127.0.0.1 port {port}: Address")
        with taken, listening(office, lmtp="unix:amends-lmtp.sock", smtp=f"127.0.0.1:{port}"):
            pass
    assert not socket_of(office).exists()


# The end


def test_at_the_end_idle_clients_hear_421_and_a_message_on_its_way_is_taken(office):
    with listening(office) as network:
        idle, busy = Client(socket_of(office)).greet(), Client(socket_of(office)).greet().envelope()
        busy.send(MAIL)
        until(lambda: any(one.receiving for one in network._room.sessions))
        ended = threading.Thread(target=network.__exit__, args=(None, None, None))
        ended.start()
        assert idle.rest() == ["421 4.3.2 Closing; try again later"]
        with pytest.raises(OSError):
            Client(socket_of(office)).greet()
        busy.send(b".\r\n")
        assert [line[:3] for line in busy.rest()] == ["250", "421"]
        ended.join()
    assert kept(office) == [trace() + MAIL]


def test_a_message_that_does_not_come_to_its_end_is_not_waited_for_longer_than_the_grace(office, monkeypatch):
    monkeypatch.setattr("daemon.listener.network.GRACE", 0.3)
    with listening(office) as network:
        client = Client(socket_of(office)).greet().envelope()
        client.send(MAIL)
        until(lambda: any(one.receiving for one in network._room.sessions))
    assert client.rest() == ["421 4.3.2 Closing; try again later"]
    assert kept(office) == []


def test_killed_between_the_commit_and_the_answer_the_next_try_is_the_same_message(office):
    program = f"""
        import os, pathlib, sys
        from amends.casework import intake
        from tests.builders import an_office
        from tests.daemon.listener.wire import listening
        real = intake.store
        def store(*args, **named):
            real(*args, **named)
            os.kill(os.getpid(), 9)
        intake.store = store
        with listening(an_office(pathlib.Path({str(office.settings.folder)!r}))):
            print("up", flush=True)
            sys.stdin.read()
    """
    victim = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[3],
        env={**os.environ, "PYTHONPATH": "."},
    )
    assert victim.stdout is not None
    while (line := victim.stdout.readline()) and line.strip() != b"up":
        pass
    with Client(socket_of(office)) as client:
        client.greet().envelope()
        client.send(stuffed(MAIL))
        assert client.line() == ""
    assert victim.wait(60) == -signal.SIGKILL
    assert kept(office) == [trace() + MAIL]
    with listening(office), smtplib.LMTP(str(socket_of(office))) as again:
        again.sendmail(HER, [US], MAIL)
    assert kept(office) == [trace() + MAIL]
    assert len(intake.pending(office)) == 1
