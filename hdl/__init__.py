"""The machine: Amaranth components for quantized MAC arrays. Takes from golden only formats and spec, no arithmetic."""
