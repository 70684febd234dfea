"""What a bundle costs and loses: latency, memory, size, quality."""
