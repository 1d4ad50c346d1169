"""What the clocks of a case promise: scenarios 34 to 37."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError
from sqlmodel import col

from amends.cases.outcomes import Outcome
from amends.cases.stages import Waiting
from amends.casework import correspondence, handling, merging, moretime, policychange
from amends.casework.office import Office
from amends.kernel.errors import Refused
from amends.kernel.share import config_folder
from amends.ledger.book import Book
from amends.ledger.tables import Deadline
from amends.ledger.verify import verify
from amends.ledger.views import CaseView, DeadlineView
from amends.letters.kinds import LetterKind
from daemon.__main__ import main as amendsd
from tests.builders import AMARA, SAM
from tests.casework.test_pausing import HOUSE
from tests.deadlines.test_oracle import Question, questions, walk_and_compare
from tests.scenarios.town import Town, answer, mail
from tests.tui.desk import at, press
from tui.__main__ import main as amends
from tui.desk import Desk

EDITH = "edith@example.org"
LONDON = ZoneInfo("Europe/London")


@given(questions())
def test_scenario_34_a_date_is_the_one_that_a_walk_from_minute_to_minute_ends_at(asked: Question) -> None:
    """With calendars, zones, pauses and beginnings at random, around the days on which the clock is moved."""
    walk_and_compare(asked)


DAYS_IN_WORDS = (
    "day 0: Fri 24 May 2024",
    "days 1 to 4: Tue 28, Wed 29, Thu 30, Fri 31 May 2024",
    "day 5: Mon 03 Jun 2024, 5 working days on",
    "skipped 4 days of weekends",
    "skipped Mon 27 May 2024: Spring Bank Holiday",
    "due by the end of Mon 03 Jun 2024 (Europe/London)",
)


@pytest.mark.server("dovecot")
async def test_scenario_35_a_date_is_shown_with_the_days_that_lead_to_it_wherever_one_looks(
    town: Town, capsys: pytest.CaptureFixture[str]
) -> None:
    """Received on a Friday at 17:59, before a bank holiday; the acknowledgement is due in five working days."""
    came = datetime(2024, 5, 24, 17, 59, tzinfo=LONDON)
    town.passes(seconds=(came - town.now + timedelta(minutes=5)).total_seconds())
    town.deliver(mail(), at=came)
    with town.at_work():
        town.until_quiet()
    case = town.case_of(EDITH)
    assert case.row.received_at == came
    [owed] = [one for one in case.deadlines if one.kind == "s1_ack"]
    assert (owed.due_date, owed.derivation) == ("2024-06-03", DAYS_IN_WORDS)
    assert owed.due_at == datetime(2024, 6, 3, 23, 59, 59, tzinfo=LONDON)

    async with at(Desk(town.desk, AMARA), size=(140, 50)) as pilot:
        await press(pilot, "enter", "i")
        _stand_in_order(pilot.app.screen.query_one("#details").text, "S1ACK", "Mon 3 Jun 23:59")  # type: ignore[attr-defined]

    config = str(town.configuration())
    assert amends(["--config", config, "--as", "amara", "show", case.row.reference]) == 0
    _stand_in_order(capsys.readouterr().out, "S1ACK, due", "Mon 03 Jun 2024 23:59")
    explain = ("policy", "explain", "uk-housing-ombudsman-2024", "--received", came.isoformat(), "--config", config)
    assert amendsd(explain) == 0
    _stand_in_order(capsys.readouterr().out, "Mon 03 Jun 2024 23:59 s1_ack")


@pytest.mark.server("dovecot")
def test_scenario_36_an_automatic_acknowledgement_is_no_answer_and_a_breach_stays_whatever_is_done_afterwards(
    town_with: Callable[..., Town], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Received on Monday, 4 March 2024: the answer is due on Wednesday, 3 April, after twenty working days."""
    monkeypatch.setattr("daemon.clock.duty._LOOK_EVERY", 0.05)
    town = town_with(policy={"pack": "iso-10002"})
    with town.at_work():
        town.deliver(mail())
        town.until_quiet()
        first = {one.kind: one for one in town.case_of(EDITH).deadlines}
        assert first["ack"].state == "met"
        assert first["ack"].met_at is not None
        assert (first["response"].state, first["response"].due_date) == ("open", "2024-04-03")

        town.passes(days=31)  # Thursday, 4 April
        town.until_the_clock_rests()
    case = town.case_of(EDITH)
    due_at = datetime(2024, 4, 3, 23, 59, 59, tzinfo=LONDON)
    assert _breaches(town)["response", 1] == due_at
    town.prove_whole()

    for deed in _everything_that_could_hide_it(town, case):
        deed()
        assert _breaches(town)["response", 1] == due_at, deed
        town.prove_whole()

    for number, doctored in enumerate(
        (
            "UPDATE deadlines SET breached_at = NULL",
            "UPDATE deadlines SET breached_at = NULL, state = 'met', met_at = due_at",
            "UPDATE deadlines SET due_at = '2024-12-31 00:00:00.000000' WHERE kind = 'response'",
            "DELETE FROM deadlines WHERE kind = 'response'",
        )
    ):
        assert not verify(_copy_of(town, tmp_path / f"{number}.db", doctored)).intact, doctored
    with pytest.raises(DBAPIError):
        _copy_of(town, tmp_path / "ledger.db", "DELETE FROM events WHERE kind = 'deadline-breached'")


def _breaches(town: Town) -> dict[tuple[str, int], datetime | None]:
    """What the row of the first case has as breached, if the ledger says the same and takes nothing back."""
    case = town.cases()[0]
    told = {(e.data["deadline"], e.data["occurrence"]) for e in case.events if e.kind == "deadline-breached"}
    assert not [event for event in case.events if event.kind == "deadline-breach-corrected"]
    with town.desk.book.read() as session:
        rows = session.scalars(select(Deadline).where(col(Deadline.case_id) == case.row.id)).all()
        found = {(one.kind, one.occurrence): one.breached_at for one in rows if one.breached_at is not None}
        assert all(one.state in ("breached", "paused") for one in rows if one.breached_at is not None)
    assert set(found) == told
    return found


def _everything_that_could_hide_it(town: Town, case: CaseView) -> Iterator[Callable[[], object]]:
    """What a handler, a supervisor, an operator may do, each after the one before."""

    def refused(verb: Callable[..., object], *words: object, **more: object) -> None:
        with suppress(Refused):  # what is not allowed hides nothing either
            town.do(verb, case, *words, actor=SAM, **more)

    def at_work(*deeds: Callable[[], object]) -> None:
        with town.at_work():
            for deed in deeds:
                deed()
            town.until_quiet()
            town.until_the_clock_rests()

    yield lambda: refused(moretime.extend, "response", date(2024, 4, 30), "the engineer is ill")
    yield lambda: refused(moretime.pause, "response", "we wait for her photographs")
    yield lambda: refused(handling.wait, Waiting.COMPLAINANT, "her photographs")
    yield lambda: at_work(lambda: town.deliver(mail(subject="And the stairs")))
    other = town.cases()[-1]
    assert other.row.id != case.row.id
    yield lambda: town.do(merging.merge, case, other.row.id)
    yield lambda: town.do(merging.unmerge, case)
    yield lambda: town.do(handling.record_event, case, "final_response", at=datetime(2024, 3, 20, 9, tzinfo=UTC))
    yield lambda: at_work(lambda: town.respond(case))
    yield lambda: town.do(handling.close, case)
    yield lambda: town.do(handling.reopen, case, "she disagrees")
    yield lambda: policychange.apply(
        _with_longer_limits(town), "we give ourselves more time", actor=SAM, clock=town.desk.now
    )
    yield lambda: town.do(handling.close, case, outcome=Outcome.WITHDRAWN, reason="she lets it rest")


@pytest.mark.server("dovecot")
def test_scenario_37_a_clock_stands_still_by_a_reason_an_approver_and_a_letter_and_goes_on_with_the_answer(
    town_with: Callable[..., Town], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Received on Monday, 4 March 2024; the answer is due on Wednesday, 3 April, and five days are waited for her.

    The first of them is the day of receipt, which is none of the limit: its date is four working days later.
    """
    folder = tmp_path / "packs"
    folder.mkdir()
    (folder / "house.toml").write_text(HOUSE, encoding="utf-8")
    town = town_with(policy={"pack": "house", "folder": str(folder)})
    town.deliver(mail())
    with town.at_work():
        town.until_quiet()
    case = town.case_of(EDITH)
    with pytest.raises(Refused, match="needs a reason"):
        town.do(moretime.pause, case, "response", " ", actor=SAM)
    with pytest.raises(Refused, match="is a supervisor's word"):
        town.do(moretime.pause, case, "response", "Her bank statement is missing.")
    town.do(moretime.pause, case, "response", "Her bank statement is missing.", actor=SAM)
    [notice] = [one for one in town.case_of(EDITH).letters if one.kind == LetterKind.PAUSE]
    correspondence.call_back(town.desk, notice.id, actor=SAM, now=town.now)  # no letter leaves
    with town.at_work():
        town.until_quiet()
        assert _clock(town).state == "open"
        correspondence.send(town.desk, notice.id, actor=SAM, now=town.now)
        town.until_quiet()
        assert (_clock(town).state, _clock(town).pauses[0].approver) == ("paused", "sam")
        town.passes(days=5)
        told = town.letters_to(EDITH)[-1]
        assert told.header("Subject").endswith("We need an answer from you")
        assert "bank statement" in notice.body and "stands still" in notice.body
        town.deliver(answer(told, "Out of office", Auto_Submitted="auto-replied"))
        town.until_quiet()
        assert _clock(town).state == "paused"
        town.deliver(answer(told, "Here it is."))
        town.until_quiet()
    found = _clock(town)
    assert (found.state, found.paused_days, found.due_date) == ("open", 5, "2024-04-09")
    assert town.case_of(EDITH).row.waiting is None
    config = str(town.configuration())
    capsys.readouterr()  # what the daemon logged
    assert amends(["--config", config, "--as", "amara", "show", case.row.reference, "--json"]) == 0
    [shown] = [one for one in json.loads(capsys.readouterr().out)["deadlines"] if one["kind"] == "response"]
    assert (shown["paused_days"], shown["pauses"][0]["reason"]) == (5, "Her bank statement is missing.")
    town.prove_whole()


def _clock(town: Town) -> DeadlineView:
    [found] = [one for one in town.case_of(EDITH).deadlines if one.kind == "response"]
    return found


def _with_longer_limits(town: Town) -> Office:
    """The same store under a pack of the same id and version in which every limit is forty working days longer."""
    folder = town.configuration().parent / "policies"
    folder.mkdir()
    pack = (config_folder() / "policies" / "iso-10002-default.toml").read_text(encoding="utf-8")
    (folder / "iso-10002-default.toml").write_text(pack.replace("amount = 20\n", "amount = 60\n"), encoding="utf-8")
    policy = town.desk.settings.policy.model_copy(update={"folder": folder})
    return Office(town.desk.settings.model_copy(update={"policy": policy}), town.desk.book, wall=town.clock)


def _copy_of(town: Town, path: Path, statement: str) -> Book:
    """The store as it would be if somebody had changed it by hand."""
    with closing(sqlite3.connect(path)) as copy, closing(sqlite3.connect(town.desk.book.path or "")) as store:
        store.backup(copy)
    book = Book(f"sqlite:///{path}")
    with book.engine.begin() as connection:
        connection.execute(text(statement))
    return book


def _stand_in_order(text: str, *heading: str) -> None:
    """On one page, whatever its width: the heading, then each step."""
    page, found = " ".join(text.split()), 0
    for words in (*heading, *DAYS_IN_WORDS):
        assert words in page[found:], f"{words!r} is not (or not here) in: {page}"
        found = page.index(words, found) + len(words)


@pytest.fixture
def town(town_with) -> Town:  # type: ignore[no-untyped-def]
    """A landlord in England."""
    landlord: Town = town_with(policy={"pack": "uk-housing-ombudsman-2024"})
    return landlord
