"""The commands of the pipeline: search and quickstart."""

from pathlib import Path
from typing import Annotated

import typer

from mixkd.bench.commands import summary
from mixkd.compress.config import MINILM
from mixkd.console import answer, warn
from mixkd.errors import BudgetError
from mixkd.extras import require
from mixkd.options import DataInputs, Group
from mixkd.parameters import Json, Overwrite, Seed, with_options
from mixkd.pipeline.search_grid import SearchConfig
from mixkd.usage import add_command


def register(app: typer.Typer) -> None:
    """Add this stage's commands to `mkd`."""
    add_command(app, "search", search)
    add_command(app, "quickstart", quickstart)


def quickstart(
    *,
    output: Annotated[
        Path,
        typer.Option(
            help="The folder to write; its parts appear when they are complete.", rich_help_panel=Group.OUTPUT
        ),
    ] = Path("quickstart"),
    model: Annotated[
        str,
        typer.Option(
            help="The pretrained encoder of the teacher: a folder or a hub name.",
            rich_help_panel=Group.TRAINING,
        ),
    ] = MINILM,
    smoke: Annotated[
        bool,
        typer.Option(
            "--smoke",
            help="Use a twentieth of the texts, to see in a minute that everything works.",
            rich_help_panel=Group.DATA,
        ),
    ] = False,
    seed: Seed = 0,
    overwrite: Overwrite = False,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Keep the stages that are complete.", rich_help_panel=Group.OUTPUT),
    ] = False,
    as_json: Json = False,
) -> None:
    """Fine-tune, distil, export and measure on the built-in data set, and print the report's table."""
    require("torch", "transformers", "onnx", extra="quickstart")
    from mixkd.bench.render.text import render_table
    from mixkd.pipeline.quickstart import quickstart as run
    from mixkd.progress import TerminalProgress

    with TerminalProgress(lines=True) as progress:
        made = run(
            output,
            model=model,
            smoke=smoke,
            seed=seed,
            overwrite=overwrite,
            resume=resume,
            announce=warn,
            progress=progress,
        )
    answer(
        {
            "teacher": made.teacher,
            "student": made.student,
            "bundle": made.bundle,
            "report": made.report_folder,
            **summary(made.report),
        },
        *render_table(made.report),
        f"report: {made.report_folder / 'report.html'}",
        f"bundle: {made.bundle}",
        as_json=as_json,
    )


@with_options(inputs=DataInputs, grid=SearchConfig)
def search(
    teacher: Annotated[
        str,
        typer.Option(
            help="The teacher, a fine-tuned classifier: a folder or a hub name.",
            rich_help_panel=Group.REQUIRED,
        ),
    ],
    inputs: DataInputs,
    output: Annotated[
        Path,
        typer.Option(help="The folder of the students, bundles and results.", rich_help_panel=Group.REQUIRED),
    ],
    grid: SearchConfig,
    distill_config: Annotated[
        Path | None,
        typer.Option(
            help="How to train: a TOML file of options, or the run.json of a mkd distill.",
            rich_help_panel=Group.TRAINING,
        ),
    ] = None,
    epochs: Annotated[
        float | None,
        typer.Option(help="Passes of each training over the texts.", rich_help_panel=Group.TRAINING),
    ] = None,
    target: Annotated[
        str,
        typer.Option(help="Where latency is measured: local or ssh://...", rich_help_panel=Group.SEARCH),
    ] = "local",
    overwrite: Overwrite = False,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Continue an interrupted search.", rich_help_panel=Group.OUTPUT),
    ] = False,
    as_json: Json = False,
) -> None:
    """Find the best student within limits of latency and size.

    Each candidate is first exported untrained; those beyond the limits are not trained.
    """
    require("torch", "transformers", "onnx", extra="quickstart")
    from mixkd.bench.targets import parse_target
    from mixkd.pipeline.search import RESULT_FILE
    from mixkd.pipeline.search import search as run
    from mixkd.pipeline.search_grid import read_distillation
    from mixkd.pipeline.search_outcomes import render_outcomes
    from mixkd.progress import TerminalProgress

    with TerminalProgress(lines=True) as progress:
        found = run(
            teacher,
            inputs.open(),
            output,
            grid=grid,
            distillation=read_distillation(distill_config, epochs=epochs),
            target=parse_target(target),
            overwrite=overwrite,
            resume=resume,
            announce=warn,
            progress=progress,
        )
    name = found.best.name if found.best else None
    lines = render_outcomes(found.outcomes, metric=found.metric, best=name)
    answer(found, *lines, *([f"best: {found.best}"] if found.best else []), as_json=as_json)
    if found.best is None:
        raise BudgetError(f"no student is within the limits: see {output / RESULT_FILE}")
