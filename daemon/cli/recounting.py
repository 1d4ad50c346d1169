"""`amendsd policy changes`, `amendsd policy apply` and `amendsd policy check-deadlines`."""

from __future__ import annotations

import getpass
from datetime import date

from amends.casework import policychange
from amends.casework.actors import SYSTEM, Actor
from amends.casework.office import Office
from amends.casework.policychange import Applied
from amends.casework.recomputing import Difference, Sum, look_through, open_cases
from amends.config import Settings
from amends.deadlines.recount import ALARMING, OF_A_CHANGE, Sort
from amends.deadlines.words import a_day, counted
from amends.kernel.errors import Refused
from amends.kernel.instants import iso
from amends.kernel.text import clean
from amends.ledger.schema import require_current
from daemon.cli import say
from daemon.cli.progress import Progress

_SHOWN_AS_CHANGES = frozenset({*OF_A_CHANGE, Sort.STANDS})


def changes(office: Office, *, as_json: bool) -> int:
    """What applying the calendar and the packs of now would move; reads only."""
    require_current(office.book)
    total = _tell(office, _SHOWN_AS_CHANGES - {Sort.WORDS}, as_json=as_json)
    if as_json:
        return 0
    say.line(_summary(total))
    if damaged := total.count(set(ALARMING) - set(OF_A_CHANGE)):
        say.line(f"{counted(damaged, 'others')} do not fit what is stored: amendsd policy check-deadlines names them.")
    if total.count(OF_A_CHANGE):
        say.line("Nothing was changed; amendsd policy apply --reason WHY does it.")
    return 0


def check_deadlines(office: Office, *, as_json: bool) -> int:
    """Count every open deadline again.  Exit status 1 if one is not what it should be; reads only."""
    require_current(office.book)
    total = _tell(office, frozenset(Sort), as_json=as_json)
    if not as_json:
        say.line(_summary(total))
        if total.differences > total.of_sort[Sort.PASSED]:
            say.line("amendsd policy apply --reason WHY mends what can be mended.")
        if total.of_sort[Sort.PASSED]:
            say.line("What has passed is the clock's to record: look at amendsd status, is a daemon at work?")
    return 1 if total.count(ALARMING) else 0


def _tell(office: Office, sorts: frozenset[Sort], *, as_json: bool) -> Sum:
    """Say each difference of these sorts as it is found; with JSON an object a line, and the sum of all last."""
    total, cases = Sum(), open_cases(office)
    with Progress(cases) as progress:
        for looked in look_through(office, clock=office.now):
            total.add(looked)
            progress.hide()
            for one in (found.difference for found in looked.found):
                if one.sort in sorts:
                    _say(one, as_json=as_json)
            progress.show(total.cases, _of_all(total.cases, cases))
    if as_json:
        say.record({"summary": total.as_json()})
    return total


def _of_all(done: int, cases: int) -> str:
    return f"{done:,} of {_number(max(done, cases), 'open cases')}"


def _say(one: Difference, *, as_json: bool) -> None:
    if as_json:
        say.record(one.as_json())
    else:
        say.line(_line(one))


def _line(one: Difference) -> str:
    which = one.deadline + (f" {one.occurrence}" if one.occurrence > 1 else "")
    which += f" ({one.pack})" if one.pack else ""
    return say.harmless(f"{one.reference}  {which or 'case'}: {_what(one)}; {one.why}")


def _what(one: Difference) -> str:
    before, after = _when(one.due_date, one), _when(one.new_date, one)
    match one.sort:
        case Sort.MOVES:
            how = "earlier" if one.earlier else "later"
            words = f"{before} becomes {after}, {how}" if before != after else f"another instant of {after}"
            words += ", and would be missed at once" if one.missed else ""
            return words + (", the complainant was told the day before" if one.told and before != after else "")
        case Sort.MISSING:
            return f"would start, due {after}" + (", and be missed at once" if one.missed else "")
        case Sort.STANDS:
            return f"{before} stands"
        case Sort.PLAN:
            return f"{before} stays, but not its warnings and letters"
        case Sort.WORDS:
            return f"{before} stays, in other words"
        case Sort.PASSED:
            return f"{before} was missed"
        case Sort.BROKEN:
            return f"{before} is damaged" if before else "is damaged"
        case Sort.NEXT:
            said = "nothing" if one.due_at is None else iso(one.due_at)
            return f"says {said}, and {'nothing' if one.new_at is None else iso(one.new_at)} is next"


def _when(day: str, one: Difference) -> str:
    return a_day(date.fromisoformat(day)) if day else ""


def _summary(total: Sum) -> str:
    words = f"{_number(total.cases, 'open cases')}, {_number(total.deadlines, 'deadlines')}: "
    if not total.differences and not total.stands:
        return f"{words}all are what they should be."
    told = [f"{total.moves:,} would move ({total.earlier:,} earlier, {total.later:,} later)"] if total.moves else []
    told += [f"{started:,} would start"] if (started := total.of_sort[Sort.MISSING]) else []
    told += [f"{total.missed:,} of them would be missed at once"] if total.missed else []
    told += [f"{other:,} would be changed without moving"] if (other := _unmoved(total)) else []
    told += [f"{passed:,} passed without a breach on record"] if (passed := total.of_sort[Sort.PASSED]) else []
    told += [f"{damaged:,} damaged"] if (damaged := total.count((Sort.BROKEN, Sort.NEXT))) else []
    told += [f"{total.stands:,} stand all the same"] if total.stands else []
    return f"{words}{', '.join(told)}."


def _number(amount: int, nouns: str) -> str:
    return counted(amount, nouns).replace(str(amount), f"{amount:,}", 1)


def _unmoved(total: Sum) -> int:
    return total.count((Sort.PLAN, Sort.WORDS))


def apply(office: Office, reason: str, *, login: str | None, as_json: bool) -> int:
    """Move what the calendar and the packs of now would move, a few cases in a transaction."""
    require_current(office.book)
    actor, cases = _operator(office.settings, login), open_cases(office)
    with Progress(cases) as progress:

        def tell(done: Applied) -> None:
            progress.show(done.looked_at, _of_all(done.looked_at, cases))

        done = policychange.apply(office, reason, actor=actor, clock=office.now, after_each=tell)
    if as_json:
        say.document(done.as_json())
    else:
        say.line(_done(done))
    return 0


def _done(done: Applied) -> str:
    told = [f"{counted(done.moved, 'deadlines')} moved ({done.earlier:,} earlier, {done.later:,} later)"]
    told += [f"{done.missed:,} of them to a day that has passed"] if done.missed else []
    told += [f"{done.started:,} started"] if done.started else []
    told += [f"{done.other:,} changed without moving"] if done.other else []
    return f"Change {done.change} is applied: in {counted(done.cases, 'cases')} {', '.join(told)}."


def _operator(settings: Settings, login: str | None) -> Actor:
    """Who applies it: `login`, else the user of the operating system; with the role that the configuration gives them.

    Whoever may run this command may do it; a name is wanted because it stands in the ledger for good.
    """
    login = clean((login or getpass.getuser()).strip().lower(), limit=32).text
    if not login or login == SYSTEM.login:
        raise Refused(f"'{SYSTEM.login}' is the daemon's own name in the ledger; say who you are with --as LOGIN.")
    known = next((one for one in settings.handler if one.login == login), None)
    return Actor(login, login, "operator") if known is None else Actor(login, known.name or login, known.role)
