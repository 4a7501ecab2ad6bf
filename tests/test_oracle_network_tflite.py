"""Networks read from TFLite files against TFLite Micro: every operator's output the same, of made-up networks.

The interpreter gives the last output of a model, so each network is cut after each of its operators in turn.
"""

import numpy as np
import oracle_litert as litert
import pytest
from oracle_cases import differing, need

need("ai_edge_litert", "tflite_micro", "flatbuffers", "tflite")
pytestmark = pytest.mark.filterwarnings("default")

from tflite_cases import CASES, real_ends  # noqa: E402
from tflite_models import chain  # noqa: E402

from network.tflite.read import read_tflite  # noqa: E402

EXAMPLES = 20
RUN = {
    "tflite-micro": litert.run_micro,
    "litert-reference": lambda content, inputs: litert.run(content, inputs, "ref"),
    "litert-ruy-x86": lambda content, inputs: litert.run(content, inputs, "ruy"),
    "litert-xnnpack": lambda content, inputs: litert.run(content, inputs, "xnnpack"),
}
# LiteRT wants biases, and shapes of RESHAPE.
INT8 = ("dense", "ties", "one of each", "rows", "convolutions", "strides", "channels", "pools", "uint8 ends")
PAIRS = [*(("tflite-micro", name) for name in CASES), *((p, name) for p in list(RUN)[1:] for name in INT8)]


def layers(content, codes, platform):
    """Codes after each operator."""
    found = read_tflite(content, platform=platform).trace(codes)
    return [y for name, y in found.items() if not name.startswith("flatten")]


@pytest.mark.parametrize(("platform", "name"), PAIRS)
def test_every_operator(platform, name):
    maker = CASES[name]
    codes = maker.inputs(EXAMPLES)
    found = layers(maker.content, codes, platform)
    assert len(found) == len(maker.steps)
    pairs = []
    for count, y in enumerate(found, start=1):
        content = chain(maker.x, *maker.steps[:count])
        pairs.append((y, np.concatenate([RUN[platform](content, [one[None]]) for one in codes])))
        assert len(np.unique(y)) > 5 or y[0].size == 1
    assert differing(pairs) == (0, sum(y.size for y in found))


@pytest.mark.parametrize("platform", RUN)
def test_real_inputs_and_outputs(platform):
    maker = real_ends()
    x = maker.inputs(400)
    x[200:] = np.round(x[200:] * 20) * maker.steps[0].output.scale / 2  # ties
    found = read_tflite(maker.content, platform=platform).run(x)
    other = np.concatenate([RUN[platform](maker.content, [one[None]]) for one in x])
    assert found.dtype == other.dtype == np.float32
    assert differing([(found, other)]) == (0, found.size)
