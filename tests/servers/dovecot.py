"""A private Dovecot: Maildir, plain log-in on loopback, IDLE, MOVE, UIDPLUS; every user exists, with one password.

Nobody waits for seconds after a wrong password: all tests come from one address, and would be punished together.
"""

from __future__ import annotations

import itertools
import os
import pwd
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from imapclient import IMAPClient, SocketTimeout

from tests.servers import answers, free_port, need, self_signed, until

PASSWORD = "open-sesame"

_CONFIGURATION = """
base_dir = {folder}/run
state_dir = {folder}/run
log_path = {folder}/log
protocols = imap
listen = 127.0.0.1
instance_name = amends-{port}
default_login_user = {login_user}
default_internal_user = {internal_user}
default_internal_group = {internal_group}
mail_location = maildir:{folder}/mail/%u
mail_uid = {uid}
mail_gid = {gid}
first_valid_uid = 1
first_valid_gid = 0
mail_privileged_group =
mail_max_userip_connections = 100
disable_plaintext_auth = no
auth_mechanisms = plain login
auth_failure_delay = 0
ssl = yes
ssl_cert = <{folder}/cert.pem
ssl_key = <{folder}/key.pem
passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={folder}/mail/%u
}}
namespace inbox {{
  inbox = yes
  separator = /
}}
service imap-login {{
  {chroot}
  process_min_avail = 1
  service_count = 0
  inet_listener imap {{
    address = 127.0.0.1
    port = {port}
  }}
  inet_listener imaps {{
    address = 127.0.0.1
    port = {tls_port}
    ssl = yes
  }}
}}
service anvil {{
  chroot =
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service stats {{
  chroot =
}}
{extra}
"""


class Account:
    """One user of a Dovecot, as the tests see it from outside: deliver, look, disturb."""

    def __init__(self, server: Dovecot, username: str) -> None:
        self.server = server
        self.username = username
        self.password = PASSWORD

    def section(self, **changes: Any) -> dict[str, Any]:
        """The `[[mailbox]]` table of the configuration for this user."""
        table: dict[str, Any] = {
            "name": "complaints",
            "host": "127.0.0.1",
            "port": self.server.port,
            "security": "none",
            "username": self.username,
            "password": self.password,
        }
        return table | changes

    @contextmanager
    def client(self, folder: str | None = None) -> Iterator[IMAPClient]:
        """A logged-in client of its own, with `folder` selected."""
        client = IMAPClient("127.0.0.1", self.server.port, ssl=False, timeout=SocketTimeout(60, 180))
        try:
            client.normalise_times = False
            client.login(self.username, self.password)
            if folder is not None:
                client.select_folder(folder)
            yield client
        finally:
            client.shutdown()

    def deliver(
        self, raw: bytes, *, folder: str = "INBOX", at: datetime | None = None, flags: Sequence[bytes] = ()
    ) -> int:
        """Put one message into a folder (IMAP APPEND); its UID.  `at` becomes its INTERNALDATE."""
        with self.client() as client:
            answer = client.append(folder, raw, flags, at)
        found = re.search(rb"APPENDUID \d+ (\d+)", answer)
        assert found is not None, answer
        return int(found[1])

    def deliver_all(self, raws: Iterable[bytes], *, folder: str = "INBOX") -> None:
        """Put many messages into a folder, a hundred a command."""
        waiting = iter(raws)
        with self.client() as client:
            while some := list(itertools.islice(waiting, 100)):
                client.multiappend(folder, some)

    def uids(self, folder: str = "INBOX") -> list[int]:
        with self.client() as client:
            if not client.folder_exists(folder):
                return []
            client.select_folder(folder, readonly=True)
            return list(client.search("ALL"))

    def raws(self, folder: str = "INBOX") -> list[bytes]:
        """The bytes of all messages of a folder, in order."""
        with self.client() as client:
            if not client.folder_exists(folder):
                return []
            client.select_folder(folder, readonly=True)
            uids = client.search("ALL")
            found = client.fetch(uids, ["BODY.PEEK[]"]) if uids else {}
            return [found[uid][b"BODY[]"] for uid in uids]

    def flags(self, folder: str = "INBOX") -> dict[int, tuple[bytes, ...]]:
        with self.client() as client:
            client.select_folder(folder, readonly=True)
            uids = client.search("ALL")
            return dict(client.get_flags(uids)) if uids else {}

    def add_flags(self, uids: Sequence[int], flags: Sequence[bytes], folder: str = "INBOX") -> None:
        with self.client(folder) as client:
            client.add_flags(uids, flags)

    def remove(self, uids: Sequence[int], folder: str = "INBOX") -> None:
        """Delete messages for good, as another person's mail program would."""
        with self.client(folder) as client:
            client.delete_messages(uids)
            client.uid_expunge(uids)

    def uidvalidity(self, folder: str = "INBOX") -> int:
        with self.client() as client:
            return int(client.folder_status(folder, ["UIDVALIDITY"])[b"UIDVALIDITY"])

    def change_uidvalidity(self, folder: str = "INBOX") -> int:
        """Number the messages of a folder anew, as a server does that lost its index; the new UIDVALIDITY."""
        new = self.uidvalidity(folder) + 1000
        place = self.server.folder / "mail" / self.username
        place = place if folder == "INBOX" else place / f".{folder.replace('/', '.')}"
        for index in place.glob("dovecot.index*"):
            index.unlink()
        uidlist = place / "dovecot-uidlist"
        owner = uidlist.stat()
        uidlist.write_text(f"3 V{new} N1\n")
        os.chown(uidlist, owner.st_uid, owner.st_gid)
        assert self.uidvalidity(folder) == new
        return new


class Dovecot:
    """One server.  `start`, `stop`, `kill` (-9, with all of its children) and `restart` keep the mail and the ports."""

    def __init__(self, *, extra: str = "") -> None:
        self._program = need("dovecot")
        self.folder = Path(tempfile.mkdtemp(prefix="amends-dovecot-"))
        self.port, self.tls_port = free_port(), free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._numbers = itertools.count(1)
        self._write_configuration(extra)

    def _write_configuration(self, extra: str) -> None:
        root = os.geteuid() == 0
        me = pwd.getpwuid(os.geteuid())
        owner = pwd.getpwnam("nobody") if root else me
        self.folder.chmod(0o755)
        for part in ("run", "mail"):
            (self.folder / part).mkdir()
        os.chown(self.folder / "mail", owner.pw_uid, owner.pw_gid)
        self.ca_file, _ = self_signed(self.folder)
        text = _CONFIGURATION.format(
            folder=self.folder,
            port=self.port,
            tls_port=self.tls_port,
            login_user="dovenull" if root else me.pw_name,
            internal_user="dovecot" if root else me.pw_name,
            internal_group="dovecot" if root else os.getgid(),
            uid=owner.pw_uid,
            gid=owner.pw_gid,
            chroot="" if root else "chroot =",
            password=PASSWORD,
            extra=extra,
        )
        (self.folder / "dovecot.conf").write_text(text)

    def start(self) -> None:
        assert self._process is None, "it runs already"
        self._process = subprocess.Popen(
            [str(self._program), "-F", "-c", str(self.folder / "dovecot.conf")],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        until(lambda: answers(self.port), what=f"Dovecot to come up ({self.log()[-500:]})")

    def stop(self) -> None:
        """End it in good order; the sessions of its clients end with it."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """kill -9 the master and every child."""
        self._end(signal.SIGKILL)

    def _end(self, how: signal.Signals) -> None:
        if self._process is None:
            return
        group, self._process = self._process, None
        os.killpg(group.pid, how)
        try:
            group.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(group.pid, signal.SIGKILL)
            group.wait(10)
        until(lambda: not answers(self.port), what="the port of Dovecot to be free again")
        (self.folder / "run" / "master.pid").unlink(missing_ok=True)

    def restart(self) -> None:
        self.stop()
        self.start()

    def close(self) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def log(self) -> str:
        path = self.folder / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    def account(self, username: str | None = None) -> Account:
        """A user with an empty mailbox."""
        return Account(self, username or f"user{next(self._numbers)}")
