"""The only loader of a bundle's `tokenizer.json`: the file is checked before a tokenizer is built from it.

The tokenizers package trusts its file. Here Python's `json` parses the small parts, and the package gets
them serialized anew after they were checked. Parsing the vocabulary in Python would double the time to load,
so the package gets the model's bytes as they are, but parses them as a model only: nothing in them can become
a normalizer or another part.
"""

import json
from collections.abc import Callable, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from tokenizers import AddedToken, Tokenizer
from tokenizers.models import BPE, Model, WordPiece

from mixkd.errors import BundleError, first_line
from mixkd.runtime.layout import Layout
from mixkd.runtime.manifest import MAX_TOKENIZER_BYTES, MAX_TOKENIZER_CONFIG_BYTES
from mixkd.runtime.tokenizer_checks import MAX_WORD_CHARACTERS, MODELS, check_parts

Result = TypeVar("Result")

MAX_VALUES = 4_000_000
"""The most values in it, counted by commas: an empty list takes 2 bytes of the file and 100 of memory."""

MAX_PARTS_BYTES = 2**23
"""The most bytes before the model; the largest known files have 330 kB (a character map) and 1 MB there."""

_MODEL_KEY = b'"model"'
_PARTS = ("normalizer", "pre_tokenizer", "post_processor", "added_tokens")
_FLAGS = ("single_word", "lstrip", "rstrip", "normalized")
_SMALLEST_MODEL = {"type": "WordLevel", "vocab": {"a": 0, "b": 1}, "unk_token": "a"}
_STRANGE = "\U0010fffd\ufffe"
"""Two characters that no vocabulary holds."""


class LoadedTokenizer(NamedTuple):
    """A tokenizer without special tokens, truncation and padding, and the special tokens to add.

    Attributes:
        path: Its file.
        tokenizer: Text to tokens.
        single: The special tokens around one text.
        pair: The special tokens around two.
        pad_id: The id of the padding token.
    """

    path: Path
    tokenizer: Tokenizer
    single: Layout
    pair: Layout
    pad_id: int


def read_tokenizer(folder: Path, contents: Mapping[str, bytes] | None = None) -> LoadedTokenizer:
    """Load the `tokenizer.json` of a folder; the pad token is read from `tokenizer_config.json`.

    Args:
        folder: The folder.
        contents: The two files' bytes by name, if they were read already.

    Raises:
        BundleError: If it is damaged, larger than any, or made of parts that no supported encoder has.
    """
    path = folder / "tokenizer.json"
    data = _content(path, contents, MAX_TOKENIZER_BYTES)
    if len(data) > MAX_VALUES and data.count(b",") > MAX_VALUES:
        raise BundleError(f"{path} can't be loaded: it has more than {MAX_VALUES} values")
    parts, model = _guarded(f"{path} can't be loaded", _take_apart, data)
    tokenizer = _guarded(f"{path} can't be loaded", _build, parts, model)
    single, pair = _guarded(f"{path} can't be used", _layouts, parts, tokenizer)
    return LoadedTokenizer(path, tokenizer, single, pair, _pad_id(folder, tokenizer, contents))


def _guarded(what: str, call: Callable[..., Result], *arguments: Any) -> Result:
    """Return what a call gives; whatever it raises becomes a `BundleError` that begins with `what`.

    The tokenizers package raises bare `Exception`, and for a panic of its Rust code a `BaseException`
    (https://pyo3.rs/main/doc/pyo3/panic/struct.PanicException).
    """
    try:
        return call(*arguments)
    except (BundleError, KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:
        words = repr(first_line(error))[1:-1]  # it may quote control characters of the file
        raise BundleError(f"{what}: {words}") from error


def _content(path: Path, contents: Mapping[str, bytes] | None, most: int) -> bytes:
    try:
        if contents is not None:
            data = contents[path.name]
        else:
            with path.open("rb") as file:
                data = file.read(most + 1)
    except OSError as error:
        raise BundleError(f"{path} can't be read ({error.strerror}): export the bundle again") from error
    if len(data) > most:
        raise BundleError(f"{path} is larger than any: the limit is {most} bytes")
    return data


def _take_apart(data: bytes) -> tuple[dict[str, Any], Model]:
    """Return the small parts, and the model."""
    # The package writes the model last. A file with another order, by another tool, is parsed whole.
    head, key, tail = data.partition(_MODEL_KEY)
    if not key:
        raise ValueError("it has no model")
    if len(head) > MAX_PARTS_BYTES:
        raise ValueError(f"it has {len(head)} bytes before the model, the limit is {MAX_PARTS_BYTES}")
    try:
        body = json.loads(head.decode("utf-8").rstrip().removesuffix(",") + "}")
        model = _model(tail.strip().removeprefix(b":").removesuffix(b"}"))
    except Exception:
        body = json.loads(data)
        model = _model(json.dumps(body.pop("model")).encode("ascii"))
    return {name: body.get(name) for name in _PARTS}, model


def _model(state: bytes) -> Model:
    model = BPE()
    model.__setstate__(state)  # a model of any kind: the state says which one
    return model


def _build(parts: dict[str, Any], model: Model) -> Tokenizer:
    check_parts(parts)
    tokenizer = _shell(normalizer=parts["normalizer"], pre_tokenizer=parts["pre_tokenizer"])
    tokenizer.model = model
    _check_model(tokenizer.model)
    for special, run in groupby(parts["added_tokens"], lambda token: token.get("special")):
        tokens = [AddedToken(token["content"], **{name: token[name] for name in _FLAGS}) for token in run]
        (tokenizer.add_special_tokens if special else tokenizer.add_tokens)(tokens)
    return tokenizer


def _check_model(model: Model) -> None:
    kind = type(model).__name__
    if kind not in MODELS:
        raise ValueError(f"its model {kind} is none that a bundle may have")
    if isinstance(model, BPE) and model.dropout:
        raise ValueError("its model drops merges by chance: an answer would change from call to call")
    longest = model.max_input_chars_per_word if isinstance(model, WordPiece) else 0
    if longest > MAX_WORD_CHARACTERS:
        raise ValueError(f"its words may have {longest} characters, the limit is {MAX_WORD_CHARACTERS}")
    model.tokenize(_STRANGE)  # fails where the token for unknown words is missing


def _layouts(parts: dict[str, Any], tokenizer: Tokenizer) -> tuple[Layout, Layout]:
    probe = _shell(post_processor=parts["post_processor"])
    single = Layout.observe(probe.encode("a"), texts=[0])
    pair = Layout.observe(probe.encode("a", "b"), texts=[0, 1])
    if not single.special_tokens or not pair.special_tokens:
        raise ValueError("it adds no special tokens: an empty text would have no token")
    for number in (number for gap in (*single.gaps, *pair.gaps) for number in gap):
        if tokenizer.id_to_token(number) is None:
            raise ValueError(f"its special token {number} is not in the vocabulary")
    return single, pair


def _shell(**parts: Any) -> Tokenizer:
    body = {"version": "1.0", "model": _SMALLEST_MODEL, "added_tokens": [], **parts}
    return Tokenizer.from_str(json.dumps(body))


def _pad_id(folder: Path, tokenizer: Tokenizer, contents: Mapping[str, bytes] | None) -> int:
    path = folder / "tokenizer_config.json"
    try:
        token = json.loads(_content(path, contents, MAX_TOKENIZER_CONFIG_BYTES)).get("pad_token")
    except (ValueError, AttributeError, RecursionError) as error:
        raise BundleError(f"{path} can't be read ({error}): export the bundle again") from error
    if isinstance(token, dict):
        token = token.get("content")
    if token is None:
        return 0  # whatever stands there is masked
    what = f"{path} can't be read"
    number = _guarded(what, tokenizer.token_to_id, token) if isinstance(token, str) else None
    if number is None:
        raise BundleError(f"{path} pads with {token!r}, which is not in the vocabulary")
    return number
