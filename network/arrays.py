"""The array that the products of a network run on."""

from dataclasses import dataclass, replace

from golden.spec import Spec

from .dynamic import DynamicProduct
from .layers import Product
from .network import Network

KINDS = ("output_stationary", "weight_stationary", "matrix_vector", "bit_serial", "scalable")
ONE_ROW = ("vector", "matrix_vector")


@dataclass(frozen=True, kw_only=True)
class Array:
    """A kind of array and its size, for all products of a network.

    kind : a name of KINDS. Depthwise layers run on a vector unit of `cols` channels, whatever it is.
    rows, cols, lanes : rows x cols elements of `lanes` products; vector and matrix-vector units have one row. A
        matrix-vector unit holds all weights of its layer.

    Raises ValueError for other kinds.
    """

    kind: str = KINDS[0]
    rows: int = 8
    cols: int = 8
    lanes: int = 4

    def __post_init__(self):
        if self.kind not in KINDS:
            raise ValueError(f"array must be one of {', '.join(KINDS)}, not {self.kind!r}")

    def fields(self, columns: int, *, depthwise: bool) -> dict:
        """Those of a Spec that say which array a layer of so many columns runs on."""
        kind = "vector" if depthwise else self.kind
        return {
            "array": kind,
            "rows": 1 if kind in ONE_ROW else self.rows,
            "cols": self.cols,
            "lanes": self.lanes,
            "outputs": columns if kind == "matrix_vector" else Spec.outputs,
        }

    def placed(self, network: Network) -> Network:
        """The same network on this array. Raises ValueError, naming the layer, where its design has no such array."""
        return replace(network, layers=tuple(self._placed(layer) for layer in network.layers))

    def _placed(self, layer):
        if not isinstance(layer, Product | DynamicProduct):
            return layer
        spec, columns = layer.spec, layer.arrays["w"].shape[1]
        try:
            found = spec.with_(**self.fields(columns, depthwise=spec.array == "vector"))
            _check_order(spec, found)
        except ValueError as error:
            raise ValueError(f"layer {layer.name}: {error}") from None
        return replace(layer, spec=found)


def _check_order(spec, found):
    """Raises ValueError where the order of sums is part of the numbers, and another array has another one."""
    ordered = spec.is_float_sum and not spec.block
    ordered = ordered or not (spec.accumulator_is_exact or spec.accumulator_overflow == "wrap")
    if ordered and found.beat_depth != spec.beat_depth:
        told = "in float32 are rounded" if spec.is_float_sum else "that saturate are cut"
        raise ValueError(
            f"sums {told} after every {spec.beat_depth} products; an array that takes {found.beat_depth} at a time "
            "would give other numbers"
        )
