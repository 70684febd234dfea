"""Student to bundle: ONNX, graph rewrites, int8 (optimum, onnx, onnxruntime)."""
