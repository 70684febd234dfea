"""`mkd push` and `Classifier.from_hub` against a hub on the loopback interface, by two of its clients."""

import json
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest

from mixkd.runtime import Classifier, open_bundle
from mixkd.runtime.manifest import FP32_FILE, INT8_FILE, MANIFEST_FILE
from tests.loopback_hub import READER, Hub, running_hub
from tests.runtime.conftest import TEXTS, MakeBundle
from tests.runtime.hub_client import Client, nowhere
from tests.tools import install_into

pytestmark = pytest.mark.slow

NAME = "org/intents"
ANSWER = """
import json, pickle, sys
from mixkd.runtime import Classifier
name, revision, texts = sys.argv[1], sys.argv[2] or None, json.loads(sys.argv[3])
classifier = pickle.loads(pickle.dumps(Classifier.from_hub(name, revision=revision, threads=1)))
print(json.dumps(classifier.predict_proba(texts).tolist()))
"""
LOAD = "from mixkd.runtime import Classifier; Classifier.from_hub(sys.argv[1], **eval(sys.argv[2]))"


@pytest.fixture(scope="session", params=["0.36.2", "2.4.0"])
def packages(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path | None:
    """Return the folder of a release of huggingface_hub; None where it is the installed one."""
    release: str = request.param
    if version("huggingface_hub") == release:
        return None
    folder = tmp_path_factory.mktemp(f"huggingface_hub-{release}")
    install_into(folder, f"huggingface_hub=={release}")
    return folder


@pytest.fixture
def hub() -> Iterator[Hub]:
    with running_hub() as hub:
        yield hub


@pytest.fixture
def client(hub: Hub, tmp_path: Path, packages: Path | None) -> Client:
    return Client(tmp_path / "home", hub.url, packages=packages)


def push(client: Client, folder: Path, *words: str) -> dict[str, str]:
    done = client.mkd("push", folder, NAME, "--json", *words)
    assert done.returncode == 0, done.stderr
    answer: dict[str, str] = json.loads(done.stdout)
    return answer


def answers(client: Client, revision: str = "") -> list[list[float]]:
    found: list[list[float]] = client.python(ANSWER, NAME, revision, json.dumps(TEXTS))
    return found


def local_answers(folder: Path) -> list[list[float]]:
    scores: list[list[float]] = Classifier.load(folder, threads=1).predict_proba(list(TEXTS)).tolist()
    return scores


def fetched(hub: Hub) -> set[str]:
    """The files that were asked for since the list of requests was emptied."""
    return {request.split("/", 5)[-1] for request in hub.requests if "/resolve/" in request}


def bundles(client: Client) -> list[Path]:
    """The folders in which fetched bundles stand."""
    return [path for path in client.cache.glob("*/mkd/*") if not path.name.startswith(".")]


def test_a_bundle_that_is_pushed_and_fetched_answers_as_before(
    hub: Hub, client: Client, bundle: Path
) -> None:
    pushed = push(client, bundle)
    files = {path.relative_to(bundle).as_posix(): path for path in bundle.rglob("*") if path.is_file()}
    assert [*hub.repositories[NAME].commits][1:] == [pushed["revision"]]
    assert pushed["url"] == f"{hub.url}/{NAME}"
    assert pushed["sha256"] == open_bundle(bundle).sha256
    kept = dict(hub.head(NAME))
    del kept[".gitattributes"]
    assert kept == {name: path.read_bytes() for name, path in files.items()}
    assert answers(client) == local_answers(bundle)
    (folder,) = bundles(client)
    assert folder.name == pushed["revision"]
    assert open_bundle(folder).sha256 == pushed["sha256"]
    for expected in (pushed["sha256"], "0" * 64):
        trust = {"expect_sha256": expected}
        if expected == pushed["sha256"]:
            client.python(f"import sys; {LOAD}; print(1)", NAME, repr(trust))
        else:
            kind, text = client.refused(LOAD, NAME, repr(trust))
            assert (kind, "another bundle" in text) == ("BundleError", True)


def test_what_was_fetched_answers_without_a_hub(hub: Hub, client: Client, bundle: Path) -> None:
    push(client, bundle)
    expected = answers(client)
    hub.requests.clear()
    assert answers(client.but(offline=True)) == expected
    assert answers(client.but(endpoint=nowhere(hub))) == expected
    assert hub.requests == []
    hub.broken = True
    assert answers(client) == expected


def test_what_another_program_fetched_is_enough_without_a_hub(hub: Hub, client: Client, bundle: Path) -> None:
    push(client, bundle)
    download = "import sys, huggingface_hub as h; h.snapshot_download(sys.argv[1]); print(1)"
    client.python(download, NAME)
    assert answers(client.but(offline=True)) == local_answers(bundle)


@pytest.mark.parametrize("offline", [True, False])
def test_what_was_never_fetched_is_refused_without_a_hub(hub: Hub, client: Client, offline: bool) -> None:
    away = client.but(offline=offline, endpoint=nowhere(hub))
    kind, text = away.refused(LOAD, NAME, "{}")
    assert kind == "HubError"
    assert text == f"{NAME}: the hub can't be reached, and mkd.json was not fetched before"
    assert hub.requests == []


def test_each_revision_is_its_own_bundle(
    hub: Hub, client: Client, bundle: Path, make_bundle: MakeBundle
) -> None:
    first = push(client, bundle)
    changed = make_bundle(lambda folder: (folder / FP32_FILE).unlink(), threshold=0.25)
    second = push(client, changed)
    assert first["revision"] != second["revision"]
    assert FP32_FILE not in hub.head(NAME)
    assert ".gitattributes" in hub.head(NAME)
    threshold = (
        "import sys; from mixkd.runtime import Classifier; "
        "print(Classifier.from_hub(sys.argv[1], revision=sys.argv[2] or None).manifest.threshold or 0)"
    )
    assert client.python(threshold, NAME, first["revision"]) == 0
    assert client.python(threshold, NAME, second["revision"]) == 0.25
    assert client.python(threshold, NAME, "") == 0.25
    kind, text = client.refused(LOAD, NAME, "{'revision': 'v9'}")
    assert (kind, text) == ("HubError", f"{NAME} has no revision 'v9': give a branch, a tag or a commit")


def test_only_files_of_the_bundle_are_fetched(hub: Hub, client: Client, bundle: Path) -> None:
    push(client, bundle)
    for file in ("modeling.py", "onnx/evil.so", "pytorch_model.bin"):
        hub.change(NAME, file, b"raise SystemExit")
    hub.requests.clear()
    assert answers(client) == local_answers(bundle)
    assert fetched(hub) == {"mkd.json", *open_bundle(bundle).manifest.files}
    assert not list(client.home.rglob("*.py"))


def test_a_byte_that_changed_on_the_hub_is_refused(hub: Hub, client: Client, bundle: Path) -> None:
    push(client, bundle)
    content = bytearray(hub.head(NAME)[INT8_FILE])
    content[len(content) // 2] ^= 1
    hub.change(NAME, INT8_FILE, bytes(content))
    for options in ("{}", "{'verify': False}"):
        kind, text = client.refused(LOAD, NAME, options)
        assert kind == "BundleError"
        assert text.startswith(f"{NAME}: {INT8_FILE} is not the file that was exported (sha256 differs)")
    assert bundles(client) == []


def test_a_size_that_changed_on_the_hub_is_refused_before_the_file_is_fetched(
    hub: Hub, client: Client, bundle: Path
) -> None:
    push(client, bundle)
    hub.change(NAME, INT8_FILE, hub.head(NAME)[INT8_FILE] + b"more")
    hub.requests.clear()
    kind, text = client.refused(LOAD, NAME, "{}")
    assert (kind, f"{INT8_FILE} is 8" in text) == ("BundleError", True)
    assert fetched(hub) == {"mkd.json"}


def test_another_manifest_is_refused_before_anything_else_is_fetched(
    hub: Hub, client: Client, bundle: Path, make_bundle: MakeBundle
) -> None:
    pushed = push(client, bundle)
    foreign = make_bundle(threshold=0.5)
    hub.change(NAME, MANIFEST_FILE, (foreign / MANIFEST_FILE).read_bytes())
    hub.requests.clear()
    kind, text = client.refused(LOAD, NAME, repr({"expect_sha256": pushed["sha256"]}))
    assert (kind, "this is another bundle" in text) == ("BundleError", True)
    assert fetched(hub) == {"mkd.json"}


def test_a_manifest_that_lists_code_is_refused(
    hub: Hub, client: Client, bundle: Path, make_bundle: MakeBundle
) -> None:
    push(client, bundle)
    coded = make_bundle(lambda folder: (folder / "modeling.py").write_text("raise SystemExit"))
    for name in ("modeling.py", MANIFEST_FILE):
        hub.change(NAME, name, (coded / name).read_bytes())
    hub.requests.clear()
    kind, text = client.refused(LOAD, NAME, "{}")
    assert (kind, text) == ("BundleError", f"{NAME} lists modeling.py, which no export of mixkd writes")
    assert fetched(hub) == {"mkd.json"}
    refused = client.mkd("push", coded, "org/coded")
    assert (refused.returncode, "modeling.py" in refused.stderr) == (1, True)


def test_a_signature_goes_along_and_is_checked(
    hub: Hub, client: Client, make_bundle: MakeBundle, tmp_path: Path
) -> None:
    pytest.importorskip("cryptography")
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from tests.runtime.test_signing import write_keys

    private, ours = write_keys(tmp_path, "ours", Ed25519PrivateKey.generate())
    _, theirs = write_keys(tmp_path, "theirs", Ed25519PrivateKey.generate())
    folder = make_bundle()
    assert client.mkd("sign", folder, "--key", private).returncode == 0
    push(client, folder)
    client.python(f"import sys; {LOAD}; print(1)", NAME, repr({"verify_key": str(ours)}))
    kind, text = client.refused(LOAD, NAME, repr({"verify_key": str(theirs)}))
    assert (kind, "sign" in text) == ("BundleError", True)
    hub.change(NAME, "mkd.json.sig", b"0" * 64)
    assert client.refused(LOAD, NAME, repr({"verify_key": str(ours)}))[0] == "BundleError"


def test_a_private_repository_is_made_and_a_public_one_is_not_taken_for_it(
    hub: Hub, client: Client, bundle: Path
) -> None:
    push(client, bundle, "--private")
    assert hub.repositories[NAME].private
    assert answers(client) == local_answers(bundle)
    kind, text = client.but(token=None, home=client.home / "other").refused(LOAD, NAME, "{}")
    assert (kind, "you have no right to it" in text) == ("HubError", True)
    hub.repositories[NAME].private = False
    before = len(hub.repositories[NAME].commits)
    refused = client.mkd("push", bundle, NAME, "--private")
    assert refused.returncode == 1
    assert refused.stderr.splitlines()[-1].startswith(f"mkd: {NAME} is public already")
    assert len(hub.repositories[NAME].commits) == before


def test_a_folder_that_is_no_sound_bundle_is_refused_before_anything_is_sent(
    hub: Hub, client: Client, make_bundle: MakeBundle, tmp_path: Path
) -> None:
    damaged = make_bundle()
    content = bytearray((damaged / INT8_FILE).read_bytes())
    content[-1] ^= 1
    (damaged / INT8_FILE).write_bytes(content)
    (tmp_path / "empty").mkdir()
    for folder, words in ((damaged, "sha256 differs"), (tmp_path / "empty", "is not a bundle")):
        refused = client.mkd("push", folder, NAME)
        assert (refused.returncode, refused.stdout) == (1, "")
        assert words in refused.stderr
        assert len(refused.stderr.splitlines()) == 1
    assert hub.requests == []


@pytest.mark.parametrize(
    ("name", "token", "words"),
    [
        ("intents", "hf_writer", "'intents' is no name of a repository on the hub: give org/name"),
        ("../../etc", "hf_writer", "give org/name"),
        (NAME, None, "hf auth login"),
        (NAME, READER, "with a token that may"),
        (NAME, "hf_stale", "hf auth login"),
    ],
)
def test_a_push_without_a_name_or_rights_is_refused_in_one_line(
    hub: Hub, client: Client, bundle: Path, name: str, token: str | None, words: str
) -> None:
    refused = client.but(token=token).mkd("push", bundle, name)
    assert (refused.returncode, refused.stdout) == (1, "")
    (line,) = refused.stderr.splitlines()
    assert line.startswith("mkd: ")
    assert words in line
    assert hub.repositories == {}


def test_a_push_without_a_network_is_refused(hub: Hub, client: Client, bundle: Path) -> None:
    for away in (client.but(offline=True), client.but(endpoint=nowhere(hub))):
        refused = away.mkd("push", bundle, NAME)
        assert refused.stderr == f"mkd: {NAME} can't be written: the hub can't be reached\n"
    assert hub.requests == []


def test_what_is_no_bundle_on_the_hub_is_refused(hub: Hub, client: Client) -> None:
    assert client.refused(LOAD, "org/none", "{}")[1].startswith(
        "org/none can't be read: there is none on the hub, or you have no right to it"
    )
    client.python(
        "import sys, huggingface_hub as h; h.HfApi().create_repo(sys.argv[1]); print(1)", "org/weights"
    )
    kind, text = client.refused(LOAD, "org/weights", "{}")
    assert kind == "HubError"
    assert text == "org/weights is not a bundle: it has no mkd.json; mkd push sends one"


def test_a_classifier_from_a_folder_loads_nothing_of_the_hub(bundle: Path) -> None:
    program = (
        "import sys; from mixkd.runtime import Classifier\n"
        "Classifier.load(sys.argv[1], threads=1).predict('pay')\n"
        "print(*sorted({'huggingface_hub', 'mixkd.runtime.hub', 'mixkd.endpoint'} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", program, str(bundle)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "\n"
