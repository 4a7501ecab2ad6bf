"""A column's pipeline while it is being built: a word moves on, and parameters and flags keep up with it."""

from amaranth.hdl import Const, Module, Signal

from golden.spec import Spec

from .skew import delay
from .words import Word, register


class Pipeline:
    """`age` counts the registers so far; parameters that arrived with the first word are delayed by as many."""

    def __init__(self, m: Module, spec: Spec, parameters):
        self.m = m
        self.spec = spec
        self.parameters = parameters
        self.age = 0

    def step(self, word: Word, name: str) -> Word:
        """The word one register later."""
        self.age += 1
        return register(self.m, word, name)

    def parameter(self, name: str) -> Word:
        """A parameter as old as the word that needs it now."""
        fmt = self.spec.parameter_formats[name]
        value = delay(self.m, self.parameters[name], self.age, f"{name}_delayed")
        return Word(value.as_signed() if fmt.signed else value, *fmt.code_range)

    def hold(self, value, shape, name):
        """A value beside the word, one register later; `step` or the caller counts that register."""
        stage = Signal(shape, name=name, reset_less=True)
        self.m.d.sync += stage.eq(value)
        return stage

    def since(self, value, age, name):
        """A value that was valid when the pipeline had `age` registers, as old as the word is now."""
        return value if isinstance(value, Const) else delay(self.m, value, self.age - age, name)
