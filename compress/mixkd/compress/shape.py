"""The options of a student's shape: its layers, feed-forward neurons and attention heads.

Nothing heavy is imported here, so that `mkd --help` stays instant.
"""

from dataclasses import dataclass
from enum import StrEnum

from mixkd.compress.inputs import Selection
from mixkd.options import Group, flag_of, must_be, option

AUTO = "auto"
"""The value of `--student-ffn` that leaves the width to mkd."""


class StudentKind(StrEnum):
    """What kind of model a student is."""

    TRANSFORMER = "transformer"
    BAG = "bag"


class Keep(StrEnum):
    """Which of the teacher's layers a student keeps."""

    FIRST = "first"
    EVEN = "even"


@dataclass(frozen=True, kw_only=True)
class StudentShape(Selection):
    """What a student is made of: parts of its teacher, or another model."""

    student_kind: StudentKind = option(
        StudentKind.TRANSFORMER,
        "transformer, or bag: the mean of the teacher's word embeddings and a small network; it takes "
        "microseconds, and knows no order of words.",
        group=Group.STUDENT,
    )
    student_layers: int | None = option(
        None,
        "Layers of the teacher that the student keeps.",
        group=Group.STUDENT,
        otherwise="half of them",
        least=1,
    )
    keep: Keep = option(
        Keep.FIRST, "Which layers it keeps: the first ones, or evenly spaced ones.", group=Group.STUDENT
    )
    student_ffn: int | str | None = option(
        None,
        "Feed-forward neurons that each layer keeps, the most important ones; auto keeps half of the "
        "teacher's.",
        group=Group.STUDENT,
        otherwise="all of them",
        least=1,
    )
    student_heads: int | None = option(
        None,
        "Attention heads that each layer keeps, the most important ones.",
        group=Group.STUDENT,
        otherwise="all of them",
        least=1,
    )
    student: str | None = option(
        None,
        "Start from this model instead: a folder or a hub name; mixing needs the teacher's tokenizer.",
        group=Group.STUDENT,
    )

    max_latency_ms: float | None = option(
        None,
        "Choose layers and neurons, or a bag, so that a text takes no more on this machine, tokenization "
        "included; needs mixkd[export].",
        group=Group.STUDENT,
        otherwise="no limit",
        above=0,
    )

    def _problems(self) -> list[str]:
        problems = super()._problems()
        if isinstance(self.student_ffn, str) and self.student_ffn != AUTO:
            problems.append(must_be("student_ffn", f"a number or {AUTO}", self.student_ffn))
        sizes = ("student_layers", "student_ffn", "student_heads")
        given = [flag_of(name) for name in sizes if getattr(self, name) is not None]
        if self.student is not None:
            problems += [
                f"{flag} can't be combined with --student, which has its own shape" for flag in given
            ]
        if self.is_bag:
            given += ["--student"] if self.student is not None else []
            problems += [f"{flag} can't be combined with --student-kind bag" for flag in given]
        if self.max_latency_ms is not None:
            given += ["--student"] if self.student is not None else []
            given += ["--student-kind bag"] if self.is_bag else []
            problems += [f"{flag} can't be combined with --max-latency-ms" for flag in dict.fromkeys(given)]
        return problems

    @property
    def is_bag(self) -> bool:
        """Whether the student has no attention."""
        return self.student_kind is StudentKind.BAG
