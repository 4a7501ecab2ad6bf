"""Writing a network of codes as an ONNX model in QDQ format."""
