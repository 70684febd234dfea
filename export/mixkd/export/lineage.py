"""What a student goes back to on the hub: the model it began as, and the data sets it learnt from."""

from dataclasses import dataclass
from pathlib import Path

from mixkd.compress.locate import is_hub_model
from mixkd.runs import read_run

_MOST_STEPS = 8


@dataclass(frozen=True, slots=True)
class Lineage:
    """What is known of a student's forebears; what isn't on the hub isn't named.

    Attributes:
        base_model: The nearest model on the hub, ``org/name``; None where none is known.
        datasets: The hub's data sets of every training since, ``org/name``.
    """

    base_model: str | None = None
    datasets: tuple[str, ...] = ()


def lineage_of(student: str | Path) -> Lineage:
    """Follow the `run.json` of a student, of its teacher and so on, as far as the folders are still there.

    Args:
        student: A folder or a hub name, as `mkd export` takes it.
    """
    model, datasets = str(student), dict[str, None]()
    for _ in range(_MOST_STEPS):
        folder = Path(model).expanduser()
        if not folder.is_dir():
            return Lineage(model if is_hub_model(model) else None, tuple(datasets))
        run = read_run(folder) or {}
        inputs, config, data = (run.get(part) or {} for part in ("inputs", "config", "data"))
        name = str(data.get("name", "")).partition(":")[0]
        if "/" in name:  # the name of a folder or a file has none
            datasets[name] = None
        model = config.get("student") or inputs.get("teacher") or inputs.get("model") or ""
        if not model:
            break
    return Lineage(None, tuple(datasets))
