"""`Classifier`: what an app holds to get labels for texts."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Literal, TypeAlias, Unpack, overload

import numpy as np
from numpy.typing import NDArray

from mixkd.errors import BundleError, ConfigError, InputError
from mixkd.runtime.bundle import ANYBODY, OpenBundle, Trust
from mixkd.runtime.encoding import Encoder, Text
from mixkd.runtime.load_options import LoadArguments, LoadOptions, is_whole
from mixkd.runtime.manifest import Manifest, Precision
from mixkd.runtime.prediction import Prediction, Reader, check_finite, finite_copy
from mixkd.runtime.predictor import ALONE, WINDOW, Predictor
from mixkd.runtime.presets import Preset
from mixkd.runtime.session import open_session
from mixkd.runtime.single import Answer, SinglePredictor
from mixkd.runtime.threads import available_threads
from mixkd.runtime.trust import expected_of
from mixkd.task import ABSTAIN_LABEL

Texts: TypeAlias = list[str] | list[tuple[str, str]] | list[Text]
"""A batch is a list: a tuple is a pair of texts."""


class Classifier:
    """A bundle that answers; made by `Classifier.load`.

    Any number of threads may share one. A forked child process may use its parent's: it opens a session of
    its own on its first call if the parent's has threads. For a spawned one, folder and options are pickled.

    Before Python 3.14, a daemon thread that is inside `predict` when the interpreter ends aborts the process
    (SIGABRT): CPython ends the thread within onnxruntime's bindings, which can't be unwound
    (https://github.com/pybind/pybind11/issues/2215). Use threads that aren't daemons, or stop them first.
    """

    def __init__(self, opened: OpenBundle, options: LoadOptions) -> None:
        manifest = opened.bundle.manifest
        settings = options.settings
        self._bundle = opened.bundle
        self._options = options
        self._threads = options.threads or available_threads(at_most=settings.max_threads)
        alone = manifest.precision is Precision.INT8 and not settings.batch_int8
        self._batch_tokens = ALONE if alone else settings.batch_tokens
        self._encoder = Encoder.from_folder(
            self._bundle.folder,
            max_length=manifest.max_length,
            inputs=manifest.inputs,
            contents=opened.contents,
        )
        self._reader = Reader(
            task=manifest.task,
            labels=manifest.labels,
            threshold=manifest.threshold if options.threshold is None else options.threshold,
            abstain_label=options.abstain_label or manifest.abstain_label or ABSTAIN_LABEL,
        )
        self._open_session(opened)

    @classmethod
    def load(
        cls,
        bundle: str | Path,
        *,
        threads: int | None = None,
        preset: Preset | Literal["balanced", "low-memory", "throughput"] = Preset.BALANCED,
        threshold: float | None = None,
        abstain_label: str | None = None,
        verify: bool = True,
        expect_sha256: str | None = None,
        verify_key: str | Path | None = None,
        timeout_s: float | None = None,
    ) -> "Classifier":
        """Open a bundle.

        Args:
            bundle: The folder that `mkd export` wrote.
            threads: Threads per call; None takes the processors this process may use, up to the preset's
                limit.
            preset: What the runtime optimizes: speed, memory, or both.
            threshold: The probability from which a label counts; None takes the bundle's calibrated one. If
                it has none, the best label is always taken (single-label), or 0.5 is enough (multi-label).
            abstain_label: The answer if no label reaches the threshold; None takes the bundle's, or
                ``out_of_scope``.
            verify: Hash every file: some 20 ms and 4 MB (``low-memory``: 90 ms, no memory). It shows damage,
                not malice: whoever changes a file can change its hash too. Turn it off only for a folder that
                nobody else can write.
            expect_sha256: The sha256 of the bundle's `mkd.json`, as `mkd inspect` and ``sha256sum`` print it:
                any other bundle is refused.
            verify_key: A file with a public key: a bundle that its holder didn't sign with `mkd sign` is
                refused. Needs the extra ``sign``.
            timeout_s: The seconds that the network may take for one text or batch; None waits for the answer.

        Raises:
            BundleError: If the bundle is damaged, foreign, unsafe, or another than is expected.
            ConfigError: If an option is impossible.

        Warns:
            OldReleaseWarning: If onnxruntime has known memory errors, and neither `expect_sha256` nor
                `verify_key` says whose bundle this is.
        """
        key = None if verify_key is None else Path(verify_key).absolute()
        options = LoadOptions(
            threads=threads,
            preset=preset,
            threshold=threshold,
            abstain_label=abstain_label,
            verify=verify,
            trust=Trust(sha256=expect_sha256, key=key),
            timeout_s=timeout_s,
        )
        # Absolute, so that a child process or a later chdir finds it again.
        with options.open(Path(bundle).absolute()) as opened:
            return cls(opened, options)

    @classmethod
    def from_hub(
        cls,
        name: str,
        *,
        revision: str | None = None,
        token: str | None = None,
        cache_dir: str | Path | None = None,
        **options: Unpack[LoadArguments],
    ) -> "Classifier":
        """Fetch a bundle from the Hugging Face hub, check every hash, and open it; needs the extra ``hub``.

        Without a network, or with ``HF_HUB_OFFLINE=1``, what was fetched before is opened.

        Args:
            name: The repository, ``org/name``, that `mkd push` filled.
            revision: A branch, a tag or a commit; None takes the newest. Only a commit stays what it is.
            token: Who asks; None takes ``HF_TOKEN``, or who logged in with `hf auth login`.
            cache_dir: The hub's cache; None takes the usual one.
            options: As in `load`.

        Raises:
            HubError: If there is no such bundle, or neither the hub nor the cache gives it.
            BundleError: As in `load`; also if it lists a file that no export of mixkd writes.
            MissingExtraError: If huggingface_hub isn't installed.
        """
        from mixkd.runtime.hub import fetch_bundle  # the only part that connects to anything

        key = options.get("verify_key")
        trust = Trust(sha256=options.get("expect_sha256"), key=None if key is None else Path(key))
        folder = fetch_bundle(name, revision=revision, token=token, cache_dir=cache_dir, trust=trust)
        return cls.load(folder, **options)

    @property
    def manifest(self) -> Manifest:
        """What the bundle says about itself: task, labels, precision, measured quality."""
        return self._bundle.manifest

    @property
    def labels(self) -> tuple[str, ...]:
        """One name per output, in the order of `predict_proba`."""
        return self._bundle.manifest.labels

    @overload
    def predict(self, texts: Text, *, top_k: int = 0) -> Prediction: ...
    @overload
    def predict(self, texts: Texts, *, top_k: int = 0) -> list[Prediction]: ...
    def predict(self, texts: Text | Texts, *, top_k: int = 0) -> Prediction | list[Prediction]:
        """Predict one text or pair, or a list of them in its order.

        With the preset ``throughput`` an int8 score may differ a little between a list and a call of its own.

        Args:
            texts: A `str`, a pair ``(text, text2)``, or a list of either.
            top_k: The number of best labels to list in `Prediction.top`.

        Raises:
            BundleError: If the graph fails, or gives NaN or infinity.
            InputError: If something else than texts is given; the message names its type.
        """
        if isinstance(texts, list):
            return list(self.stream(texts, top_k=top_k))
        return self._alone(texts if isinstance(texts, str) else _checked(texts), self._reading(top_k))

    def predict_proba(self, texts: Text | Texts) -> NDArray[np.float32]:
        """Return each label's probability, or a regression's value: (C,) for one text, (N, C) for a list.

        Raises:
            BundleError: If the graph fails, or gives NaN or infinity.
            InputError: If something else than texts is given; the message names its type.
        """
        if not isinstance(texts, list):
            return self._alone(_checked(texts), finite_copy)
        batch = [_checked(text) for text in texts]
        if self._batch_tokens == ALONE:
            rows = [self._alone(text, finite_copy) for text in batch]
            return np.array(rows, np.float32).reshape(len(rows), len(self.labels))
        self._follow_fork()
        scores = self._predictor.outputs(batch, max_batch_tokens=self._batch_tokens)
        check_finite(scores)
        return scores

    def stream(self, texts: Iterable[Text], *, top_k: int = 0, window: int = WINDOW) -> Iterator[Prediction]:
        """Yield a prediction for each text, in order, with bounded memory for any number of texts.

        Args:
            texts: Texts or pairs; each `window` of them is sorted by length and batched.
            top_k: As in `predict`.
            window: The number of texts that are read ahead; 1 answers each text before the next is read.

        Raises:
            InputError: If `texts` is one text, or gives something that isn't one.
        """
        if isinstance(texts, str):
            raise InputError("stream takes many texts, not one str: give a list, or call predict")
        if not is_whole(window) or window < 1:
            raise ConfigError(f"window is {window!r}: give a whole number from 1 on")
        source = iter(texts)
        while batch := [_checked(text) for text in islice(source, window)]:
            yield from self._answer(batch, top_k)

    @overload
    async def predict_async(self, texts: Text, *, top_k: int = 0) -> Prediction: ...
    @overload
    async def predict_async(self, texts: Texts, *, top_k: int = 0) -> list[Prediction]: ...
    async def predict_async(self, texts: Any, *, top_k: int = 0) -> Prediction | list[Prediction]:
        """Predict as `predict` does, on a thread of the loop's pool, so that the loop isn't blocked."""
        import asyncio  # 4 MB that most apps don't need

        answer: Prediction | list[Prediction] = await asyncio.to_thread(self.predict, texts, top_k=top_k)
        return answer

    def __reduce__(self) -> tuple[Any, ...]:
        return Classifier._reload, (self._bundle.folder, self._options)

    @classmethod
    def _reload(cls, folder: Path, options: LoadOptions) -> "Classifier":
        with options.open(folder) as opened:
            return cls(opened, options)

    def __repr__(self) -> str:
        manifest = self._bundle.manifest
        return f"<Classifier {self._bundle.folder} {manifest.precision}, {len(manifest.labels)} labels>"

    def _alone(self, text: Text, read: Callable[[NDArray[np.float32], bool], Answer]) -> Answer:
        """Answer a text that shares no batch."""
        if self._threads > 1:
            self._follow_fork()
        return self._single.run(self._encoder.encode_one(text), read)

    def _answer(self, texts: Sequence[Text], top_k: int) -> list[Prediction]:
        if self._batch_tokens == ALONE:
            read = self._reading(top_k)
            return [self._alone(text, read) for text in texts]
        self._follow_fork()
        scores, truncated = self._predictor.answer(texts, max_batch_tokens=self._batch_tokens)
        return self._reader.read(scores, truncated, top_k)

    def _reading(self, top_k: int) -> Callable[[NDArray[np.float32], bool], Prediction]:
        return partial(self._reader.read_one, top_k=top_k) if top_k else self._reader.read_one

    def _follow_fork(self) -> None:
        # The threads of a session stay behind in the parent when a process forks.
        if self._pid != os.getpid() and self._threads > 1:
            with self._options.open(self._bundle.folder) as opened:
                if opened.bundle != self._bundle:
                    raise BundleError(
                        f"{self._bundle.folder} was exported again since this process loaded it: load it anew"
                    )
                self._open_session(opened)

    def _open_session(self, opened: OpenBundle) -> None:
        settings = self._options.settings
        session = open_session(
            opened.model,
            expected=expected_of(self.manifest, pinned=self._options.trust != ANYBODY),
            threads=self._threads,
            arena=settings.stay_ready,
            spinning=settings.stay_ready,
            map_weights=settings.map_weights,
        )
        if self._options.timeout_s is not None:
            from mixkd.runtime.deadline import TimedSession  # most apps wait

            session = TimedSession(session, self._options.timeout_s)
        output, width = self.manifest.scores, len(self.labels)
        self._single = SinglePredictor(session, output=output, width=width)
        self._predictor = Predictor(session, self._encoder, output=output)
        self._pid = os.getpid()


def _checked(text: object) -> Text:
    if isinstance(text, str):
        return text
    if not isinstance(text, tuple):
        raise InputError(f"a text is a str, a pair (str, str) or a list of them, not {type(text).__name__}")
    if len(text) != 2 or not all(isinstance(item, str) for item in text):
        kinds = ", ".join(type(item).__name__ for item in text)
        raise InputError(f"a pair is two texts (str, str), not ({kinds})")
    return text
