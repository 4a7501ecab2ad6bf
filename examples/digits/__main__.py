"""Writes the float classifiers, images to calibrate with and images to test with into a folder.

Run as `python -m examples.digits export FOLDER`.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

from .data import held_out, training
from .float_networks import NAMES, inputs
from .onnx_models import onnx_model


def export(folder: Path):
    """Writes mlp.onnx, cnn.onnx, calibration.npz (of the images for training) and test.npz: x and labels."""
    (seen, known), (images, labels) = training(), held_out()
    folder.mkdir(parents=True, exist_ok=True)
    for name in NAMES:
        (folder / f"{name}.onnx").write_bytes(onnx_model(name).SerializeToString())
    np.savez_compressed(folder / "calibration.npz", x=inputs(seen), labels=known)
    np.savez_compressed(folder / "test.npz", x=inputs(images), labels=labels)


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m examples.digits", description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("export", help="write them").add_argument("folder", type=Path)
    given = parser.parse_args(arguments)
    try:
        export(given.folder)
    except (ImportError, OSError) as error:
        sys.exit(str(error))
    print(f"mlp.onnx, cnn.onnx, calibration.npz, test.npz -> {given.folder}")


if __name__ == "__main__":
    main()
