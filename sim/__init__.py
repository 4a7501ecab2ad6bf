"""The comparison: matrices to beats and back, cocotb runs of the emitted Verilog, and what a difference means."""
