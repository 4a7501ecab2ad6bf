"""Trained digit classifiers, 64-48-32-10, as lists of layers that the hardware computes one after the other."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from golden import tensors
from golden.formats import parse
from golden.spec import Spec

from . import binary, mlp
from .data import held_out

__all__ = ["VERSIONS", "Layer", "Network", "held_out", "load"]

_INT8 = dict(
    activations=parse("int8"),
    weights=parse("int8"),
    bias=parse("int32"),
    requantize="multiplier",
    output=parse("int8"),
    a_zero_point=True,
    y_zero_point=True,
)
_INT4 = dict(
    activations=parse("uint8"),
    weights=parse("int4"),
    bias=parse("int24"),
    requantize="multiplier",
    output=parse("uint8"),
)
_BIPOLAR = dict(activations=parse("bipolar"), weights=parse("bipolar"), bias=parse("int8"), output=parse("bipolar"))

_SPEC_FIELDS = {
    "int8": {"fc1": _INT8 | {"activation": "relu"}, "fc2": _INT8 | {"activation": "relu"}, "fc3": _INT8},
    "uint8_int4": {"fc1": _INT4, "fc2": _INT4, "fc3": _INT4 | {"output": parse("int8")}},
    "bipolar": {
        "fc1": _BIPOLAR | {"activations": parse("uint5"), "bias": parse("int12")},
        "fc2": _BIPOLAR,
        "fc3": _BIPOLAR | {"output": None},
    },
}
VERSIONS = tuple(_SPEC_FIELDS)


@dataclass(frozen=True)
class Layer:
    """One dense layer: codes [M, K] in, codes [M, N] out.

    `spec_fields` are the fields of a Spec that the layer's numbers need; the shape of the array is the user's choice.
    `arrays` are w [K, N] and the layer's parameters, as `golden.tensors.operands` takes them beside a.
    """

    name: str
    spec_fields: dict
    arrays: dict

    def spec(self, **shape):
        """A Spec for this layer; `shape` gives rows, cols, lanes, depth (K unless given) and so on."""
        return Spec(**{"name": self.name, "depth": len(self.arrays["w"]), **self.spec_fields, **shape})


@dataclass(frozen=True)
class Network:
    """One version of the classifier, and the float network that it was made from."""

    version: str
    layers: tuple[Layer, ...]
    float_parameters: dict

    def encode(self, images):
        """Input codes [M, 64] of the first layer, int64, for images [M, 64] with pixels 0..16."""
        if self.version == "bipolar":
            return np.rint(images).astype(np.int64)
        zero_point = int(self.layers[0].arrays.get("a_zero_point", 0))
        return np.rint(np.asarray(images) * 255 / 16).astype(np.int64) + zero_point

    def golden(self, images):
        """Per layer, (arrays for `operands` with the input codes as "a", output codes), from the golden model."""
        codes, steps = self.encode(images), []
        for layer in self.layers:
            arrays, spec = {"a": codes, **layer.arrays}, layer.spec()
            codes = tensors.golden(spec, tensors.operands(spec, arrays))
            steps.append((arrays, codes))
        return steps

    def classify(self, y):
        """Classes [M] for the last layer's output codes [M, 10]: the largest, the lowest index where several are."""
        return np.argmax(y, axis=1)

    def float_logits(self, images):
        """Logits [M, 10], float64, of the float network."""
        model = binary if self.version == "bipolar" else mlp
        return model.logits(self.float_parameters, np.asarray(images, dtype=np.float64))


def path(version):
    """The file with a version's parameters: "fc1.w" and so on, float ones as "float.fc1.w"."""
    return Path(__file__).with_name(f"{version}.npz")


def load(version):
    """The trained network of that version. Raises ValueError for a name that is not in VERSIONS."""
    if version not in VERSIONS:
        raise ValueError(f"version must be one of {', '.join(VERSIONS)}, not {version!r}")
    with np.load(path(version), allow_pickle=False) as archive:
        stored = dict(archive)
    layers = tuple(
        Layer(name, fields, {key: value.astype(np.int64) for key, value in _below(stored, name).items()})
        for name, fields in _SPEC_FIELDS[version].items()
    )
    return Network(version, layers, _below(stored, "float"))


def _below(stored, prefix):
    return {name.removeprefix(f"{prefix}."): value for name, value in stored.items() if name.startswith(f"{prefix}.")}
