"""The command line itself: what its help says, in which order, at any width."""

import re
from itertools import pairwise

import pytest
import typer.main

from mixkd.cli import app
from mixkd.options import Group
from mixkd.usage import ORDER
from mixkd.version import __version__
from tests.cli.conftest import Mkd

COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]  # a group


def squeezed(text: str) -> str:
    """Return the text without white space, which wrapping moves."""
    return re.sub(r"\s+", "", text)


def test_version_is_the_packages(mkd: Mkd) -> None:
    assert mkd("--version").out == f"mixkd {__version__}\n"


def test_commands_stand_in_the_order_of_the_work(mkd: Mkd) -> None:
    shown = mkd("--help").out
    assert set(ORDER) == set(COMMANDS)
    places = [shown.index(f"\n  {name} ") for name in ORDER]
    assert all(before < after for before, after in pairwise(places))


@pytest.mark.parametrize("width", [60, 80, 200])
@pytest.mark.parametrize("command", ["", *ORDER])
def test_help_is_never_cut(mkd: Mkd, monkeypatch: pytest.MonkeyPatch, command: str, width: int) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    shown = mkd(*filter(None, [command]), "--help").out
    assert max(map(len, shown.splitlines())) <= width
    assert "\N{HORIZONTAL ELLIPSIS}" not in shown
    if not command:
        wanted = [(COMMANDS[name].help or "").split("\n\n")[0] for name in ORDER]
    else:
        wanted = [COMMANDS[command].help or ""]
        wanted += [param.help for param in COMMANDS[command].params if getattr(param, "help", None)]
    whole = squeezed(shown)
    assert [text for text in wanted if squeezed(text) not in whole] == []


@pytest.mark.parametrize("command", ORDER)
def test_options_stand_in_named_groups_and_the_required_ones_first(mkd: Mkd, command: str) -> None:
    headings = re.findall(r"^(\w+):$", mkd(command, "--help").out, re.MULTILINE)
    order = ["Arguments", *map(str, Group)]
    assert headings == sorted(set(headings), key=order.index)
    for param in COMMANDS[command].params:
        if param.param_type_name == "option" and param.name != "help":
            assert getattr(param, "rich_help_panel", None) in set(Group), param.name


@pytest.mark.parametrize("command", sorted(ORDER))
def test_every_command_prints_json_when_asked(mkd: Mkd, command: str) -> None:
    assert "--json" in mkd(command, "--help").out


@pytest.mark.parametrize(
    ("command", "options"),
    [
        (
            "distill",
            "--teacher --data --output --student-kind --student-layers --student-ffn --student-heads "
            "--max-latency-ms "
            "--method --alpha-sm --alpha-tmkd --alpha-kd --beta "
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


@pytest.mark.parametrize("command", ["check", "distill", "search", "bench"])
def test_teacher_is_a_folder_or_a_name_on_the_hub_everywhere(mkd: Mkd, command: str) -> None:
    (teacher,) = [param for param in COMMANDS[command].params if param.name == "teacher"]
    assert "a folder or a hub name" in teacher.help
    assert "path" not in re.findall(r"--teacher <?(\w+)", mkd(command, "--help").out)[0].lower()
