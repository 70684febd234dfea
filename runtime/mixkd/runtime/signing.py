"""Signatures: whoever has the public key can tell who made a bundle.

The signature is Ed25519's over the bytes of `mkd.json`, which holds the sha256 of every other file. It stands
beside it as 64 bytes, so that OpenSSL alone can check it too::

    openssl pkeyutl -verify -pubin -inkey public.pem -rawin -in mkd.json -sigfile mkd.json.sig
"""

from pathlib import Path
from typing import Any

from mixkd.errors import BundleError, ConfigError
from mixkd.extras import require
from mixkd.runtime.manifest import MANIFEST_FILE, SIGNATURE_FILE

_MOST_KEY_BYTES = 2**16


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
    from mixkd.outputs import whole_file
    from mixkd.runtime.bundle import open_bundle

    private = _private_key(key, password)
    open_bundle(folder)
    signature = private.sign((folder / MANIFEST_FILE).read_bytes())
    with whole_file(folder / SIGNATURE_FILE) as file:
        file.buffer.write(signature)
    return folder / SIGNATURE_FILE


def check_signature(content: bytes, signature: bytes, key: Path, *, path: Path) -> None:
    """Refuse a manifest that the holder of a key didn't sign.

    Args:
        content: The bytes of `mkd.json`.
        signature: The bytes of its signature.
        key: A file with the Ed25519 public key in PEM form.
        path: The file of the signature, for errors.

    Raises:
        BundleError: If the signature is another's, or another manifest's.
        ConfigError: If the key is none.
        MissingExtraError: If the package cryptography isn't installed.
    """
    public = _public_key(key)
    from cryptography.exceptions import InvalidSignature

    try:
        public.verify(signature, content)
    except InvalidSignature as error:
        raise BundleError(
            f"{path} is not the signature of {MANIFEST_FILE} by the holder of {key}: "
            "the bundle was changed, or made by somebody else"
        ) from error


def is_encrypted(key: Path) -> bool:
    """Tell whether a private key asks for a password."""
    return b"ENCRYPTED" in _read(key)


def _private_key(key: Path, password: bytes | None) -> Any:
    require("cryptography", extra="sign")
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        found = load_pem_private_key(_read(key), password)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ConfigError(f"{key} holds no private key that can be read with this password") from error
    if not isinstance(found, Ed25519PrivateKey):
        raise ConfigError(f"{key} is not an Ed25519 key: make one with openssl genpkey -algorithm ed25519")
    return found


def _public_key(key: Path) -> Any:
    require("cryptography", extra="sign")
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        found = load_pem_public_key(_read(key))
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ConfigError(
            f"{key} holds no public key: make it with openssl pkey -in PRIVATE -pubout -out PUBLIC"
        ) from error
    if not isinstance(found, Ed25519PublicKey):
        raise ConfigError(f"{key} is not an Ed25519 key: make one with openssl genpkey -algorithm ed25519")
    return found


def _read(key: Path) -> bytes:
    try:
        with key.open("rb") as file:
            return file.read(_MOST_KEY_BYTES)
    except OSError as error:
        raise ConfigError(f"{key} can't be read: {error.strerror or error}") from error
