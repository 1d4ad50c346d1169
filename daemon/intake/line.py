"""One line to one mailbox: what IMAP can do for us, each step with a limit on its time and one kind of failure.

Nothing here changes a message or its flags but `move`.  After `Lost` the line is thrown away: imapclient cannot go on
after an error of the wire, and says so in half a dozen ways.
"""

from __future__ import annotations

import contextlib
import re
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from imaplib import IMAP4
from typing import Any, Final, Self

from imapclient import IMAPClient, SocketTimeout
from imapclient.exceptions import CapabilityError, IMAPClientError, LoginError, ProtocolError
from imapclient.imapclient import _parse_untagged_response

from amends.config import Mailbox
from amends.kernel.errors import TryLater
from amends.kernel.text import one_line
from daemon.oauth import sasl
from daemon.oauth.tokens import Access

CONNECT_SECONDS: Final = 15
READ_SECONDS: Final = 60
STEP_SECONDS: Final = 60.0  # for one command and its answer, besides the time for its bytes
SLOWEST: Final = 20_000  # bytes a second; a server that drips slower than this is left
PIECE: Final = 1024 * 1024  # a large message is fetched in pieces of so many bytes
PORTION: Final = 64 * 1024  # of what comes is read at once
HEADER_AT_MOST: Final = 256 * 1024
BODY_AT_MOST: Final = 64 * 1024  # of a message that is too large
ASK_EVERY: Final = 1.0  # seconds between two looks, while we wait, at whether we are to end
RANGE: Final = 50_000  # UIDs asked for at once where there are many: imaplib takes no line above 1,000,000 bytes
RANGES: Final = 500  # so many questions for UIDs at most, whatever number the server says comes next
ROOM: Final = 8 * 1024 * 1024  # bytes of one step, besides those of the mail that was asked for
LARGEST: Final = 2**63 - 1  # of any number of a server (RFC 9051, 9), and of any in the store

# RFC 5530: what a server says when the log-in itself is wrong, and not the hour
_WRONG_LOGIN: Final = re.compile(
    r"\[(AUTHENTICATIONFAILED|AUTHORIZATIONFAILED|EXPIRED|PRIVACYREQUIRED|CONTACTADMIN|NOPERM)\]", re.IGNORECASE
)
_PASSING: Final = re.compile(r"\[(UNAVAILABLE|SERVERBUG|INUSE|LIMIT|OVERQUOTA)\]", re.IGNORECASE)
_BACKOFF: Final = re.compile(r"Backoff Time: (\d{1,9}) *milliseconds", re.IGNORECASE)


class Trouble(TryLater):
    """Anything that goes wrong with the server.  `pause`: the seconds that it named to be left alone."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.pause = _named_pause(sentence)


class Lost(Trouble):
    """The line is dead or useless."""


class LoginRefused(Lost):
    """The server does not want this log-in: trying fast would lock the account."""


class NotDone(Trouble):
    """The server answered NO or BAD to one command; the line lives."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """What is known of a message before it is fetched: its size in bytes, and when the server received it."""

    size: int
    at: datetime | None


class Line:
    """A logged-in connection with the inbox selected.  For one thread."""

    def __init__(self, box: Mailbox, client: IMAPClient) -> None:
        self._box = box
        self._client = client
        self._exists = 0
        self._next_uid = 1
        self._prefix, self._delimiter = "", "/"
        self.uidvalidity = 0
        self.read_only = False
        self._keeps_keywords = True
        self._room = ROOM
        self.alive: Callable[[], None] = _nobody_asks
        """Called at each step and with all that comes, so every minute at least while the server is at work."""

    @classmethod
    def open(cls, box: Mailbox, credentials: str | Access, *, alive: Callable[[], None] | None = None) -> Self:
        """Connect, log in by password or token, make the folders that are missing, select the inbox.

        What `alive` raises ends the step, and with it the use of the line.  Raises Lost, LoginRefused or, where a
        refused token has to be asked for anew, TokenTrouble.
        """
        where = f"{box.host}:{box.port}"
        line = cls(box, _connect(box, where))
        try:
            line._tell(alive or _nobody_asks)
            with line._within(STEP_SECONDS, f"logging in to {where}"):
                line._login(credentials)
            with line._within(STEP_SECONDS, f"opening {box.inbox}"):
                line._learn_names()
                for folder in (box.filed, box.quarantine, box.oversized):
                    line._make(folder)
                line._select(box.inbox)
        except NotDone as refused:
            line.close()
            raise Lost(str(refused)) from refused
        except BaseException:
            line.close()
            raise
        return line

    def _tell(self, alive: Callable[[], None]) -> None:
        """Let imaplib read in the portions that come, each a sign of life, and not until a whole message is there.

        Nor more than the step may bring: imaplib believes whatever length a server tells.
        """
        wire = self._client._imap
        whole_line: Callable[[], bytes] = wire.readline

        def read(size: int) -> bytes:
            portions: list[bytes] = []
            while size > 0 and (portion := wire.file.read1(min(size, PORTION))):
                portions.append(portion)
                size -= len(portion)
                self._take(len(portion))
                alive()
            return b"".join(portions)

        def readline() -> bytes:
            alive()
            line = whole_line()
            self._take(len(line))
            return line

        wire.read, wire.readline = read, readline
        self.alive = alive

    def _take(self, size: int) -> None:
        self._room -= size
        if self._room < 0:
            raise IMAP4.abort("it sends more than was asked for")

    def _login(self, credentials: str | Access) -> None:
        if isinstance(credentials, Access):
            self._login_by_token(credentials)
        else:
            self._login_by_password(credentials)

    def _login_by_password(self, password: str) -> None:
        try:
            self._client.login(self._box.username, password)
        except LoginError as refused:
            said = self._refusal(refused)
            hint = "" if _WRONG_LOGIN.search(said) else " (if the password is right, the server may be in trouble)"
            raise LoginRefused(
                f"{self._box.host} refuses the log-in of '{self._box.username}': {said}; "
                f"check username and password of mailbox '{self._box.name}'{hint}"
            ) from refused

    def _refusal(self, refused: LoginError) -> str:
        """The server's words; raises Lost if they speak of the hour and not of the log-in, or are none of its own."""
        if isinstance(refused.__context__, IMAP4.abort):  # the line broke; imapclient calls that a refusal too
            raise refused.__context__
        said = _said(refused)
        if _PASSING.search(said) or _BACKOFF.search(said):
            raise Lost(f"The server cannot log us in now: {said}") from refused
        return said

    def _login_by_token(self, access: Access) -> None:
        """OAUTHBEARER or XOAUTH2.  A token from before that is refused may have died: once more with a new one."""
        oauth, host = self._box.oauth, self._box.host
        offered = [one for one in ("OAUTHBEARER", "XOAUTH2") if self._client.has_capability(f"AUTH={one}")]
        mechanism = sasl.choose(oauth.mechanism if oauth else "auto", offered)
        if mechanism is None:
            there = f"only {' and '.join(offered)}" if offered else "no log-in by OAuth"
            raise LoginRefused(f"{host} offers {there}; correct oauth.mechanism, or use a password")
        exchange = sasl.Exchange(mechanism, user=self._box.username, token=access.token, host=host, port=self._box.port)
        try:
            self._client.sasl_login(mechanism, exchange)
        except LoginError as refused:
            said = self._refusal(refused)
            if (fresh := access.refused()) is not None:
                return self._login_by_token(fresh)
            why = f"{said} ({exchange.refusal})" if exchange.refusal else said
            raise LoginRefused(
                f"{host} refuses the token for '{self._box.username}': {why}; check that the application may use IMAP "
                f"on this mailbox, and oauth.scopes of mailbox '{self._box.name}'"
            ) from refused

    def _learn_names(self) -> None:
        if self._client.has_capability("NAMESPACE") and (personal := self._client.namespace().personal):
            prefix, delimiter = personal[0][:2]
            self._prefix, self._delimiter = prefix or "", delimiter or "/"

    def folder(self, name: str) -> str:
        """The name of a folder of ours as this server spells it: `Amends/Filed` may be `INBOX.Amends.Filed` there."""
        if name.upper() == "INBOX":
            return name
        spelt = name.replace("/", self._delimiter)
        return spelt if spelt.startswith(self._prefix) else self._prefix + spelt

    def _make(self, name: str) -> None:
        folder = self.folder(name)
        if self._client.folder_exists(folder):
            return
        try:
            self._client.create_folder(folder)
        except IMAP4.error:
            if not self._client.folder_exists(folder):  # else another daemon was quicker
                raise
        with contextlib.suppress(IMAP4.error):  # only so that mail programs show it
            self._client.subscribe_folder(folder)

    def _select(self, name: str, *, readonly: bool = False) -> None:
        folder = self.folder(name)
        try:
            answer: Mapping[bytes, Any] = self._client.select_folder(folder, readonly=readonly)
        except IMAP4.readonly:  # we have no right to change it; to read it is worth much
            answer = self._client.select_folder(folder, readonly=True)
        if b"UIDVALIDITY" not in answer:
            raise ValueError(f"it gives {name} no UIDVALIDITY, without which no message can be known again")
        self.uidvalidity = _number(answer[b"UIDVALIDITY"])
        self._exists = _number(answer.get(b"EXISTS", 0))
        self._next_uid = _number(answer.get(b"UIDNEXT", 1))
        self.read_only = not answer.get(b"READ-WRITE", False)
        kept = answer.get(b"PERMANENTFLAGS")
        self._keeps_keywords = kept is None or b"\\*" in kept  # RFC 3501, 7.1: without the word all are kept

    def examine(self, name: str) -> None:
        """Look into this folder from now on, without the right to change it.  Raises NotDone if there is none."""
        with self._within(STEP_SECONDS, f"opening {name}"):
            self._select(name, readonly=True)

    @property
    def next_uid(self) -> int:
        """The number that the next message of the folder was to get when it was opened (RFC 3501, 2.3.1.1)."""
        return self._next_uid

    # what there is

    def uids(self) -> list[int]:
        """The UIDs of all messages in the folder now, in order, whatever their flags."""
        with self._within(STEP_SECONDS, "asking for news"):
            self._heard(self._client.noop()[1])
            self._told_since_the_search()
        if self._exists <= RANGE:
            return self._search("1:*")
        found: list[int] = []
        width = max(RANGE, self._next_uid // RANGES)
        for first in range(1, self._next_uid, width):
            found += self._search(f"{first}:{first + width - 1}")
        found += self._search(f"{max(self._next_uid, 1)}:*")  # the star names the last message, new or not
        uids = sorted(set(found))
        self._next_uid = max(self._next_uid, uids[-1] + 1) if uids else self._next_uid
        return uids

    def _search(self, uids: str) -> list[int]:
        with self._within(STEP_SECONDS, "asking for the messages"):
            return sorted(map(_number, self._client.search(["UID", uids])))

    def envelopes(self, uids: Sequence[int]) -> dict[int, Envelope]:
        """Size and time of these messages; one that is gone is left out."""
        with self._within(STEP_SECONDS, "asking for sizes"):
            answer = self._client.fetch(list(uids), ["RFC822.SIZE", "INTERNALDATE"])
        found = {}
        for uid, data in answer.items():
            if isinstance(size := data.get(b"RFC822.SIZE"), int):
                found[uid] = Envelope(min(size, LARGEST), _utc(data.get(b"INTERNALDATE")))
        return found

    def messages(self, uids: Sequence[int], *, size: int) -> dict[int, bytes]:
        """The bytes of these messages, `size` of them in all; what the server gives no text of is left out."""
        most = size + self._box.max_megabytes * 1_000_000  # some servers only estimate sizes
        with self._within(STEP_SECONDS + size / SLOWEST, "fetching mail", mail=most):
            answer = self._client.fetch(list(uids), ["BODY.PEEK[]"])
        return {uid: raw for uid, data in answer.items() if (raw := _text_of(data, b"BODY[]"))}

    def large_message(self, uid: int, *, at_most: int) -> bytes | None:
        """The bytes of one message, fetched in pieces so that they are never in memory three times over.

        Its end is where a piece is short, whatever size the server told: some only estimate it.  Of a message of more
        than `at_most` bytes there comes a beginning of more than `at_most`.
        """
        pieces: list[bytes] = []
        length = 0
        while length <= at_most:
            with self._within(STEP_SECONDS + PIECE / SLOWEST, "fetching a large message"):
                answer = self._client.fetch([uid], [f"BODY.PEEK[]<{length}.{PIECE}>"])
            piece = _text_of(answer.get(uid, {}), b"BODY[]<%d>" % length)
            if piece:
                pieces.append(piece)
                length += len(piece)
            if not piece or len(piece) < PIECE:
                break
        return b"".join(pieces) or None

    def header(self, uid: int) -> bytes:
        """The header of one message, or its beginning."""
        with self._within(STEP_SECONDS + HEADER_AT_MOST / SLOWEST, "fetching a header"):
            answer = self._client.fetch([uid], [f"BODY.PEEK[HEADER]<0.{HEADER_AT_MOST}>"])
        return _text_of(answer.get(uid, {}), b"BODY[HEADER]<0>")

    def beginning(self, uid: int) -> bytes:
        """The header of one message and the first bytes below it, as they stand in the message."""
        with self._within(STEP_SECONDS + (HEADER_AT_MOST + BODY_AT_MOST) / SLOWEST, "fetching a beginning"):
            header, body = f"BODY.PEEK[HEADER]<0.{HEADER_AT_MOST}>", f"BODY.PEEK[TEXT]<0.{BODY_AT_MOST}>"
            answer = self._client.fetch([uid], [header, body])
        found = answer.get(uid, {})
        head = _text_of(found, b"BODY[HEADER]<0>")
        if len(head) >= HEADER_AT_MOST:  # it is cut: what follows is no body
            return head
        return head + _text_of(found, b"BODY[TEXT]<0>")

    # what we change

    @property
    def keeps_filed_mail(self) -> bool:
        """Whether filed mail stays in the inbox, because this server could not take it away safely."""
        return not self._client.has_capability("MOVE") and not self._client.has_capability("UIDPLUS")

    def move(self, uids: Sequence[int], name: str) -> None:
        """Take these messages out of the inbox; one that is not there any more counts as moved (RFC 6851).

        Without MOVE they are copied and expunged by UID (RFC 4315); without that too they stay and get a keyword, if
        the server keeps any: a plain EXPUNGE would remove what other people have marked.  Raises NotDone when the
        server will not.
        """
        with self._within(STEP_SECONDS + len(uids), f"moving mail to {name}"):
            try:
                self._move(list(uids), self.folder(name))
            except IMAP4.error as refused:
                if isinstance(refused, IMAP4.abort):
                    raise
                self._make(name)  # somebody may have removed it, or some of the messages
                if there := self._still_there(uids):
                    self._move(there, self.folder(name))

    def _still_there(self, uids: Sequence[int]) -> list[int]:
        self._client.noop()
        return sorted(set(uids) & set(self._client.fetch(list(uids), ["UID"])))

    def _move(self, uids: list[int], folder: str) -> None:
        if self._client.has_capability("MOVE"):
            self._client.move(uids, folder)
        elif self._client.has_capability("UIDPLUS"):
            self._client.copy(uids, folder)
            self._client.add_flags(uids, [b"\\Deleted"], silent=True)
            self._client.uid_expunge(uids)
        elif self._keeps_keywords:
            keyword = b"$Amends" + folder.rpartition(self._delimiter)[2].encode("ascii", "ignore").strip(b' ()[]{%*"\\')
            self._client.add_flags(uids, [keyword], silent=True)

    # waiting

    @property
    def can_idle(self) -> bool:
        return bool(self._client.has_capability("IDLE"))

    def idle(self, seconds: float, *, enough: Callable[[], bool]) -> None:
        """Wait until the server tells of new mail, `seconds` have passed, or `enough()` (asked each second) is true.

        Only a hint, so a look must follow.  Raises Lost if the line died meanwhile.
        """
        end = time.monotonic() + seconds
        with self._within(STEP_SECONDS, "beginning to wait"):
            self._client.idle()
            told = self._told_since_the_search() or self._holds_words()
        while not told and time.monotonic() < end and not enough():
            with self._within(STEP_SECONDS, "waiting"):
                told = self._heard(self._words_within(ASK_EVERY))
        with self._within(STEP_SECONDS, "ending to wait"):
            self._heard(self._client.idle_done()[1])

    def _words_within(self, seconds: float) -> list[Any]:
        """What the server says of itself within `seconds`, in whole lines.

        Not imapclient's idle_check: it takes the half of a line that came so far for a broken one, and on a dead
        line it answers nothing, at once, for ever.
        """
        if not self._holds_words() and not select.select([self._client.socket()], [], [], seconds)[0]:
            return []
        words = []
        while True:
            words.append(_parse_untagged_response(self._client._imap._get_line()))
            if not self._holds_words():
                return words

    def _told_since_the_search(self) -> bool:
        """Whether the server told of mail, beside the answers to our commands, since the last search began.

        imapclient drops what comes between a command and the server's going ahead with IDLE; imaplib keeps it.
        """
        _, told = self._client._imap.response("EXISTS")
        return bool(told != [None])

    def _holds_words(self) -> bool:
        """Whether words of the server lie in our buffer already: to wait for the socket would be to sleep on."""
        sock = self._client.socket()
        sock.setblocking(False)
        try:
            return bool(self._client._imap.file.peek(1))
        except ssl.SSLWantReadError:
            return False
        finally:
            sock.settimeout(READ_SECONDS)

    def _heard(self, responses: Sequence[Any]) -> bool:
        """Keep count of the messages; True if there may be new ones.  Raises Lost when the server says good-bye."""
        news = False
        for response in responses:
            if not isinstance(response, tuple) or len(response) < 2:
                continue
            if response[0] == b"BYE":
                raise Lost(f"{self._box.host} has ended the connection: {_text(response[1])}")
            if response[1] in (b"EXISTS", b"RECENT") and isinstance(response[0], int):
                self._exists = max(self._exists, response[0])
                news = True
        return news

    def close(self) -> None:
        """Let go, without a word to a server that may not listen."""
        _let_go(self._client)

    def leave(self) -> None:
        """Log out, if that is quick."""
        with contextlib.suppress(TryLater), self._within(2.0, "logging out"):
            self._client.logout()
        self.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def _within(self, seconds: float, doing: str, *, mail: int = 0) -> Iterator[None]:
        """The one place where trouble on the wire is sorted: NotDone where the server said no, else Lost.

        When the time is over another thread shuts the socket, whatever the server drips meanwhile; no more than
        ROOM bytes are read, and `mail` besides.
        """
        self._room = ROOM + mail
        over = threading.Event()
        timer = threading.Timer(seconds, self._cut, [over])
        timer.daemon = True
        timer.start()
        try:
            self.alive()
            yield
        except TryLater:
            raise
        except (IMAP4.abort, ProtocolError, CapabilityError) as fault:
            raise self._lost(doing, fault, over) from fault
        except IMAPClientError as refused:
            said = _said(refused)
            if "got more than" in said:  # imaplib gives up in the middle of an answer
                raise self._lost(doing, refused, over) from refused
            raise NotDone(f"{self._box.host} refused, {doing}: {said}") from refused
        except RecursionError as fault:
            raise self._lost(doing, ValueError("its answer is nested too deep"), over) from fault
        except (OSError, ValueError, LookupError, TypeError, AttributeError, AssertionError) as fault:
            raise self._lost(doing, fault, over) from fault
        finally:
            timer.cancel()

    def _lost(self, doing: str, fault: Exception, over: threading.Event) -> Lost:
        why = "it took too long" if over.is_set() else _said(fault)
        return Lost(f"The connection to {self._box.host} failed, {doing}: {why}")

    def _cut(self, over: threading.Event) -> None:
        over.set()
        with contextlib.suppress(OSError):
            self._client.socket().shutdown(socket.SHUT_RDWR)


def _number(told: object) -> int:
    """A number of the server's as the store can keep it.  Raises ValueError."""
    number = int(told)  # type: ignore[call-overload]
    if not 0 <= number <= LARGEST:
        raise ValueError(f"it tells a number that no mailbox has: {one_line(str(number), 40)}")
    return int(number)


def _text_of(answer: Mapping[bytes, Any], part: bytes) -> bytes:
    """The bytes of this part of a message; none where the server gave none, or something else."""
    found = answer.get(part)
    return found if isinstance(found, bytes) else b""


def _nobody_asks() -> None:
    pass


def _connect(box: Mailbox, where: str) -> IMAPClient:
    try:
        context = None if box.security == "none" else ssl.create_default_context(cafile=box.ca_file)
        client = IMAPClient(
            box.host,
            box.port,
            ssl=box.security == "tls",
            ssl_context=context if box.security == "tls" else None,
            timeout=SocketTimeout(CONNECT_SECONDS, READ_SECONDS),
        )
    except ssl.SSLCertVerificationError as fault:
        raise Lost(f"The certificate of {where} is not trusted: {fault.verify_message}; set ca_file") from fault
    except (OSError, IMAP4.error, ValueError) as fault:
        raise Lost(f"Cannot connect to {where}: {_said(fault)}") from fault
    client.normalise_times = False  # its default is a naive local time
    _keep_alive(client.socket())
    # imapclient sends the end of a command by itself: it would wait until the server has acknowledged the beginning
    client.socket().setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if box.security == "starttls":
        try:
            client.starttls(context)
        except ssl.SSLCertVerificationError as fault:
            _let_go(client)
            raise Lost(f"The certificate of {where} is not trusted: {fault.verify_message}; set ca_file") from fault
        except (OSError, IMAP4.error, ValueError) as fault:
            _let_go(client)
            raise Lost(f"{where} will not encrypt (STARTTLS): {_said(fault)}; nothing was sent") from fault
    return client


def _let_go(client: IMAPClient) -> None:
    """Close the connection, also one that a failed handshake closed already, which imaplib calls a bad descriptor."""
    with contextlib.suppress(Exception):
        client.shutdown()


def _keep_alive(sock: socket.socket) -> None:
    """Let the system find out within two minutes that the other end is gone, and gateways see that we are there."""
    with contextlib.suppress(OSError, AttributeError):  # not every system has all of them
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 60)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 15)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 4)


def _utc(at: object) -> datetime | None:
    if not isinstance(at, datetime) or at.tzinfo is None:
        return None
    try:
        return at.astimezone(UTC)
    except (OverflowError, ValueError):
        return None


def _said(fault: BaseException) -> str:
    """The words of an error, whether it carries text, bytes or the repr of bytes."""
    if isinstance(fault, OSError) and fault.strerror:
        return one_line(fault.strerror, 300)
    words = fault.args[0] if fault.args else type(fault).__name__
    return _text(words)


def _text(words: object) -> str:
    text = words.decode("utf-8", "replace") if isinstance(words, bytes) else str(words)
    if (quoted := re.fullmatch(r"b(['\"])(.*)\1", text, re.DOTALL)) is not None:
        text = quoted[2]
    return one_line(text, 300).rstrip(".")  # a sentence of ours goes on after it


def _named_pause(said: str) -> float | None:
    """The seconds that a server which is asked too much wants to be left alone (Exchange), 15 minutes at most."""
    found = _BACKOFF.search(said)
    return min(int(found[1]) / 1000, 900.0) if found else None
