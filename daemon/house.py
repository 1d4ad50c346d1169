"""The daemon whole: its duties, built from the configuration and run until somebody says stop."""

from __future__ import annotations

import faulthandler
import sys
from typing import Final

import structlog

from amends.casework import duty as rows
from amends.casework.actors import missing_supervisor
from amends.casework.office import Office, open_office
from amends.config import Settings
from amends.kernel.errors import ConfigError, NeedsOperator, TryLater
from amends.kernel.refs import CaseRef
from amends.ledger import views
from amends.ledger.schema import migrate
from amends.letters import tokens
from amends.letters.kinds import LetterKind
from daemon import logs
from daemon.clock.doubt import ClockDoubt
from daemon.clock.duty import ClockDuty
from daemon.clock.selfcheck import SelfCheckDuty
from daemon.oauth.duty import TokenDuty, servers_by_oauth
from daemon.oauth.login import require
from daemon.outbox.duty import OutboxDuty
from daemon.reading.pool import ReadingPool
from daemon.supervision.bell import Bell, rung_by_signals
from daemon.supervision.duty import Duty, Wake
from daemon.supervision.owner import our_name
from daemon.supervision.supervisor import Supervisor, pause_after
from daemon.supervision.systemd import Systemd
from daemon.supervision.witness import Witness

log = structlog.get_logger()

DONE: Final = 0
FELL: Final = 1
WRONG_CONFIGURATION: Final = 2
SWITCH_SECONDS: Final = 0.002
"""How long a duty that computes may keep one waiting that has an answer from the network: 5 ms is Python's default,
which the outbox would pay at each of its steps while a backlog is filed."""


def run_house(settings: Settings, *, bell: Bell | None = None) -> int:
    """Run the daemon until SIGTERM, SIGINT or the bell: 0.  Fallen: 1.  The configuration is wrong: 2.

    A wrong configuration and a store that cannot be used are one sentence on standard error.
    """
    systemd = Systemd()
    bell = bell or Bell()
    finish_log = logs.configure()
    sys.setswitchinterval(SWITCH_SECONDS)
    if sys.__stderr__ is not None:
        faulthandler.enable(sys.__stderr__)  # SIGABRT, which the watchdog sends: all stacks, to see what hung
    try:
        with rung_by_signals(bell):
            return _run(settings, systemd, bell)
    except ConfigError as wrong:
        log.error("house.wrong-configuration", why=str(wrong))
        return WRONG_CONFIGURATION
    except NeedsOperator as fault:
        log.error("house.fell", why=str(fault))
        return FELL
    except Exception as fault:
        log.critical("house.fell", why=f"{type(fault).__name__}: {fault}", exc_info=fault)
        return FELL
    finally:
        finish_log()


def _run(settings: Settings, systemd: Systemd, bell: Bell) -> int:
    office = open_office(settings)
    pool = ReadingPool(settings)
    try:
        duties = _begin(office, pool, systemd, bell)
        if duties is None:
            return DONE
        unfinished = Supervisor(office, duties, systemd=systemd).run(bell)
    finally:
        pool.close()
        office.book.close()
    log.info("house.ended", unfinished=unfinished)
    return DONE


def _begin(office: Office, pool: ReadingPool, systemd: Systemd, bell: Bell) -> list[Duty] | None:
    """Bring the store up to date, and have the duties; None: told to stop meanwhile.

    A database that is not there yet is waited for, and so is one that goes away again before all is done.
    """
    failures = 0
    while True:
        try:
            if migrate(office.book):
                log.info("house.migrated")
            require_whole(office)
            Witness(office).check()
            return build(office, pool)
        except TryLater as away:
            failures += 1
            pause = pause_after(failures, spread=0.0)
            log.warning("house.waits-for-store", why=str(away), again_in_s=round(pause))
            systemd.status("waiting for the database")
            if bell.wait(pause):
                return None


def require_whole(office: Office) -> None:
    """Raise ConfigError now for what would otherwise stop the first case or the first letter."""
    settings = office.settings
    _ = office.pack, office.calendar, office.templates
    if settings.smtp is not None and settings.smtp.plus_addressing:
        longest = CaseRef(settings.organisation.reference_prefix, 2026, 999_999)
        for kind in LetterKind:
            # the first of its kind must fit; a later one whose name does not leaves under the plain address
            name = tokens.message_id(longest, str(kind), 1, office.key, settings.organisation.domain)
            tokens.bounce_address(name, settings.organisation.address, office.key)


def build(office: Office, pool: ReadingPool) -> list[Duty]:
    """The duties that the configuration asks for; they read mail in `pool`.

    Raises ConfigError for a password, or what a token is asked for with, that cannot be found.
    """
    settings, owner = office.settings, our_name()
    doubt = ClockDoubt(office, kept=Witness(office).keep)
    duties: list[Duty] = []
    wake: Wake = _nobody
    if settings.smtp is not None:
        outbox = OutboxDuty(office, owner=owner, in_doubt=doubt.sentence)
        duties.append(outbox)
        wake = outbox.wake
    else:
        log.warning("house.no-smtp", why="The configuration has no [smtp]: letters are written, and wait.")
    if nobody := missing_supervisor(settings, office.packs_at(office.now())):
        log.warning("house.no-supervisor", why=nobody)
    duties.append(ClockDuty(office, doubt, owner=owner, wake_outbox=wake))
    duties.append(SelfCheckDuty(office, doubt, owner=owner))
    if settings.mailbox:
        from daemon.intake.duty import ImapIntake
        from daemon.intake.reconciler import ReconcileDuty

        for box in settings.mailbox:
            require(settings, box)  # asked for again at each log-in; a missing one is said now
            duties.append(ImapIntake(office, box, pool, owner=owner, outbox=wake))
        duties.append(ReconcileDuty(office, settings.mailbox, owner=owner))
    if servers_by_oauth(settings):
        duties.append(TokenDuty(office))
    if settings.listener is not None:
        from daemon.listener.duty import ListenerDuty
        from daemon.reading.filer import Filer

        duties.append(ListenerDuty(office, settings.listener, Filer(office, pool, outbox=wake)))
    _forget_others(office, {duty.name for duty in duties})
    return duties


def _forget_others(office: Office, names: set[str]) -> None:
    """Take the rows out of the list of mailboxes that are not configured any more, and of duties that nobody needs."""
    with office.book.read() as session:
        rest = [row.name for row in views.duties(session) if row.name not in names]
    old = [name for name in rest if name.startswith("intake.") or name in (TokenDuty.name, "reconcile")]
    for name in old:
        rows.forget(office, name)


def _nobody() -> None:
    """There is no outbox to wake."""
