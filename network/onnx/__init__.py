"""Reading ONNX models: of real numbers, in QDQ format, of operators on codes."""
