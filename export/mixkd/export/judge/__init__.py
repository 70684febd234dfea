"""How good an exported graph is: its scores against PyTorch, on this and other processors."""
