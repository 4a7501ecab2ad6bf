"""Trains the convolutional digit classifier in PyTorch and writes its parameters, cnn.npz, beside this file.

Run as `python -m examples.digits.train_cnn`; --report and --validate write nothing.
"""

import argparse

import numpy as np
import torch
from torch import nn

from .data import held_out, training, validation_split
from .float_networks import CNN_FILE, KERNELS, float_network, inputs

SEED, EPOCHS, BATCH, RATE, NOISE, DECAY = 0, 60, 32, 4e-3, 0.06, 1e-4


def classifier() -> nn.Sequential:
    conv1, conv2 = (nn.Conv2d(size[1], size[0], 3, padding=1) for size in KERNELS.values())
    first = [conv1, nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*first, conv2, nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(64, 10))


def fitted(images, labels) -> nn.Sequential:
    """The classifier after EPOCHS passes in random order over noisy images, the rate falling as a half cosine."""
    torch.manual_seed(SEED)
    torch.set_num_threads(1)
    x, labels, model = torch.from_numpy(inputs(images)), torch.from_numpy(labels), classifier()
    adam = torch.optim.Adam(model.parameters(), lr=RATE, weight_decay=DECAY)
    falling = torch.optim.lr_scheduler.CosineAnnealingLR(adam, EPOCHS)
    for _ in range(EPOCHS):
        for chosen in torch.randperm(len(x)).split(BATCH):
            adam.zero_grad()
            noisy = x[chosen] + NOISE * torch.randn(x[chosen].shape)
            nn.functional.cross_entropy(model(noisy.clamp(0, 1)), labels[chosen]).backward()
            adam.step()
        falling.step()
    return model.eval()


def parameters(model) -> dict[str, np.ndarray]:
    """float32, as float_networks.parameters has them."""
    conv1, conv2, dense = model[0], model[3], model[-1]
    layers = {"conv1": conv1, "conv2": conv2, "fc": dense}
    numbers = {f"{name}.b": one.bias.detach().numpy() for name, one in layers.items()}
    numbers |= {f"{name}.w": one.weight.detach().numpy() for name, one in layers.items()}
    return numbers | {"fc.w": np.ascontiguousarray(numbers["fc.w"].T)}


def _correct(logits, labels):
    count = int((logits.argmax(axis=1) == labels).sum())
    return f"{count}/{len(labels)} {100 * count / len(labels):.1f} %"


def main():
    parser = argparse.ArgumentParser(prog="python -m examples.digits.train_cnn", description=__doc__.splitlines()[0])
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument("--report", action="store_true", help="only report on the parameters that are there")
    choice.add_argument("--validate", action="store_true", help="compare on a part of the training set, write nothing")
    given = parser.parse_args()
    if given.validate:
        seen, (images, labels) = validation_split()
        logits = fitted(*seen)(torch.from_numpy(inputs(images)))
        return print(f"cnn  {_correct(logits.detach().numpy(), labels)}")
    if not given.report:
        np.savez_compressed(CNN_FILE, **parameters(fitted(*training())))
    images, labels = held_out()
    logits = float_network("cnn").run(inputs(images))
    print(f"cnn  {_correct(logits, labels)}  {CNN_FILE.stat().st_size} bytes")


if __name__ == "__main__":
    main()
