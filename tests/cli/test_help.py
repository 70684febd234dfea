"""The command line itself."""

from collections.abc import Callable

import pytest

from mixkd.version import __version__
from tests.cli.conftest import Ran

Mkd = Callable[..., Ran]


def test_version_is_the_packages(mkd: Mkd) -> None:
    assert mkd("--version").out == f"mixkd {__version__}\n"


def test_help_names_every_command(mkd: Mkd) -> None:
    shown = mkd("--help").out
    for command in ("finetune", "distill", "export", "inspect", "predict", "bench", "compare", "quickstart"):
        assert f"\n  {command} " in shown


@pytest.mark.parametrize(
    ("command", "options"),
    [
        (
            "distill",
            "--teacher --data --output --student-layers --method --alpha-sm --alpha-tmkd --alpha-kd --beta "
            "--mixup-ratio --distance --temperature --epochs --learning-rate --batch-size --max-length "
            "--seed --text-column --text2-column --label-column --overwrite --resume --config --student "
            "--augmented",
        ),
        ("augment", "--data --output --forward --backward --resume"),
        ("finetune", "--model --data --output --epochs --task"),
        ("export", "--int8 --output --data --recipe --keep-fp32 --max-drop"),
        ("bench", "--teacher --data --output"),
        ("quickstart", "--output --smoke --seed"),
    ],
)
def test_command_has_its_options(mkd: Mkd, command: str, options: str) -> None:
    shown = mkd(command, "--help").out
    assert [option for option in options.split() if option not in shown] == []
