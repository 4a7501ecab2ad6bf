"""One row of activations for a product, for what follows from its design and its weights alone."""

import numpy as np

from golden.extras import axis_sizes, extras
from golden.spec import Spec
from golden.tensors import Operands, operands


def one_row(spec: Spec, arrays: dict) -> Operands:
    """The operands that weights and what belongs to them make with one row of A, of codes 0.

    Raises ValueError for arrays that the design does not take.
    """
    depth, columns = np.shape(arrays["w"])
    sizes = axis_sizes(spec, 1, depth, columns)
    given = dict(arrays)
    for name, extra in extras(spec).items():
        if "m" in extra.axes and name not in arrays:
            given[name] = np.full([sizes[axis] for axis in extra.axes], extra.pad)
    a = np.zeros((1, depth, columns) if spec.array == "vector" else (1, depth), np.int64)
    return operands(spec, {**given, "a": a})
