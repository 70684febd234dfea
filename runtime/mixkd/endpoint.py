"""Whether the Hugging Face hub answers, asked before its client is."""

import os
import socket
from urllib.parse import urlsplit

_PATIENCE_S = 3.0


def hub_reachable() -> bool:
    """Return within seconds whether the hub's host answers; its client would retry for a minute."""
    if any(os.environ.get(name) for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")):
        return True  # reachable through the proxy, or not: unknown here
    address = urlsplit(os.environ.get("HF_ENDPOINT", "https://huggingface.co"))
    port = address.port or (80 if address.scheme == "http" else 443)
    try:
        with socket.create_connection((address.hostname or "", port), timeout=_PATIENCE_S):
            return True
    except OSError:
        return False
