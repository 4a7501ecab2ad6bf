"""Reading the networks of QONNX and FINN: what follows a product becomes its thresholds."""
