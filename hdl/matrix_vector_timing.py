"""How long the matrix-vector unit takes: closed forms, exact where no stream stalls."""

from dataclasses import dataclass

from golden.spec import Spec

from .matrix_vector_layout import fold_parameter_beats, is_sparse, most_beats, most_folds
from .multiply import dot_product
from .output import output_latency
from .thresholds import load_gap

READ_LATENCY = 2  # from a beat that comes in to its word, through the memory


@dataclass(frozen=True)
class Layer:
    """Vectors against one set: `beats` per vector, `folds` of outputs."""

    vectors: int
    beats: int
    folds: int

    @property
    def words(self):
        return self.beats * self.folds


def column_latency(spec: Spec):
    """Cycles from decoded activations to the accumulator's input."""
    return dot_product(spec).latency + is_sparse(spec)


def latency(spec: Spec):
    """Cycles from a vector's last beat on `a` to its first beat on `y`, where the unit waits for nothing else."""
    return READ_LATENCY + column_latency(spec) + output_latency(spec) + 2


def cycles(spec: Spec, layers):
    """Cycles from the first beat in to the last beat out, both counted, for layers that follow each other.

    Exact where no stream stalls. A layer begins when the one before has begun its last beat, and its own weights and
    parameters are there: these load while the layer before is computed, parameters from when its first outputs are.
    """
    begins, ends = 0, 0
    weights, parameters = 0, 0  # cycles in which a set begins to load
    for layer in layers:
        loaded = [1]
        if spec.stored_weights is None:
            loaded.append(weights + layer.words)
        if spec.parameters:
            loaded.append(parameters + layer.folds * fold_parameter_beats(spec))
        begins = max(ends, *loaded)
        ends = begins + layer.vectors * layer.words
        weights = begins + 1
        gap = load_gap(spec) if spec.threshold_count else 1
        parameters = begins + layer.beats + READ_LATENCY + column_latency(spec) - 1 + gap
    return ends + latency(spec) - 1


def described(spec: Spec):
    """Latency and cycles in words and figures, for the manifest."""
    largest = Layer(1, most_beats(spec), most_folds(spec))
    return {
        "latency": latency(spec),
        "latency_is": "cycles from a vector's last beat on a to its first beat on y",
        "cycles": f"{_load(spec)} + vectors * folds * beats + {latency(spec) - 1}",
        "cycles_is": "cycles from the first beat in to the last beat out of one layer, beats = ceil(K / "
        f"{spec.beat_depth}), folds = ceil(N / {spec.cols}), no stream stalling",
        "example": {"vectors": 1, "beats": largest.beats, "folds": largest.folds, "cycles": cycles(spec, [largest])},
    }


def _load(spec):
    loads = ["folds * beats"] if spec.stored_weights is None else []
    loads += [f"{fold_parameter_beats(spec)} * folds"] if spec.parameters else []
    return f"max({', '.join(loads)})" if len(loads) > 1 else "".join(loads) or "1"
