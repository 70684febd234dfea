"""Quantization: recipes, tables, ranges, and the accuracy budget that chooses among them."""
