"""Letters wait only while the store itself is in doubt, and an operator's word ends it."""

from __future__ import annotations

from pathlib import Path

import pytest

from amends.casework import correspondence, doubts, intake, post, restored
from amends.casework.intake import Incoming
from amends.casework.office import Office
from amends.letters.kinds import LetterKind
from tests.builders import NOW, SAM, an_office, open_case


@pytest.fixture
def office(tmp_path: Path, database_url: str) -> Office:
    return an_office(tmp_path, url=database_url)


def lying_there(office: Office, count: int, *, first: int = 1, uidvalidity: int = 8) -> None:
    items = [Incoming("complaints", uidvalidity, uid, b"mail %d" % uid, NOW) for uid in range(first, first + count)]
    intake.store(office, items, now=NOW)


def words(office: Office) -> list[str]:
    with office.book.read() as session:
        return [one.words for one in doubts.doubts(session)]


def weigh(office: Office, coming: int = 0, *, many: int = 3) -> bool:
    return doubts.weigh(office, "complaints", uidvalidity=8, coming=coming, many=many, now=NOW)


def test_a_mailbox_that_was_never_numbered_anew_is_in_no_doubt_however_much_comes(office: Office) -> None:
    assert not weigh(office, 10_000) and words(office) == []
    assert doubts.release(office) is None


def test_many_unknown_messages_of_a_renumbered_mailbox_are_a_doubt_until_it_is_released(office: Office) -> None:
    doubts.renumbered(office, "complaints", uidvalidity=8, below=100, now=NOW)
    assert weigh(office, 4)
    lying_there(office, 4)
    assert weigh(office)
    [sentence] = words(office)
    assert "numbered anew" in sentence and "amendsd doubt --release" in sentence
    with office.book.read() as session:
        assert doubts.why_held(session) == sentence
    assert doubts.release(office) == 0
    assert not weigh(office) and not weigh(office, 50) and words(office) == [], "not again over the same"


def test_messages_that_turn_out_to_be_known_are_no_doubt(office: Office) -> None:
    doubts.renumbered(office, "complaints", uidvalidity=8, below=100, now=NOW)
    assert weigh(office, 4)
    lying_there(office, 3)
    assert not weigh(office) and words(office) == []


def test_mail_that_comes_after_the_renumbering_does_not_count(office: Office) -> None:
    doubts.renumbered(office, "complaints", uidvalidity=8, below=3, now=NOW)
    lying_there(office, 20, first=3)
    assert not weigh(office) and words(office) == []


def test_a_store_behind_its_mailbox_is_a_doubt_once(office: Office) -> None:
    def behind(unknown: int) -> bool:
        return doubts.behind_mailbox(office, "complaints", unknown, many=3, now=NOW)

    assert not behind(3)
    assert behind(4) and not behind(4) and len(words(office)) == 1
    assert doubts.release(office) == 0
    assert not behind(7) and behind(8), "what an operator knows of counts no more"


def test_what_one_folder_showed_is_released_though_another_showed_less_since(office: Office) -> None:
    for unknown in (100, 60):
        doubts.behind_mailbox(office, "complaints", unknown, many=3, now=NOW)
    assert doubts.release(office) == 0
    assert not doubts.behind_mailbox(office, "complaints", 100, many=3, now=NOW) and words(office) == []


def test_a_restored_store_is_a_doubt_that_one_word_releases_with_the_others(office: Office) -> None:
    restored.hold(office, now=NOW)
    doubts.behind_mailbox(office, "complaints", 4, many=3, now=NOW)
    assert len(words(office)) == 2
    assert doubts.release(office) == 0
    assert words(office) == [] and restored.release(office) is None


def test_a_doubt_that_comes_up_just_before_letters_are_claimed_leaves_the_automatic_ones(office: Office) -> None:
    letter = correspondence.draft(office, open_case(office), LetterKind.REPLY, actor=SAM, now=NOW)
    correspondence.save(office, letter, "We will telephone you today.", actor=SAM, now=NOW)
    leaves = correspondence.send(office, letter, actor=SAM, now=NOW)
    doubts.behind_mailbox(office, "complaints", 4, many=3, now=NOW)
    assert [one.letter_id for one in post.claim(office, "outbox", now=leaves)] == [letter]
    assert doubts.release(office) == 1
    assert len(post.claim(office, "outbox", now=leaves)) == 1
