"""The beats of a matrix-vector unit, and how large the layers are that it has room for."""

from golden.formats import Integer
from golden.spec import Spec

from .layout import BIT, Beat, beat_of, has_pad_mark, p_beat, p_beats

POSITION = Integer(2, signed=False)


def is_resident(spec: Spec):
    """Whether parameters stay: one set for each fold of a layer, loaded once."""
    return spec.array == "matrix_vector"


def is_sparse(spec: Spec):
    """Whether words of weights hold 2 of each 4, with their positions."""
    return spec.sparsity != "none"


def takes_sets(spec: Spec):
    """Whether anything of a layer comes over a stream: weights or parameters. Beats of A then have a mark, `next`."""
    return spec.stored_weights is None or bool(spec.parameters)


def most_beats(spec: Spec):
    """Beats of the longest vector, that is, words of the longest fold; of stored weights, of the only one."""
    return spec.beats(spec.depth if spec.stored_weights is None else len(spec.stored_weights))


def most_folds(spec: Spec):
    """Folds of the widest layer: each gives `cols` outputs."""
    outputs = spec.outputs if spec.stored_weights is None else len(spec.stored_weights[0])
    return -(-outputs // spec.cols)


def fold_parameter_beats(spec: Spec):
    """Beats of the parameters of one fold."""
    return p_beats(spec)


def mv_a_beat(spec: Spec):
    """One beat of s_axis_a: the next activations of a vector, then pad, zero points and the mark, where there are."""
    members = [("a", spec.activations, (spec.beat_depth,))]
    members += [("pad", BIT, (1,))] if has_pad_mark(spec) else []
    members += [("a_zero_point", spec.activations, (1,))] if spec.a_zero_point else []
    members += [("w_zero_point", spec.weights, (1,))] if spec.w_zero_point else []
    members += [("next", BIT, (1,))] if takes_sets(spec) else []
    about = f"{spec.beat_depth} codes of one vector; tlast ends the vector; zero points"
    mark = " and next, which makes this and later vectors use the next set," if takes_sets(spec) else ""
    return beat_of(*members, about=f"{about}{mark} count in its first beat")


def mv_w_beat(spec: Spec):
    """One beat of s_axis_w: a word of weights, `lanes` of each column, their positions where they are sparse."""
    members = [("w", spec.weights, (spec.cols, spec.lanes))]
    members += [("position", POSITION, (spec.cols, spec.lanes))] if is_sparse(spec) else []
    members += [("fold_end", BIT, (1,))]
    return beat_of(*members, about="one word of a set, fold after fold; fold_end ends a fold, tlast the set")


def mv_p_beat(spec: Spec):
    """One beat of s_axis_p: parameters of all columns of a fold; of thresholds, the next one of each column."""
    about = f"one set of {fold_parameter_beats(spec)} beats per fold, fold after fold; tlast ends the set of a layer"
    return Beat(p_beat(spec).fields, about)


def mv_y_beat(spec: Spec):
    """One beat of m_axis_y: the outputs of one fold."""
    return beat_of(("y", spec.y, (spec.cols,)), about="one beat per fold of each vector; tlast on the last fold")


def mv_input_beats(spec: Spec):
    """The beats of the input streams, by short name; no `w` where the weights are stored."""
    beats = {"a": mv_a_beat(spec)} | ({"w": mv_w_beat(spec)} if spec.stored_weights is None else {})
    return beats | ({"p": mv_p_beat(spec)} if spec.parameters else {})


def mv_output_beats(spec: Spec):
    """The beat of the output stream."""
    return {"y": mv_y_beat(spec)}
