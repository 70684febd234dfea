"""The student without attention: what it reads, what it learns, and that transformers loads it."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import AutoModelForSequenceClassification, PreTrainedModel

from mixkd.compress import distill
from mixkd.compress.bag import BagForSequenceClassification, make_bag
from mixkd.compress.config import DistillConfig
from mixkd.compress.mixup import Mix, mixed_inputs
from mixkd.compress.objective import TARGETS, Objective
from mixkd.compress.recipe import Situation, settle
from mixkd.compress.shape import StudentKind
from mixkd.compress.weights import METHODS, Method
from mixkd.errors import ConfigError
from mixkd.labels import LabelSpace
from mixkd.task import Task
from tests.tiny import WORDS, tiny_classifier, tiny_tokenizer

QUICK: dict[str, Any] = {"epochs": 2, "batch_size": 16, "max_length": 32, "student_kind": StudentKind.BAG}
PAD, UNK, CLS, SEP = 0, 1, 2, 3
SPECIAL = [PAD, CLS, SEP, 4]


def bag(width: int = 16, teacher: PreTrainedModel | None = None) -> BagForSequenceClassification:
    teacher = teacher or tiny_classifier("bert")
    return make_bag(teacher, tiny_tokenizer(), longest=48, width=width, units=12)


def ids(*texts: str) -> dict[str, Tensor]:
    encoded = tiny_tokenizer()(list(texts), padding=True, return_tensors="pt")
    return {name: encoded[name] for name in ("input_ids", "attention_mask")}


def logits(model: Any, **inputs: Tensor) -> Tensor:
    with torch.inference_mode():
        found: Tensor = model.eval()(**inputs).logits
    return found


def test_order_padding_and_special_tokens_change_nothing_and_words_do() -> None:
    model = bag()
    one, two, three = WORDS[:3]
    plain = logits(model, **ids(f"{one} {two} {two}"))
    same = logits(model, **ids(f"{two} {one} {two}", " ".join(WORDS[:9])))[:1]  # padded
    torch.testing.assert_close(same, plain)
    bare = torch.tensor([[ids(word)["input_ids"][0, 1] for word in (one, two, two)]])
    torch.testing.assert_close(logits(model, input_ids=bare), plain)
    pair = tiny_tokenizer()(one, f"{two} {two}", return_tensors="pt")["input_ids"]
    torch.testing.assert_close(logits(model, input_ids=pair), plain)
    for other in (f"{one} {two}", f"{one} {three} {three}", "zebra"):
        assert not torch.allclose(logits(model, **ids(other)), plain, atol=1e-4)


def test_embeddings_are_the_teachers_without_their_mean_and_without_special_tokens() -> None:
    teacher = tiny_classifier("bert")
    table = teacher.get_input_embeddings().get_parameter("weight").detach()
    words = [i for i in range(len(table)) if i not in SPECIAL]
    rows = bag(teacher=teacher).get_input_embeddings().get_parameter("weight").detach()
    torch.testing.assert_close(rows[words], table[words] - table[words].mean(dim=0))
    assert not rows[SPECIAL].any()
    assert rows[UNK].any()


def test_narrow_table_keeps_the_principal_components() -> None:
    teacher = tiny_classifier("bert")
    whole = bag(teacher=teacher).get_input_embeddings().get_parameter("weight").detach()
    with torch.no_grad():  # only three directions matter
        basis = torch.linalg.qr(torch.randn(16, 3)).Q
        flat = whole @ basis @ basis.T
        teacher.get_input_embeddings().get_parameter("weight").copy_(flat)
    narrow = bag(3, teacher).get_input_embeddings().get_parameter("weight").detach()
    expected = bag(teacher=teacher).get_input_embeddings().get_parameter("weight").detach()
    assert narrow.shape == (120, 3)
    torch.testing.assert_close(narrow @ narrow.T, expected @ expected.T, atol=1e-3, rtol=1e-3)


def test_mixed_embeddings_weigh_the_words_of_both_texts() -> None:
    model = bag()
    batch = ids(f"{WORDS[0]} {WORDS[1]}", " ".join(WORDS[2:7]))
    mix = Mix(torch.tensor([0]), torch.tensor([1]), torch.tensor([0.3]))
    mixed = logits(model, **mixed_inputs(model, batch, mix, originals=False))
    rows = model.get_input_embeddings()(batch["input_ids"]).detach()
    total = 0.3 * rows[0].sum(0) + 0.7 * rows[1].sum(0)
    torch.testing.assert_close(mixed, logits(model, inputs_embeds=total[None, None]), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("method", [Method.KD, Method.MIXKD])
def test_training_leaves_the_rows_of_zeros_alone_and_changes_the_words(method: Method) -> None:
    teacher = tiny_classifier("bert")
    model = bag(teacher=teacher).train()
    before = model.get_input_embeddings().get_parameter("weight").detach().clone()
    batch = ids(*(" ".join(WORDS[i : i + 4]) for i in range(8)))
    targets = torch.nn.functional.one_hot(torch.arange(8) % 5, 5).float()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2, weight_decay=0.1)
    objective = Objective(model, teacher, task=Task.SINGLE_LABEL, weights=METHODS[method])
    losses = []
    for step in range(30):
        loss = objective({**batch, TARGETS: targets}, generator=torch.Generator().manual_seed(step)).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    rows = model.get_input_embeddings().get_parameter("weight").detach()
    assert not rows[SPECIAL].any()
    assert not torch.equal(rows[5:16], before[5:16])
    assert losses[-1] < 0.8 * losses[0]


@pytest.mark.parametrize("method", ["kd", "mixkd"])
def test_distilled_bag_is_a_folder_that_transformers_loads(
    method: str, teacher: Path, data: Path, tmp_path: Path
) -> None:
    made = distill(teacher, data, tmp_path / "bag", config=DistillConfig(method=Method(method), **QUICK))
    config = json.loads((made.folder / "config.json").read_text(encoding="utf-8"))
    assert (config["model_type"], config["max_position_embeddings"]) == ("mixkd_bag", 48)
    assert "auto_map" not in config
    assert not list(made.folder.glob("*.py"))
    loaded = AutoModelForSequenceClassification.from_pretrained(made.folder)
    assert isinstance(loaded, BagForSequenceClassification)
    assert list((loaded.config.id2label or {}).values())[4] == "label-4"
    table = loaded.get_input_embeddings().get_parameter("weight").detach()
    assert not table[SPECIAL].any()
    first = make_bag(tiny_classifier("bert", num_hidden_layers=4), tiny_tokenizer(), longest=48)
    assert not torch.equal(table, first.get_input_embeddings().get_parameter("weight"))  # trained by default
    run = json.loads((made.folder / "run.json").read_text(encoding="utf-8"))
    assert run["config"]["student_kind"] == "bag"
    assert run["config"]["freeze_embeddings"] is False


@pytest.mark.parametrize("kind", ["albert", "electra", "roberta", "modernbert"])
def test_bag_of_any_encoder_has_the_width_of_its_word_embeddings(kind: str) -> None:
    teacher = tiny_classifier(kind)
    model = make_bag(teacher, tiny_tokenizer(kind), longest=46)
    width = teacher.get_input_embeddings().get_parameter("weight").shape[1]
    assert model.get_input_embeddings().get_parameter("weight").shape == (120, width)


def test_bag_takes_larger_steps_and_trains_its_embeddings() -> None:
    situation = Situation(15_000, LabelSpace(Task.SINGLE_LABEL, ("no", "yes")), 384)
    own, other = (
        settle(DistillConfig(student_kind=StudentKind.BAG), situation),
        settle(DistillConfig(), situation),
    )
    assert own.freeze_embeddings is False
    assert other.freeze_embeddings is True
    assert own.learning_rate is not None
    assert other.learning_rate is not None
    assert own.learning_rate > 2 * other.learning_rate
    assert settle(
        DistillConfig(student_kind=StudentKind.BAG, freeze_embeddings=True), situation
    ).freeze_embeddings


@pytest.mark.parametrize(
    ("options", "refusal"),
    [
        ({"student_layers": 2}, "--student-layers can't be combined with --student-kind bag"),
        ({"student_ffn": 8}, "--student-ffn can't be combined with --student-kind bag"),
        ({"student": "x"}, "--student can't be combined with --student-kind bag"),
    ],
)
def test_options_of_layers_are_refused_for_a_bag(options: dict[str, Any], refusal: str) -> None:
    with pytest.raises(ConfigError, match=refusal):
        DistillConfig(student_kind=StudentKind.BAG, **options)


def test_hidden_states_are_refused_for_a_bag(teacher: Path, data: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="a bag has no hidden states"):
        distill(teacher, data, tmp_path / "bag", config=DistillConfig(method=Method.PKD, **QUICK))
    assert not list(tmp_path.iterdir())
