"""Signatures: whoever has the public key can tell who made a bundle.

The signature is Ed25519's over the bytes of `mkd.json`, which holds the sha256 of every other file. It stands
beside it as 64 bytes, so that OpenSSL alone can check it too::

    openssl pkeyutl -verify -pubin -inkey public.pem -rawin -in mkd.json -sigfile mkd.json.sig
"""

from pathlib import Path

from mixkd.outputs import whole_file
from mixkd.runtime.bundle import open_bundle
from mixkd.runtime.keys import private_key
from mixkd.runtime.manifest import MANIFEST_FILE, SIGNATURE_FILE


def sign(folder: Path, key: Path, *, password: bytes | None = None) -> Path:
    """Sign a bundle, in place of any earlier signature.

    Args:
        folder: The bundle; every file of it is checked first.
        key: A file with an Ed25519 private key in PEM form, as ``openssl genpkey -algorithm ed25519`` makes.
        password: What the key is encrypted with; None where it isn't.

    Returns:
        The file with the signature.

    Raises:
        BundleError: If the bundle is damaged.
        ConfigError: If the key is none.
        MissingExtraError: If the package cryptography isn't installed.
        OutputError: If the signature can't be written.
    """
    private = private_key(key, password)
    open_bundle(folder)
    signature = private.sign((folder / MANIFEST_FILE).read_bytes())
    with whole_file(folder / SIGNATURE_FILE) as file:
        file.buffer.write(signature)
    return folder / SIGNATURE_FILE
