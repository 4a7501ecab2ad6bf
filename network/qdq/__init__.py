"""Writing networks as ONNX models: those of codes in QDQ format, dynamic ones with products of integers."""
