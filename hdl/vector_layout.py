"""Beats of the vector unit: every channel has activations and weights of its own."""

from dataclasses import replace

from golden.spec import Spec

from .layout import BIT, beat_of, has_pad_mark, p_beat, p_beats, w_beat


def channel_a_beat(spec: Spec):
    """One beat of s_axis_a: `lanes` codes for each channel; then `pad`, `keep` and the zero point.

    `keep`, the same on all beats of a tile, says that the tile goes on with the weights and the parameters in use; the
    streams w and p bring sets for the other tiles only. It must be 0 on the first tile after a reset.
    """
    members = [("a", spec.activations, (spec.cols, spec.lanes))]
    members += [("pad", BIT, (1,))] if has_pad_mark(spec) else []
    members += [("keep", BIT, (1,))]
    members += [("a_zero_point", spec.activations, (1,))] if spec.a_zero_point else []
    return beat_of(
        *members,
        about="lanes codes of each channel; the beat with tlast ends a tile; keep: the tile takes the weights and "
        "parameters of the tile before",
    )


def weight_set_beats(spec: Spec):
    """Beats that a weight set has at most."""
    return spec.beats(spec.depth)


def vector_inputs(spec: Spec):
    """The beats of the input streams, by short name."""
    one_set = "one set per tile without keep"
    w = replace(
        w_beat(spec), about=f"lanes codes of each channel; {one_set}, as many beats as the tile, ended by tlast"
    )
    p = replace(p_beat(spec), about=f"{one_set}, {p_beats(spec)} beats, ended by tlast")
    return {"a": channel_a_beat(spec), "w": w} | ({"p": p} if spec.parameters else {})
