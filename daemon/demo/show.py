"""`amendsd demo`: mail server, weeks gone by, daemon, cast and, with --open, the handlers' screen.

The daemon and the screen are real: child processes with the configuration that stands in the folder.
"""

from __future__ import annotations

import getpass
import logging
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from types import FrameType
from typing import IO, TYPE_CHECKING, Final

from amends.config import load
from amends.kernel.errors import ConfigError

if TYPE_CHECKING:  # these need the extra `demo`, whose absence gets a sentence and not a traceback
    from daemon.demo.cast import Cast
    from daemon.demo.configuration import Wiring
    from daemon.demo.mailserver import MailServer

SPEED: Final = 1440.0
"""A day goes by in a minute: deadlines of weeks move visibly while somebody looks on for ten minutes."""
EVERY: Final = 6.0
"""Seconds between two mails, after the first few."""
_DAEMON_ENDS_WITHIN: Final = 15.0  # seconds; it promises ten

log = logging.getLogger("amendsd.demo")


@dataclass(frozen=True, slots=True)
class Options:
    """What somebody may choose about a demonstration; a port of 0 takes a free one."""

    folder: Path | None = None
    speed: float = SPEED
    every: float = EVERY
    open_screen: bool = False
    imap_port: int = 0
    smtp_port: int = 0


def show(options: Options, *, say: Callable[[str], None]) -> int:
    """Run a demonstration until it is interrupted or its screen is left; `say` prints one line.

    Returns the exit status: 0, or 1 if the daemon or the cast failed.  Raises ConfigError for what cannot be started:
    a missing extra, a folder in use, a taken port.
    """
    _require_extra()
    for name in [name for name in os.environ if name.startswith("AMENDS_")]:
        del os.environ[name]  # a setting of the real house must not reach the demonstration, nor the other way about
    screen = options.open_screen
    if screen and not all(stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr)):
        say("--open needs a terminal, and this is none; the demonstration runs without the screen.")
        screen = False
    stop = threading.Event()
    with ExitStack() as closing:
        closing.enter_context(_signals(stop))
        folder = closing.enter_context(_folder(options.folder))
        journal = closing.enter_context((folder / "amendsd.log").open("a", encoding="utf-8")) if screen else None
        if journal is not None:  # nothing of ours may write into the screen
            closing.enter_context(_narrate_into(journal))
        return _Show(options, folder, stop, journal, say).run()


class _Show:
    def __init__(
        self,
        options: Options,
        folder: Path,
        stop: threading.Event,
        journal: IO[str] | None,
        say: Callable[[str], None],
    ) -> None:
        self._options = options
        self._folder = folder
        self._stop = stop
        self._journal = journal
        self._say = say

    def run(self) -> int:
        from daemon.demo.cast import Cast, read_script
        from daemon.demo.configuration import ADDRESS, USERNAME, Wiring, login_of, write_configuration
        from daemon.demo.earlier import still_open
        from daemon.demo.mailserver import MailServer

        options, script, password = self._options, read_script(), secrets.token_urlsafe(16)
        letters = self._folder / "letters"
        letters.mkdir()
        server = MailServer(
            address=ADDRESS,
            username=USERNAME,
            password=password,
            imap_port=options.imap_port,
            smtp_port=options.smtp_port,
            nobody=script.nobody,
            keep=_Pile(letters).add,
        )
        with ExitStack() as closing:
            try:
                closing.enter_context(server)
            except OSError as fault:
                raise ConfigError(
                    f"The demonstration's mail server cannot listen: {fault.strerror}; "
                    "leave out --imap-port and --smtp-port to take free ports"
                ) from fault
            wiring = Wiring(server.imap_port, server.smtp_port, password, options.speed, _user())
            config = write_configuration(self._folder, wiring)
            self._play_earlier(config, server)
            daemon = closing.enter_context(self._child("daemon", "run", "--config", str(config)))
            self._introduce(config, wiring)
            cast = Cast(
                script,
                server.hands,
                smtp_port=server.smtp_port,
                to=ADDRESS,
                every=options.every,
                tell=self._tell,
                neighbours=still_open(),
            )
            closing.callback(cast.stop)
            cast.start()
            if self._journal is not None:
                screen = self._watch_screen(config, login_of(wiring.user))
            else:
                screen = self._watch(daemon)
            return self._verdict(daemon, cast) or screen

    def _play_earlier(self, config: Path, server: MailServer) -> None:
        from amends.casework.office import open_office
        from amends.ledger.schema import migrate
        from daemon.demo.earlier import play_earlier

        office = open_office(load(config))
        migrate(office.book)
        play_earlier(office, deliver=server.hands.put, now=office.now())
        office.book.close()

    def _introduce(self, config: Path, wiring: Wiring) -> None:
        from daemon.demo.configuration import login_of

        if self._journal is not None:
            return
        minutes = 1440 / wiring.speed
        length = f"{minutes * 60:.3g} s" if minutes < 1 else "a minute" if minutes == 1 else f"{minutes:.3g} minutes"
        pace = f"a day goes by in {length}"
        self._say(
            f"Northwind Homes is open, and {pace}.\n"
            f"  folder   {self._folder}  (letters sent: letters/)\n"
            f"  IMAP     127.0.0.1:{wiring.imap_port}   SMTP 127.0.0.1:{wiring.smtp_port}\n"
            f"  screen   amends --config {config} --as {login_of(wiring.user)}\n"
            f"  status   amendsd status --config {config}\n"
            "Ctrl-C ends the demonstration."
        )

    def _tell(self, line: str) -> None:
        if self._journal is None:
            self._say(line)
        else:
            log.info(line)

    @contextmanager
    def _child(self, module: str, *arguments: str, foreground: bool = False) -> Iterator[subprocess.Popen[bytes]]:
        """A child process of ours, ended when the block is left."""
        child = subprocess.Popen(  # noqa: S603  our own interpreter and modules
            [sys.executable, "-P", "-m", module, *arguments],  # -P: a folder `daemon` right here is not ours
            env=_environment(self._folder),
            stdin=None if foreground else subprocess.DEVNULL,
            stdout=None if foreground else self._journal,
            stderr=None if foreground else self._journal,
            # Ctrl-C reaches a whole foreground group; the daemon is to end after the cast, by our SIGTERM
            start_new_session=not foreground,
        )
        try:
            yield child
        finally:
            if child.poll() is None:
                child.terminate()
                try:
                    child.wait(timeout=_DAEMON_ENDS_WITHIN)
                except subprocess.TimeoutExpired:
                    log.error("%s did not end within %g s and was killed", module, _DAEMON_ENDS_WITHIN)
                    child.kill()
                    child.wait()

    def _watch(self, daemon: subprocess.Popen[bytes]) -> int:
        """Until somebody says stop, or the daemon has ended."""
        while not self._stop.wait(timeout=0.5):
            if daemon.poll() is not None:
                break
        return 0

    def _watch_screen(self, config: Path, login: str) -> int:
        """Until the screen has been left or somebody says stop; 1 if it fell."""
        with self._child("tui", "--config", str(config), "--as", login, foreground=True) as screen:
            while not self._stop.is_set() and screen.poll() is None:
                try:
                    screen.wait(timeout=0.5)
                except subprocess.TimeoutExpired:
                    continue
        if screen.returncode > 0:
            self._say(f"The screen ended with status {screen.returncode}; what it said stands above.")
            return 1
        return 0

    def _verdict(self, daemon: subprocess.Popen[bytes], cast: Cast) -> int:
        where = "above" if self._journal is None else f"in {self._folder / 'amendsd.log'}"
        if (status := daemon.poll()) is not None:
            self._say(f"The daemon ended by itself with status {status}; its last words are {where}.")
            return 1
        if cast.failed is not None:
            self._say(f"The cast fell silent, its mail was not taken: {cast.failed}")
            return 1
        return 0


class _Pile:
    """The letters that went out, as files to look at: 001-margaret.holloway@postbox.example.eml."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._number = 0

    def add(self, address: str, letter: bytes) -> None:
        self._number += 1
        name = "".join(c if c.isalnum() or c in "@.-_" else "_" for c in address)
        (self._folder / f"{self._number:03}-{name[:80]}.eml").write_bytes(letter)


def _user() -> str:
    """Who starts it, by the operating system's name; empty where that knows none (a container's bare number)."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""


def _require_extra() -> None:
    missing = [name for name in ("aiosmtpd", "pymap") if find_spec(name) is None]
    if missing:
        raise ConfigError(
            f"The demonstration needs {' and '.join(missing)} of the extra 'demo'; run: pip install 'amends[demo]'"
        )


@contextmanager
def _folder(given: Path | None) -> Iterator[Path]:
    """The folder of the demonstration: `given`, which is kept, or a new one that is removed at the end."""
    if given is None:
        folder = Path(tempfile.mkdtemp(prefix="amends-demo-"))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        return
    try:
        given.mkdir(mode=0o700, parents=True, exist_ok=True)
        in_use = any(given.iterdir())
    except OSError as fault:
        raise ConfigError(f"{given}: cannot be used for a demonstration: {fault.strerror}") from fault
    if in_use:
        raise ConfigError(f"{given} is not empty; a demonstration wants a new or an empty folder")
    yield given.resolve()


@contextmanager
def _signals(stop: threading.Event) -> Iterator[None]:
    """SIGINT, SIGTERM and SIGHUP set `stop`: everything is then ended in order, and the folder removed."""

    def end(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _narrate_into(journal: IO[str]) -> Iterator[None]:
    """Send this process's log and its standard error to `journal` while the screen has the terminal."""
    handler = logging.StreamHandler(journal)
    handler.setFormatter(logging.Formatter("%(asctime)s %(name)s: %(message)s"))
    root, ours = logging.getLogger(), logging.getLogger("amendsd.demo")
    stderr, level = sys.stderr, ours.level
    root.addHandler(handler)
    ours.setLevel(logging.INFO)
    sys.stderr = journal
    try:
        yield
    finally:
        sys.stderr = stderr
        ours.setLevel(level)
        root.removeHandler(handler)


def _environment(folder: Path) -> Mapping[str, str]:
    """Our environment; from a checkout the children find the same packages that we run.

    What a screen remembers for its handler stays in `folder`: it is none of their own desk's.
    """
    environment = os.environ | {"XDG_STATE_HOME": str(folder / "state")}
    found = find_spec("daemon")
    home = Path(found.origin).parent.parent if found is not None and found.origin is not None else None
    if home is not None and not {"site-packages", "dist-packages"} & set(home.parts):
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, (str(home), environment.get("PYTHONPATH", ""))))
    return environment
