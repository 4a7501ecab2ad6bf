"""What fuzzers of readers have in common: changed files until the time is over, each in bounded time and memory."""

import argparse
import resource
import signal
import time
import warnings
from collections.abc import Callable, Mapping

SECONDS, MEMORY = 20, 6 << 30


def check_line(error: Exception):
    """Raises AssertionError for an error that is not one harmless line."""
    text = str(error)
    assert text and all(one.isprintable() for one in text) and len(text) < 600, f"not one line: {text!r}"


def _limit():
    """An end to memory and, by an alarm for each file, to time."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))

    def late(number, frame):
        raise TimeoutError(f"longer than {SECONDS} s")

    signal.signal(signal.SIGALRM, late)


def hunt(description: str, models: Mapping[str, bytes], outcome: Callable[[str, bytes, int], str]) -> bool:
    """Calls outcome(name, sound file, seed) for all files and one seed after the other; whether anything was raised."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    _limit()
    warnings.simplefilter("error")
    end, seed, found = time.monotonic() + options.seconds, options.seed, []
    counts: dict[str, int] = {}
    while time.monotonic() < end:
        for name, content in models.items():
            signal.alarm(SECONDS)
            try:
                what = outcome(name, content, seed)
                counts[what] = counts.get(what, 0) + 1
            except Exception as error:  # anything at all is what this looks for
                found.append((name, seed))
                print(f"{name!r}, seed {seed}: {type(error).__name__}: {str(error)[:300]}", flush=True)
            signal.alarm(0)
        seed += 1
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    print(f"{sum(counts.values())} files from seed {options.seed}: {counts}, {len(found)} wrong, {memory} MB at most")
    return bool(found)
