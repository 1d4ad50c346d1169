"""The courier on real connections: encryption, log-in, the steps and their answers, and streams no server sends."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from amends.casework.post import Accepted, Claimed, Deferred, Rejected, Result, Unknown
from daemon.outbox import courier as couriers
from daemon.outbox.courier import Away, Courier, CutOff
from daemon.outbox.duty import provider_limit
from tests.builders import some_settings
from tests.servers import self_signed
from tests.servers.smtp import DROP, HANG, KEEP_AND_HANG, SmtpServer

RAW = (
    b"From: a@northwind.example\r\nTo: edith@example.org\r\nSubject: Hello\r\n\r\n"
    b"Dear Edith,\r\n.hidden\r\n.\r\nBye\r\n"
)


def a_letter(to: str = "edith@example.org", raw: bytes = RAW, receipt_to: str | None = None) -> Claimed:
    return Claimed(1, raw, "complaints@northwind.example", to, receipt_to, "one@northwind.example")


def yes(_receipt: bool) -> bool:
    return True


def a_courier(tmp_path: Path, server: SmtpServer, **more: Any) -> Courier:
    return Courier(some_settings(tmp_path, url="sqlite:///none.db", smtp=server.section(plus_addressing=True, **more)))


@contextmanager
def a_server(**options: Any) -> Iterator[SmtpServer]:
    server = SmtpServer(**options).start()
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put back what `carried` sets."""
    monkeypatch.setattr(couriers, "STEP_SECONDS", 10.0)
    monkeypatch.setattr(couriers, "DOT_SECONDS", 10.0)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return self_signed(tmp_path_factory.mktemp("tls"))


@pytest.mark.parametrize("security", ["tls", "starttls"])
def test_a_letter_goes_encrypted_and_logged_in(security: Any, certificate: tuple[Path, Path], tmp_path: Path) -> None:
    account = ("complaints", "schlüssel: §1")
    with a_server(security=security, certificate=certificate[0], key=certificate[1], account=account) as server:
        courier = a_courier(tmp_path, server)
        assert isinstance(courier.carry(a_letter(), yes), Accepted)
        assert isinstance(courier.carry(a_letter(), yes), Accepted)
        courier.close()
        assert len(server.letters) == 2


@pytest.mark.parametrize("security", ["tls", "starttls"])
def test_a_certificate_that_nobody_vouches_for_is_refused(
    security: Any, certificate: tuple[Path, Path], tmp_path: Path
) -> None:
    with a_server(security=security, certificate=certificate[0], key=certificate[1]) as server:
        with pytest.raises(Away, match="certificate that cannot be trusted"):
            a_courier(tmp_path, server, ca_file=None).carry(a_letter(), yes)
        assert server.letters == []


def test_a_server_without_starttls_gets_no_letter(smtp: SmtpServer, tmp_path: Path) -> None:
    with pytest.raises(Away, match="does not offer STARTTLS"):
        a_courier(tmp_path, smtp, security="starttls").carry(a_letter(), yes)
    assert smtp.letters == []


def test_a_wrong_password_is_one_sentence_and_one_failed_log_in(tmp_path: Path) -> None:
    with a_server(account=("complaints", "right")) as server:
        with pytest.raises(Away, match=r"refuses our log-in \(535\); check smtp.username and its password") as caught:
            a_courier(tmp_path, server, password="wrong").carry(a_letter(), yes)
        assert caught.value.patience >= 60
        assert "wrong" not in str(caught.value)


def test_the_letter_arrives_byte_for_byte(smtp: SmtpServer, tmp_path: Path) -> None:
    courier = a_courier(tmp_path, smtp)
    courier.carry(a_letter(receipt_to="complaints+r.x@northwind.example"), yes)
    assert smtp.letters[0].raw == RAW
    assert smtp.letters[0].rcpt_to == ("edith@example.org", "complaints+r.x@northwind.example")


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.lists(st.sampled_from([b".", b"..", b"\r\n", b"\n", b"\r", b"a", b"RSET", b" "]), max_size=12))
def test_no_letter_can_end_itself(body: list[bytes], smtp: SmtpServer, tmp_path: Path) -> None:
    smtp.letters.clear()
    courier = a_courier(tmp_path, smtp)
    assert isinstance(courier.carry(a_letter(raw=b"Subject: x\r\n\r\n" + b"".join(body)), yes), Accepted)
    assert isinstance(courier.carry(a_letter(), yes), Accepted)
    courier.close()
    assert len(smtp.letters) == 2
    assert smtp.letters[1].raw == RAW


def test_the_receipt_copy_is_left_out_where_it_is_refused(smtp: SmtpServer, tmp_path: Path) -> None:
    smtp.script("rcpt", "550 5.1.1 No such user", to="+r.")
    told: list[bool] = []
    result = a_courier(tmp_path, smtp).carry(
        a_letter(receipt_to="complaints+r.x@northwind.example"), lambda receipt: told.append(receipt) or True
    )
    assert isinstance(result, Accepted)
    assert told == [False]


def test_a_letter_that_is_not_ours_any_more_never_gets_its_dot(smtp: SmtpServer, tmp_path: Path) -> None:
    courier = a_courier(tmp_path, smtp)
    assert courier.carry(a_letter(), lambda _: False) is None
    assert isinstance(courier.carry(a_letter(), yes), Accepted)
    assert len(smtp.letters) == 1


def test_letters_beyond_ascii_go_only_where_the_server_can(smtp: SmtpServer, tmp_path: Path) -> None:
    raw = RAW.replace(b"edith@", "zoë@".encode())
    courier = a_courier(tmp_path, smtp)
    assert isinstance(courier.carry(a_letter("zoë@example.org", raw), yes), Accepted)
    assert smtp.letters[0].rcpt_to == ("zoë@example.org",)
    courier._wire.esmtp_features.pop("smtputf8")  # type: ignore[union-attr]
    refused = courier.carry(a_letter("zoë@example.org", raw), yes)
    assert isinstance(refused, Rejected)
    assert "SMTPUTF8" in refused.answer


@pytest.mark.parametrize("to", ["", "a b@example.org", "a@b@example.org", "x\r\nRCPT TO:<y@z>@example.org", "<@>"])
def test_what_is_no_address_is_refused_before_the_server_sees_it(to: str, smtp: SmtpServer, tmp_path: Path) -> None:
    assert isinstance(a_courier(tmp_path, smtp).carry(a_letter(to), yes), Rejected)


def test_a_silent_server_is_given_up_at_each_step(
    smtp: SmtpServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(couriers, "CONNECT_SECONDS", 0.2)
    monkeypatch.setattr(couriers, "STEP_SECONDS", 0.2)
    monkeypatch.setattr(couriers, "DOT_SECONDS", 0.2)
    for step in ("connect", "ehlo", "mail", "rcpt"):
        smtp.script(step, HANG)  # type: ignore[arg-type]
        with pytest.raises(Away, match=r"did not answer in time|cannot be reached"):
            a_courier(tmp_path, smtp).carry(a_letter(), yes)
        smtp.behave()
    for step, action in (("data", HANG), ("dot", KEEP_AND_HANG)):
        smtp.script(step, action)  # type: ignore[arg-type]
        assert isinstance(a_courier(tmp_path, smtp).carry(a_letter(), yes), Unknown)


def test_what_the_server_says_to_quit_is_of_no_interest(smtp: SmtpServer, tmp_path: Path) -> None:
    smtp.script("quit", "421 4.3.2 Shutting down")
    smtp.script("quit", DROP)
    for _ in range(2):
        courier = a_courier(tmp_path, smtp)
        assert isinstance(courier.carry(a_letter(), yes), Accepted)
        courier.close()


@pytest.mark.parametrize("step", ["mail", "rcpt", "data", "dot"])
def test_a_server_that_says_goodbye_gets_the_next_letter_on_a_new_connection(
    step: Any, smtp: SmtpServer, tmp_path: Path
) -> None:
    smtp.script(step, "421 4.7.0 Too many")
    courier = a_courier(tmp_path, smtp)
    assert isinstance(courier.carry(a_letter(), yes), Deferred)
    assert isinstance(courier.carry(a_letter(), yes), Accepted)
    assert smtp.sessions == 2


class Scripted:
    """A server that answers each step with given bytes, whatever they are, and closes when they are used up."""

    def __init__(self, answers: list[bytes], *, pipelining: bool = False) -> None:
        self.answers = list(answers)
        self.dot_came = False
        self._features = b"250-here\r\n250-PIPELINING\r\n250 SIZE 1000000\r\n" if pipelining else b"250 here\r\n"
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def section(self, **more: Any) -> dict[str, Any]:
        return {"host": "127.0.0.1", "port": self.port, "security": "none"} | more

    def _serve(self) -> None:
        with self._listening:
            try:
                connection, _ = self._listening.accept()
                with connection, connection.makefile("rb") as lines:
                    self._speak(connection, lines)
            except OSError:
                return

    def _speak(self, connection: socket.socket, lines: Any) -> None:
        connection.sendall(b"220 here\r\n")
        in_letter = False
        for line in lines:
            if in_letter:
                in_letter = line != b".\r\n"
                self.dot_came = not in_letter
                if in_letter:
                    continue
            elif line.upper().startswith(b"EHLO"):
                connection.sendall(self._features)
                continue
            if not self.answers:
                return
            answer = self.answers.pop(0)
            connection.sendall(answer)
            if not self.answers:
                connection.shutdown(socket.SHUT_WR)
            in_letter = line.upper().startswith(b"DATA") and answer.startswith(b"354")

    def close(self) -> None:
        self._listening.close()
        self._thread.join(5)


def carried(server: Scripted, tmp_path: Path, *, patience: float = 10.0) -> Result | str | None:
    """What became of one letter; "away" where it was not accepted and may be tried again."""
    couriers.STEP_SECONDS = couriers.DOT_SECONDS = patience  # type: ignore[misc]
    courier = Courier(some_settings(tmp_path, url="sqlite:///none.db", smtp=server.section()))
    try:
        return courier.carry(a_letter(), yes)
    except (Away, CutOff):
        return "away"
    finally:
        courier.let_go()
        server.close()


GOOD = [b"250 ok\r\n", b"250 ok\r\n", b"354 go on\r\n"]


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (b"250 ok\r\n", Accepted),
        (b"250-ok\r\n250 queued as 7\r\n", Accepted),
        (b"250\n", Accepted),
        (b"451 later\r\n", Deferred),
        (b"552 full\r\n", Deferred),
        (b"554 never\r\n", Rejected),
        (b"354 go on\r\n", Unknown),
        (b"25", Unknown),
        (b"250 ok", Unknown),
        (b"250-ok\r\n", Unknown),
        (b"250-ok\r\n550 no\r\n", Unknown),
        (b"hello\r\n", Unknown),
        (b"2500 ok\r\n", Unknown),
        (b"", Unknown),
        (b"x" * 20_000, Unknown),
    ],
)
def test_only_a_whole_reply_to_the_dot_is_an_answer(answer: bytes, kind: type, tmp_path: Path) -> None:
    assert isinstance(carried(Scripted([*GOOD, answer]), tmp_path), kind)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    answers=st.lists(
        st.one_of(
            st.sampled_from([*GOOD, b"450 no\r\n", b"550 no\r\n", b"250-a\r\n", b"25", b"\r\n", b"250 a\r\n250 b\r\n"]),
            st.binary(max_size=12),
        ),
        max_size=5,
    ),
    pipelining=st.booleans(),
)
def test_whatever_bytes_a_server_sends_the_letter_ends_in_a_lawful_state(
    answers: list[bytes], pipelining: bool, tmp_path: Path
) -> None:
    server = Scripted(answers, pipelining=pipelining)
    result = carried(server, tmp_path, patience=0.05)
    assert result is not None
    if result == "away":
        assert not server.dot_came
    if isinstance(result, Accepted | Unknown):
        assert server.dot_came


def test_a_line_that_nobody_asked_for_is_not_taken_for_the_answer_to_the_dot(tmp_path: Path) -> None:
    server = Scripted([b"250 ok\r\n", b"250 ok\r\n", b"354 go on\r\n250 already\r\n"])
    assert carried(server, tmp_path) == "away"
    assert not server.dot_came


@pytest.mark.parametrize(
    ("answer", "limit"),
    [
        ("550 5.4.5 Daily user sending limit exceeded. For more information", True),
        ("550-5.4.5 Daily SMTP relay limit exceeded for customer", True),
        ("554 5.1.90 Your message can't be sent because you've reached your daily limit for message recipients", True),
        ("421 4.7.28 Gmail has detected an unusual rate of mail", True),
        ("550 Sender has exceeded the hourly sending limit", True),
        ("452 4.2.2 The recipient's mailbox is over quota", False),
        ("550 5.1.1 No such user", False),
        ("552 5.3.4 Message size exceeds fixed maximum message size", False),
    ],
)
def test_a_providers_limit_is_known_by_its_words(answer: str, limit: bool) -> None:
    assert provider_limit(answer) is limit


def test_a_server_that_pipelines_gets_the_envelope_in_one_go(tmp_path: Path) -> None:
    both = [b"250 ok\r\n", b"550 5.1.1 no\r\n"]
    assert isinstance(carried(Scripted(both, pipelining=True), tmp_path), Rejected)
    assert isinstance(carried(Scripted([*GOOD, b"250 ok\r\n"], pipelining=True), tmp_path), Accepted)


def test_a_courier_in_a_hurry_breaks_off_before_the_dot_and_not_after_it(tmp_path: Path, smtp: SmtpServer) -> None:
    hurry: Callable[[], bool] = lambda: True  # noqa: E731
    config = some_settings(tmp_path, url="sqlite:///none.db", smtp=smtp.section())
    with pytest.raises(Away, match="told to stop"):
        Courier(config, hurry=hurry).carry(a_letter(), yes)
    told = threading.Event()
    courier = Courier(config, hurry=told.is_set)
    assert isinstance(courier.carry(a_letter(), lambda _: told.set() or True), Accepted)
