"""Ed25519 keys in PEM form, and the check of a signature of `mkd.json`; see `mixkd.runtime.signing`."""

from pathlib import Path
from typing import Any

from mixkd.errors import BundleError, ConfigError
from mixkd.extras import require
from mixkd.runtime.manifest import MANIFEST_FILE

_MOST_KEY_BYTES = 2**16


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


def private_key(key: Path, password: bytes | None) -> Any:
    """Read a file with an Ed25519 private key.

    Raises:
        ConfigError: If it holds none, or another password opens it.
        MissingExtraError: If the package cryptography isn't installed.
    """
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
