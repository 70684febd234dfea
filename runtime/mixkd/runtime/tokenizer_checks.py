"""The components that a bundle's `tokenizer.json` may have, and their limits.

The tokenizers package builds whatever the file asks for, and can be made to hang, to panic or to take all
memory. Allowed are the components of the supported encoders' tokenizers (BERT, RoBERTa, XLM-R, DistilBERT,
ELECTRA, ALBERT, MPNet, DeBERTa, ModernBERT) and of close relatives.
"""

from collections.abc import Callable, Iterator
from itertools import groupby
from typing import Any

NORMALIZERS = frozenset(
    {
        "BertNormalizer",
        "Lowercase",
        "NFC",
        "NFD",
        "NFKC",
        "NFKD",
        "Nmt",
        "Precompiled",
        "Prepend",
        "Replace",
        "Strip",
        "StripAccents",
    }
)
PRE_TOKENIZERS = frozenset(
    {
        "BertPreTokenizer",
        "ByteLevel",
        "Digits",
        "Metaspace",
        "Punctuation",
        "Split",
        "Whitespace",
        "WhitespaceSplit",
    }
)
POST_PROCESSORS = frozenset({"BertProcessing", "ByteLevel", "RobertaProcessing", "TemplateProcessing"})
MODELS = frozenset({"BPE", "Unigram", "WordPiece"})

_GPT_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|%s| ?[^\s\p{L}\p{N}]+[\r\n]*|"
    r"\s*[\r\n]+|\s+(?!\S)|\s+"
)
PATTERNS = frozenset(
    {
        " {2,}",
        r"\s+",
        r"[\r\n]",
        r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
        _GPT_WORDS % r"\p{N}",
        _GPT_WORDS % r"\p{N}{1,3}",
    }
)
"""The regular expressions that are allowed: one from a stranger could take exponential time."""

MAX_ADDED_TOKENS = 10_000
MAX_ADDED_RUNS = 100
"""The most runs of special or of other added tokens: the package rebuilds its index after each run."""

MAX_ADDED_CHARACTERS = 1_000
MAX_PARTS = 32
MAX_GROWTH = 18 * 18
"""The most characters that normalization may make of one. NFKC makes 18 of U+FDFA, and ALBERT has two
normalizers that do so, though the second one finds nothing left to do."""

MAX_POST_PROCESSOR_CHARACTERS = 2**16
MAX_WORD_CHARACTERS = 200
"""The longest word that WordPiece may be asked to split, in time that grows with its square; BERT has 100."""

_NFK_GROWTH = 18


def check_parts(parts: dict[str, Any]) -> None:
    """Check all parts of a tokenizer but its model.

    Raises:
        ValueError: If one of them is not allowed.
    """
    _check_normalizer(parts["normalizer"])
    _check_pre_tokenizer(parts["pre_tokenizer"])
    _each(parts["post_processor"], POST_PROCESSORS, "processors", "post-processor")
    if len(repr(parts["post_processor"])) > MAX_POST_PROCESSOR_CHARACTERS:
        raise ValueError("its post-processor is larger than any")
    _check_added_tokens(parts["added_tokens"])


def _check_normalizer(normalizer: Any) -> None:
    growth, kinds = 1.0, []
    for part in _each(normalizer, NORMALIZERS, "normalizers", "normalizer"):
        kinds.append(part["type"])
        if part["type"] in _GROWTH:
            growth *= _GROWTH[part["type"]](part)
    if kinds.count("Precompiled") > 1:
        raise ValueError("it has more than one Precompiled normalizer")
    if {"NFKC", "NFKD"} & set(kinds):
        growth *= _NFK_GROWTH  # once: what one has decomposed, the next leaves alone
    if growth > MAX_GROWTH:
        raise ValueError(
            f"its normalizers may make {growth:.0f} characters of one, the limit is {MAX_GROWTH}"
        )


def _check_pre_tokenizer(pre_tokenizer: Any) -> None:
    kinds = []
    for part in _each(pre_tokenizer, PRE_TOKENIZERS, "pretokenizers", "pre-tokenizer"):
        kinds.append(part["type"])
        if part["type"] == "Split":
            _pattern_length(part)
    if kinds.count("ByteLevel") > 1:
        raise ValueError("it has more than one ByteLevel pre-tokenizer: each doubles the text")


def _check_added_tokens(added: Any) -> None:
    if not isinstance(added, list) or len(added) > MAX_ADDED_TOKENS:
        raise ValueError(f"its added tokens are not a list of at most {MAX_ADDED_TOKENS}")
    for token in added:
        if not isinstance(token, dict) or not isinstance(token.get("content"), str):
            raise ValueError("an added token has no content")
        if not 0 < len(token["content"]) <= MAX_ADDED_CHARACTERS:
            raise ValueError(f"an added token has {len(token['content'])} characters")
        if token.get("rstrip") and (token.get("normalized") or token["content"].isspace()):
            # In a run of spaces each of them would match up to the end: memory grows with the square.
            raise ValueError("an added token that strips the spaces behind it may be a space itself")
    if len({token["content"] for token in added}) < len(added):
        raise ValueError("an added token is listed twice")
    if sum(1 for _ in groupby(token.get("special") for token in added)) > MAX_ADDED_RUNS:
        raise ValueError("its special and its other added tokens take turns too often")


def _each(part: Any, allowed: frozenset[str], members: str, what: str) -> list[dict[str, Any]]:
    """Return the checked components of a part: itself, or the members of a sequence."""
    found = []
    for item in _flat(part, members):
        kind = item.get("type") if isinstance(item, dict) else None
        if kind not in allowed:
            raise ValueError(f"its {what} {str(kind)[:40]!r} is none that a bundle may have")
        found.append(item)
        if len(found) > MAX_PARTS:
            raise ValueError(f"it has more than {MAX_PARTS} {what}s")
    return found


def _flat(part: Any, members: str) -> Iterator[Any]:
    if part is None:
        return
    if isinstance(part, dict) and part.get("type") == "Sequence" and isinstance(part.get(members), list):
        for member in part[members]:
            yield from _flat(member, members)
    else:
        yield part


def _replace_growth(part: dict[str, Any]) -> float:
    content = part.get("content")
    if not isinstance(content, str):
        raise ValueError("a Replace normalizer has no content")
    return max(1.0, len(content) / _pattern_length(part))


def _pattern_length(part: dict[str, Any]) -> int:
    """Return the number of characters that a pattern matches at least."""
    match part.get("pattern"):
        case {"String": str(text)} if text:
            return len(text)
        case {"Regex": str(expression)} if expression in PATTERNS:
            return 1
    raise ValueError(f"the pattern of its {part['type']} is none that a bundle may have")


def _prepend_growth(part: dict[str, Any]) -> float:
    if not isinstance(part.get("prepend"), str) or len(part["prepend"]) > 1:
        raise ValueError("a Prepend normalizer prepends more than one character")
    return 1


def _charsmap_growth(part: dict[str, Any]) -> float:
    """Return the length of the longest replacement in a SentencePiece character map.

    The map is the size of a trie in bytes (uint32), the trie, and the replacements, each ended by a zero
    byte. The package allocates as many bytes as the size says.
    """
    from binascii import a2b_base64  # most tokenizers have no such map

    data = a2b_base64(str(part.get("precompiled_charsmap")), strict_mode=True)
    size = int.from_bytes(data[:4], "little")
    if size % 4 or size + 4 > len(data):
        raise ValueError("its character map is damaged")
    return float(max(map(len, data[4 + size :].decode("utf-8").split("\0")), default=1) or 1)


_GROWTH: dict[str, Callable[[dict[str, Any]], float]] = {
    "Replace": _replace_growth,
    "Prepend": _prepend_growth,
    "Precompiled": _charsmap_growth,
}
