"""Stochastic gradient descent in numpy, for networks given by a function of parameters that returns gradients."""

import numpy as np


class Adam:
    """Adam (Kingma and Ba, 2015) on a dict of float64 arrays, changed in place."""

    def __init__(self, parameters, *, decay=0.9, square_decay=0.999, epsilon=1e-8):
        self.parameters = parameters
        self.decay, self.square_decay, self.epsilon = decay, square_decay, epsilon
        self.mean = {name: np.zeros_like(value) for name, value in parameters.items()}
        self.square = {name: np.zeros_like(value) for name, value in parameters.items()}
        self.steps = 0

    def step(self, gradients, rate):
        self.steps += 1
        for name, gradient in gradients.items():
            self.mean[name] += (1 - self.decay) * (gradient - self.mean[name])
            self.square[name] += (1 - self.square_decay) * (gradient**2 - self.square[name])
            mean = self.mean[name] / (1 - self.decay**self.steps)
            square = self.square[name] / (1 - self.square_decay**self.steps)
            self.parameters[name] -= rate * mean / (np.sqrt(square) + self.epsilon)


def fit(model, images, labels, *, seed, epochs, batch, rate, noise=0.0):
    """Parameters of `model` after `epochs` passes in random order, the rate falling as a half cosine.

    `model` has initial(rng), gradients(parameters, images, labels) and constrain(parameters). `noise` is the standard
    deviation of Gaussian noise on the pixels, which stay integers 0..16.
    """
    rng = np.random.default_rng(seed)
    parameters = model.initial(rng)
    adam = Adam(parameters)
    for epoch in range(epochs):
        falling = rate * (1 + np.cos(np.pi * epoch / epochs)) / 2
        for chosen in _batches(rng.permutation(len(images)), batch):
            adam.step(model.gradients(parameters, _noisy(images[chosen], noise, rng), labels[chosen]), falling)
            model.constrain(parameters)
    return parameters


def _batches(order, size):
    return (order[start : start + size] for start in range(0, len(order) - size + 1, size))


def _noisy(images, noise, rng):
    return np.clip(np.rint(images + rng.normal(0, noise, images.shape)), 0, 16) if noise else images


def cross_entropy_gradient(logits, labels):
    """Gradient, with respect to logits [M, 10], of the mean cross entropy after softmax."""
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    gradient = exponentials / exponentials.sum(axis=1, keepdims=True)
    gradient[np.arange(len(labels)), labels] -= 1
    return gradient / len(labels)
