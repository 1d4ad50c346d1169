"""`amendsd doubt`: why letters wait for the store's sake, and the word that ends it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from amends.casework import doubts, post
from amends.casework.office import Office
from tests.builders import a_mail, file_mail
from tests.daemon.cli.conftest import Told

Run = Callable[..., Told]


def test_a_store_in_no_doubt_is_status_0_and_has_nothing_to_release(amendsd: Run, config: Path) -> None:
    told = amendsd("doubt", "--config", config)
    assert told.status == 0 and told.out.startswith("The database is in no doubt.")
    told = amendsd("doubt", "--release", "--config", config)
    assert (told.status, told.sentence) == (1, "Nothing is in doubt, so no letter waits for your word.")


def test_a_doubt_is_shown_by_status_and_ended_by_an_operators_word(amendsd: Run, config: Path, office: Office) -> None:
    file_mail(office, a_mail(), now=office.now())
    doubts.behind_mailbox(office, "complaints", 40, many=25, now=office.wall())
    told = amendsd("doubt", "--config", config)
    assert told.status == 1 and "knows nothing of 40 messages" in told.out
    assert "automatic letters wait since 20" in amendsd("status", "--config", config).out
    [doubt] = amendsd("status", "--json", "--config", config).json["doubts"]
    assert doubt["lift"] == "amendsd doubt --release"
    assert amendsd("doubt", "--release", "--config", config).out == "1 automatic letter leaves now.\n"
    assert amendsd("doubt", "--config", config).status == 0
    assert len(post.claim(office, "outbox", now=office.now())) == 1
