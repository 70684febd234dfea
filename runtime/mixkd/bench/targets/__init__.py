"""Where variants are measured: this machine, another over ssh, a capped one, an emulated processor."""
