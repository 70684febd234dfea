"""A student cut out of its teacher: some of its layers, and embeddings, pooler and head."""

import copy
import re
from typing import Any

from torch import Tensor, nn
from transformers import AutoModelForSequenceClassification, PretrainedConfig, PreTrainedModel

from mixkd.compress.shape import Keep
from mixkd.errors import ConfigError, ModelError


def cut_layers(teacher: PreTrainedModel, layers: int, *, keep: Keep = Keep.FIRST) -> PreTrainedModel:
    """Return a new model of the teacher's architecture with fewer layers, weights copied.

    Embeddings, pooler and head are the teacher's. `first` keeps the first N layers, as PKD does; `even`
    keeps N evenly spaced ones, the first among them. Where layers share their weights (ALBERT) only their
    number changes. The student shares no memory with the teacher.

    Args:
        teacher: A sequence classifier with a list of layers.
        layers: Layers to keep, 1 or more, at most the teacher's.
        keep: Which ones.

    Raises:
        ConfigError: If the teacher has fewer layers, or can only be cut to its first ones.
        ModelError: If the architecture has no list of layers that can be cut.
    """
    total = layer_count(teacher)
    if not 1 <= layers <= total:
        raise ConfigError(
            f"--student-layers must be from 1 to {total}, the layers of the teacher, not {layers}"
        )
    kept = kept_layers(total, layers, keep)
    config = _cut_config(teacher.config, kept)
    student: PreTrainedModel = AutoModelForSequenceClassification.from_config(config, trust_remote_code=False)
    weights = _cut_weights(teacher, kept)
    missing, unexpected = student.load_state_dict(weights, strict=False)
    # Tied weights and buffers that aren't saved may be missing; parameters may not.
    missing = [name for name in missing if name in dict(student.named_parameters())]
    if missing or unexpected:
        raise _uncuttable(teacher, f"{(missing + unexpected)[0]} doesn't fit into the smaller model")
    return student


def layer_count(model: PreTrainedModel) -> int:
    """Return the number of layers, as the config has it."""
    count = getattr(model.config, "num_hidden_layers", None)
    if not isinstance(count, int):
        raise _uncuttable(model, "its config has no num_hidden_layers")
    return count


def kept_layers(total: int, layers: int, keep: Keep) -> list[int]:
    """Return the indices of the kept layers, ascending."""
    if keep is Keep.FIRST:
        return list(range(layers))
    return [i * total // layers for i in range(layers)]


def layers_of(model: PreTrainedModel) -> list[nn.Module]:
    """Return the layers, first to last; where layers share their weights (ALBERT), each of those once.

    Raises:
        ModelError: If the architecture has no list of layers.
    """
    if hasattr(model.config, "num_hidden_groups"):
        groups: Any = model.get_submodule(f"{model.base_model_prefix}.encoder.albert_layer_groups")
        return [layer for group in groups for layer in group.albert_layers]
    return list(model.get_submodule(_layer_list_name(model)).children())


def _cut_config(config: PretrainedConfig, kept: list[int]) -> PretrainedConfig:
    smaller = copy.deepcopy(config)
    total = smaller.num_hidden_layers
    for name, value in list(vars(smaller).items()):
        # Settings per layer, such as ModernBERT's layer_types, are cut too.
        if isinstance(value, list) and len(value) == total and name.startswith("layer"):
            setattr(smaller, name, [value[i] for i in kept])
    smaller.num_hidden_layers = len(kept)
    period = getattr(config, "global_attn_every_n_layers", None)
    if period and any((new % period == 0) != (old % period == 0) for new, old in enumerate(kept)):
        raise ConfigError(f"{config.model_type} has layers of several kinds: use --keep first")
    return smaller


def _cut_weights(teacher: PreTrainedModel, kept: list[int]) -> dict[str, Tensor]:
    weights: dict[str, Tensor] = teacher.state_dict()
    if hasattr(teacher.config, "num_hidden_groups"):  # ALBERT: groups of shared layers, all kept
        return weights
    prefix = re.escape(_layer_list_name(teacher)) + r"\.(\d+)\."
    renamed: dict[str, Tensor] = {}
    for name, tensor in weights.items():
        match = re.match(prefix, name)
        if match is None:
            renamed[name] = tensor
        elif int(match[1]) in kept:
            new = kept.index(int(match[1]))
            renamed[name[: match.start(1)] + str(new) + name[match.end(1) :]] = tensor
    return renamed


def _layer_list_name(model: PreTrainedModel) -> str:
    total = layer_count(model)
    lists = [
        name
        for name, module in model.named_modules()
        if isinstance(module, nn.ModuleList) and len(module) == total and len({type(m) for m in module}) == 1
    ]
    if not lists:
        raise _uncuttable(model, f"it has no list of {total} equal layers")
    shortest: str = min(lists, key=len)
    return shortest


def _uncuttable(model: PreTrainedModel, why: str) -> ModelError:
    return ModelError(
        f"{type(model).__name__} ({model.config.model_type}) can't be cut: {why}; "
        "give a smaller model with --student instead"
    )
