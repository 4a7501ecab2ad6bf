"""What is added and scaled behind a product: a bias, or batch norm, taken into the numbers of the requantizer."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from network.elementwise import Step as Operation

from .steps import numpy


@dataclass(frozen=True, eq=False)
class Folded:
    """factor * sums + offset, both [N]; the same as a float32 operation on the sums, as thresholds take it."""

    factor: torch.Tensor
    offset: torch.Tensor
    operation: Operation


class Bias(nn.Module):
    """sums + bias, [N]"""

    def __init__(self, bias):
        super().__init__()
        self.bias = nn.Parameter(torch.tensor(bias, dtype=torch.float32))

    def signs(self) -> torch.Tensor:
        """+1 for each column: the weights stay."""
        return torch.ones_like(self.bias)

    def folded(self, sums=None) -> Folded:
        """The same for all sums."""
        return Folded(torch.ones_like(self.bias), self.bias, Operation("add", (numpy(self.bias),)))


class BatchNorm(nn.Module):
    """gamma * (x - mean) / sqrt(variance + epsilon) + beta, with the statistics of the batch in training, else tracked.

    All [N]. Weights of columns whose gamma is negative change their sign, so that codes rise with sums: where x is the
    sum of the weights as they were, `folded` takes and factors signs() * x. Sources: Ioffe, Szegedy, "Batch
    Normalization" (2015); for the signs Umuroglu et al., "FINN" (2017), section 4.2.
    """

    mean: torch.Tensor
    variance: torch.Tensor

    def __init__(self, gamma, beta, mean, variance, *, epsilon=1e-5, momentum=0.1):
        super().__init__()
        self.gamma, self.beta = (nn.Parameter(torch.tensor(one, dtype=torch.float32)) for one in (gamma, beta))
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32))
        self.register_buffer("variance", torch.tensor(variance, dtype=torch.float32))
        self.epsilon, self.momentum = epsilon, momentum

    def keep(self, mean):
        """Sets gamma and beta so that sums of the tracked statistics keep their deviation and get this mean."""
        with torch.no_grad():
            self.gamma.copy_(torch.sqrt(self.variance + self.epsilon))
            self.beta.copy_(torch.tensor(mean))

    def signs(self) -> torch.Tensor:
        """Those of gamma, +1 for zero."""
        return torch.where(self.gamma < 0, -1.0, 1.0)

    def folded(self, sums=None) -> Folded:
        """For real sums [..., N], which in training give the statistics and move the tracked ones by `momentum`.

        Without sums, and in evaluation, the tracked ones count.
        """
        mean, variance = self.mean, self.variance
        if self.training and sums is not None:
            mean, variance = self._tracked(sums * self.signs())
        deviation = torch.sqrt(variance + self.epsilon)
        numbers = (self.gamma.abs(), self.beta, self.signs() * mean, variance)
        operation = Operation("batch_norm", (*map(numpy, numbers), np.array(self.epsilon, np.float32)))
        return Folded(self.gamma.abs() / deviation, self.beta - self.gamma * mean / deviation, operation)

    def _tracked(self, x):
        rows = x.reshape(-1, x.shape[-1])
        mean, variance = rows.mean(dim=0), rows.var(dim=0, unbiased=False)
        for own, new in ((self.mean, mean), (self.variance, variance)):
            own += self.momentum * (new.detach() - own)
        return mean, variance
