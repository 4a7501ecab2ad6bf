"""docs/platforms.md: its tables are what the command prints, and its example runs."""

import re

import numpy as np
import pytest

from benchmarks import platforms as benchmark
from golden.platforms import PLATFORMS

TEXT = benchmark.DOCUMENT.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", benchmark.TABLES)
def test_tables_are_what_the_command_prints(name):
    written = re.search(rf"<!-- {name} -->\n(.*?)\n<!-- end -->", TEXT, re.DOTALL)
    assert written and written[1].strip() == benchmark.table(name)


def test_every_platform_is_named():
    assert {name for name in PLATFORMS if f"| {name} |" in TEXT} == set(PLATFORMS)
    assert set(benchmark.COMPARED) <= set(PLATFORMS)


ALIKE = {
    "litert-reference-conv": "tflite-micro",
    "tosa-double": "tflite-micro",
    "onnxruntime": "litert-xnnpack",
    "brevitas": "qonnx",
    "tosa-int16": "tflite-micro-int16",
}


@pytest.mark.parametrize("cases", [benchmark.generic, benchmark.ties])
def test_what_the_text_says_of_the_tables(cases):
    cases = list(cases(np.random.default_rng(benchmark.SEED)))[:200]
    for name, twin in ALIKE.items():
        assert np.array_equal(benchmark.outputs(name, cases), benchmark.outputs(twin, cases))
    codes = np.array([benchmark.outputs(name, cases) for name in benchmark.COMPARED])
    assert np.ptp(codes, axis=0).max() == 1
    assert 34 < codes[0].std() < 36


def test_the_example_runs():
    example = re.search(r"```python\n(.*?)```", TEXT, re.DOTALL)
    assert example
    draw = np.random.default_rng(1)
    names = {
        "a": draw.integers(-128, 128, (3, 5)),
        "w": draw.integers(-128, 128, (5, 4)),
        "w_scale": draw.uniform(0.01, 0.02, 4),
        "bias": draw.integers(-9, 9, 4),
    }
    exec(example[1], names)
    assert names["y"].shape == (3, 4)
