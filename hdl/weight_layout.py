"""The beats of a weight-stationary array: which bit holds what, and what a stream's end means."""

from golden.spec import Spec

from .layout import BIT, Beat, beat_of, has_pad_mark, p_beat


def a_beat(spec: Spec) -> Beat:
    """One beat of s_axis_a: one row of A, `lanes` codes for each array row; then `pad` and the zero point, if any."""
    members = [("a", spec.activations, (spec.rows, spec.lanes))]
    members += [("pad", BIT, (1,))] if has_pad_mark(spec) else []
    members += [("a_zero_point", spec.activations, (1,))] if spec.a_zero_point else []
    about = f"{spec.beat_depth} codes of one row of A, lanes of them for each array row; a pass takes 1 to "
    return beat_of(*members, about=f"{about}{spec.pass_rows} rows, in order, and tlast ends it")


def w_beat(spec: Spec) -> Beat:
    """One beat of s_axis_w: the weights of one array row; then what the pass is to its sums, and the zero point."""
    members = [("w", spec.weights, (spec.cols, spec.lanes)), ("first", BIT, (1,)), ("final", BIT, (1,))]
    members += [("w_zero_point", spec.weights, (1,))] if spec.w_zero_point else []
    about = (
        f"{spec.rows} beats per pass, one for each array row from the first on, lanes codes of each column; tlast on "
        "the last one, whose first and final say that the pass begins its sums and that it ends them"
    )
    return beat_of(*members, about=about)


def y_beat(spec: Spec) -> Beat:
    """One beat of m_axis_y: one output of each column."""
    about = "one beat for each row of A in a final pass, in order; tlast on the last one"
    return beat_of(("y", spec.y, (spec.cols,)), about=about)


def input_beats(spec: Spec):
    """The beats of the input streams, by short name."""
    return {"a": a_beat(spec), "w": w_beat(spec)} | ({"p": p_beat(spec)} if spec.parameters else {})


def output_beats(spec: Spec):
    """The beat of the output stream."""
    return {"y": y_beat(spec)}
