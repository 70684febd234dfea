"""Bundle to answers: imports numpy, onnxruntime and tokenizers, and nothing of the other stages.

>>> from mixkd.runtime import Classifier
>>> classifier = Classifier.load("bundle")
>>> classifier.predict("transfer 100 dollars to my savings")
Prediction(label='transfer', score=0.98)
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mixkd.errors import BundleError, ConfigError, InputError, MkdError
    from mixkd.runtime.bundle import open_bundle
    from mixkd.runtime.classifier import Classifier
    from mixkd.runtime.estimator import BundleEstimator
    from mixkd.runtime.manifest import Manifest, Precision
    from mixkd.runtime.prediction import Prediction
    from mixkd.runtime.presets import Preset
    from mixkd.runtime.text_pipeline import TextClassificationPipeline
    from mixkd.task import Task

__all__ = [
    "BundleError",
    "BundleEstimator",
    "Classifier",
    "ConfigError",
    "InputError",
    "Manifest",
    "MkdError",
    "Precision",
    "Prediction",
    "Preset",
    "Task",
    "TextClassificationPipeline",
    "open_bundle",
]

_MODULES = {
    "BundleEstimator": "estimator",
    "Classifier": "classifier",
    "Manifest": "manifest",
    "Precision": "manifest",
    "Prediction": "prediction",
    "Preset": "presets",
    "Task": "manifest",
    "TextClassificationPipeline": "text_pipeline",
    "open_bundle": "bundle",
}


def __getattr__(name: str) -> object:
    # Loaded when first asked for: `mkd --help` imports this package, and must not wait for numpy.
    from importlib import import_module

    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = f"{__name__}.{_MODULES[name]}" if name in _MODULES else "mixkd.errors"
    return getattr(import_module(module), name)
