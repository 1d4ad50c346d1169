"""`make bench`: measure everything on this machine, print it, and write the tables of docs/performance.md."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from bench import rest, start, throughput
from bench.figures import Part, machine, markdown

PARTS: Final[dict[str, Callable[[], Part]]] = {
    "throughput": throughput.measure,
    "latency": throughput.measure_latency,
    "rest": rest.measure,
    "start": start.measure,
}
PAGE: Final = Path(__file__).resolve().parent.parent / "docs" / "performance.md"
BEGIN: Final = "<!-- figures: written by make bench -->"
END: Final = "<!-- end of figures -->"


def main(argv: list[str]) -> int:
    options = _options(argv)
    parts = [_measured(name) for name in options.parts or PARTS]
    if options.parts and not options.write:
        print("Only some parts were measured; docs/performance.md stays as it is.")
        return 0
    text = PAGE.read_text(encoding="utf-8")
    head, rest_of_page = text.split(BEGIN)
    _, tail = rest_of_page.split(END)
    PAGE.write_text(f"{head}{BEGIN}\n\n{machine()}\n\n{markdown(parts)}\n{END}{tail}", encoding="utf-8")
    print("docs/performance.md holds these figures now.")
    return 0


def _options(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench ARGS=", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"some of {', '.join(PARTS)}; all unless named")
    parser.add_argument("--write", action="store_true", help="write the page also when only some parts are measured")
    options = parser.parse_args(argv)
    if unknown := [name for name in options.parts if name not in PARTS]:
        parser.error(f"there is no part {unknown[0]}; there are {', '.join(PARTS)}")
    return options


def _measured(name: str) -> Part:
    print(f"{name} ...", flush=True)
    part = PARTS[name]()
    print(markdown([part]), flush=True)
    return part


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
