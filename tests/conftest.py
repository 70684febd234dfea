"""What every test gets: no network, one thread, tiny models built on the spot."""

import os

# Before torch or onnxruntime is imported: tests share two cores, and must not ask a hub.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("OMP_NUM_THREADS", "1")
