"""Rewrites of the ONNX graph that keep its answers."""
