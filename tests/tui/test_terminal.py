"""The real program on a real terminal: hostile mail, the cursor, pastes, colours, faults, the way out."""

from __future__ import annotations

import re
import signal
from datetime import timedelta
from pathlib import Path

import pytest
from sqlmodel import select

from amends.casework import handling, intake
from amends.kernel.instants import wall_clock
from amends.ledger.tables import Letter
from tests.builders import SAM, a_mail, an_office, file_mail, store_mail
from tests.tui.desk import ready
from tests.tui.terminal import Terminal

PAYLOADS = {
    "markup": "[bold]x[/bold] x[/y] [/nope] [@click=app.bell]click[/] [link=https://evil.example]l[/link]",
    "escape": "\x1b]52;c;aGVsbG8=\x07 \x1b[31mred\x1b[0m \x1b]0;title\x07 \x1bP+q\x1b\\ \x1b]8;;https://evil.example\x07x\x1b]8;;\x07",
    "c1": "\u009b31mred \u009d52;c;aGVsbG8=\u009c \x7f\x08\x08",
    "bidi": "invoice\u202egpj.exe \u2066x\u2069 \u200e\u200f",
    "invisible": "pay\u200bpal\ufeff \U000e0041\U000e0042 \u00ad",
    "marks": "Z" + "\u0301" * 500 + "algo",
    "lines": "good\rEVIL \u2028 next \x0b \x0c \x85 end",
    "surrogate": "half \ud800 a character",
    "wide": "日本語 👩‍👩‍👧 한국어 ﷽",
}
ALLOWED = re.compile(
    rb"\x1b\[[0-9;]*m"  # colours
    rb"|\x1b\[[0-9;]*[HABCDGJKr]"  # moving and clearing
    rb"|\x1b\[\?[0-9;]*[hlu]"  # modes: the alternate screen, mouse, paste, the cursor
    rb"|\x1b\[\?[0-9;]*\$p|\x1b\[[<>=]?[0-9;]*u|\x1b\[>[0-9;]*[mq]|\x1b\[[0-9;]*[cnt]"  # what it asks the terminal
    rb"|\x1b\]22;[a-z-]*\x07"  # the shape of the mouse pointer
    rb"|\x1b[=>78]|\x1bP\+q[0-9A-Fa-f;]*\x1b\\|\x1b_G[^\x1b]*\x1b\\"
)


@pytest.fixture
def office(tmp_path):
    """A store by the machine's clock, with three quiet cases and one for each payload."""
    office = an_office(tmp_path)
    now = wall_clock()
    ready(office, now)
    for number, name in enumerate(("Edith Kowalski", "Sami Tanaka", "Uma Jansen")):
        mail = a_mail(sender=f"p{number}@example.org", name=name, subject=f"Quiet case {number}")
        file_mail(office, mail, now=now - timedelta(days=20 - number))
    return office


def hostile(office) -> list[str]:
    """Each payload as subject, name, file name and words of a case; returns the references."""
    now = wall_clock()
    references = []
    for number, (what, payload) in enumerate(PAYLOADS.items()):
        safe = payload.replace("\ud800", "\ufffd")  # reading gives valid Unicode
        mail = a_mail(
            sender=f"evil{number}@example.org",
            name=safe,
            subject=f"{what} {safe}",
            text=f"{safe}\n{'x' * 200_000 if what == 'escape' else ''}\n> quoted {safe}",
            new_text=f"{safe}\n{'x' * 200_000 if what == 'escape' else ''}",
            attachments=[(safe, "text/plain", b"x")],
            authentication={"dmarc": "fail"},
            defects=(safe,),
        )
        filed = file_mail(office, mail, now=now - timedelta(days=60 - number))
        references.append(filed.reference)
        case = office_case(office, filed.reference)
        handling.note(office, case, f"note {safe}", actor=SAM, now=now)
        handling.accept(office, case, f"evil{number}@example.org", actor=SAM, now=now)
    arrival, _ = store_mail(
        office, a_mail(sender="tray@example.org", subject=PAYLOADS["escape"], text=PAYLOADS["escape"]), now=now
    )
    intake.file(office, [(arrival, f"reason {PAYLOADS['escape']}")], now=now)
    return references


def office_case(office, reference):
    from tests.builders import id_of

    return id_of(office, reference)


def configuration(office) -> Path:
    settings = office.settings
    path = settings.folder / "amends.toml"
    people = "".join(
        f'[[handler]]\nlogin = "{p.login}"\nname = "{p.name}"\nrole = "{p.role}"\n' for p in settings.handler
    )
    path.write_text(
        f'[organisation]\nname = "Northwind Homes"\naddress = "complaints@northwind.example"\nreference_prefix = "NW"\n'
        f'[database]\nurl = "{settings.database.url}"\n{people}',
        encoding="utf-8",
    )
    return path


@pytest.fixture
def opened(office, request):
    terminals: list[Terminal] = []

    def run(**how) -> Terminal:
        terminal = Terminal(configuration(office), **how)
        terminals.append(terminal)
        return terminal

    yield run
    for terminal in terminals:
        terminal.close()


def unclean(raw: bytes) -> list[bytes]:
    """Control codes in the bytes that are not those that draw."""
    text = ALLOWED.sub(b"", raw).decode("utf-8", "replace")
    return re.findall(
        "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u200b\u200e\u200f\ufeff\U000e0000-\U000e007f].{0,20}",
        text,
    )


@pytest.mark.slow
def test_hostile_mail_is_harmless_on_every_screen(office, opened):
    references = hostile(office)
    terminal = opened(size=(140, 40))
    terminal.wait_for("All open")
    terminal.wait_for("mail ok")
    for _ in references:
        terminal.send("j")
        terminal.quiet(0.25)
    terminal.send("g\r")
    terminal.wait_for("1 of")
    for _ in range(len(references) - 1):
        for key in ("z", "]", "]", "G", "i", "i", "z", "J"):
            terminal.send(key)
            terminal.quiet(0.05)
    terminal.quiet()
    for key, words in (("H", "History of"), ("\x1b[D", "1 of"), ("o", "Files in"), ("\x1b[D", "1 of")):
        terminal.send(key)
        terminal.wait_for(words)
    terminal.send("4")
    terminal.wait_for("oldest received")
    terminal.quiet()
    terminal.send("2")
    terminal.wait_for("Search all cases")
    terminal.send("markup")
    terminal.wait_for("1 case found")
    terminal.send("\r")
    terminal.wait_for("1 of")
    terminal.send("r")
    terminal.wait_for("Reply")
    terminal.send("1")
    terminal.wait_for("gap left")
    terminal.send("\x1b[15~")
    terminal.wait_for("Review")
    terminal.wait(lambda: "[bold]x[/bold] x[/y]" in terminal.text or "[@click" in terminal.text)
    assert not unclean(terminal.raw)
    for sequence in (b"\x1b]52", b"\x1b]0;title", b"\x1b]8;", b"evil.example\x07"):
        assert sequence not in terminal.raw


def test_an_unclean_byte_is_noticed():
    assert unclean(b"\x1b[31mred\x1b[0m \x1b]52;c;aGk=\x07")
    assert unclean("x\u202ey".encode())
    assert not unclean(b"\x1b[31mred\x1b[0m\x1b[2;3Htext\r\n")


def test_the_terminals_own_cursor_follows_the_row(opened):
    terminal = opened()
    terminal.wait_for("Quiet case 0")
    terminal.quiet()
    first = terminal.screen.cursor.y
    assert terminal.screen.display[first].startswith(">")
    terminal.send("j")
    terminal.wait(lambda: terminal.screen.cursor.y == first + 1 and not terminal.screen.cursor.hidden)


def test_a_paste_with_control_codes_presses_no_keys(office, opened):
    terminal = opened()
    terminal.wait_for("Quiet case 0")
    terminal.send("n")
    terminal.wait_for("Only colleagues see it")
    terminal.send("\x1b[200~hello \x1b[31m esuA\x1b[201~")
    terminal.quiet()
    assert "hello ␛[31m esuA" in terminal.text and terminal.text.count("hello") == 1
    assert "Note on" in terminal.text


def test_a_paste_into_a_list_presses_nothing(opened):
    terminal = opened()
    terminal.wait_for("Quiet case 0")
    terminal.send("\x1b[200~A \x1b[A \x1b[201~A\x1b[201~ q")
    terminal.quiet()
    assert "given to" not in terminal.text and "Leave" not in terminal.text


def test_keys_typed_ahead_go_to_the_dialog_that_they_were_meant_for(opened):
    terminal = opened()
    terminal.wait_for("Quiet case 0")
    terminal.send("r1We come on Monday.")
    terminal.wait_for("We come on Monday.")
    terminal.wait_for("No gaps left")


def test_no_colour_is_honoured_and_the_signs_still_tell_everything(opened):
    terminal = opened(env={"NO_COLOR": "1"})
    terminal.wait_for("!! 3")
    assert not re.search(rb"\x1b\[[0-9;]*(38|48);", terminal.raw)
    assert "late" in terminal.text


def test_without_utf8_every_sign_is_ascii(opened):
    terminal = opened(env={"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"})
    terminal.wait_for("Quiet case 0")
    terminal.quiet()
    assert terminal.raw.isascii()


def test_leaving_gives_the_terminal_back_and_ends_well(opened):
    terminal = opened()
    terminal.wait_for("Quiet case 0")
    terminal.send("q")
    terminal.wait_for("Leave Amends?")
    terminal.send("y")
    assert terminal.status() == 0
    assert b"\x1b[?1049l" in terminal.raw


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_who_is_ended_from_outside_gives_the_terminal_back_and_keeps_the_draft(office, opened, number):
    terminal = opened()
    terminal.wait_for("Quiet case 0")
    terminal.send("r1")
    terminal.wait_for("gap left")
    terminal.send("We come on Monday.")
    terminal.wait_for("We come on Monday.")
    terminal.signal(number)
    assert terminal.status() == 128 + number
    assert b"\x1b[?1049l" in terminal.raw and b"\x1b[?1000l" in terminal.raw
    with office.book.read() as session:
        assert any("We come on Monday." in letter.body for letter in session.scalars(select(Letter)))


def test_a_terminal_that_cannot_draw_is_told_what_to_use_instead(opened):
    terminal = opened(env={"TERM": "dumb"})
    assert terminal.status() == 2
    assert b"amends queue" in terminal.raw


def test_the_first_screen_loads_nothing_that_only_later_ones_need():
    import subprocess
    import sys

    code = (
        "import sys\nfrom tui.app import AmendsApp\nfrom tui.screens.queue import QueueScreen\n"
        "late = 'sqlalchemy typer pydantic_settings holidays jinja2 mailparser alembic nh3 babel'\n"
        "print([n for n in late.split() if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]", done.stderr
