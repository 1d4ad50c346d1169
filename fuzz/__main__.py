"""`make fuzz`: the reader for half an hour (FUZZ_MINUTES), then the conversation at the length of a night.

What is found lies in `.fuzz/findings`, a mail and what it did to the reader; the mails that reached something new stay
in `.fuzz/corpus` for the next time.  FUZZ_CORPUS names a folder of further mails to begin with.  Exit status 1 if
anything was found.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

from fuzz.seeds import write_seeds

ROOT: Final = Path(__file__).resolve().parent.parent
HOME: Final = ROOT / ".fuzz"
CORPUS: Final = HOME / "corpus"
FINDINGS: Final = HOME / "findings"
WORDS: Final = Path(__file__).with_name("words.txt")
CONVERSATION: Final = "tests/casework/test_threads_at_random.py"
LONGEST: Final = 64 * 1024  # bytes of one input
STUCK: Final = 30  # seconds of one input, at a tenth of the reader's pace
MEMORY: Final = 1024  # megabytes of the whole fuzzer


def main() -> int:
    minutes = float(os.environ.get("FUZZ_MINUTES", "30"))
    if minutes <= 0:
        print("FUZZ_MINUTES must be a number of minutes above 0.", file=sys.stderr)
        return 2
    for folder in (CORPUS, FINDINGS):
        folder.mkdir(parents=True, exist_ok=True)
    write_seeds(CORPUS)
    before = set(FINDINGS.iterdir())
    _read_for(minutes * 60)
    threads = _conversation()
    found = sorted(set(FINDINGS.iterdir()) - before)
    for finding in found:
        print(f"found: {finding.relative_to(ROOT)}")
    print(f"{len(found)} findings of the reader; the conversation {'holds' if threads else 'broke'}.")
    return 0 if threads and not found else 1


def _read_for(seconds: float) -> None:
    """Run the fuzzer until the time is over; an input that hangs or fills the memory ends it, and it begins again."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) >= 1:
        subprocess.run(
            [
                *(sys.executable, "-m", "fuzz.reader"),
                *(f"-max_total_time={left:.0f}", f"-timeout={STUCK}", f"-rss_limit_mb={MEMORY}"),
                *(f"-max_len={LONGEST}", f"-dict={WORDS}", f"-artifact_prefix={FINDINGS}/", "-print_final_stats=1"),
                *(str(CORPUS), *_others()),
            ],
            cwd=ROOT,
            env=os.environ | {"AMENDS_FINDINGS": str(FINDINGS)},
            check=False,
        )


def _others() -> list[str]:
    named = os.environ.get("FUZZ_CORPUS", "")
    return [named] if named else []


def _conversation() -> bool:
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", CONVERSATION],
        cwd=ROOT,
        env=os.environ | {"AMENDS_NIGHTLY": "1"},
        check=False,
    )
    return run.returncode == 0


if __name__ == "__main__":
    sys.exit(main())
