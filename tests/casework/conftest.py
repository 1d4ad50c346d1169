"""An office on each of the two databases."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from amends.casework.office import Office
from tests.builders import an_office


@pytest.fixture
def office(tmp_path: Path, database_url: str) -> Iterator[Office]:
    opened = an_office(tmp_path, url=database_url)
    yield opened
    opened.book.close()


@pytest.fixture
def on_sqlite(tmp_path: Path, sqlite_url: str) -> Iterator[Office]:
    """For rules that do not depend on the database."""
    opened = an_office(tmp_path, url=sqlite_url)
    yield opened
    opened.book.close()
