"""Blocks on the command line: names of block formats, defaults, contradictions, messages."""

import json
import tomllib

import pytest

from bittrue.design import describe, to_spec, to_toml
from bittrue.errors import InputError
from bittrue.manifest import manifest
from golden.block_formats import NAMED_BLOCKS

INT8 = {"activations": "int8", "weights": "int8"}


def blocks(name):
    return {"activations": name, "weights": name}


@pytest.mark.parametrize("name", NAMED_BLOCKS)
def test_a_name_is_elements_block_and_scale(name):
    spec = to_spec({**blocks(name), "output": "float32"})
    fmt = NAMED_BLOCKS[name]
    assert spec.activations == spec.weights == fmt.element
    assert (spec.block, spec.a_block_scale, spec.w_block_scale) == (fmt.block, fmt.scale, fmt.scale)
    assert spec.block_sum == "float32"
    assert to_spec(tomllib.loads(to_toml(spec))) == spec


def test_blocks_of_one_operand():
    spec = to_spec({"activations": "int8", "weights": "mxfp4", "block_sum": "float32"})
    assert (str(spec.activations), spec.a_block_scale, str(spec.w_block_scale)) == ("int8", None, "float8_e8m0fnu")
    assert str(spec.output) == "float32"
    assert "blocks of 32, scaled by W's float8_e8m0fnu, accumulator float32" in describe(spec)


def test_names_agree_with_what_is_written_out():
    written = {"block": 32, "a_block_scale": "float8_e8m0fnu", "scale_range": [120, 130], "output": "int32"}
    assert to_spec({**blocks("mxint8"), **written}).scale_range == (120, 130)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"activations": "mxfp4", "weights": "nvfp4"},
            "weights nvfp4 has blocks of 16; activations has 32, and both must be equal",
        ),
        ({**blocks("mxfp4"), "block": 16}, "activations mxfp4 has blocks of 32; block is 16, and both must be equal"),
        (
            {"activations": "int8", "weights": "nvfp4", "block": 32},
            "weights nvfp4 has blocks of 16; block is 32, and both must be equal",
        ),
        (
            {**blocks("mxfp4"), "a_block_scale": "uint4"},
            "a_block_scale is part of activations mxfp4; leave it out, not 'uint4'",
        ),
        (
            {**blocks("mxfp4"), "output": "int8", "block_sum": "float32"},
            "output must be float32 with block_sum float32, not int8",
        ),
        ({**INT8, "output": "float32", "block_sum": "exact"}, "output float32 needs block_sum float32"),
        (
            blocks("mxfp9"),
            "activations: unknown format 'mxfp9'; known are",
        ),
    ],
)
def test_contradictions(given, message):
    with pytest.raises(InputError) as error:
        to_spec(given)
    assert str(error.value).startswith(message)


def test_the_manifest_says_how_sums_are_formed():
    built = manifest(to_spec({**blocks("mxfp4"), "output": "float32", "lanes": 8}), "")
    assert built["accumulator"] == {
        "width": 32,
        "range": None,
        "exact": False,
        "why": "the exact sum of each block, -4608..4608, is rounded to float32, scaled and added in order of k",
    }
    exact = manifest(to_spec({**INT8, "block": 4, "lanes": 4, "depth": 8, "w_block_scale": "uint2"}), "")
    assert exact["accumulator"]["why"] == (
        "8 products of int8 [-128, 127] and int8 [-128, 127], scaled by 0..3, "
        "sum to -390144..393216, which needs 20 bits"
    )
    assert json.dumps(built)
