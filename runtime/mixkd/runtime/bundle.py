"""The bundle: the folder that `mkd export` writes and that apps read.

::

    bundle/
      mkd.json                     the manifest: what the files mean, their sizes and sha256
      config.json                  as transformers and transformers.js read it
      tokenizer.json               as the tokenizers package reads it
      tokenizer_config.json
      onnx/model_quantized.onnx    int8, under the name that transformers.js and optimum look for
      onnx/model.onnx              fp32, only where it was asked for
      onnx/text_to_label.onnx      text in, label out, only where it was asked for; apps of ours don't read it
      README.md                    model card
      export.json                  how the graph was made, what was tried and what was measured
      mkd.json.sig                 a signature of the manifest, only where mkd sign made one

The graphs take the manifest's inputs, (B, T) int64 each, and give ``logits``, (B, C) float32, and
``probabilities``, (B, C), which add up to one for a single label and stand each for itself for several. A
regression's values are its logits; it has no probabilities.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

from mixkd.errors import BundleError
from mixkd.runtime.files import OpenFile, check_listing, new_sha256
from mixkd.runtime.manifest import (
    FP32_FILE,
    MANIFEST_FILE,
    MAX_MANIFEST_BYTES,
    SIGNATURE_BYTES,
    SIGNATURE_FILE,
    TOKENIZER_CONFIG_FILE,
    TOKENIZER_FILE,
    FileEntry,
    Manifest,
    manifest_text,
    parse_manifest,
)

_ATTEMPTS = 10
"""How often opening begins again where another bundle takes the folder's place meanwhile."""


class Bundle(NamedTuple):
    """A bundle that was checked: its folder, its manifest, and the manifest's sha256.

    The manifest holds the sha256 of every other file: its own stands for all of the bundle.
    """

    folder: Path
    manifest: Manifest
    sha256: str

    @property
    def model_path(self) -> Path:
        """The ONNX file that answers."""
        return self.folder / self.manifest.model_file

    @property
    def fp32_path(self) -> Path | None:
        """The fp32 ONNX file, where the bundle keeps one."""
        return self.folder / FP32_FILE if FP32_FILE in self.manifest.files else None

    @property
    def tokenizer_path(self) -> Path:
        """The tokenizer, in the tokenizers package's format."""
        return self.folder / TOKENIZER_FILE


class OpenBundle(NamedTuple):
    """A bundle while it is being loaded: what was hashed, at hand.

    Attributes:
        bundle: What was checked.
        model: The ONNX file that answers.
        contents: What `tokenizer.json` and `tokenizer_config.json` hold, by name.
    """

    bundle: Bundle
    model: OpenFile
    contents: Mapping[str, bytes]


class Trust(NamedTuple):
    """How to tell that a bundle is the one that is meant, and not just undamaged.

    Attributes:
        sha256: The sha256 of its `mkd.json`; None takes any.
        key: A file with the public key of whoever must have signed it; None takes an unsigned one too.
    """

    sha256: str | None = None
    key: Path | None = None


ANYBODY = Trust()


def open_bundle(
    folder: str | Path, *, verify: bool = True, lean: bool = False, trust: Trust = ANYBODY
) -> Bundle:
    """Read and check a bundle's manifest, and its files against it.

    Args:
        folder: The bundle.
        verify: Also hash the manifest and every file; sizes are checked always.
        lean: Hash without OpenSSL, which takes 4 MB: a quarter as fast.
        trust: Which bundle is meant.

    Raises:
        BundleError: If the folder isn't a bundle, holds what its manifest doesn't list, any file isn't the
            one that was exported, or it isn't the bundle that is meant.
    """
    with opened_bundle(folder, verify=verify, lean=lean, trust=trust) as opened:
        return opened.bundle


@contextmanager
def opened_bundle(
    folder: str | Path, *, verify: bool = True, lean: bool = False, trust: Trust = ANYBODY
) -> Iterator[OpenBundle]:
    """Do as `open_bundle` does, and yield the files to load from: each was opened once and hashed so.

    Raises:
        BundleError: As `open_bundle`.
    """
    opened = _open_files(Path(folder), verify=verify, lean=lean, trust=trust)
    with opened.model:
        yield opened


def _open_files(folder: Path, *, verify: bool, lean: bool, trust: Trust) -> OpenBundle:
    """Check all files; where another bundle takes the folder's place meanwhile, check those of that one."""
    for attempt in range(1, _ATTEMPTS + 1):
        content, digest = _read_manifest(folder, lean=lean)
        try:
            _check_trust(folder, content, digest, trust)
            return _check_files(folder, content, digest, verify=verify, lean=lean)
        except BundleError:
            if attempt == _ATTEMPTS or _read_manifest(folder, lean=lean)[1] == digest:
                raise
    raise AssertionError("the last attempt returns or raises")


def _check_files(folder: Path, content: bytes, digest: str, *, verify: bool, lean: bool) -> OpenBundle:
    manifest = parse_manifest(content, folder / MANIFEST_FILE, verify=verify, lean=lean)
    check_listing(folder, {*manifest.files, MANIFEST_FILE}, ignored=_may_stand_beside)
    kept: dict[str, bytes] = {}
    for name, entry in manifest.files.items():
        if name != manifest.model_file:
            with _checked_file(folder, name, entry) as file:
                if name in {TOKENIZER_FILE, TOKENIZER_CONFIG_FILE}:
                    kept[name] = file.read()
                if verify:
                    _check_sha256(file, entry, kept.get(name), lean=lean)
    entry = manifest.files[manifest.model_file]
    model = _checked_file(folder, manifest.model_file, entry)
    try:
        if verify:
            _check_sha256(model, entry, None, lean=lean)
    except BaseException:
        model.close()
        raise
    return OpenBundle(Bundle(folder, manifest, digest), model, kept)


def check_bundle(folder: Path, *, trust: Trust = ANYBODY) -> tuple[Bundle, list[str]]:
    """Check a bundle as `open_bundle` does, but go on after the first problem.

    Returns:
        The bundle as its manifest tells it, and all that is wrong with it or its files, in words.

    Raises:
        BundleError: If the manifest can't be read.
    """
    path = folder / MANIFEST_FILE
    content, digest = _read_manifest(folder, lean=False)
    manifest = parse_manifest(content, path, verify=False)
    checks: list[Callable[[], object]] = [
        lambda: parse_manifest(content, path),
        lambda: _check_trust(folder, content, digest, trust),
        lambda: check_listing(folder, {*manifest.files, MANIFEST_FILE}, ignored=_may_stand_beside),
        *(partial(_check_file, folder, name, entry) for name, entry in manifest.files.items()),
    ]
    problems = []
    for check in checks:
        try:
            check()
        except BundleError as error:
            problems.append(str(error))
    return Bundle(folder, manifest, digest), problems


def read_manifest(folder: Path, *, trust: Trust = ANYBODY) -> Manifest:
    """Return a folder's manifest, without a look at its other files, the signature apart.

    Raises:
        BundleError: If there is none, it can't be read, or it isn't that of the bundle that is meant.
    """
    content, digest = _read_manifest(folder, lean=False)
    _check_trust(folder, content, digest, trust)
    return parse_manifest(content, folder / MANIFEST_FILE)


def seal_bundle(folder: Path, manifest: Manifest) -> Bundle:
    """Write `mkd.json` for the files that stand in the folder; `manifest.files` is filled in here."""
    entries = {}
    for path in sorted(folder.rglob("*")):
        if path.is_symlink() or not path.is_dir():
            with OpenFile(path) as file:
                entry = FileEntry(size_bytes=file.size, sha256=file.sha256())
            entries[path.relative_to(folder).as_posix()] = entry
    for name in (MANIFEST_FILE, SIGNATURE_FILE):
        entries.pop(name, None)
    write_manifest(folder, replace(manifest, files=entries))
    return open_bundle(folder)


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write `mkd.json` in one step: a reader finds the old one or the new one."""
    from mixkd.outputs import whole_file  # an app that only reads needs none of it

    with whole_file(folder / MANIFEST_FILE) as file:
        file.write(manifest_text(manifest))


def _read_manifest(folder: Path, *, lean: bool) -> tuple[bytes, str]:
    path = folder / MANIFEST_FILE
    if not path.is_file() or path.is_symlink():
        raise BundleError(f"{folder} is not a bundle: it has no {MANIFEST_FILE}; make one with mkd export")
    with OpenFile(path) as file:
        if file.size > MAX_MANIFEST_BYTES:
            raise BundleError(f"{path} is damaged: larger than any manifest; export the bundle again")
        content = file.read()
    digest = new_sha256(lean=lean)
    digest.update(content)
    return content, digest.hexdigest()


def _check_trust(folder: Path, content: bytes, digest: str, trust: Trust) -> None:
    if trust.sha256 is not None and digest != trust.sha256.strip().lower():
        raise BundleError(
            f"{folder / MANIFEST_FILE} has the sha256 {digest}, not {trust.sha256}: this is another bundle"
        )
    if trust.key is not None:
        from mixkd.runtime.keys import check_signature  # most apps don't ask for it

        path = folder / SIGNATURE_FILE
        if not path.is_file():
            raise BundleError(f"{folder} is not signed (it has no {SIGNATURE_FILE}): sign it with mkd sign")
        with OpenFile(path) as file:
            signature = file.read() if file.size == SIGNATURE_BYTES else b""
        check_signature(content, signature, trust.key, path=path)


def _may_stand_beside(name: str) -> bool:
    # The other: `mkd calibrate` is writing a manifest, or was killed while it did. Nobody reads that file.
    return name == SIGNATURE_FILE or (name.startswith(f".{MANIFEST_FILE}.") and name.endswith(".partial"))


def _checked_file(folder: Path, name: str, entry: FileEntry) -> OpenFile:
    file = OpenFile(folder / name)
    if file.size != entry.size_bytes:
        file.close()
        raise BundleError(
            f"{file.path} is {file.size} bytes where the manifest says {entry.size_bytes}: "
            "copy or export the bundle again"
        )
    return file


def _check_file(folder: Path, name: str, entry: FileEntry) -> None:
    with _checked_file(folder, name, entry) as file:
        _check_sha256(file, entry, None, lean=False)


def _check_sha256(file: OpenFile, entry: FileEntry, content: bytes | None, *, lean: bool) -> None:
    if content is None:
        found = file.sha256(lean=lean)
    else:
        digest = new_sha256(lean=lean)
        digest.update(content)
        found = digest.hexdigest()
    if found != entry.sha256:
        raise BundleError(
            f"{file.path} is not the file that was exported (sha256 differs): copy or export it again"
        )
