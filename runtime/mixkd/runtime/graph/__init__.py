"""What an ONNX file holds and what running it may take, told without onnx and before onnxruntime sees it."""
