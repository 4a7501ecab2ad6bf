"""Runs the commands of a file's console blocks and puts their real output behind them: `python -m docs.transcript`.

The file is the README, or the one named as an argument. With `--check` it stays as it is, and the exit code is 1 if its
outputs are not what the commands print today.
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

README = Path(__file__).resolve().parent.parent / "README.md"
BLOCK = re.compile(r"```console\n(.*?)```", re.DOTALL)


def rerun(text):
    """The text with each console block's output made anew, all blocks in one fresh folder, in order."""
    with tempfile.TemporaryDirectory() as folder:
        return BLOCK.sub(lambda block: f"```console\n{_rerun_block(block[1], folder)}```", text)


def _rerun_block(block, folder):
    return "".join(f"$ {command}\n{_output(command, folder)}" for command in commands(block))


def commands(block):
    """Lines behind `$ `, with those that a backslash continues."""
    return [match.rstrip("\n") for match in re.findall(r"^\$ ((?:.*\\\n)*.*\n)", block, re.MULTILINE)]


def _output(command, folder):
    environment_bin = Path(sys.executable).parent
    script = f'PATH="{environment_bin}:$PATH"; {command}'
    done = subprocess.run(["bash", "-c", script], cwd=folder, capture_output=True, text=True)
    lines = [line.rstrip() for line in (done.stdout + done.stderr).splitlines()]
    return "".join(f"{line}\n" for line in lines)


def main():
    named = [argument for argument in sys.argv[1:] if argument != "--check"]
    file = Path(named[0]) if named else README
    text = file.read_text()
    made = rerun(text)
    if "--check" in sys.argv:
        sys.exit(made != text)
    file.write_text(made)


if __name__ == "__main__":
    main()
