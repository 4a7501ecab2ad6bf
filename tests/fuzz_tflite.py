"""Damaged TFLite files: `python tests/fuzz_tflite.py --seconds 60 --seed 1` reads them until the time is over.

Each is a sound model with the changes that its seed says, so a model and a seed name a file. Reading must give a
network or a ValueError of one line, soon and in little memory; a network must run, or refuse to in one line. Anything
else is printed, and the exit code is 1.
"""

import sys
from pathlib import Path

import numpy as np

sys.path[:0] = [str(Path(__file__).resolve().parent.parent), str(Path(__file__).resolve().parent)]
from fuzzing import check_line, hunt  # noqa: E402
from tflite_cases import CASES, real_ends  # noqa: E402

from network.network import Network  # noqa: E402
from network.tflite.read import read_tflite  # noqa: E402

CORPUS = Path(__file__).resolve().parent.parent.parent / "shared" / "corpus" / "models"
RUN_ELEMENTS = 1 << 16
NUMBERS = (0, 1, 2, 3, 4, 7, 8, 127, 128, 255, 256, 65535, 1 << 16, 1 << 24, (1 << 31) - 1, 1 << 31, (1 << 32) - 1)


def models() -> dict[str, bytes]:
    """The sound models: made-up ones, and those of the corpus where it is there."""
    found = {name: maker.content for name, maker in {**CASES, "real ends": real_ends()}.items()}
    for path in sorted(CORPUS.glob("*/model.tflite")):
        found[path.parent.name] = path.read_bytes()
    return found


def mutated(content: bytes, seed: int) -> bytes:
    """The bytes after one to eight changes drawn from the seed, most of them where the tables lie."""
    draw = np.random.default_rng(seed)
    data = bytearray(content)
    for _ in range(int(draw.integers(1, 9))):
        if len(data) < 16:
            break
        CHANGES[int(draw.integers(len(CHANGES)))](draw, data)
    return bytes(data)


def _place(draw, data):
    """A place aligned to 4 bytes, near either end of the file in two of three cases, beyond its identifier in most."""
    size = len(data) // 4
    near = min(size, 500)
    word = int(draw.choice([draw.integers(size), draw.integers(near), size - 1 - draw.integers(near)]))
    return 4 * word if word != 1 or draw.random() < 0.05 else 8


def _flip(draw, data):
    data[min(_place(draw, data) + int(draw.integers(4)), len(data) - 1)] ^= 1 << int(draw.integers(8))


def _number(draw, data):
    place = _place(draw, data)
    data[place : place + 4] = int(draw.choice(NUMBERS)).to_bytes(4, "little")


def _nudge(draw, data):
    place = _place(draw, data)
    value = int.from_bytes(data[place : place + 4], "little") + int(draw.integers(-9, 10))
    data[place : place + 4] = (value % (1 << 32)).to_bytes(4, "little")


def _noise(draw, data):
    place = _place(draw, data)
    data[place : place + 16] = draw.bytes(16)


def _copy(draw, data):
    source, target, size = _place(draw, data), _place(draw, data), 4 * int(draw.integers(1, 30))
    data[target : target + size] = data[source : source + size]


def _cut(draw, data):
    if draw.random() < 0.3:
        del data[int(draw.integers(len(data))) :]


def _leave_out(draw, data):
    place = _place(draw, data)
    del data[place : place + 4 * int(draw.integers(1, 4))]


CHANGES = (_flip, _flip, _number, _number, _nudge, _nudge, _noise, _copy, _cut, _leave_out)


def outcome(content: bytes) -> str:
    """What became of a file: read or refused. Raises AssertionError for several lines, and whatever else is raised."""
    try:
        network = read_tflite(content)
    except ValueError as error:
        check_line(error)
        return "refused"
    check_runs(network)
    return "read"


def check_runs(network: Network):
    """One example of the least codes, if it is small, goes through, or is refused in one line."""
    size = int(np.prod(network.shape))
    if size > RUN_ELEMENTS or sum(layer.arrays["w"].size for layer in network.products) > RUN_ELEMENTS:
        return
    codes = np.full((1, *network.shape), network.entry.y.fmt.code_range[0])
    try:
        for layer in network.steps[1:]:
            codes = layer.run(codes)
    except ValueError as error:
        check_line(error)


def main():
    return hunt(__doc__, models(), lambda name, content, seed: outcome(mutated(content, seed)))


if __name__ == "__main__":
    sys.exit(main())
