"""A bundle that is pinned by its digest or its signature is that bundle and no other."""

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from typer.testing import CliRunner

from mixkd.cli import app
from mixkd.errors import BundleError, ConfigError, MissingExtraError
from mixkd.outputs import check_output
from mixkd.runtime import Classifier, open_bundle
from mixkd.runtime.bundle import seal_bundle
from mixkd.runtime.keys import check_signature
from mixkd.runtime.manifest import MANIFEST_FILE, SIGNATURE_FILE
from mixkd.runtime.signing import sign
from tests.runtime.conftest import FIXTURE, MakeBundle


@pytest.fixture
def keys(tmp_path: Path) -> tuple[Path, Path]:
    """A private and its public key."""
    return write_keys(tmp_path, "own", Ed25519PrivateKey.generate())


def write_keys(folder: Path, name: str, private: Ed25519PrivateKey) -> tuple[Path, Path]:
    found = folder / f"{name}.pem", folder / f"{name}.pub"
    found[0].write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    found[1].write_bytes(public)
    return found


def digest(folder: Path) -> str:
    return hashlib.sha256((folder / MANIFEST_FILE).read_bytes()).hexdigest()


def test_the_expected_bundle_loads_and_another_is_refused(make_bundle: MakeBundle) -> None:
    expected = digest(FIXTURE)
    assert open_bundle(FIXTURE).sha256 == expected
    assert Classifier.load(FIXTURE, expect_sha256=expected.upper()).predict("pay").label
    # Another README is another bundle, though it is sealed as well as the first.
    other = make_bundle(lambda folder: (folder / "README.md").write_text("other"))
    assert Classifier.load(other).predict("pay").label
    with pytest.raises(BundleError, match="this is another bundle"):
        Classifier.load(other, expect_sha256=expected)


def test_a_pin_and_unverified_files_exclude_each_other(keys: tuple[Path, Path]) -> None:
    for pinned in ({"expect_sha256": digest(FIXTURE)}, {"verify_key": keys[1]}):
        with pytest.raises(ConfigError, match="verify=False checks no hash"):
            Classifier.load(FIXTURE, verify=False, **pinned)


def test_a_pin_holds_in_a_child_that_gets_the_classifier_pickled(make_bundle: MakeBundle) -> None:
    folder = make_bundle()
    classifier = Classifier.load(folder, expect_sha256=digest(folder))
    rebuild, arguments = classifier.__reduce__()
    assert rebuild(*arguments).predict("pay") == classifier.predict("pay")
    (folder / "README.md").write_text("other")
    seal_bundle(folder, open_bundle(FIXTURE).manifest)
    with pytest.raises(BundleError, match="this is another bundle"):
        rebuild(*arguments)


def test_a_signed_bundle_loads_with_the_public_key(make_bundle: MakeBundle, keys: tuple[Path, Path]) -> None:
    folder = make_bundle()
    assert sign(folder, keys[0]) == folder / SIGNATURE_FILE
    assert Classifier.load(folder, verify_key=keys[1]).predict("pay").label
    assert Classifier.load(folder, verify_key=str(keys[1]), preset="low-memory").predict("pay").label
    assert Classifier.load(folder).predict("pay").label
    assert SIGNATURE_FILE not in open_bundle(folder).manifest.files


def test_an_unsigned_changed_or_foreign_bundle_is_refused(
    make_bundle: MakeBundle, keys: tuple[Path, Path], tmp_path: Path
) -> None:
    folder = make_bundle()
    with pytest.raises(BundleError, match=r"is not signed .it has no mkd\.json\.sig"):
        Classifier.load(folder, verify_key=keys[1])
    stranger = write_keys(tmp_path, "stranger", Ed25519PrivateKey.generate())
    sign(folder, stranger[0])
    with pytest.raises(BundleError, match="is not the signature of mkd"):
        Classifier.load(folder, verify_key=keys[1])
    sign(folder, keys[0])
    seal_bundle(folder, open_bundle(folder).manifest)  # the same files: the signature still holds
    Classifier.load(folder, verify_key=keys[1])
    (folder / "README.md").write_text("other")
    seal_bundle(folder, open_bundle(FIXTURE).manifest)
    with pytest.raises(BundleError, match="is not the signature of mkd"):
        Classifier.load(folder, verify_key=keys[1])
    for content in (b"", b"0" * 64, b"0" * 65):
        (folder / SIGNATURE_FILE).write_bytes(content)
        with pytest.raises(BundleError, match="is not the signature of mkd"):
            Classifier.load(folder, verify_key=keys[1])


def test_a_linked_signature_is_refused(make_bundle: MakeBundle, keys: tuple[Path, Path]) -> None:
    folder = make_bundle()
    sign(folder, keys[0])
    (folder / SIGNATURE_FILE).rename(folder.parent / "elsewhere")
    (folder / SIGNATURE_FILE).symlink_to(folder.parent / "elsewhere")
    with pytest.raises(BundleError, match="is a link"):
        Classifier.load(folder)


def test_a_damaged_bundle_is_not_signed(make_bundle: MakeBundle, keys: tuple[Path, Path]) -> None:
    folder = make_bundle()
    (folder / "config.json").write_text("{}")
    with pytest.raises(BundleError, match=r"config\.json"):
        sign(folder, keys[0])
    assert not (folder / SIGNATURE_FILE).exists()


def test_other_keys_are_an_error_in_one_line(
    make_bundle: MakeBundle, keys: tuple[Path, Path], tmp_path: Path
) -> None:
    folder, odd = make_bundle(), tmp_path / "odd.pem"
    curve = generate_private_key(SECP256R1())
    odd.write_bytes(curve.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    with pytest.raises(ConfigError, match="is not an Ed25519 key"):
        sign(folder, odd)
    for wrong in (keys[1], FIXTURE / "config.json"):
        with pytest.raises(ConfigError, match="holds no private key"):
            sign(folder, wrong)
    with pytest.raises(ConfigError, match="can't be read"):
        sign(folder, tmp_path / "absent")
    sign(folder, keys[0])
    for wrong in (keys[0], FIXTURE / "config.json"):
        with pytest.raises(ConfigError, match="holds no public key"):
            Classifier.load(folder, verify_key=wrong)


def test_signing_without_the_package_names_the_extra(
    make_bundle: MakeBundle, keys: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_bundle()
    monkeypatch.setitem(sys.modules, "cryptography", None)
    with pytest.raises(MissingExtraError, match=r"mixkd\[sign\]"):
        sign(folder, keys[0])


def test_the_command_signs_and_inspect_checks(make_bundle: MakeBundle, keys: tuple[Path, Path]) -> None:
    folder, run = make_bundle(), CliRunner().invoke
    assert "signature  none" in run(app, ["inspect", str(folder)]).stdout
    assert run(app, ["inspect", str(folder), "--verify-key", str(keys[1])]).exit_code == 1
    assert run(app, ["sign", str(folder), "--key", str(keys[0])]).exit_code == 0
    assert "--verify-key checks it" in run(app, ["inspect", str(folder)]).stdout
    checked = run(app, ["inspect", str(folder), "--verify-key", str(keys[1])])
    assert checked.exit_code == 0
    assert f"checked with {keys[1]}" in checked.stdout
    assert run(app, ["predict", str(folder), "pay", "--verify-key", str(keys[1])]).exit_code == 0
    wrong = run(app, ["predict", str(folder), "pay", "--expect-sha256", "0" * 64])
    assert "this is another bundle" in str(wrong.exception)


def test_an_encrypted_key_asks_for_its_password(make_bundle: MakeBundle, tmp_path: Path) -> None:
    private, folder = Ed25519PrivateKey.generate(), make_bundle()
    key, public = write_keys(tmp_path, "locked", private)
    locked = BestAvailableEncryption(b"secret")
    key.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, locked))
    command = ["sign", str(folder), "--key", str(key)]
    assert CliRunner().invoke(app, command, input="wrong\n").exit_code == 1
    assert CliRunner().invoke(app, command, input="secret\n").exit_code == 0
    Classifier.load(folder, verify_key=public)


def test_openssl_alone_checks_a_signature(make_bundle: MakeBundle, keys: tuple[Path, Path]) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("needs openssl")
    folder = make_bundle()
    sign(folder, keys[0])
    words = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", str(keys[1]), "-rawin"]
    words += ["-in", str(folder / MANIFEST_FILE), "-sigfile", str(folder / SIGNATURE_FILE)]
    assert subprocess.run(words, capture_output=True, check=False).returncode == 0


def test_a_signed_bundle_may_be_overwritten(make_bundle: MakeBundle, keys: tuple[Path, Path]) -> None:
    folder = make_bundle()
    sign(folder, keys[0])
    check_output(folder, overwrite=True)


def test_check_signature_says_which_file_is_wrong(keys: tuple[Path, Path]) -> None:
    with pytest.raises(BundleError, match="some/where is not the signature"):
        check_signature(b"content", b"0" * 64, keys[1], path=Path("some/where"))
