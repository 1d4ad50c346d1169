"""What reading costs: the reader whole, beside mail-parser alone on the same messages."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from bench.figures import Part
from bench.mails import a_mailbox

COMPLAINTS: Final = 600
REPLIES: Final = 400
ROUNDS: Final = 5
IN_TURN: Final = 10


def measure() -> Part:
    """Both, `ROUNDS` times, over the mailbox of the other measurements; processor time, in one process."""
    import mailparser

    from amends.mail.read import read

    raws = [mail.raw for mail in a_mailbox(complaints=COMPLAINTS, replies=REPLIES)]

    def alone(raw: bytes) -> Any:
        return mailparser.parse_from_bytes(raw)

    def ours(raw: bytes) -> Any:
        return read(raw, own_addresses={"complaints@northwind.example"}, languages=("en", "de", "fr"))

    for raw in raws[:100]:  # what is loaded when first needed
        alone(raw)
        ours(raw)
    parser, reader = [], []
    for _ in range(ROUNDS):
        its, mine = _in_turn(alone, ours, raws)
        parser.append(its)
        reader.append(mine)
    ratio = statistics.median(mine / its for mine, its in zip(reader, parser, strict=True))
    return Part(
        "Reading a mail",
        f"The {len(raws)} mails of the first table, in one process that has read a hundred of them before; processor "
        f"time a mail, medians of {ROUNDS} rounds in turn.  mail-parser alone makes its parts, texts and attachments; "
        "the reader makes all its facts, with the quotation told from the new text, the language, the kind of mail and "
        "the hashes of the files.",
        ("", "a mail", "of mail-parser", "fastest and slowest round"),
        (
            _row("mail-parser alone", parser, 1.0),
            _row("the reader", reader, ratio),
        ),
    )


def _in_turn(one: Callable[[bytes], Any], other: Callable[[bytes], Any], raws: Sequence[bytes]) -> tuple[float, float]:
    """Milliseconds a mail of both, a few mails each in turn, so that other work on the machine falls on both alike."""
    took = [0.0, 0.0]
    for start in range(0, len(raws), IN_TURN):
        for which, read in enumerate((one, other)):
            began = time.process_time()
            for raw in raws[start : start + IN_TURN]:
                read(raw)
            took[which] += time.process_time() - began
    return took[0] * 1000 / len(raws), took[1] * 1000 / len(raws)


def _row(name: str, rounds: Sequence[float], ratio: float) -> tuple[str, ...]:
    spread = f"{min(rounds):.2f} and {max(rounds):.2f} ms"
    return name, f"{statistics.median(rounds):.2f} ms", f"{ratio:.2f}", spread
