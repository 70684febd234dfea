"""Teacher to student: fine-tuning and MixKD distillation (torch, transformers).

>>> from mixkd.compress import DistillConfig, distill, finetune
>>> teacher = finetune("bert-base-uncased", "mydata", "teacher")
>>> student = distill(teacher.folder, "mydata", "student", config=DistillConfig(student_layers=3))
>>> student.metrics["test"]["accuracy"]
0.9511
"""

from typing import TYPE_CHECKING

from mixkd.compress.config import DistillConfig, FinetuneConfig
from mixkd.compress.translation import AugmentConfig
from mixkd.compress.weights import Method

if TYPE_CHECKING:
    from mixkd.compress.augmentation import Augmented, augment
    from mixkd.compress.distillation import distill
    from mixkd.compress.finetuning import finetune
    from mixkd.compress.objective import Objective
    from mixkd.compress.run import TrainingResult

__all__ = [
    "AugmentConfig",
    "Augmented",
    "DistillConfig",
    "FinetuneConfig",
    "Method",
    "Objective",
    "TrainingResult",
    "augment",
    "distill",
    "finetune",
]

_MODULES = {
    "Augmented": "augmentation",
    "Objective": "objective",
    "TrainingResult": "run",
    "augment": "augmentation",
    "distill": "distillation",
    "finetune": "finetuning",
}


def __getattr__(name: str) -> object:
    # Loaded when first asked for: `mkd --help` imports this package, and must not wait for torch.
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    from mixkd.extras import require

    require("torch", "transformers", extra="compress")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
