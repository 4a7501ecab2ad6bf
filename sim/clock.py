"""The clock and the reset that the benches give.

In a module of its own, so that what runs inside a simulator imports nothing else: it is imported once per run.
"""

PERIOD_NS = 2
RESET_CYCLES = 4
