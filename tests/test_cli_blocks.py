"""Blocks on the command line: names of block formats, defaults, contradictions, messages."""

import json
import tomllib

import numpy as np
import pytest
from commands import command, done

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


def test_differing_float32_outputs_are_told_as_numbers(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    flags = ("--activations", "int8", "--weights", "int4", "--block", 2, "--w-block-scale", "float16")
    done("generate", *flags, "--block-sum", "float32", "--output", "float32", "--depth", 8, "--out", "x")
    arrays = {
        "a": np.array([[3, 5, 1]]),
        "w": np.array([[1], [2], [-7]]),
        "w_block_scale": np.array([[0x3C00], [0x3800]]),
    }
    y = np.array([[13 - 3.5]], np.float32)
    np.savez("dump.npz", y=y, **arrays)
    done("compare", "x", "--hardware", "dump.npz")
    for wrong, shown, cause in ((6, "6", "they are ignored"), (np.inf, "inf", "no single known fault")):
        np.savez("dump.npz", y=np.full_like(y, wrong), **arrays)
        told = command("compare", "x", "--hardware", "dump.npz")
        assert told.code == 1 and cause in told.out
        bits = int(np.full_like(y, wrong).view(np.uint32)[0, 0])
        assert f"  hardware   {bits:>12}  {bits:032b}  float32 {shown}\n" in told.out
        assert f"  golden       1092091904  {1092091904:032b}  float32 9.5\n" in told.out
        assert "  golden's steps: after each block 13, 9.5, code 1092091904\n" in told.out
        (result,) = json.loads(command("compare", "x", "--hardware", "dump.npz", "--json").out)["results"]
        found = result["explanation"]
        assert (found["hardware_value"], found["golden_value"], found["golden"]) == (shown, "9.5", 1092091904)
