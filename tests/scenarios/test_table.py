"""The page of the promises and the tests that keep them say the same."""

from __future__ import annotations

import re
from pathlib import Path

HERE = Path(__file__).parent


def test_every_promise_of_the_page_has_a_test_where_it_says_and_every_test_a_promise() -> None:
    page = (HERE / "README.md").read_text(encoding="utf-8")
    promised = re.findall(r"^\| (\d\d) \| `(test_\w+\.py)::test_scenario_(\d\d)` \|", page, re.MULTILINE)
    assert [number for number, _, _ in promised] == [f"{number:02}" for number in range(1, len(promised) + 1)]
    kept = {
        (number, path.name, number)
        for path in HERE.glob("test_*.py")
        for number in re.findall(
            r"^(?:async )?def test_scenario_(\d\d)_", path.read_text(encoding="utf-8"), re.MULTILINE
        )
    }
    assert set(promised) == kept
