"""What a handler sees of strange mail and of what was decided, on the screen itself: scenarios 18, 19 and 28."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest

from tests.builders import AMARA
from tests.scenarios.town import Town, answer, mail
from tests.tui.desk import at, press, screen_of
from tests.tui.terminal import Terminal
from tests.tui.test_terminal import unclean
from tui.desk import Desk

pytestmark = pytest.mark.server("dovecot")

EDITH = "edith@example.org"


async def test_scenario_18_words_within_the_quotation_are_seen_on_the_screen_of_the_case(town: Town) -> None:
    town.deliver(mail())
    with town.at_work():
        town.until_quiet()
        [letter] = town.letters_to(EDITH)
        reply = (
            "On Monday you wrote:\n\n> We have received your complaint.\n> We shall look into it.\n\n"
            "NOBODY HAS COME SO FAR.\n\n> You will hear from us by 18 March.\n\nTHAT IS TOO LATE FOR ME.\n\n"
            "> Kind regards\n"
        )
        town.deliver(answer(letter, reply))
        town.until_quiet()
    async with at(Desk(town.desk, AMARA), size=(100, 40)) as pilot:
        await press(pilot, "enter", "G")
        shown = screen_of(pilot)
        assert "NOBODY HAS COME SO FAR." in shown and "THAT IS TOO LATE FOR ME." in shown
        await press(pilot, "z")
        assert "You will hear from us by 18 March." in screen_of(pilot), "and what is quoted is one key away"


CODES = (
    "\x1b[2J\x1b[31mred \x1b]52;c;aGVsbG8=\x07 \x1b]0;title\x07 \x1bP+q\x1b\\ \x9b2J \x9d52;c;aGVsbG8=\x9c "
    "\u202egpj.exe\u2066x\u2069 \u200bhidden [bold]x[/bold] [/nope] [@click=app.quit]click[/]"
)


def _encoded(words: str) -> str:
    from base64 import b64encode

    return f"=?utf-8?b?{b64encode(words.encode()).decode()}?="


def _hostile(n: int, *, long: str = "") -> bytes:
    """The codes in every place that a stranger can write into, raw and encoded in turn."""
    said = CODES if n % 2 else _encoded(CODES)
    parts = (
        f"--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{CODES}\r\n{long}\r\n> {CODES}\r\n",
        f'--b\r\nContent-Type: text/html; name="{said}"\r\n'
        f'Content-Disposition: attachment; filename="{said}"\r\n\r\nx\r\n',
    )
    return mail(
        ("".join(parts) + "--b--\r\n").encode(),
        sender=f'"{said}" <evil{n}@example.org>' if n % 2 else f"{said} <evil{n}@example.org>",
        subject=f"Look {n} {said}",
        Content_Type='multipart/mixed; boundary="b"',
        Content_Transfer_Encoding="8bit",
    )


@pytest.fixture
def terminal_on() -> Iterator[Callable[[Town], Terminal]]:
    """`amends` in a terminal of its own, on the store of a town."""
    opened: list[Terminal] = []

    def open_on(town: Town) -> Terminal:
        opened.append(Terminal(town.configuration(), size=(140, 40)))
        return opened[-1]

    yield open_on
    for terminal in opened:
        terminal.close()


@pytest.mark.slow
def test_scenario_19_codes_for_the_terminal_reach_it_as_nothing_but_text(
    town: Town, terminal_on: Callable[[Town], Terminal]
) -> None:
    """In names, subjects, words and file names; and a line of a million characters does no harm either."""
    for n in range(3):
        town.deliver(_hostile(n, long="m" * 1_000_000 if n == 0 else ""))
    with town.at_work():
        town.until_filed()
    terminal = terminal_on(town)
    terminal.wait_for("Look 0")
    terminal.send("\r")
    terminal.wait_for("1 of")
    for key in ("z", "]", "G", "g", "J", "z", "G", "J"):
        terminal.send(key)
        terminal.quiet(0.1)
    terminal.send("o")
    terminal.wait_for("Files in")
    terminal.quiet()
    assert not unclean(terminal.raw)
    assert not re.search(rb"(?:\x1b\]|\xc2\x9d)52;", terminal.raw), "nothing reaches the clipboard"


async def test_scenario_28_why_a_message_is_on_a_case_is_one_key_away_and_it_can_be_split_off(town: Town) -> None:
    town.deliver(mail())
    with town.at_work():
        town.until_quiet()
        [letter] = town.letters_to(EDITH)
        town.deliver(answer(letter, "My neighbour's fence is down.", to=letter.header("From"), subject="fence"))
        town.until_quiet()
        case = town.case_of(EDITH)
        joined = case.messages[-1]
        assert joined.match["because"] == "a signed letter of ours that it answers"
        assert (joined.match["evidence"], joined.match["confidence"]) == (case.row.reference, "certain")
        async with at(Desk(town.desk, AMARA), size=(140, 40)) as pilot:
            await press(pilot, "enter", "H")
            assert "a signed letter of ours that it answers" in screen_of(pilot)
            await press(pilot, "left", "right_square_bracket", "right_square_bracket", "S", "1")
            assert "fence is down" not in screen_of(pilot)
        town.until_quiet()
    old, new = town.cases()
    reference = new.row.reference
    assert joined.id not in {message.id for message in old.messages}
    assert new.messages[0].new_text == "My neighbour's fence is down."
    assert "amara split it off" in new.messages[0].match["because"]
    assert [e.data["message"] for e in old.events if e.kind == "message"][-1] == joined.id, "that it was there is kept"
    assert [e.data["to"] for e in old.events if e.kind == "message-split"] == [reference]
    assert old.links == ((reference, "split"),) and new.row.received_at == joined.at
    town.prove_whole()
