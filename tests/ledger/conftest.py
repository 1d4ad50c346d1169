"""An office on each of the two databases."""

from tests.casework.conftest import office, on_sqlite

__all__ = ["office", "on_sqlite"]
