"""A bundle behind the interface of a fitted scikit-learn classifier; scikit-learn isn't needed for it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mixkd.errors import ConfigError, DataError, InputError
from mixkd.runtime.classifier import Classifier
from mixkd.runtime.encoding import Text
from mixkd.runtime.presets import Preset
from mixkd.task import Task


class BundleEstimator:
    """A single-label bundle as scikit-learn's tools take a classifier: fitted already, and never fitted anew.

    It goes into `cross_val_score`, pipelines, scorers, and with `FrozenEstimator` into
    `CalibratedClassifierCV`. It never abstains: `predict` gives the best of `classes_`.

    The parameters are kept as they are given, and the bundle is opened when it is first needed, as
    scikit-learn's `clone` wants it.
    """

    _estimator_type = "classifier"  # what scikit-learn read before 1.6

    def __init__(
        self,
        bundle: str | Path,
        *,
        threads: int | None = None,
        preset: Preset | str = Preset.BALANCED,
        expect_sha256: str | None = None,
        verify_key: str | Path | None = None,
    ) -> None:
        """Keep what `Classifier.load` will be given; see there."""
        self.bundle = bundle
        self.threads = threads
        self.preset = preset
        self.expect_sha256 = expect_sha256
        self.verify_key = verify_key
        self._opened: Classifier | None = None

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the arguments of the constructor."""
        names = ("bundle", "threads", "preset", "expect_sha256", "verify_key")
        return {name: getattr(self, name) for name in names}

    def set_params(self, **params: Any) -> Self:
        """Change arguments of the constructor.

        Raises:
            ConfigError: If there is no such argument.
        """
        for name, value in params.items():
            if name not in self.get_params():
                raise ConfigError(f"there is no parameter {name!r}: {', '.join(self.get_params())}")
            setattr(self, name, value)
        self._opened = None
        return self

    @property
    def classifier(self) -> Classifier:
        """The classifier that answers.

        Raises:
            BundleError: As `Classifier.load`.
            ConfigError: If the bundle isn't single-label, or as `Classifier.load`.
        """
        if self._opened is None:
            params: Mapping[str, Any] = self.get_params()
            opened = Classifier.load(**params)
            if opened.manifest.task is not Task.SINGLE_LABEL:
                raise ConfigError(f"{self.bundle} is {opened.manifest.task}: an estimator takes single-label")
            self._opened = opened
        return self._opened

    @property
    def classes_(self) -> NDArray[np.str_]:
        """The labels in alphabetical order, as scikit-learn sorts them; (C,)."""
        return np.sort(np.array(self.classifier.labels))

    def fit(self, X: Sequence[Text] | NDArray[Any], y: ArrayLike) -> Self:  # noqa: N803
        """Check that the labels are the bundle's; nothing is learnt.

        Args:
            X: (N,) texts, which aren't read.
            y: (N,) labels.

        Raises:
            DataError: If the bundle doesn't have one of the labels.
        """
        if strange := set(np.unique(np.asarray(y)).tolist()) - set(self.classifier.labels):
            raise DataError(
                f"{self.bundle} has no label {min(strange, key=str)!r}: a bundle is never fitted anew"
            )
        return self

    def predict_proba(self, X: Sequence[Text] | NDArray[Any]) -> NDArray[np.float32]:  # noqa: N803
        """Return the probabilities, (N, C), in the order of `classes_`.

        Args:
            X: (N,) texts; pairs are tuples, or the rows of an array (N, 2).

        Raises:
            InputError: If something else than texts is given.
        """
        scores = self.classifier.predict_proba(_texts(X))
        order: NDArray[np.float32] = scores[:, np.argsort(np.array(self.classifier.labels))]
        return order

    def predict(self, X: Sequence[Text] | NDArray[Any]) -> NDArray[np.str_]:  # noqa: N803
        """Return the best label of each text, (N,); `X` as in `predict_proba`."""
        best: NDArray[np.str_] = self.classes_[self.predict_proba(X).argmax(axis=1)]
        return best

    def score(
        self,
        X: Sequence[Text] | NDArray[Any],  # noqa: N803
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
    ) -> float:
        """Return the accuracy of `predict`, a fraction of one."""
        right = self.predict(X) == np.asarray(y)
        weights = None if sample_weight is None else np.asarray(sample_weight, np.float64)
        return float(np.average(right, weights=weights))

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def __sklearn_tags__(self) -> Any:
        from sklearn.utils import ClassifierTags, InputTags, Tags, TargetTags  # who asks for it has it

        return Tags(
            estimator_type="classifier",
            target_tags=TargetTags(required=True),
            transformer_tags=None,
            classifier_tags=ClassifierTags(),
            regressor_tags=None,
            requires_fit=False,
            input_tags=InputTags(one_d_array=True, two_d_array=False, string=True),
        )

    def __repr__(self) -> str:
        return f"BundleEstimator({str(self.bundle)!r})"


def _texts(X: Sequence[Text] | NDArray[Any]) -> list[Text]:  # noqa: N803
    """Return texts as a classifier takes them; numpy's strings become Python's, and rows of two pairs."""
    if isinstance(X, str):
        raise InputError("an estimator takes many texts, not one str: give a list")
    rows = X.tolist() if hasattr(X, "tolist") else list(X)
    return [tuple(row) if isinstance(row, list) else row for row in rows]
