"""A bundle behind the interface of transformers' text-classification pipeline."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias, TypedDict, Unpack, cast

from mixkd.errors import ConfigError, InputError
from mixkd.runtime.classifier import Classifier
from mixkd.runtime.encoding import Text
from mixkd.runtime.load_options import LoadArguments, is_whole
from mixkd.runtime.prediction import Prediction
from mixkd.task import Task

_PLAIN: Final = ""
"""transformers' own sign that `top_k` isn't given: None means all labels."""

_FUNCTIONS = {Task.SINGLE_LABEL: "softmax", Task.MULTI_LABEL: "sigmoid", Task.REGRESSION: "none"}


class Score(TypedDict):
    """A label and its score, as transformers gives them."""

    label: str
    score: float


class _PairParts(TypedDict):
    text: str


class PairInput(_PairParts, total=False):
    """A text, and a second one for pairs, as transformers takes them."""

    text_pair: str | None


Input: TypeAlias = str | PairInput
TopK: TypeAlias = int | Literal[""] | None


class TextClassificationPipeline:
    """What ``transformers.pipeline("text-classification", student)`` gives, answered by a bundle.

    The calls and the answers are the same. Three things are the bundle's own: a text is always cut to its
    maximum length; texts are batched as its precision wants it, whatever `batch_size` says; and below a
    threshold that `mkd calibrate` chose, the one answer (not a list of `top_k`) has the abstain label.

    Attributes:
        classifier: The classifier that answers.
    """

    task = "text-classification"

    def __init__(
        self,
        model: Classifier | str | Path,
        *,
        top_k: TopK = _PLAIN,
        batch_size: int = 1,
        **options: Unpack[LoadArguments],
    ) -> None:
        """Open a bundle.

        Args:
            model: The bundle's folder, or a classifier, such as `Classifier.from_hub` returns.
            top_k: The labels per text where a call doesn't say; None lists all.
            batch_size: Texts read ahead of an iterator's answers.
            options: As in `Classifier.load`.

        Raises:
            BundleError: As `Classifier.load`.
            ConfigError: If an option is impossible, or options are given beside a classifier.
        """
        if isinstance(model, Classifier) and options:
            raise ConfigError(f"{', '.join(options)}: give it where the classifier is made")
        self.classifier = model if isinstance(model, Classifier) else Classifier.load(model, **options)
        self._top_k = _checked_top_k(top_k)
        self._batch_size = batch_size

    def __call__(
        self,
        inputs: Input | list[str] | list[PairInput] | Iterable[Input],
        *,
        top_k: TopK = _PLAIN,
        batch_size: int | None = None,
        function_to_apply: str | None = None,
        truncation: bool | str = True,
        padding: bool | str = True,
    ) -> Any:
        """Classify.

        Args:
            inputs: A text, or ``{"text": ..., "text_pair": ...}``; a list of either; or any other iterable
                of either, such as a generator, which is answered text by text.
            top_k: List this many of the best labels, None all of them.
            batch_size: As for the class.
            function_to_apply: What the bundle's scores are, if anything: softmax for one label per text,
                sigmoid for several, none for a regression.
            truncation: Taken for the sake of transformers' callers: texts are cut always.
            padding: Likewise.

        Returns:
            For a text a list with one `Score`; for a dict a `Score`; for a list of N inputs N times a
            `Score`. With `top_k`, a list of `Score`, best first, for each input. An iterator for an iterable.

        Raises:
            BundleError: As `Classifier.predict`.
            ConfigError: If an argument is one that the bundle can't follow.
            InputError: If an input is neither a text nor such a dict.
        """
        own = _FUNCTIONS[self.classifier.manifest.task]
        if function_to_apply not in {None, own}:
            raise ConfigError(f"function_to_apply is {function_to_apply!r}: this bundle's is {own!r}")
        if not truncation:
            raise ConfigError("truncation=False: a bundle reads no more than its maximum length")
        asked = self._top_k if top_k == _PLAIN else _checked_top_k(top_k)
        if isinstance(inputs, str):
            found = self._answer([inputs], asked)[0]
            return (
                [found] if top_k == _PLAIN else found
            )  # so transformers does it, whatever the class was told
        if isinstance(inputs, dict):
            return self._answer([cast(PairInput, inputs)], asked)[0]
        if isinstance(inputs, list):
            return self._answer(inputs, asked)
        return self._stream(inputs, asked, batch_size or self._batch_size)

    def _answer(self, inputs: Sequence[Input], top_k: TopK) -> list[Any]:
        found = self.classifier.predict([_text(item) for item in inputs], top_k=self._listed(top_k))
        return [self._read(prediction, top_k) for prediction in found]

    def _stream(self, inputs: Iterable[Input], top_k: TopK, window: int) -> Iterator[Any]:
        texts = map(_text, inputs)
        for prediction in self.classifier.stream(texts, top_k=self._listed(top_k), window=window):
            yield self._read(prediction, top_k)

    def _listed(self, top_k: TopK) -> int:
        return {_PLAIN: 1, None: len(self.classifier.labels)}.get(top_k, top_k)  # type: ignore[arg-type, return-value]

    def _read(self, prediction: Prediction, top_k: TopK) -> Score | list[Score]:
        scores = [Score(label=label, score=score) for label, score in prediction.top]
        if top_k != _PLAIN:
            return scores
        if self.classifier.manifest.task is Task.SINGLE_LABEL:
            return Score(label=prediction.label, score=prediction.score)
        return scores[0]


def _checked_top_k(top_k: TopK) -> TopK:
    if top_k in {None, _PLAIN} or (is_whole(top_k) and top_k > 0):  # type: ignore[operator]
        return top_k
    raise ConfigError(f"top_k is {top_k!r}: give a whole number from 1 on, or None for all labels")


def _text(item: object) -> Text:
    if isinstance(item, str):
        return item
    if isinstance(item, dict) and {"text"} <= set(item) <= {"text", "text_pair"}:
        text, pair = item["text"], item.get("text_pair")
        return text if pair is None else (text, pair)
    shown = f"a dict of {', '.join(map(str, item))}" if isinstance(item, dict) else type(item).__name__
    raise InputError(f'an input is a str or {{"text": ..., "text_pair": ...}}, not {shown}')
