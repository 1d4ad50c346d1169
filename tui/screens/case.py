"""One case: what was written, what is owed and by when, and everything that can be done about it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar

from textual.binding import BindingType
from textual.containers import Horizontal
from textual.widget import Widget

from amends.cases.stages import Stage
from amends.kernel.errors import AmendsError, NotFound
from amends.ledger.shapes import CaseView, MessageView, QueueRow
from amends.letters.kinds import LetterKind
from amends.mail.facts import Kind
from tui import frame, keys, thread
from tui.pulse import News
from tui.screens.clocking import ClockVerbs
from tui.signs import Bounds, size
from tui.widgets.bar import Bar, Part
from tui.widgets.lineview import LineView, Sheet
from tui.words import Line, name, prose


class CaseScreen(ClockVerbs):
    """Opened on the newest thing; what was unread is unfolded, then counts as read."""

    PLACE = "case"
    BINDINGS: ClassVar[list[BindingType]] = keys.bindings("case")
    DEFAULT_CSS = """
    CaseScreen #details { display: none; }
    CaseScreen.-details #details { display: block; }
    CaseScreen.-details #thread { display: none; }
    CaseScreen.-details.-wide #thread { display: block; }
    CaseScreen.-wide #details { width: 52; border-left: vkey $am-bar-ground; padding: 0 0 0 1; }
    CaseScreen #banner { display: none; }
    CaseScreen.-banner #banner { display: block; }
    """

    def __init__(self, case_id: int, among: Sequence[int] = ()) -> None:
        super().__init__()
        self.case_id = case_id
        self._among = among
        self.case: CaseView | None = None
        self._at: Bounds | None = None
        self.current = 0
        self._unfolded: set[int] = set()
        self._quotes = False
        self._details: bool | None = None
        self._news = ""
        self._blocked: str | None = None
        self._follow = False
        self._unread: frozenset[int] = frozenset()

    def content(self) -> Iterator[Widget]:
        yield Bar(id="clocks")
        yield Bar(id="banner")
        with Horizontal():
            yield LineView(id="thread")
            yield LineView(id="details")

    def on_mount(self) -> None:
        self.query_one("#thread", LineView).focus()
        self._read(whole=True)

    def _read(self, *, whole: bool) -> None:
        """`whole`: the case is opened now; else it is only looked at again, and nothing moves."""
        case_id = self.case_id
        work = (lambda: self.desk.read_case(case_id)) if whole else (lambda: self.desk.case(case_id))
        self.ask("case", work, self._opened if whole else self._again, opens=whole)

    def _opened(self, found: tuple[CaseView, Bounds]) -> None:
        self.case, self._at = found
        listed = thread.entries(self.case)
        self.current = max(0, len(listed) - 1)
        inward = [
            n
            for n, entry in enumerate(listed)
            if isinstance(entry.thing, MessageView) and entry.thing.direction == "in"
        ]
        unread = [n for n, entry in enumerate(listed) if entry.unread]
        if unread or inward:
            self.current = unread[0] if unread else inward[-1]
        self._unfolded = {self.current, *unread}
        self._unread = frozenset(one.id for one in self.case.messages if not one.read)
        self._news = ""
        self._draw()
        self.query_one("#thread", LineView).reveal(self.current)
        self._look_whether_blocked(self.case)
        self.house.hurry()

    def _again(self, found: tuple[CaseView, Bounds]) -> None:
        before = self.case
        self.case, self._at = found
        self._unread |= {one.id for one in self.case.messages if one.direction == "in" and not one.read}
        if before is not None:
            fresh = len([1 for one in self.case.messages if one.direction == "in"]) - len(
                [1 for one in before.messages if one.direction == "in"]
            )
            if fresh > 0 and self.case.row.unread:
                self._news = "New mail has come in on this case. Press . to read it."
        grown = before is not None and len(thread.entries(self.case)) > len(thread.entries(before))
        follow, self._follow = self._follow and grown, False
        if follow:
            self.current = len(thread.entries(self.case)) - 1
            self._unfolded.add(self.current)
        self._draw()
        self._look_whether_blocked(self.case)
        if follow:
            self.query_one("#thread", LineView).reveal(self.current)

    def _look_whether_blocked(self, case: CaseView) -> None:
        address = case.row.complainant_address

        def known(because: str | None) -> None:
            if because != self._blocked:
                self._blocked = because
                self._draw()

        self.ask("blocked", lambda: self.desk.why_blocked(address), known)

    # Drawing

    def _draw(self) -> None:
        case, at = self.case, self._at
        if case is None or at is None:
            return
        row, wide = case.row, self.size.width >= frame.WIDE
        left = [
            Part(f" {row.reference} ", "strong"),
            Part(f" {name(row.complainant_name) or name(row.complainant_address)}", "strong"),
            Part(f"  {prose(row.subject)}", "muted"),
        ]
        right = []
        if row.vulnerable:
            right.append(Part("  V particular care" if wide else "  V", "warn"))
        if row.waiting:
            right.append(Part(f"  waits {row.waiting}", "waiting", "wait"))
        right.append(Part(f"  {thread.stage_words(case, at, self.desk.actor.login)}", "accent", "stage"))
        right.append(Part(f"  {name(row.handler) if row.handler else 'nobody'} ", "text", "assign"))
        self.show_title(left, right)
        self.bar("clocks").show([Part(words, role, "details") for words, role in thread.clocks(case, at)])
        banner = self._news or self._banner(case)
        self.set_class(bool(banner), "-banner")
        self.bar("banner").show([Part(f" {banner}", "warn", "fresh" if self._news else "")])
        shown = wide if self._details is None else self._details
        self.set_class(shown, "-details")
        self.query_one("#thread", LineView).show(self._page, top=False)
        if shown:
            self.query_one("#details", LineView).show(lambda width: thread.details(case, at, width), top=False)

    def _page(self, width: int) -> Sheet:
        if self.case is None or self._at is None:
            return Sheet()
        return thread.page(
            self.case,
            self._at,
            width,
            unfolded=frozenset(self._unfolded),
            current=self.current,
            quotes=self._quotes,
            unread=self._unread,
        )

    def _banner(self, case: CaseView) -> str:
        if case.row.undelivered:
            lost = thread.not_told(case, self._at) if self._at is not None else ""
            return lost or "A letter did not arrive: the outbox (3) says why, and C there mends it."
        if case.merged_into:
            return f"Merged into {case.merged_into}: answers arrive there. m=Take it back"
        if self._blocked is not None:
            return f"No automatic letters go to their address: {prose(self._blocked)}. C=Correct it, b=Unblock"
        if any(not person.accepted for person in case.participants):
            return "Somebody who is not a participant has written: p=People"
        if any(one.state == "draft" and one.author == self.desk.actor.login for one in case.letters):
            return "A letter of yours is a draft, not sent: r and its kind opens it again."
        if case.row.history:
            return "History: this case was filed without letters and clocks."
        if case.row.stage == Stage.RESPONDED and _answered(case):
            return "They have written since the final response. s=Reopen if they do not accept it, e=Close"
        if not case.row.is_open:
            return f"Closed: {case.outcome or 'no outcome'}. To take it up again: s, then Reopen."
        return ""

    def on_resize(self) -> None:
        super().on_resize()
        self.call_after_refresh(self._draw)

    # Moving

    def action_message(self, by: int) -> None:
        if self.case is None:
            return
        last = len(thread.entries(self.case)) - 1
        to = max(0, min(self.current + by, last))
        if to == self.current and to in self._unfolded:
            self.house.say("That is the newest." if by > 0 else "That is the first.")
        self.current = to
        self._unfolded.add(to)
        self._draw()
        self.query_one("#thread", LineView).reveal(to)

    def on_line_view_entered(self, message: LineView.Entered) -> None:
        """Enter folds and unfolds the message where one is."""
        if message.sender.id == "thread":
            self._unfolded ^= {self.current}
            self._draw()

    def action_quotes(self) -> None:
        self._quotes = not self._quotes
        self._draw()

    def action_case(self, by: int) -> None:
        try:
            place = list(self._among).index(self.case_id) + by
        except ValueError:
            place = -1
        if not 0 <= place < len(self._among):
            self.house.say("That is the last case of the list." if by > 0 else "That is the first case of the list.")
            return
        self.case_id, self.case, self._quotes = self._among[place], None, False
        self._read(whole=True)

    def action_details(self) -> None:
        self._details = not self.has_class("-details")
        self._draw()
        self.query_one("#details" if self._details and self.size.width < frame.WIDE else "#thread", LineView).focus()

    def action_leave(self) -> None:
        """Details that were opened are closed first."""
        if self._details:
            self._details = False
            self._draw()
            self.query_one("#thread", LineView).focus()
        else:
            super().action_leave()

    def action_history(self) -> None:
        from tui.screens.page import PageScreen

        case, at = self.case, self._at
        if case is not None and at is not None:
            title = f"History of {case.row.reference}, newest first"
            self.app.push_screen(PageScreen(title, lambda width: thread.history(case, at, width)))

    def action_attachments(self) -> None:
        from tui.lines import numbered_attachments
        from tui.screens.page import PageScreen

        if self.case is None:
            return
        files = numbered_attachments(self.case)
        if not files:
            self.house.say("No files are attached in this case.")
            return
        lines: list[Line] = [
            (
                (f"{number:>3}  {name(a.name)}", "strong"),
                (f"  {size(a.size)}  {prose(a.media_type)}  from {name(m.from_address)}", "muted"),
            )
            for number, m, a in files
        ]
        lines += [(), (("They are never opened here. In a shell this writes one into a folder:", "muted"),)]
        lines.append(((f"amends save {self.case.row.reference} NUMBER --to FOLDER", "text"),))
        self.app.push_screen(PageScreen(f"Files in {self.case.row.reference}", lambda width: Sheet(tuple(lines))))

    # People

    def action_people(self) -> None:
        from tui.dialogs.choose import Choose, Option

        if self.case is None:
            return
        asking = [person for person in self.case.participants if not person.accepted]
        if not asking:
            self.house.say("Everybody who wrote in is a participant. See Details (i).")
            return
        options = [Option(p.address, name(p.address), name(p.name) or prose(p.role)) for p in asking]
        intro = "From then on their mail joins the case as theirs. They are told nothing by this."
        self.offer(Choose("Accept as a participant", options, intro=intro), self._accept)

    def _accept(self, address: str) -> None:
        from amends.casework import handling

        desk, case_id = self.desk, self.case_id
        self.do(
            lambda: handling.accept(desk.office, case_id, address, actor=desk.actor, now=desk.now()),
            lambda _: self._did(case_id, f"{name(address)} is a participant now."),
        )

    def action_split(self) -> None:
        """The message that is looked at leaves the case."""
        from tui.dialogs.choose import Choose, Option

        if self.case is None or self._one("split") is None:
            return
        thing = thread.entries(self.case)[self.current].thing
        if not isinstance(thing, MessageView) or thing.direction != "in":
            self.house.say("Only mail that came in can be split off: go to it with ] or [ first.")
            return
        reference = self.case.row.reference
        options = [
            Option(False, "A case of its own", "clocks from its receipt, linked with this one"),
            Option(True, "Into the tray", "somebody says there where it belongs"),
        ]
        intro = (
            f"“{prose(thing.subject) or '(no subject)'}” from {name(thing.from_address)} leaves {reference}; the "
            "history keeps that it was here. Answers to it follow it."
        )
        title = f"Split message {self.current + 1} off {reference}"
        self.offer(Choose(title, options, intro=intro), lambda hold: self._split(thing.id, hold))

    def _split(self, message_id: int, hold: bool) -> None:
        from amends.casework import merging

        desk, case_id = self.desk, self.case_id

        def done(new: str | None) -> None:
            self.current = max(0, self.current - 1)
            self._did(case_id, f"Split off: it is case {new} now." if new else "Split off: it waits in the tray (4).")
            self._follow = False

        self.do(
            lambda: merging.split(desk.office, case_id, message_id, hold=hold, actor=desk.actor, now=desk.now()), done
        )

    def action_unblock(self) -> None:
        from tui.dialogs.confirm import Confirm

        if self.case is None or self._one("unblock") is None:
            return
        if self._blocked is None:
            self.house.say("Their address is not blocked.")
            return
        desk, case_id, address = self.desk, self.case_id, self.case.row.complainant_address

        def answered(yes: bool) -> None:
            if yes:
                from amends.casework import gate

                self.do(
                    lambda: gate.clear(desk.office, address, actor=desk.actor, now=desk.now()),
                    lambda _: self._did(case_id, f"Automatic letters go to {name(address)} again."),
                )

        words = (
            f"It was blocked, for {prose(self._blocked)}. From now on acknowledgements and updates go to it "
            "again; if it is wrong they come back again. To correct it press C instead."
        )
        self.offer(Confirm(f"Let letters go to {name(address)} again?", words, yes="Unblock it", no="No"), answered)

    def action_correct(self) -> None:
        from tui.dialogs.ask import AskLine

        if self.case is None:
            return
        desk, case_id, now = self.desk, self.case_id, self.case.row.complainant_address

        def corrected(address: str | None) -> None:
            if address:
                from amends.casework import undelivered

                self.do(
                    lambda: undelivered.correct_address(
                        desk.office, case_id, address, actor=desk.actor, now=desk.now()
                    ),
                    lambda _: self._did(case_id, f"From now on we write to {name(address)}."),
                )

        hint = "Letters from now on. One that did not arrive is sent to the new address from the outbox: 3, then R."
        self.offer(AskLine("Correct the address", "Write to", value=name(now), hint=hint), corrected)

    # What the store and the verbs tell

    def news(self, news: News) -> None:
        if news.cases is None or self.case_id in news.cases:
            self._read(whole=False)

    def minute(self) -> None:
        if self.case is not None:
            self._read(whole=False)

    def on_screen_resume(self) -> None:
        super().on_screen_resume()
        if self.case is not None:
            self._read(whole=False)

    def action_fresh(self) -> None:
        self._read(whole=True)

    def chosen(self) -> Sequence[int]:
        return [self.case_id]

    def looked_at(self) -> QueueRow | None:
        return self.case.row if self.case is not None else None

    def changed(self, case_ids: Sequence[int]) -> None:
        """What we just wrote is shown where it stands."""
        self._follow = True
        self._read(whole=False)

    def refused(self, fault: AmendsError) -> None:
        if isinstance(fault, NotFound) and self.case is None:
            self.house.say(str(fault), "late")
            self.house.back()
        else:
            super().refused(fault)


def _answered(case: CaseView) -> bool:
    """Whether mail came in after the final response had left."""
    finals = {one.id for one in case.letters if one.kind == LetterKind.FINAL_RESPONSE}
    left = max((one.at for one in case.messages if one.letter_id in finals), default=None)
    return left is not None and any(
        one.direction == "in" and one.kind == Kind.PERSON and one.at > left for one in case.messages
    )
