"""A small tokenizer of each kind that the supported encoders have, trained on the built-in texts."""

import io
import json
from collections.abc import Callable, Iterator
from functools import cache
from itertools import islice
from pathlib import Path

import pytest
from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)

from mixkd.corpus.corpus import open_corpus
from mixkd.runtime.graph.wire import fields

BERT_SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
ROBERTA_SPECIAL = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
FOREIGN = (
    "\u4eca\u5929\u5929\u6c14\u5f88\u597d\uff0c\u6211\u4eec\u53bb\u516c\u56ed\u3002",
    "\uc624\ub298 \ub0a0\uc528\uac00 \uc88b\uc544\uc694",
    "\u0e27\u0e31\u0e19\u0e19\u0e35\u0e49\u0e2d\u0e32\u0e01\u0e32\u0e28\u0e14\u0e35",
    "caf\u00e9 na\u00efve \u0130stanbul stra\u00dfe",
)


def texts() -> Iterator[str]:
    """Yield a few thousand texts."""
    yield from FOREIGN
    yield from (example.text for example in islice(open_corpus("clinc150").read("train"), 0, 15000, 5))


def wordpiece(*, lowercase: bool) -> Tokenizer:
    """BERT, DistilBERT, ELECTRA."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(vocab_size=800, special_tokens=BERT_SPECIAL, show_progress=False)
    tokenizer.train_from_iterator(texts(), trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS]:0 $A:0 [SEP]:0",
        pair="[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    tokenizer.decoder = decoders.WordPiece()
    return tokenizer


def mpnet() -> Tokenizer:
    """BERT's pieces with RoBERTa's double separator."""
    tokenizer = wordpiece(lowercase=True)
    tokenizer.post_processor = processors.RobertaProcessing(("[SEP]", 3), ("[CLS]", 2), trim_offsets=False)
    return tokenizer


def byte_level() -> Tokenizer:
    """RoBERTa."""
    tokenizer = Tokenizer(models.BPE(unk_token=None))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=600,
        special_tokens=ROBERTA_SPECIAL[:4],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts(), trainer)
    tokenizer.add_special_tokens([AddedToken("<mask>", lstrip=True, special=True)])
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def modernbert() -> Tokenizer:
    """Byte-level pieces behind NFC, BERT's template, and added tokens that are no special ones."""
    tokenizer = byte_level()
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.add_tokens([AddedToken(" " * size, normalized=True, special=False) for size in (4, 3, 2)])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    return tokenizer


def unigram(normalizer: normalizers.Normalizer, *, double: bool, types: bool = False) -> Tokenizer:
    """XLM-R, ALBERT and DeBERTa: they differ in normalizer and template."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=500, special_tokens=ROBERTA_SPECIAL, unk_token="<unk>", show_progress=False
    )
    tokenizer.train_from_iterator(texts(), trainer)
    second = 1 if types else 0
    middle = "</s> </s>" if double else "</s>"
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>",
        pair=f"<s> $A {middle} $B:{second} </s>:{second}",
        special_tokens=[("<s>", 0), ("</s>", 2)],
    )
    tokenizer.decoder = decoders.Metaspace()
    return tokenizer


def xlm_roberta() -> Tokenizer:
    """NFKC, runs of spaces made one, a double separator."""
    spaces = normalizers.Replace(Regex(" {2,}"), " ")
    return unigram(normalizers.Sequence([normalizers.NFKC(), spaces]), double=True)


def albert() -> Tokenizer:
    """ALBERT's long list of normalizers, and token types."""
    steps = [
        normalizers.Replace("``", '"'),
        normalizers.Replace("''", '"'),
        normalizers.NFKD(),
        normalizers.StripAccents(),
        normalizers.Lowercase(),
        normalizers.Replace(Regex(" {2,}"), " "),
    ]
    return unigram(normalizers.Sequence(steps), double=False, types=True)


def deberta() -> Tokenizer:
    """DeBERTa strips the text before all else."""
    return unigram(normalizers.Sequence([normalizers.Strip(), normalizers.NFKC()]), double=False, types=True)


def gemma() -> Tokenizer:
    """The encoders with Gemma's pieces, such as mmBERT: no words, bytes for what is unknown."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = normalizers.Replace(" ", "\u2581")
    tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    trainer = trainers.BpeTrainer(
        vocab_size=900,
        special_tokens=[*ROBERTA_SPECIAL, *(f"<0x{byte:02X}>" for byte in range(256))],
        limit_alphabet=60,
        max_token_length=12,
        show_progress=False,
    )
    words = (f"\u2581{word}" for text in texts() for word in text.split())
    tokenizer.train_from_iterator(words, trainer)
    body = json.loads(tokenizer.to_str())
    body["added_tokens"] = body["added_tokens"][:5]
    tokenizer = Tokenizer.from_str(json.dumps(body))
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    return tokenizer


def charsmap() -> Tokenizer:
    """NFKC by the character map that SentencePiece writes, as in the files of XLM-R and DeBERTa."""
    sentencepiece = pytest.importorskip("sentencepiece", reason="sentencepiece comes with the compress extra")
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=texts(), model_writer=model, vocab_size=400, minloglevel=2
    )
    data = model.getvalue()
    (spec,) = (data[start:stop] for number, _, _, start, stop in fields(data, 0, len(data)) if number == 3)
    (found,) = (spec[start:stop] for number, _, _, start, stop in fields(spec, 0, len(spec)) if number == 2)
    spaces = normalizers.Replace(Regex(" {2,}"), " ")
    return unigram(normalizers.Sequence([normalizers.Precompiled(found), spaces]), double=True)


FAMILIES: dict[str, Callable[[], Tokenizer]] = {
    "bert": lambda: wordpiece(lowercase=True),
    "bert-cased": lambda: wordpiece(lowercase=False),
    "mpnet": mpnet,
    "roberta": byte_level,
    "modernbert": modernbert,
    "xlm-roberta": xlm_roberta,
    "albert": albert,
    "deberta": deberta,
    "gemma": gemma,
}


@cache
def family_json(name: str) -> str:
    """Return the `tokenizer.json` of a family."""
    return str((charsmap if name == "charsmap" else FAMILIES[name])().to_str())


def write_family(name: str, folder: Path) -> Path:
    """Write a family's tokenizer files into a folder, and return the folder."""
    (folder / "tokenizer.json").write_text(family_json(name), encoding="utf-8")
    pad = "[PAD]" if "[PAD]" in family_json(name) else "<pad>"
    (folder / "tokenizer_config.json").write_text(json.dumps({"pad_token": pad}), encoding="utf-8")
    return folder
