from hypothesis import given
from hypothesis import strategies as st

from amends.kernel.refs import CaseRef, find_refs

refs = st.builds(
    CaseRef,
    prefix=st.from_regex(r"[A-Z][A-Z0-9]{0,3}", fullmatch=True),
    year=st.integers(2000, 2099),
    serial=st.integers(1, 999_999),
)


def test_a_reference_reads_as_prefix_year_serial_and_check_digits():
    assert str(CaseRef("NW", 2026, 42)).startswith("NW-2026-000042-")


@given(refs)
def test_a_reference_is_found_again_in_running_text(ref):
    assert find_refs(f"Re: your letter {ref}, second page", prefix=ref.prefix) == (ref,)
    assert CaseRef.parse(str(ref).lower(), prefix=ref.prefix) == ref


@given(refs, st.data())
def test_one_wrong_digit_is_always_noticed(ref, data):
    text = str(ref)
    places = [i for i, c in enumerate(text) if c.isdigit() and i >= len(ref.prefix)]
    place = data.draw(st.sampled_from(places))
    digit = data.draw(st.sampled_from([d for d in "0123456789" if d != text[place]]))
    assert ref not in find_refs(text[:place] + digit + text[place + 1 :], prefix=ref.prefix)


@given(refs, st.data())
def test_two_swapped_neighbours_are_always_noticed(ref, data):
    text = str(ref)
    places = [
        i
        for i in range(len(ref.prefix), len(text) - 1)
        if text[i].isdigit() and text[i + 1].isdigit() and text[i] != text[i + 1]
    ]
    place = data.draw(st.sampled_from(places))
    swapped = text[:place] + text[place + 1] + text[place] + text[place + 2 :]
    assert find_refs(swapped, prefix=ref.prefix) == ()


def test_a_bare_number_or_another_prefix_is_no_reference():
    assert find_refs("2026-000042 and XX-2026-000042-17 and 000042", prefix="NW") == ()
