"""Which case a message belongs to, evidence by evidence."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from amends.conversation.match import NEW_CASE, Fate, Known, Proposal, Standing, decide, doubted

EDITH = "edith@example.org"
A, B = "NW-2026-000001-01", "NW-2026-000002-02"


def known(**evidence) -> Known:
    return Known(participants={A: frozenset({EDITH}), B: frozenset({"bob@example.org"})}, **evidence)


def test_a_signed_address_joins_its_case():
    match = decide(EDITH, known(by_token=(A,)))
    assert (match.fate, match.case, match.standing) == (Fate.JOIN, A, Standing.PARTICIPANT)


def test_a_stranger_with_a_signed_address_joins_as_a_third_party():
    match = decide("spouse@example.net", known(by_token=(A,)))
    assert (match.fate, match.case, match.standing) == (Fate.JOIN, A, Standing.THIRD_PARTY)


def test_a_signature_outweighs_what_the_subject_says():
    assert decide(EDITH, known(by_own_id=(A,), by_subject=(B,))).case == A


def test_an_answer_to_letters_of_two_strange_cases_is_held():
    match = decide("solicitor@example.net", known(by_own_id=(A, B)))
    assert (match.fate, match.candidates) == (Fate.HOLD, (A, B))


def test_a_known_message_id_joins_only_for_a_participant():
    evidence = {"m1@example.org": A}
    assert decide(EDITH, known(by_thread_id=evidence)).case == A
    held = decide("stranger@example.net", known(by_thread_id=evidence))
    assert (held.fate, held.candidates, held.evidence) == (Fate.HOLD, (A,), "m1@example.org")


def test_a_reference_in_the_subject_joins_only_for_a_participant():
    assert decide(EDITH, known(by_subject=(A,))).fate is Fate.JOIN
    assert decide("stranger@example.net", known(by_subject=(A,))).fate is Fate.HOLD


def test_without_evidence_it_is_a_new_complaint():
    assert decide(EDITH, known()) == NEW_CASE


@given(
    st.sampled_from([EDITH, "bob@example.org", "stranger@example.net", ""]),
    st.lists(st.sampled_from([A, B]), max_size=2),
    st.lists(st.sampled_from([A, B]), max_size=2),
    st.dictionaries(st.sampled_from(["m1", "m2"]), st.sampled_from([A, B])),
    st.lists(st.sampled_from([A, B]), max_size=2),
)
def test_nobody_without_a_signature_joins_a_case_they_do_not_belong_to(sender, tokens, own, threads, subjects):
    facts = known(by_token=tuple(tokens), by_own_id=tuple(own), by_thread_id=threads, by_subject=tuple(subjects))
    match = decide(sender, facts)
    if match.fate is Fate.JOIN and sender not in facts.participants[match.case]:
        assert match.case in (*tokens, *own)
        assert match.standing is Standing.THIRD_PARTY
    if match.fate is Fate.OPEN:
        assert not (tokens or own or threads or subjects)


# Merged cases, and what is doubted

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
SIXTY_DAYS = timedelta(days=60)


def test_the_reason_says_which_case_was_merged_into_the_one_it_joins():
    match = decide(EDITH, known(by_token=(A,), merged={A: B}))
    assert (match.case, match.because) == (A, f"the signed address it was sent to; {B} was merged into it")


def test_a_case_that_is_open_or_was_closed_lately_is_joined():
    match = decide(EDITH, known(by_token=(A,)))
    for closed in ({}, {A: NOON - SIXTY_DAYS}, {B: NOON - timedelta(days=999)}):
        assert doubted(match, known(closed_at=closed), received_at=NOON, late_after=SIXTY_DAYS) == match


def test_a_case_that_was_closed_long_ago_is_proposed_twice_and_not_joined():
    match = decide(EDITH, known(by_own_id=(A,)))
    facts = known(closed_at={A: NOON - SIXTY_DAYS - timedelta(seconds=1)})
    held = doubted(match, facts, received_at=NOON, late_after=SIXTY_DAYS)
    assert (held.fate, held.case, held.candidates) == (Fate.HOLD, None, (A,))
    assert held.proposals == (Proposal.REVIEW, Proposal.NEW_CASE)
    assert held.because == f"it came 60 days after {A} was closed: a signed letter of ours that it answers"
    assert doubted(match, facts, received_at=NOON, late_after=None) == match


def test_an_unsafe_sender_is_held_with_the_case_as_candidate():
    match = decide(EDITH, known(by_token=(A,)))
    held = doubted(match, known(), received_at=NOON, late_after=SIXTY_DAYS, unsafe="its sender is forged")
    assert (held.fate, held.candidates, held.proposals) == (Fate.HOLD, (A,), ())
    assert held.because.startswith("its sender is forged; else it would belong to")


@given(
    st.sampled_from([EDITH, "bob@example.org", "stranger@example.net", ""]),
    st.lists(st.sampled_from([A, B]), max_size=2),
    st.lists(st.sampled_from([A, B]), max_size=2),
    st.dictionaries(st.sampled_from([A, B]), st.integers(-10, 200)),
    st.booleans(),
)
def test_nothing_doubtful_ever_joins_and_nothing_new_is_ever_held_for_it(sender, tokens, subjects, closed, forged):
    facts = known(
        by_token=tuple(tokens),
        by_subject=tuple(subjects),
        closed_at={case: NOON - timedelta(days=days) for case, days in closed.items()},
    )
    match = decide(sender, facts)
    after = doubted(match, facts, received_at=NOON, late_after=SIXTY_DAYS, unsafe="forged" if forged else "")
    if after.fate is Fate.JOIN:
        assert after == match and not forged and closed.get(after.case, 0) <= 60
    if match.fate is not Fate.JOIN:
        assert after == match
    if after.fate is Fate.HOLD:
        assert after.case is None and after.because
