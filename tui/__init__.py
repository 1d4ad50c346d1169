"""amends: the handlers' screens and commands."""

from __future__ import annotations

import os

# Textual reads these when it is imported: they load drivers, press keys and write logs, and none of that is ours.
for _name in [name for name in os.environ if name.startswith("TEXTUAL")]:
    del os.environ[_name]
