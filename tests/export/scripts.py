"""Texts in many scripts, and a small tokenizer of each kind that has learned pieces of all of them."""

import json
import random
from collections.abc import Iterator
from functools import cache
from itertools import product
from pathlib import Path
from unittest.mock import patch

import torch
from tokenizers import Tokenizer
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from tests.runtime.families import FAMILIES, family_json
from tests.tiny import tiny_classifier

# ruff: noqa: RUF001 - letters of other scripts look like Latin ones

SENTENCES = (
    "The weather is nice today, isn't it? We're off to the park at 10:45.",
    "Straßen, Ärger und übermütige Füchse; ça va, señor? İstanbul'da ğün ışığı",
    "Сегодня хорошая погода, мы идём в парк.",
    "Σήμερα ο καιρός είναι ωραίος, πάμε στο πάρκο.",
    "الطقس جميل اليوم، نذهب إلى الحديقة؟ ١٢٣",
    "מזג האוויר נעים היום, ש\u05b8\u05c1לו\u05b9ם",
    "आज मौसम अच\u094dछा है, हम बगीचे जा रहे हैं। १२३",
    "วันนี\u0e49อากาศดี เราไปสวนสาธารณะ",
    "今天天气很好，我们去公园。今天也去。",
    "今日は天気がいいですね。コーヒーを飲みます。",
    "오늘 날씨가 좋아요. 공원에 가요.",
    "👍🏽👍🏿 👨\u200d👩\u200d👧\u200d👦 ❤\ufe0f 🇩🇪",
    "e\u0301a\u0308o\u0302 n\u0303 Z\u0351\u036b\u0343algo a\u030a\u0323",
    "1234567890 3.14159 ½ Ⅳ １２ ٤٥",
)
"""Latin, Cyrillic, Greek, Arabic, Hebrew, Devanagari, Thai, Chinese, Japanese, Korean, emoji with joiners and
skin tones, combining marks, digits."""

UNSEEN = "\u0180\u10d0\u0531\u1200\U0001f9ff\U00020000\ufdfa\x00\ue000\ufffd"
"""Characters that stand in no text which a tokenizer learned from."""

NAMES = (*FAMILIES, "charsmap")


def learned() -> Iterator[str]:
    """Yield some hundred texts of words of the sentences."""
    rng = random.Random(1)
    for _ in range(40):
        for sentence in SENTENCES:
            words = sentence.split()
            yield " ".join(rng.choices(words, k=len(words)))


def asked(count: int) -> list[str]:
    """Return random texts: words of any scripts, parts of words run together, unseen characters, spaces."""
    rng = random.Random(2)
    words = [word for sentence in SENTENCES for word in sentence.split()]
    texts = list(SENTENCES)
    for _ in range(count - len(texts)):
        parts = []
        for _ in range(rng.randint(1, 6)):
            word = rng.choice(words)
            start = rng.randrange(len(word))
            parts.append(
                rng.choice((word, word[start:], word[:start] + rng.choice(words), rng.choice(UNSEEN)))
            )
        texts.append(rng.choice((" ", " ", "", "  ")).join(parts))
    return texts


KINDS = {
    "xlm-roberta": "charsmap",
    "roberta": "roberta",
    "modernbert": "modernbert",
    "albert": "albert",
}
"""Encoders, and what their tokenizers are like."""

TRAINING = SENTENCES[:6]
OTHER = [text for text in asked(60) if text.strip()]


@cache
def tokenizer_json(name: str) -> str:
    """Return the `tokenizer.json` of a family that knows pieces of these texts."""
    body = json.loads(family_json(name))
    if body["model"]["type"] == "Unigram":
        body["model"]["vocab"] = [
            *body["model"]["vocab"][:5],
            *_scored(Tokenizer.from_str(family_json(name))),
        ]
        return json.dumps(body)
    with patch("tests.runtime.families.texts", learned):
        return str(FAMILIES[name]().to_str())


def _scored(tokenizer: Tokenizer) -> list[list[str | float]]:
    """Return all characters of the texts and many parts of their words, with scores that often make ties."""
    rng = random.Random(3)
    found: dict[str, float] = {}
    for sentence in SENTENCES:
        for word, _ in tokenizer.pre_tokenizer.pre_tokenize_str(tokenizer.normalizer.normalize_str(sentence)):
            found |= {character: -8.0 - rng.randrange(8) / 2 for character in word if character not in found}
            for start, size in product(range(len(word)), range(2, 6)):
                if size <= len(word) - start and rng.random() < 0.5:
                    found.setdefault(word[start : start + size], -6.0 - rng.randrange(20) / 2)
    return [[piece, score] for piece, score in sorted(found.items(), key=lambda item: -item[1])]


def write_scripts_student(folder: Path, kind: str) -> Path:
    """Save a random classifier of an encoder with a tokenizer of its kind, and texts beside it."""
    tokenizer = Tokenizer.from_str(tokenizer_json(KINDS[kind]))
    names = {"pad_token": "<pad>", "unk_token": "<unk>", "cls_token": "<s>", "sep_token": "</s>"}
    whole = PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=40, **names)
    pad = tokenizer.token_to_id(names["pad_token"])
    # More rows than pieces, as real models have; positions may be counted from the padding's id.
    sizes = {"vocab_size": len(whole) + 7, "pad_token_id": pad, "embedding_size": 32}
    model = tiny_classifier(kind, **sizes)  # a table under 16 kB would stay in fp32
    model.config.id2label = {i: f"label-{i}" for i in range(5)}
    _spread(model, whole)
    model.save_pretrained(folder / "student")
    whole.save_pretrained(folder / "student")
    (folder / "data").mkdir()
    for split, texts in (("train", TRAINING), ("test", [*TRAINING, *OTHER[20:30]])):
        lines = [f"{text}\tlabel-{i % 5}" for i, text in enumerate(texts) if "\t" not in text]
        (folder / "data" / f"{split}.tsv").write_text("\n".join(("text\tlabel", *lines)) + "\n")
    return folder / "student"


def _spread(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast) -> None:
    """Let every label be the answer to some texts: the logits of a random model differ little among them."""
    (bias,) = (value for value in model.parameters() if value.shape == (5,))
    batch = tokenizer(TRAINING, return_tensors="pt", padding=True, truncation=True)
    batch.pop("token_type_ids", None)
    with torch.inference_mode():
        logits = model.eval()(**batch).logits
    with torch.no_grad():
        bias.sub_(logits.mean(dim=0))
