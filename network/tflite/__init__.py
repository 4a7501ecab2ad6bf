"""Reading TFLite files: int8, and int16 activations with int8 weights."""
