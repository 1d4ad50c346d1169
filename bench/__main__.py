"""`make bench`: measure everything on this machine, print it, and write the tables of docs/performance.md."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from bench import clock, reading, rest, start, throughput
from bench.figures import Part, machine, markdown

PARTS: Final[dict[str, Callable[[], Part | Sequence[Part]]]] = {
    "throughput": throughput.measure,
    "latency": throughput.measure_latency,
    "reading": reading.measure,
    "rest": rest.measure,
    "start": start.measure,
    "clock": clock.measure,
}
PAGE: Final = Path(__file__).resolve().parent.parent / "docs" / "performance.md"
BEGIN: Final = "<!-- figures: written by make bench -->"
END: Final = "<!-- end of figures -->"


def main(argv: list[str]) -> int:
    options = _options(argv)
    for name in options.parts or PARTS:
        for part in _measured(name):
            if options.write or not options.parts:
                _write(part)
    return 0


def _write(part: Part) -> None:
    """Put the table into the page, in the place of the one with the same title."""
    head, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
    block, tail = rest.split(END)
    tables = dict(re.findall(r"^### (.+)\n((?:(?!### ).*\n)*)", block, re.MULTILINE))
    tables[part.title] = markdown([part]).partition("\n")[2]
    figures = "".join(f"### {title}\n\n{table.strip()}\n\n" for title, table in tables.items())
    PAGE.write_text(f"{head}{BEGIN}\n\n{machine()}\n\n{figures}{END}{tail}", encoding="utf-8")


def _options(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench ARGS=", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"some of {', '.join(PARTS)}; all unless named")
    parser.add_argument("--write", action="store_true", help="write the page also when only some parts are measured")
    options = parser.parse_args(argv)
    if unknown := [name for name in options.parts if name not in PARTS]:
        parser.error(f"there is no part {unknown[0]}; there are {', '.join(PARTS)}")
    return options


def _measured(name: str) -> Sequence[Part]:
    print(f"{name} ...", flush=True)
    found = PARTS[name]()
    parts = [found] if isinstance(found, Part) else found
    print(markdown(parts), flush=True)
    return parts


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
