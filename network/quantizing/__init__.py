"""Post-training quantization: ranges, weights in codes, corrections, and the layers that come of them."""
