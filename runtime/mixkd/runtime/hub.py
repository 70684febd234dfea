"""Bundles to and from the Hugging Face hub; nothing else in the runtime opens a connection.

A fetched bundle stands twice in the hub's cache: as the hub's client keeps it (links to blobs), and, checked,
as a folder of plain files, which every command takes::

    models--org--name/
      snapshots/COMMIT/    of the client
      mkd/COMMIT/          the bundle
"""

import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from mixkd.endpoint import hub_reachable
from mixkd.errors import BundleError, HubError, MkdError, OutputError, first_line
from mixkd.extras import require
from mixkd.outputs import fresh_folder
from mixkd.runtime.bundle import ANYBODY, Trust, open_bundle, read_manifest
from mixkd.runtime.manifest import (
    MANIFEST_FILE,
    MAX_MANIFEST_BYTES,
    OWN_FILES,
    SIGNATURE_BYTES,
    SIGNATURE_FILE,
    Manifest,
)

_NAME = re.compile(r"\w[\w.-]*/\w[\w.-]*", re.ASCII)
_COMMIT = re.compile(r"[0-9a-f]{40}")
_LOG_IN = "log in with hf auth login, or set HF_TOKEN"


class Pushed(NamedTuple):
    """Where a bundle stands on the hub.

    Attributes:
        url: The repository's page.
        revision: The commit, 40 hexadecimal digits.
        sha256: The sha256 of the bundle's `mkd.json`, for ``expect_sha256``.
    """

    url: str
    revision: str
    sha256: str


def push_bundle(
    folder: str | Path, name: str, *, private: bool = False, token: str | None = None, message: str = ""
) -> Pushed:
    """Send a bundle to a model repository on the hub, in one commit.

    The repository is made where there is none. Files of an earlier bundle that this one hasn't are removed;
    others, such as `.gitattributes`, stay.

    Args:
        folder: The bundle; it is checked, hashes included, before anything is sent.
        name: The repository, ``org/name``.
        private: Make a private repository; one that is public already is refused.
        token: Who sends; None takes ``HF_TOKEN``, or who logged in with `hf auth login`.
        message: The commit's message; empty takes one that names the bundle.

    Raises:
        BundleError: If the folder isn't a sound bundle.
        HubError: If the hub can't be reached or refuses.
        MissingExtraError: If huggingface_hub isn't installed.
    """
    bundle = open_bundle(folder)
    _check_files(bundle.manifest, str(folder))
    _check_name(name)
    require("huggingface_hub", extra="hub")
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, constants

    if constants.HF_HUB_OFFLINE or not hub_reachable():
        raise HubError(f"{name} can't be written: the hub can't be reached")
    signed = (bundle.folder / SIGNATURE_FILE).is_file()
    files = {*bundle.manifest.files, MANIFEST_FILE, *([SIGNATURE_FILE] if signed else [])}
    client = HfApi(token=token, library_name="mixkd")
    with _in_words(name, "written"):
        page = client.create_repo(name, private=private or None, exist_ok=True)
        if private and not client.model_info(name).private:
            raise HubError(f"{name} is public already: make it private on its page, or name another")
        stale = {*client.list_repo_files(name)} & {*OWN_FILES, MANIFEST_FILE, SIGNATURE_FILE} - files
        commit = client.create_commit(
            name,
            [
                *(CommitOperationAdd(file, str(bundle.folder / file)) for file in sorted(files)),
                *(CommitOperationDelete(file) for file in sorted(stale)),
            ],
            commit_message=message or f"mkd push of bundle {bundle.sha256[:12]}",
        )
    return Pushed(str(page), commit.oid, bundle.sha256)


def fetch_bundle(
    name: str,
    *,
    revision: str | None = None,
    token: str | None = None,
    cache_dir: str | Path | None = None,
    trust: Trust = ANYBODY,
) -> Path:
    """Fetch a bundle from the hub, or from what was fetched before, and return its folder.

    The manifest comes first: nothing else is fetched unless it is that of the bundle that is meant, lists no
    other file than mixkd writes, and gives each the size that it has on the hub.

    Args:
        name: The repository, ``org/name``.
        revision: A branch, a tag or a commit; None takes the newest.
        token: Who asks; None takes ``HF_TOKEN``, or who logged in with `hf auth login`.
        cache_dir: The hub's cache; None takes the usual one.
        trust: Which bundle is meant.

    Raises:
        BundleError: If it is damaged, foreign, or another than is meant; nothing of it is kept as a bundle.
        HubError: If there is no such bundle, or neither the hub nor the cache gives it.
        MissingExtraError: If huggingface_hub isn't installed.
        OutputError: If the cache can't be written.
    """
    _check_name(name)
    require("huggingface_hub", extra="hub")
    asked = _Repository(name, revision, token, None if cache_dir is None else str(cache_dir))
    there = asked.listing()
    manifest_file = asked.file(MANIFEST_FILE, revision, online=there is not None)
    folder = _place(manifest_file, there)
    if folder.is_dir():
        return folder
    above = folder.parents[1]
    if not os.access(above, os.W_OK):
        raise OutputError(f"{above} can't be written: give another cache_dir")
    try:
        with fresh_folder(folder) as part, _naming(part, name):
            asked.copy(MANIFEST_FILE, part, folder.name, there)
            if there is None or SIGNATURE_FILE in there.sizes:
                asked.copy(SIGNATURE_FILE, part, folder.name, there)
            manifest = read_manifest(part, trust=trust)
            _check_files(manifest, name)
            _check_sizes(manifest, there)
            for file in manifest.files:
                asked.copy(file, part, folder.name, there)
            open_bundle(part, trust=trust)
    except OutputError:
        if not folder.is_dir():  # else another process was faster
            raise
    return folder


class _Listing(NamedTuple):
    """What the hub says about a revision: its commit, and the size of each file in bytes."""

    commit: str
    sizes: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class _Repository:
    """A repository on the hub, and how it is asked."""

    name: str
    revision: str | None
    token: str | None
    cache_dir: str | None

    def listing(self) -> _Listing | None:
        """Ask the hub what the revision holds; None where it doesn't answer."""
        from huggingface_hub import HfApi, constants
        from huggingface_hub.errors import HfHubHTTPError

        if constants.HF_HUB_OFFLINE or not hub_reachable():
            return None
        with _in_words(self.name, "read", self.revision):
            try:
                info = HfApi(token=self.token, library_name="mixkd").model_info(
                    self.name, revision=self.revision, files_metadata=True
                )
            except HfHubHTTPError as error:
                if error.response is not None and error.response.status_code >= 500:
                    return None
                raise
        files = {file.rfilename: file.size or 0 for file in info.siblings or ()}
        for file, most in ((MANIFEST_FILE, MAX_MANIFEST_BYTES), (SIGNATURE_FILE, SIGNATURE_BYTES)):
            if files.get(file, 0) > most:
                raise BundleError(f"{self.name}: {file} has {files[file]} bytes, more than any bundle's")
        if MANIFEST_FILE not in files:
            raise HubError(f"{self.name} is not a bundle: it has no {MANIFEST_FILE}; mkd push sends one")
        return _Listing(info.sha or "", files)

    def file(self, file: str, revision: str | None, *, online: bool) -> Path:
        """Return a file in the cache of the hub's client, fetched where it isn't there yet."""
        from huggingface_hub import hf_hub_download
        from huggingface_hub.errors import LocalEntryNotFoundError

        with _in_words(self.name, "read", revision):
            try:
                found = hf_hub_download(
                    self.name,
                    file,
                    revision=revision,
                    token=self.token,
                    cache_dir=self.cache_dir,
                    local_files_only=not online,
                    library_name="mixkd",
                )
            except LocalEntryNotFoundError as error:
                what = self.name if revision is None else f"{self.name} at {revision}"
                raise HubError(
                    f"{what}: the hub can't be reached, and {file} was not fetched before"
                ) from error
        return Path(found)

    def copy(self, file: str, folder: Path, commit: str, there: _Listing | None) -> None:
        """Copy a file of a commit into a folder; without the hub a signature may be missing."""
        try:
            source = self.file(file, commit, online=there is not None)
        except HubError:
            if file != SIGNATURE_FILE:
                raise
            return
        (folder / file).parent.mkdir(exist_ok=True)
        shutil.copyfile(source, folder / file)


def _place(manifest_file: Path, there: _Listing | None) -> Path:
    """Return the folder of the bundle whose manifest stands at `.../snapshots/COMMIT/mkd.json`."""
    commit = manifest_file.parent.name
    if not _COMMIT.fullmatch(commit) or (there is not None and there.commit != commit):
        raise HubError(f"the hub names two commits, {commit} and {there and there.commit}: ask again")
    return manifest_file.parents[2] / "mkd" / commit


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise HubError(f"{name!r} is no name of a repository on the hub: give org/name")


def _check_files(manifest: Manifest, where: str) -> None:
    if foreign := set(manifest.files) - OWN_FILES:
        raise BundleError(f"{where} lists {min(foreign)}, which no export of mixkd writes")


def _check_sizes(manifest: Manifest, there: _Listing | None) -> None:
    for file, entry in manifest.files.items():
        if there is not None and (size := there.sizes.get(file)) != entry.size_bytes:
            found = "is missing" if size is None else f"is {size} bytes"
            raise BundleError(f"{file} {found} on the hub, where the manifest says {entry.size_bytes} bytes")


@contextmanager
def _naming(folder: Path, name: str) -> Iterator[None]:
    """Call a folder that nobody will see by the repository's name in errors."""
    try:
        yield
    except BundleError as error:
        said = str(error).replace(f"{folder}{os.sep}", f"{name}: ").replace(str(folder), name)
        raise BundleError(said) from error


@contextmanager
def _in_words(name: str, wanted: str, revision: str | None = None) -> Iterator[None]:
    """Turn what the hub's client raises into one line; it has no base class for its errors.

    Raises:
        HubError: In place of it.
    """
    from huggingface_hub import errors

    try:
        yield
    except MkdError:
        raise
    except errors.GatedRepoError as error:
        raise HubError(f"{name} is gated: ask for access on its page, then {_LOG_IN}") from error
    except errors.RepositoryNotFoundError as error:
        raise HubError(
            f"{name} can't be {wanted}: there is none on the hub, or you have no right to it; "
            f"check the name, or {_LOG_IN}"
        ) from error
    except errors.RevisionNotFoundError as error:
        raise HubError(f"{name} has no revision {revision!r}: give a branch, a tag or a commit") from error
    except errors.HfHubHTTPError as error:
        status = None if error.response is None else error.response.status_code
        cure = f": {_LOG_IN}, with a token that may" if status in {401, 403} else ""
        raise HubError(f"{name} can't be {wanted}: {_said(error)}{cure}") from error
    except Exception as error:
        raise HubError(f"{name} can't be {wanted}: {_said(error)}") from error


def _said(error: Exception) -> str:
    """Return what the hub says, where it says something, else what its client does, in one line."""
    said = getattr(error, "server_message", None) or first_line(error)
    return str(said).strip().splitlines()[0].rstrip(".:")
