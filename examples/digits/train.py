"""Trains the digit classifiers and writes their parameters beside this file.

Run as `python -m examples.digits.train`; --report and --validate write nothing.
"""

import argparse

import numpy as np
from threadpoolctl import threadpool_limits  # comes with scikit-learn; one thread makes BLAS sums repeatable

from . import binary, mlp, quantize
from .data import held_out, training, validation_split
from .fitting import fit
from .network import VERSIONS, load, path

MLP_FIT = dict(seed=0, epochs=60, batch=32, rate=3e-3)
BINARY_FIT = dict(seed=0, epochs=150, batch=64, rate=1e-2, noise=1.0)
SMALLEST = (np.int8, np.uint8, np.int16, np.int32, np.int64)


def trained(images, labels):
    """The frozen parameters of both float networks."""
    return (
        mlp.freeze(fit(mlp, images, labels, **MLP_FIT)),
        binary.freeze(fit(binary, images, labels, **BINARY_FIT), images),
    )


def write(images, labels):
    plain, signs = trained(images, labels)
    _save("int8", quantize.int8(plain, images), plain)
    _save("uint8_int4", quantize.uint8_int4(plain, images), plain)
    _save("bipolar", quantize.bipolar(signs), signs)


def _save(version, layers, float_parameters):
    codes = {f"{name}.{key}": _shrink(value) for name, layer in layers.items() for key, value in layer.items()}
    np.savez_compressed(path(version), **codes, **{f"float.{name}": value for name, value in float_parameters.items()})


def _shrink(codes):
    """The same integers in the smallest type that holds them."""
    codes = np.asarray(codes)
    return next(codes.astype(kind) for kind in SMALLEST if np.array_equal(codes.astype(kind), codes))


def report():
    images, labels = held_out()
    print(f"{'version':<12}{'float correct':>15}{'integer correct':>24}{'file':>14}")
    for version in VERSIONS:
        network = load(version)
        exact = _correct(network.float_logits(images), labels)
        integer = _correct(network.golden(images)[-1][1], labels)
        size = path(version).stat().st_size
        print(f"{version:<12}{exact:>15}{integer:>24}{size:>8} bytes")


def _correct(logits, labels):
    count = int((np.argmax(logits, axis=1) == labels).sum())
    return f"{count}/{len(labels)} {100 * count / len(labels):.1f} %"


def validate():
    seen, (images, labels) = validation_split()
    plain, signs = trained(*seen)
    print(f"float    {_correct(mlp.logits(plain, images), labels)}")
    print(f"binary   {_correct(binary.logits(signs, images), labels)}")


def main():
    parser = argparse.ArgumentParser(prog="python -m examples.digits.train", description=__doc__.splitlines()[0])
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument("--report", action="store_true", help="only report on the parameters that are there")
    choice.add_argument("--validate", action="store_true", help="compare on a part of the training set, write nothing")
    given = parser.parse_args()
    with threadpool_limits(1):
        if given.validate:
            return validate()
        if not given.report:
            write(*training())
        report()


if __name__ == "__main__":
    main()
