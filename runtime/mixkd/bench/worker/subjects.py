"""Variants loaded in the worker's process, each as a `Subject` that is timed.

An ONNX variant runs on the runtime's own session. Any other engine is a class that a `FactoryVariant` names.
"""

import importlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mixkd.bench.variants import FactoryVariant, OnnxVariant, Variant
from mixkd.bench.worker.timing import Subject
from mixkd.errors import MeasureError
from mixkd.runtime.encoding import Text, Tokens
from mixkd.runtime.manifest import LOGITS


def import_packages(variant: Variant) -> None:
    """Import what the variant answers with, so that import and load can be timed apart."""
    if isinstance(variant, FactoryVariant):
        importlib.import_module(variant.factory.partition(":")[0])
        importlib.import_module(variant.runtime)
    else:
        from mixkd.runtime.session import load_onnxruntime

        load_onnxruntime()
        for module in ("predictor", "single"):
            importlib.import_module(f"mixkd.runtime.{module}")


def load(variant: Variant, *, threads: int) -> Subject:
    """Load a variant.

    Args:
        variant: What to load.
        threads: Threads per call, the same for every engine.
    """
    if isinstance(variant, FactoryVariant):
        return _FactorySubject(variant, threads)
    return _OnnxSubject(variant, threads)


class _OnnxSubject:
    """The same session, encoder and predictors that the classifier uses."""

    def __init__(self, variant: OnnxVariant, threads: int) -> None:
        from mixkd.runtime.encoding import Encoder
        from mixkd.runtime.predictor import ALONE, BATCH_TOKENS, Predictor
        from mixkd.runtime.session import open_session
        from mixkd.runtime.single import SinglePredictor
        from mixkd.runtime.trust import Expected

        width = len(variant.labels)
        expected = Expected(max_length=variant.max_length, output=LOGITS, width=width)
        session = open_session(variant.model, expected=expected, threads=threads)
        inputs = [entry.name for entry in session.get_inputs()]
        self._encoder = Encoder.from_folder(variant.tokenizer, max_length=variant.max_length, inputs=inputs)
        self._predictor = Predictor(session, self._encoder)
        self._single = SinglePredictor(session, output=LOGITS, width=width)
        # int8 is judged as an app calls it, one text at a time. fp32 may be batched.
        self._batch_tokens = ALONE if variant.precision == "int8" else BATCH_TOKENS

    def encode(self, text: Text) -> Tokens:
        return self._encoder.encode_one(text)

    def answer(self, encoded: Tokens) -> NDArray[np.float32]:
        return self._single.run(encoded, _copied)

    def input_length(self, encoded: Tokens) -> int:
        return len(encoded.ids)

    def logits(self, texts: Sequence[Text]) -> NDArray[np.float32]:
        return self._predictor.outputs(texts, max_batch_tokens=self._batch_tokens)


def _copied(logits: NDArray[np.float32], _truncated: bool) -> NDArray[np.float32]:
    return logits[None].copy()


class _FactorySubject:
    """A model of another engine, made by the class that the variant names."""

    def __init__(self, variant: FactoryVariant, threads: int) -> None:
        module, _, attribute = variant.factory.partition(":")
        factory = getattr(importlib.import_module(module), attribute, None)
        if factory is None:
            raise MeasureError(f"{variant.name}: {module} has no {attribute}")
        self._model: Any = factory(variant.folder, threads=threads, max_length=variant.max_length)

    def encode(self, text: Text) -> Any:
        return self._model.encode([text])

    def answer(self, encoded: Any) -> NDArray[Any]:
        return np.asarray(self._model.run(encoded))

    def input_length(self, encoded: Any) -> int:
        return int(encoded["input_ids"].shape[1])

    def logits(self, texts: Sequence[Text]) -> NDArray[Any]:
        return np.asarray(self._model.logits(texts))
