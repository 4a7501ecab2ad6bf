"""Where the error of a quantized network comes from: its ingredients exchanged one by one."""
