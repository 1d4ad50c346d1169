"""`amendsd breaker`: what looks like a loop is told, and an operator ends it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from amends.casework import post
from amends.casework.office import Office
from tests.builders import a_mail, file_mail
from tests.daemon.cli.conftest import Told

Run = Callable[..., Told]


def loop(office: Office, people: int) -> None:
    """So many people who each wrote again just after our letter."""
    now = office.now() - timedelta(minutes=2)
    for n in range(people):
        for second, words in enumerate((f"One {n}", f"Another thing {n}")):
            mail = a_mail(sender=f"person{n}@example.org", text=words)
            file_mail(office, mail, now=now + timedelta(seconds=10 * second))


def test_a_quiet_day_is_status_0(amendsd: Run, config: Path, office: Office) -> None:
    told = amendsd("breaker", "--config", config)
    assert told.status == 0
    assert told.out.startswith("0 automatic letters of the last ten minutes")


def test_a_loop_is_told_and_ended_by_an_operators_word(amendsd: Run, config: Path, office: Office) -> None:
    loop(office, 21)
    assert len(post.claim(office, "outbox", now=office.now())) == 21  # everybody's first letter
    told = amendsd("breaker", "--config", config)
    assert told.status == 1
    assert "21 automatic letters of the last ten minutes" in told.out and "21 automatic letters are held" in told.out
    assert amendsd("breaker", "--go", "--config", config).out == "21 automatic letters leave now.\n"
    assert amendsd("breaker", "--config", config).status == 0
    assert len(post.claim(office, "outbox", now=office.now())) == 21
