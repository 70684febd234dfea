"""Bundle to answers: imports numpy, onnxruntime and tokenizers, and nothing of the other stages."""
