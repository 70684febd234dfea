"""Teacher to student: fine-tuning and MixKD distillation (torch, transformers).

`finetune` and `distill` are the stages; `config` says what they can be asked, `losses` holds the objective,
`trainer` the step that uses it.
"""

from mixkd.compress.config import DistillConfig, FinetuneConfig, Method

__all__ = ["DistillConfig", "FinetuneConfig", "Method"]
