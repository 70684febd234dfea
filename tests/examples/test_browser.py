"""The browser example in a real Chromium: answers as one types, asks nobody else, says what Python says."""

import base64
import json
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from mixkd.runtime import Classifier
from tests.examples.chromium import open_page
from tests.examples.conftest import Answers
from tests.examples.programs import copy_example
from tests.tools import need

pytestmark = [pytest.mark.slow, pytest.mark.alone]

ASK_ALL = """
import("./classifier.js").then(async ({ Classifier }) => {
  const classifier = await Classifier.load("bundle"), labels = [];
  for (const text of %s) labels.push((await classifier.predict(text)).label);
  return labels;
})
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
