"""docs/networks.md on post-training quantization: its example runs, and its table is what the command prints.

Of the table four rows are computed again, without the columns of adaptive rounding.
"""

import re
from pathlib import Path

import numpy as np
import pytest

from golden.block_formats import NAMED_BLOCKS

TEXT = (Path(__file__).resolve().parent.parent / "docs" / "networks.md").read_text(encoding="utf-8")
SECTION = TEXT[TEXT.index("## From a float network: post-training quantization") :]


def test_the_example_runs():
    code = re.search(r"```python\n(.*?)```", SECTION, re.DOTALL)
    assert code is not None
    names = {}
    exec(code[1], names)
    quantized, network = names["quantized"], names["network"]
    assert [str(layer.spec.weights) for layer in quantized.products] == ["int4", "float4_e2m1fn"]
    x = names["batches"][0].astype(np.float32)
    assert np.abs(quantized.run(x) - network.run(x)).max() < 0.3 * np.abs(network.run(x)).max()


@pytest.mark.parametrize("name", ["int8", "int2", "ternary", "mxfp4"])
def test_rows_of_the_table(name):
    pytest.importorskip("sklearn", reason="the digits need scikit-learn")
    from examples.digits import post_training as example

    table = re.search(r"<!-- digits -->\n(.*?)<!-- end -->", SECTION, re.DOTALL)
    assert table is not None
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table[1].strip().splitlines()]
    assert rows[0] == ["weights", *example.COLUMNS] and [row[0] for row in rows[2:]] == list(example.FORMATS)
    written = dict(zip(rows[0][1:], next(row for row in rows if row[0] == name)[1:], strict=True))
    images, labels = example.held_out()
    network = example.float_network("mlp")
    if name == "int8":
        assert f"In float32 it tells {example.right(network, images, labels)}." in SECTION
    for column, fields in example.COLUMNS.items():
        if "adaround" not in column:
            recipe = example.Recipe(weights=name, **fields)
            found = example.quantize(network, example.calibration(), recipe)
            assert example.right(found, images, labels) == int(written[column]), column


def test_all_blocks_with_names_are_there():
    kinds = re.findall(r"`(mxint8|mxfp\d_\*|mxfp4|nvfp4)`", SECTION)
    assert {re.sub(r"_.*", "", name) for name in NAMED_BLOCKS} == {kind.replace("_*", "") for kind in kinds}
