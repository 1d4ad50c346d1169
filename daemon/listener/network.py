"""The listener's network: one thread with an event loop, all its sockets and all its sessions."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import structlog

from amends.casework.office import Office
from amends.config import Listener, is_loopback, listening_at
from amends.kernel.errors import NeedsOperator
from daemon.listener.envelope import Recipients
from daemon.listener.keeper import Keeper
from daemon.listener.places import UnixPlace
from daemon.listener.session import CLOSING, LmtpSession, Room, Session, SmtpSession, listens_to
from daemon.listener.tls import Certificate

log = structlog.get_logger()

GRACE: Final = 5.0
"""Seconds that a message on its way has to arrive and be answered when the daemon ends."""
_ANSWER: Final = 15.0
_START: Final = 30.0
_BACKLOG: Final = 100


class Network:
    """Listens while the `with` block lasts.  `on_stored` is called, in a thread of ours, after each commit.

    Entering it raises NeedsOperator when an address cannot be listened on or a certificate cannot be used.
    """

    def __init__(self, office: Office, listener: Listener, *, on_stored: Callable[[], None]) -> None:
        self._office = office
        self._listener = listener
        self._on_stored = on_stored
        self._ending: asyncio.Event | None = None
        self._thread = threading.Thread(target=self._run, name="listener-network", daemon=True)
        self._up: Future[asyncio.AbstractEventLoop] = Future()

    def __enter__(self) -> Self:
        # aiosmtpd logs every command with what complainants are called, and in debug their words.
        logging.getLogger("mail.log").setLevel(logging.ERROR)
        organisation = self._office.settings.organisation
        self._keeper = Keeper(self._office, self._on_stored)
        self._room = Room(
            self._keeper,
            Recipients(organisation.own_addresses),
            hostname=organisation.domain,
            now=self._office.now,
            max_octets=self._listener.max_megabytes * 2**20,
            max_connections=self._listener.max_connections,
            max_recipients=self._listener.max_recipients,
            timeout=self._listener.timeout_seconds,
        )
        try:
            self._thread.start()
            self._loop = self._up.result(_START)
        except BaseException:
            self._keeper.close(0)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Listen no more, let messages on their way arrive, say goodbye."""
        if self._thread.is_alive() and self._ending is not None:
            self._loop.call_soon_threadsafe(self._ending.set)
            self._thread.join(GRACE + 2)
        self._keeper.close(1)

    def look(self) -> dict[str, Any]:
        """Figures for the duty's row; raises RuntimeError when the thread does not answer."""
        if not self._thread.is_alive():
            raise RuntimeError("the listener's network thread has ended")
        try:
            return asyncio.run_coroutine_threadsafe(self._figures(), self._loop).result(_ANSWER)
        except TimeoutError as hung:
            raise RuntimeError(f"the listener's network thread did not answer for {_ANSWER:.0f} s") from hung

    async def _figures(self) -> dict[str, Any]:
        room = self._room
        return {"connections": len(room.sessions), "kept": room.kept, "refused": room.refused}

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except Exception as fault:  # told to the duty: by its start, or by its next look
            if self._up.done():
                log.error("listener.network-fell", exc_info=fault)
            else:
                self._up.set_exception(fault)

    async def _serve(self) -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(_not_retrieved)
        self._ending = asyncio.Event()
        with ExitStack() as places:
            servers = await self._listen(places)
            self._up.set_result(loop)
            await self._ending.wait()
            for server in servers:
                server.close()
            await self._say_goodbye()

    async def _listen(self, places: ExitStack) -> list[asyncio.Server]:
        """Take all addresses, or none."""
        servers: list[asyncio.Server] = []
        try:
            for key, at, make in self._doors():
                servers.append(await self._open(places, key, at, make))
        except BaseException:
            for server in servers:
                server.close()
            raise
        return servers

    def _doors(self) -> list[tuple[str, Path | tuple[str, int], Callable[[], Session]]]:
        doors: list[tuple[str, Path | tuple[str, int], Callable[[], Session]]] = []
        if self._listener.lmtp:
            doors.append(("lmtp", listening_at(self._listener.lmtp), partial(LmtpSession, self._room)))
        if self._listener.smtp:
            at = listening_at(self._listener.smtp)
            doors.append(("smtp", at, self._smtp_session(demand_tls=isinstance(at, tuple) and not is_loopback(at[0]))))
        return doors

    def _smtp_session(self, *, demand_tls: bool) -> Callable[[], Session]:
        files = self._listener.certificate, self._listener.key
        if files[0] is None or files[1] is None:
            return partial(SmtpSession, self._room)
        path = self._office.settings.path
        certificate = Certificate(path(files[0]), path(files[1]))
        return lambda: SmtpSession(self._room, tls=certificate.context(), demand_tls=demand_tls)

    async def _open(
        self, places: ExitStack, key: str, at: Path | tuple[str, int], make: Callable[[], Session]
    ) -> asyncio.Server:
        factory = listens_to(self._room, make)
        loop = asyncio.get_running_loop()
        if isinstance(at, Path):
            place = places.enter_context(UnixPlace(self._office.settings.path(at).absolute(), key=f"listener.{key}"))
            server = await loop.create_unix_server(factory, sock=place.socket, backlog=_BACKLOG)
        else:
            try:
                server = await loop.create_server(factory, *at, backlog=_BACKLOG)
            except OSError as fault:
                why = os.strerror(fault.errno) if fault.errno and fault.errno > 0 else str(fault)
                raise NeedsOperator(f"listener.{key}: cannot listen on {at[0]} port {at[1]}: {why}.") from fault
        log.info("listener.open", by=key, at=str(at) if isinstance(at, Path) else f"{at[0]}:{at[1]}")
        return server

    async def _say_goodbye(self) -> None:
        """421 to who is idle, at once; to who hands a message over, when it was answered or the grace is over."""
        room = self._room
        room.stopping = True
        for session in list(room.sessions):
            if not session.receiving:
                session.leave(CLOSING)
        until = asyncio.get_running_loop().time() + GRACE
        while room.sessions and asyncio.get_running_loop().time() < until:
            await asyncio.sleep(0.02)
        for session in list(room.sessions):
            session.leave(CLOSING)
        await asyncio.sleep(0)
        await asyncio.sleep(0)


def _not_retrieved(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """What asyncio found in a task or a transport that nobody waits for; a client that went away is no news."""
    fault = context.get("exception")
    if not isinstance(fault, ConnectionError | TimeoutError):
        log.error("listener.fault", why=context.get("message"), exc_info=fault)
