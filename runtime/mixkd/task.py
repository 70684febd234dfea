"""What a classifier's outputs mean, transformers' names of the same tasks, and what every stage agrees on."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Literal


class Task(StrEnum):
    """What the outputs mean."""

    SINGLE_LABEL = "single_label"
    MULTI_LABEL = "multi_label"
    REGRESSION = "regression"


ProblemType = Literal["single_label_classification", "multi_label_classification", "regression"]

PROBLEM_TYPES: Mapping[Task, ProblemType] = {
    Task.SINGLE_LABEL: "single_label_classification",
    Task.MULTI_LABEL: "multi_label_classification",
    Task.REGRESSION: "regression",
}
"""The `problem_type` of each task in a model's config.json."""

LEAST_LENGTH = 4
"""The least `--max-length`: the special tokens of a pair of texts and one token of text."""

DEFAULT_LENGTH = 128
"""Tokens per text where neither the user nor the model sets fewer."""

ABSTAIN_LABEL = "out_of_scope"
"""The answer where no label's score reaches the threshold, unless a bundle or an app names another one."""
