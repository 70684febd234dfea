"""The commands of the pipeline stage."""

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from mixkd.compress.config import MINILM
from mixkd.console import say, warn
from mixkd.errors import BudgetError, MissingExtraError
from mixkd.options import DataInputs, Output, Overwrite, Seed, with_options
from mixkd.pipeline.search_grid import SearchConfig


def register(app: typer.Typer) -> None:
    """Add this stage's commands to `mkd`."""
    app.command("quickstart")(quickstart)
    app.command("search")(search)


def quickstart(
    *,
    output: Output = Path("quickstart"),
    model: Annotated[str, typer.Option(help="The encoder the teacher starts from.")] = MINILM,
    smoke: Annotated[
        bool, typer.Option("--smoke", help="A twentieth of the texts: does it all work?")
    ] = False,
    seed: Seed = 0,
    overwrite: Overwrite = False,
    resume: Annotated[bool, typer.Option("--resume", help="Keep the stages that are done.")] = False,
) -> None:
    """Fine-tune, distil, export and measure on the embedded data, and print the one table."""
    _need_extra("torch", "transformers", "optimum")
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
    say(*render_table(made.report))
    say(f"report: {made.report_folder / 'report.html'}")
    say(f"bundle: {made.bundle}")


def _need_extra(*packages: str) -> None:
    for package in packages:
        if find_spec(package) is None:
            raise MissingExtraError(package, "quickstart")


@with_options(inputs=DataInputs, grid=SearchConfig)
def search(
    teacher: Annotated[str, typer.Option(help="A fine-tuned classifier: a folder or a hub name.")],
    inputs: DataInputs,
    output: Annotated[Path, typer.Option(help="The folder of the students, bundles and results.")],
    grid: SearchConfig,
    distill_config: Annotated[
        Path | None, typer.Option(help="How to train: a TOML file, or a run.json of mkd distill.")
    ] = None,
    epochs: Annotated[float | None, typer.Option(help="Passes of each training over the texts.")] = None,
    target: Annotated[str, typer.Option(help="Where latency is measured: local or ssh://...")] = "local",
    overwrite: Overwrite = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an interrupted search.")] = False,
) -> None:
    """Find the best student within a latency and a size; what can't keep them isn't trained."""
    _need_extra("torch", "transformers", "optimum")
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
    say(*render_outcomes(found.outcomes, metric=found.metric, best=name))
    if found.best is None:
        raise BudgetError(f"no student of the grid keeps the limits: see {output / RESULT_FILE}")
    say(f"best: {found.best}")
