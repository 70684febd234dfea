"""A model hub on the loopback interface: the calls of huggingface_hub that a push and a fetch make.

It keeps commits, whole files and sessions of uploads in memory, and checks what it is sent: the sha256 of
large files, the tokens, the one format of a commit. Etags and error codes are those of the real hub.
"""

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

WRITER, READER = "hf_writer", "hf_reader"
"""The tokens: one that may write, and one that may not."""

LARGE = (".onnx", ".safetensors", ".bin")
GITATTRIBUTES = b"*.onnx filter=lfs diff=lfs merge=lfs -text\n"


@dataclass
class Repository:
    """A repository: its commits, oldest first, each a file's content by name."""

    private: bool
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)

    def resolve(self, revision: str) -> str | None:
        """Return the commit of a revision."""
        if revision == "main":
            return [*self.commits][-1]
        return revision if revision in self.commits else None

    def commit(self, files: dict[str, bytes]) -> str:
        """Add a commit that holds these files, and return its number."""
        name = hashlib.sha1(repr((len(self.commits), sorted(files))).encode()).hexdigest()
        self.commits[name] = files
        return name


@dataclass
class Hub:
    """The state of the hub, for tests to look at and to change."""

    url: str = ""
    repositories: dict[str, Repository] = field(default_factory=dict)
    uploads: dict[str, bytes] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    broken: bool = False

    def head(self, name: str) -> dict[str, bytes]:
        """Return the files of a repository's newest commit."""
        repository = self.repositories[name]
        return repository.commits[repository.resolve("main") or ""]

    def change(self, name: str, file: str, content: bytes) -> str:
        """Commit another content of one file, as somebody with the right to write may."""
        return self.repositories[name].commit({**self.head(name), file: content})


@contextmanager
def running_hub() -> Iterator[Hub]:
    """Serve a hub until the block ends."""
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (_Handler,), {"hub": hub}))
    server.daemon_threads = True
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _RefusedError(Exception):
    """An answer that is no success."""

    def __init__(self, status: int, code: str = "", message: str = "", **body: str) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"error": message, **body} if message else body
        self.headers = {"X-Error-Code": code} if code else {"X-Error-Message": message}


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        self._serve()

    def do_HEAD(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def do_PUT(self) -> None:
        self._serve()

    def _serve(self) -> None:
        path = urlsplit(self.path)
        self.hub.requests.append(f"{self.command} {path.path}")
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            if self.hub.broken:
                raise _RefusedError(503, message="down")
            parts = [unquote(part) for part in path.path.strip("/").split("/")]
            answer, headers = self._route(parts, body, parse_qs(path.query)), {}
            if isinstance(answer, tuple):
                answer, headers = answer
            self._send(200, answer, headers)
        except _RefusedError as refusal:
            self._send(refusal.status, refusal.body, refusal.headers)

    def _send(self, status: int, body: Any, headers: dict[str, str]) -> None:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _route(self, parts: list[str], body: bytes, query: dict[str, list[str]]) -> Any:
        match parts:
            case ["api", "validate-yaml"]:
                return self._validate(json.loads(body)["content"])
            case ["api", "repos", "create"]:
                return self._create(json.loads(body))
            case ["api", "models", org, name, *rest]:
                return self._model(f"{org}/{name}", rest, body)
            case [org, name, "info", "lfs", "objects", "batch"]:
                return self._batch(f"{org}/{name.removesuffix('.git')}", json.loads(body))
            case ["lfs", oid]:
                return self._keep(oid, body)
            case [org, name, "resolve", revision, *file]:
                return self._file(f"{org}/{name}", revision, "/".join(file))
        raise _RefusedError(404, message=f"no such call: {self.path}")

    def _keep(self, oid: str, body: bytes) -> dict[str, str]:
        if hashlib.sha256(body).hexdigest() != oid:
            raise _RefusedError(400, message="the sha256 differs")
        self.hub.uploads[oid] = body
        return {}

    def _user(self) -> str | None:
        given = self.headers.get("Authorization", "")
        if given and given.removeprefix("Bearer ") not in {WRITER, READER}:
            raise _RefusedError(401, message="Invalid credentials in Authorization header")
        return given.removeprefix("Bearer hf_") or None

    def _writer(self) -> None:
        user = self._user()
        if user != "writer":
            raise _RefusedError(403 if user else 401, message="You don't have the rights to do that")

    def _repository(self, name: str) -> Repository:
        found = self.hub.repositories.get(name)
        if found is None or (found.private and self._user() is None):
            raise _RefusedError(404 if self._user() else 401, "RepoNotFound")
        return found

    def _validate(self, content: str) -> dict[str, Any]:
        if content.startswith("---") and "\n---" not in content[3:]:
            raise _RefusedError(400, message="Invalid metadata")
        return {"errors": [], "warnings": []}

    def _create(self, asked: dict[str, Any]) -> dict[str, str]:
        self._writer()
        name = f"{asked['organization']}/{asked['name']}"
        url = f"{self.hub.url}/{name}"
        if name in self.hub.repositories:
            raise _RefusedError(409, message="You already created this model repo", url=url)
        private = bool(asked.get("private")) or asked.get("visibility") == "private"
        repository = self.hub.repositories[name] = Repository(private)
        repository.commit({".gitattributes": GITATTRIBUTES})
        return {"url": url, "name": name}

    def _model(self, name: str, rest: list[str], body: bytes) -> Any:
        match rest:
            case [] | ["revision", _]:
                return self._info(name, rest[1] if rest else "main")
            case ["tree", revision, *below]:
                return self._tree(name, revision, "".join(f"{part}/" for part in below))
            case ["preupload", _]:
                self._writer()
                asked = json.loads(body)["files"]
                return {
                    "files": [
                        {
                            "path": file["path"],
                            "uploadMode": "lfs" if file["path"].endswith(LARGE) else "regular",
                            "shouldIgnore": False,
                            "oid": None,
                        }
                        for file in asked
                    ]
                }
            case ["commit", _]:
                self._writer()
                oid = self._store(name, body)
                return {"commitUrl": f"{self.hub.url}/{name}/commit/{oid}", "commitOid": oid}
        raise _RefusedError(404, message=f"no such call: {self.path}")

    def _commit(self, name: str, revision: str) -> tuple[str, dict[str, bytes]]:
        repository = self._repository(name)
        commit = repository.resolve(revision)
        if commit is None:
            raise _RefusedError(404, "RevisionNotFound")
        return commit, repository.commits[commit]

    def _tree(self, name: str, revision: str, folder: str) -> list[dict[str, Any]]:
        files = self._commit(name, revision)[1]
        found = [_entry(file, content) for file, content in files.items() if file.startswith(folder)]
        if not found:
            raise _RefusedError(404, "EntryNotFound")
        return found

    def _info(self, name: str, revision: str) -> dict[str, Any]:
        commit, files = self._commit(name, revision)
        siblings = [{"rfilename": file, "size": len(content)} for file, content in files.items()]
        private = self.hub.repositories[name].private
        return {"id": name, "sha": commit, "private": private, "siblings": siblings, "tags": []}

    def _store(self, name: str, body: bytes) -> str:
        files = dict(self.hub.head(name))
        lines = [json.loads(line) for line in body.splitlines()]
        assert lines[0]["key"] == "header"
        for line in lines[1:]:
            value, path = line["value"], line["value"]["path"]
            if line["key"] == "file":
                files[path] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                files[path] = self.hub.uploads[value["oid"]]
            else:
                assert line["key"] == "deletedFile"
                del files[path]
        return self.hub.repositories[name].commit(files)

    def _batch(self, name: str, asked: dict[str, Any]) -> dict[str, Any]:
        self._writer()
        self._repository(name)
        objects = [
            {
                **entry,
                "actions": {"upload": {"href": f"{self.hub.url}/lfs/{entry['oid']}"}},
            }
            for entry in asked["objects"]
        ]
        return {"transfer": "basic", "objects": objects}

    def _file(self, name: str, revision: str, file: str) -> tuple[bytes, dict[str, str]]:
        commit, files = self._commit(name, revision)
        if file not in files:
            raise _RefusedError(404, "EntryNotFound")
        etag = _etag(file, files[file])
        return files[file], {"X-Repo-Commit": commit, "ETag": f'"{etag}"', "Accept-Ranges": "none"}


def _etag(file: str, content: bytes) -> str:
    if file.endswith(LARGE):
        return hashlib.sha256(content).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def _entry(file: str, content: bytes) -> dict[str, Any]:
    entry = {"type": "file", "path": file, "size": len(content), "oid": _etag("", content)}
    if file.endswith(LARGE):
        entry["lfs"] = {"oid": _etag(file, content), "size": len(content), "pointerSize": 130}
    return entry
