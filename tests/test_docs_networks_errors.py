"""The console blocks on errors and mixed precision in docs/networks.md show what the commands print today.

Words are the same everywhere; numbers may differ in the last digits where float32 sums are added up in another order.
"""

import re
from pathlib import Path

import pytest

from docs import transcript

FILE = Path(__file__).resolve().parent.parent / "docs" / "networks.md"
SECTIONS = ("## Where the error comes from", "## Mixed precision")
NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


def told():
    parts = re.split(r"^(?=## )", FILE.read_text(), flags=re.M)
    return "".join(part for part in parts if part.startswith(SECTIONS))


def numbers(text):
    return [float(number) for number in NUMBER.findall(text)]


def test_transcripts_are_true():
    pytest.importorskip("sklearn", reason="the digits come with scikit-learn")
    own = told()
    assert len(transcript.BLOCK.findall(own)) == 4
    made = transcript.rerun(own)
    assert _words(made) == _words(own), "run: python -m docs.transcript docs/networks.md"
    assert numbers(made) == pytest.approx(numbers(own), rel=0.05, abs=0.3)


def _words(text):
    """Without numbers, and spaces that depend on their length."""
    return [NUMBER.sub("0", line).split() for line in text.splitlines()]
