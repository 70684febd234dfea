"""ONNX graphs with something changed, by their structure, and sealed with right hashes."""

import random
from functools import cache
from pathlib import Path

import onnx
from onnx import ModelProto

from mixkd.errors import BundleError
from mixkd.runtime.manifest import FP32_FILE, INT8_FILE
from mixkd.runtime.trust import Expected, check_graph
from tests.fuzz.harness import Outcome
from tests.fuzz.onnx_edits import MUTATIONS
from tests.fuzz.sealed import copied, outcome_of, seal

MODELS = {"portable": INT8_FILE, "static": INT8_FILE, "fp32": FP32_FILE}
EXPECTED = Expected(max_length=48, output="probabilities", width=5)
TRIES = 8


def attempt(seed: int, folder: Path) -> Outcome:
    """Load and ask a bundle whose graph was changed."""
    chance = random.Random(seed)
    name = chance.choice(list(MODELS))
    bundle = copied(name, folder)
    content = mutant(name, chance)
    for _ in range(0 if seed % 4 else TRIES):
        # Every fourth mutant had better pass the check: those are onnxruntime's to refuse or to answer.
        try:
            check_graph(content, EXPECTED)
            break
        except BundleError:
            content = mutant(name, chance)
    (bundle / MODELS[name]).write_bytes(content)
    seal(bundle)
    return outcome_of(bundle)


def mutant(name: str, chance: random.Random) -> bytes:
    """Return a model with one to four changes."""
    model = ModelProto()
    model.CopyFrom(_model(name))
    for _ in range(chance.choice((1, 1, 1, 2, 2, 4))):
        chance.choice(MUTATIONS)(model, chance)
    content = bytearray(model.SerializeToString())
    if chance.random() < 0.05:
        for _ in range(chance.choice((1, 5, 50))):
            content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    return bytes(content)


@cache
def _model(name: str) -> ModelProto:
    return onnx.load(Path(__file__).parent / "bundles" / name / MODELS[name])
