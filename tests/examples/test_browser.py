"""The browser example in a real Chromium: answers as one types, asks nobody else, says what Python says."""

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from mixkd.runtime import Classifier
from tests.examples.chromium import open_page
from tests.examples.conftest import Answers
from tests.examples.programs import copy_example
from tests.examples.strange import STRANGE, copy_fixture, edit, with_values
from tests.tools import need

pytestmark = [pytest.mark.slow, pytest.mark.alone]

ASK_ALL = """
import("./classifier.js").then(async ({ Classifier }) => {
  const classifier = await Classifier.load("bundle"), labels = [];
  for (const text of %s) labels.push((await classifier.predict(text)).label);
  return labels;
})
"""
LOAD = """
import("./classifier.js")
  .then(({ Classifier }) => Classifier.load("%s"))
  .then(() => "loaded", (error) => error.message)
"""
TYPED = "how do you say fly in italian"


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *values: object) -> None:
        """Say nothing."""


@pytest.fixture
def served(student_bundle: Path, tmp_path: Path) -> Iterator[str]:
    """The address under which a plain file server hands out the example, its packages and the bundle."""
    folder = copy_example("browser", tmp_path)
    (folder / "bundle").symlink_to(student_bundle)
    with _server(folder) as url:
        yield url


@contextmanager
def _server(folder: Path) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def test_page_answers_what_is_typed_with_pythons_labels_and_asks_no_other_server(
    served: str, student_bundle: Path, answers: Answers, tmp_path: Path
) -> None:
    chromium = need("chromium", package="chromium")
    with open_page(chromium, tmp_path / "profile") as page:
        page.call("Page.navigate", url=served)
        page.wait_for("document.querySelector('#status')?.textContent === 'Ready'")
        page.call("Input.insertText", text=TYPED)
        page.wait_for("document.querySelector('#answers li') && document.querySelector('#text').value")
        shown = page.evaluate("document.querySelector('#answers li span').textContent")
        picture = base64.b64decode(page.call("Page.captureScreenshot")["data"])
        (tmp_path / "page.png").write_bytes(picture)
        labels = page.evaluate(ASK_ALL % json.dumps(answers.texts))
    expected = Classifier.load(student_bundle, threads=1).predict(TYPED)
    assert shown == expected.label.replace("_", " ")
    assert labels == answers.labels
    assert [url for url in page.requested if not url.startswith((served, "data:"))] == []
    assert any(url.endswith(".wasm") for url in page.requested)
    assert len(picture) > 10_000  # a blank page is less


def test_page_gives_pythons_labels_for_a_trimmed_vocabulary(
    trimmed_bundle: Path, trimmed_answers: Answers, tmp_path: Path
) -> None:
    chromium = need("chromium", package="chromium")
    folder = copy_example("browser", tmp_path)
    (folder / "bundle").symlink_to(trimmed_bundle)
    with _server(folder) as url, open_page(chromium, tmp_path / "profile") as page:
        page.call("Page.navigate", url=url)
        page.wait_for("document.querySelector('#status')?.textContent === 'Ready'")
        labels = page.evaluate(ASK_ALL % json.dumps(trimmed_answers.texts))
    assert labels == trimmed_answers.labels


def test_page_refuses_a_strange_bundle_and_says_why(tmp_path: Path) -> None:
    chromium = need("chromium", package="chromium")
    folder = copy_example("browser", tmp_path)
    cases = STRANGE | {
        "more labels": ("mkd.json", with_values(labels=["a"] * 9), "5 outputs for the 9 labels"),
        "fewer labels": ("mkd.json", with_values(labels=["a"]), "5 outputs for the 1 labels"),
    }
    copy_fixture(folder / "whole")
    for number, (name, change, _) in enumerate(cases.values()):
        edit(copy_fixture(folder / f"strange{number}") / name, change)
    (folder / "bundle").symlink_to(folder / "strange0")
    with _server(folder) as url, open_page(chromium, tmp_path / "profile") as page:
        page.call("Page.navigate", url=url)
        page.wait_for("document.querySelector('#status')?.textContent.startsWith('The bundle can')")
        shown = page.evaluate("document.querySelector('#status').textContent")
        loaded = page.evaluate(LOAD % "whole")
        found = [page.evaluate(LOAD % f"strange{number}") for number in range(len(cases))]
    assert loaded == "loaded"
    assert "max_length must be" in shown
    for (name, (_, _, said)), message in zip(cases.items(), found, strict=True):
        assert said in message, name
