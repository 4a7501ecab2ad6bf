"""The README's console blocks show what the commands print today."""

import pytest

from docs import transcript
from sim.simulators import SIMULATORS, SimulationError, require


def test_transcript_is_true():
    try:
        for simulator in SIMULATORS:
            require(simulator)
    except SimulationError as error:
        pytest.skip(str(error))
    text = transcript.README.read_text()
    assert transcript.rerun(text) == text, "run: python -m docs.transcript"


def test_blocks_with_no_command_would_be_noticed():
    blocks = transcript.BLOCK.findall(transcript.README.read_text())
    assert len(blocks) >= 2
    assert all(transcript.commands(block) for block in blocks)


def test_continued_commands_and_old_output():
    block = "$ echo one \\\n    two\nold\n$ false; echo $?\n"
    assert transcript.commands(block) == ["echo one \\\n    two", "false; echo $?"]
    made = transcript.rerun(f"```console\n{block}```\n")
    assert made == "```console\n$ echo one \\\n    two\none two\n$ false; echo $?\n1\n```\n"
