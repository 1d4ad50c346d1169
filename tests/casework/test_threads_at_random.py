"""Threads made up at random: complaints, answers by every evidence, machines, strangers, mergers and splits.

Whatever comes in whatever order: every mail has one fate, a case is acknowledged once and by nobody's reply again,
letters go to complainants alone, an answer to a merged case reaches the one that took it up, and the ledger is whole.
"""

from __future__ import annotations

import shutil
import tempfile
from datetime import timedelta
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, multiple, rule
from sqlalchemy import func, select
from sqlmodel import col

from amends.casework import merging
from amends.kernel.errors import NotFound, Refused
from amends.ledger.tables import Arrival, Case, Letter, Message
from amends.ledger.verify import verify
from amends.letters import tokens
from amends.mail.facts import Kind
from tests.builders import AMARA, NOW, a_mail, an_office, case_of, file_mail, id_of, post_all

OURS = "complaints@northwind.example"
PEOPLE = st.sampled_from(["edith@example.org", "bob@example.net", "carol+home@example.com"])
EVIDENCE = st.sampled_from(["token", "letter", "thread", "subject", "nothing"])


class Threads(RuleBasedStateMachine):
    """One office; `cases` are the ids of those that were opened."""

    cases = Bundle("cases")

    @initialize()
    def open_the_office(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="amends-threads-"))
        self.office = an_office(self.folder, letters={"undo_seconds": 0})
        self.now = NOW
        self.mails = 0
        self.owners: dict[int, str] = {}

    def teardown(self) -> None:
        if hasattr(self, "office"):
            assert verify(self.office.book).problems == ()
            self.office.book.close()
            shutil.rmtree(self.folder)

    def _file(self, reading):
        self.now += timedelta(minutes=7)
        self.mails += 1
        return file_mail(self.office, reading, now=self.now)

    def _survivor(self, case: int) -> int:
        with self.office.book.read() as session:
            while (into := session.get(Case, case).merged_into) is not None:
                case = into
        return case

    @rule(target=cases, sender=PEOPLE, number=st.integers(0, 99))
    def complain(self, sender, number):
        filed = self._file(a_mail(sender=sender, subject=f"Matter {number}", text=f"It is about {number}."))
        assert filed.state == "filed"
        case = id_of(self.office, filed.reference)
        self.owners[case] = sender
        return case

    @rule(target=cases, case=cases, sender=PEOPLE, evidence=EVIDENCE, kind=st.sampled_from(list(Kind)))
    def answer(self, case, sender, evidence, kind):
        """Somebody or something answers, with that proof that it belongs to the case."""
        seen = case_of(self.office, case)
        reference = seen.row.reference
        proof = {
            "token": {"to": (tokens.plus_address(reference, OURS, key=self.office.key),)},
            "letter": {
                "in_reply_to": next((one.message_id for one in seen.letters if one.message_id), "none@x.example")
            },
            "thread": {"in_reply_to": next((one.message_id for one in seen.messages), "none@x.example")},
            "subject": {"subject": f"Re: {reference}"},
            "nothing": {},
        }[evidence]
        if kind is Kind.BOUNCE:
            proof |= {"permanent_failure": True, "gave_up": True}
        if kind is Kind.OWN:
            sender = OURS
        before = self._letters()
        filed = self._file(a_mail(sender=sender, text=f"An answer, {self.mails}.", kind=kind, **proof))
        if kind is not Kind.PERSON:
            assert self._letters() == before, "a machine was answered"
        there = self._survivor(case)
        if evidence in ("token", "letter") and kind is Kind.PERSON and sender == self.owners[there]:
            assert filed.state == "held" or id_of(self.office, filed.reference) == there
        if filed.reference is None or (new := id_of(self.office, filed.reference)) in self.owners:
            return multiple()
        self.owners[new] = sender
        return new

    @rule(case=consumes(cases), into=cases)
    def merge(self, case, into):
        try:
            merging.merge(self.office, case, into, different_people=True, actor=AMARA, now=self.now)
        except Refused:
            return

    @rule(case=cases)
    def unmerge(self, case):
        try:
            merging.unmerge(self.office, case, actor=AMARA, now=self.now)
        except Refused:
            return

    @rule(target=cases, case=cases, which=st.integers(0, 9), hold=st.booleans())
    def split(self, case, which, hold):
        messages = [one for one in case_of(self.office, case).messages if one.direction == "in"]
        if not messages:
            return multiple()
        one = messages[which % len(messages)]
        try:
            reference = merging.split(self.office, case, one.id, hold=hold, actor=AMARA, now=self.now)
        except (Refused, NotFound):
            return multiple()
        if reference is None:
            return multiple()
        new = id_of(self.office, reference)
        self.owners[new] = case_of(self.office, new).row.complainant_address
        return new

    @rule()
    def post(self):
        gone = post_all(self.office, now=self.now)
        assert {one.to for one in gone} <= set(self.owners.values())

    def _letters(self) -> int:
        with self.office.book.read() as session:
            statement = select(func.count()).where(col(Letter.automatic).is_(True), col(Letter.staff).is_(False))
            return session.execute(statement).scalar() or 0

    @invariant()
    def every_mail_has_one_fate(self):
        if not hasattr(self, "office"):
            return
        with self.office.book.read() as session:
            states = list(session.execute(select(col(Arrival.state))).scalars())
            assert len(states) == self.mails and set(states) <= {"filed", "held", "quarantined"}, states
            incoming = list(
                session.execute(select(col(Message.raw_id)).where(col(Message.direction) == "in")).scalars()
            )
            assert len(incoming) == len(set(incoming)), "one mail lies on two cases"
            acks = select(col(Letter.case_id)).where(
                col(Letter.kind) == "acknowledgement", col(Letter.staff).is_(False)
            )
            cases = list(session.execute(acks).scalars())
            assert len(cases) == len(set(cases)), "a case was acknowledged twice"


TestThreads = Threads.TestCase
TestThreads.settings = settings(
    max_examples=max(4, settings().max_examples // 15), stateful_step_count=14, deadline=None
)
