"""The option `--class-weights` as it is given: `balanced`, a JSON file, or the JSON itself.

Nothing heavy is imported here.
"""

import json
import math
from pathlib import Path

from mixkd.errors import ConfigError

BALANCED = "balanced"


def read_class_weights(given: str) -> str:
    """Return `balanced`, or the JSON object of labels and weights that is given or stands in the file.

    The content, not the name of the file, goes into `run.json`: it is what `--resume` compares.

    Raises:
        ConfigError: If the file can't be read, or holds anything but labels with positive numbers.
    """
    if given == BALANCED:
        return given
    text, where = given, "--class-weights"
    if not given.lstrip().startswith("{"):
        where = f"--class-weights {given}"
        try:
            text = Path(given).read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            raise ConfigError(
                f'{where} can\'t be read ({error}): give balanced, or a JSON file such as {{"rare": 5}}'
            ) from error
    try:
        weights = json.loads(text)
    except ValueError as error:
        raise ConfigError(f"{where} is not JSON: {error}") from error
    if not isinstance(weights, dict) or not weights:
        raise ConfigError(f'{where} must be a JSON object of labels and weights, such as {{"rare": 5}}')
    for name, weight in weights.items():
        number = isinstance(weight, (int, float)) and not isinstance(weight, bool)
        if not number or not math.isfinite(weight) or weight <= 0:
            raise ConfigError(f"{where}: the weight of {name!r} must be a number above 0, not {weight!r}")
    return json.dumps(weights, ensure_ascii=False, sort_keys=True)
