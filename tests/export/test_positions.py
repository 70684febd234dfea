"""Position tables are sliced, and keep the rows that a text can reach."""

import pytest

from mixkd.export.graph.rewrite import rewrite
from mixkd.export.judge.sizes import measure_sizes
from tests.export.conftest import traced


@pytest.mark.parametrize("kind", ["bert", "distilbert", "electra", "albert"])
def test_table_keeps_the_rows_of_the_longest_text(kind: str) -> None:
    original = traced(kind)
    long, _ = rewrite(original, max_length=48)
    short, report = rewrite(original, max_length=16)
    assert report.position_tables == 1
    width = 12 if kind in {"electra", "albert"} else 16
    saved = measure_sizes(long).embeddings_bytes - measure_sizes(short).embeddings_bytes
    assert saved == (48 - 16) * width * 4


def test_positions_counted_from_the_mask_stay_as_they_are() -> None:
    _, report = rewrite(traced("roberta"), max_length=46)
    assert report.position_tables == 0
