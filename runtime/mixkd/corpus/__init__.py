"""Texts and labels: where they are, how they are read, and the built-in sets."""
