"""Tiny random classifiers of every encoder, a tokenizer, and texts that they understand."""

import json
import random
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

SIZES: dict[str, Any] = {
    "vocab_size": 120,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "max_position_embeddings": 48,
    "num_labels": 5,
}
ENCODERS: dict[str, dict[str, Any]] = {
    "bert": {},
    "roberta": {},
    "xlm-roberta": {},
    "distilbert": {"dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 24},
    "electra": {"embedding_size": 12},
    "albert": {"embedding_size": 12},
    "mpnet": {},
    "deberta-v2": {
        "relative_attention": True,
        "pos_att_type": ["c2p", "p2c"],
        "position_buckets": 8,
        "norm_rel_ebd": "layer_norm",
        "share_att_key": True,
        "max_relative_positions": -1,
        "position_biased_input": False,
        "pad_token_id": 0,
        "type_vocab_size": 0,
        "pooler_hidden_size": 16,
    },
    "modernbert": {"classifier_pooling": "cls", "pad_token_id": 0, "local_attention": 8},
}
"""Every encoder of the distillation list, as it pools its first token."""

SEGMENTED = frozenset({"bert", "electra", "albert", "deberta-v2"})
"""Encoders whose own tokenizers number the two texts of a pair."""

WORDS = [f"{a}{b}" for a in ("ba", "ko", "mi", "ru", "te") for b in ("da", "fo", "li", "nu", "se", "zy")]


def tiny_classifier(kind: str, **changes: Any) -> PreTrainedModel:
    """Return a random classifier of an encoder, its weights large enough for logits that differ."""
    torch.manual_seed(7)
    config = AutoConfig.for_model(kind, **{**SIZES, **ENCODERS[kind], **changes})
    model = AutoModelForSequenceClassification.from_config(config, attn_implementation="eager")
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.normal_(std=0.3)
    classifier: PreTrainedModel = model.eval()
    return classifier


def plant_outliers(model: PreTrainedModel, layers: list[int]) -> None:
    """Make one channel of the context a thousand times larger, and undo that in the next product.

    In fp32 the answers stay what they were; one scale for the whole context leaves int8 nothing of the rest.
    """
    weights = model.state_dict()  # shares its memory with the model
    for index in layers:
        attention = f"bert.encoder.layer.{index}.attention"
        weights[f"{attention}.self.value.weight"][5] *= 3000
        weights[f"{attention}.self.value.bias"][5] *= 3000
        weights[f"{attention}.output.dense.weight"][:, 5] /= 3000


def tiny_tokenizer(kind: str = "bert") -> PreTrainedTokenizerFast:
    """Return a WordPiece tokenizer of whole words, with BERT's special tokens, for an encoder."""
    vocab = {token: i for i, token in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS])}
    tokenizer = Tokenizer(models.WordPiece(vocab, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
        model_max_length=48,
        model_input_names=["input_ids", *["token_type_ids"] * (kind in SEGMENTED), "attention_mask"],
    )


def tiny_texts(count: int) -> list[str]:
    """Return random texts of the tokenizer's words, 1 to 20 words each."""
    rng = random.Random(3)
    return [" ".join(rng.choices(WORDS, k=rng.randint(1, 20))) for _ in range(count)]


def write_student(folder: Path, model: PreTrainedModel) -> Path:
    """Save a model and the tiny tokenizer as a student folder."""
    names = [f"label-{i}" for i in range(int(model.config.num_labels or 0))]
    model.config.id2label = dict(enumerate(names))
    model.config.label2id = {name: i for i, name in enumerate(names)}
    model.save_pretrained(folder)
    tiny_tokenizer(model.config.model_type).save_pretrained(folder)
    return folder


def add_letters(student: Path) -> None:
    """Give the tokenizer of a student folder its words' letters: a word that is left out becomes letters."""
    file, letters = student / "tokenizer.json", sorted({letter for word in WORDS for letter in word})
    body = json.loads(file.read_text(encoding="utf-8"))
    for piece in (*letters, *(f"##{letter}" for letter in letters)):
        body["model"]["vocab"].setdefault(piece, len(body["model"]["vocab"]))
    file.write_text(json.dumps(body), encoding="utf-8")


def write_answers(folder: Path, model: PreTrainedModel, texts: list[str]) -> Path:
    """Write the texts with the model's own answers as a test split: the student is right on all of them."""
    tokenizer = tiny_tokenizer(model.config.model_type)
    with torch.inference_mode():
        answers = [int(model(**tokenizer(text, return_tensors="pt")).logits.argmax()) for text in texts]
    lines = [f"{text}\tlabel-{answer}" for text, answer in zip(texts, answers, strict=True)]
    folder.mkdir(exist_ok=True)
    (folder / "test.tsv").write_text("\n".join(["text\tlabel", *lines]) + "\n", encoding="utf-8")
    return folder


def write_doubtful(
    folder: Path, model: PreTrainedModel, sizes: dict[str, int], *, temperature: float
) -> Path:
    """Write texts whose labels are drawn from the model's probabilities at a temperature.

    The model is then too sure of itself where the temperature is above 1, by just that much.
    """
    tokenizer, drawn = tiny_tokenizer(model.config.model_type), torch.Generator().manual_seed(5)
    texts = tiny_texts(sum(sizes.values()))
    folder.mkdir(exist_ok=True)
    for split, size in sizes.items():
        part, texts = texts[:size], texts[size:]
        lines = ["text\tlabel"]
        for text in part:
            with torch.inference_mode():
                shares = (model(**tokenizer(text, return_tensors="pt")).logits[0] / temperature).softmax(-1)
            lines.append(f"{text}\tlabel-{int(torch.multinomial(shares, 1, generator=drawn))}")
        (folder / f"{split}.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder
