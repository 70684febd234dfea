"""The traced graph to the graph that is shipped: the same numbers from fewer and narrower nodes."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import onnx

from mixkd.export.graph.attention import fuse_attention
from mixkd.export.graph.dead_positions import drop_dead_positions
from mixkd.export.graph.dims import measure_dims
from mixkd.export.graph.graph import Graph, copy_of
from mixkd.export.graph.positions import slice_positions
from mixkd.export.graph.static_shapes import fix_shapes
from mixkd.export.sessions import session_of

ROUNDING = 1e-5
"""The largest difference of two exact graphs, as a share of the largest logit."""

LONGEST_CHECKED = 128
MOST_PIECES_CHECKED = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class RewriteReport:
    """What was done to the traced graph.

    Attributes:
        shape_nodes: Nodes that only computed shapes, now constant.
        narrowed: Nodes that now compute the first position alone; 0 where all positions are pooled.
        position_tables: Tables of positions that are sliced instead of looked up.
        attentions: Attentions there were.
        fused_attentions: Those that are one node now.
        exact: Whether the new graph was seen to answer as the traced one; if not, the traced one is shipped.
    """

    shape_nodes: int
    narrowed: int
    position_tables: int
    attentions: int
    fused_attentions: int
    exact: bool

    def as_json(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        return asdict(self)

    def notes(self) -> tuple[str, ...]:
        """Return what a user should know, nothing where every rewrite applied."""
        left = self.attentions - self.fused_attentions
        if not self.exact:
            return ("the graph is shipped as traced: rewritten, it answered otherwise",)
        if not left:
            return ()
        return (
            f"{left} of {self.attentions} attentions are not one node: they do more than hide padding "
            "(relative positions, rotations, windows), or their pattern is new; right, but slower",
        )


def rewrite(model: onnx.ModelProto, *, max_length: int) -> tuple[onnx.ModelProto, RewriteReport]:
    """Apply every exact rewrite.

    Args:
        model: A traced fp32 graph; left as it is.
        max_length: Tokens of the longest text that the new graph will see.

    Returns:
        A new model whose logits differ from the old one's by float32 rounding only, and what was done. Should
        they differ by more, a copy of the old one.
    """
    graph = Graph(copy_of(model))
    graph.tidy()
    dims = measure_dims(graph)
    shape_nodes = fix_shapes(graph, dims)
    tables = slice_positions(graph, dims, max_length=max_length)
    dead = drop_dead_positions(graph, measure_dims(graph))
    attention = fuse_attention(graph, measure_dims(graph))
    exact = _answers_alike(model, graph.model, max_length=max_length)
    return graph.model if exact else copy_of(model), RewriteReport(
        shape_nodes=shape_nodes,
        narrowed=dead.narrowed,
        position_tables=tables,
        attentions=attention.found,
        fused_attentions=attention.fused,
        exact=exact,
    )


def _answers_alike(before: onnx.ModelProto, after: onnx.ModelProto, *, max_length: int) -> bool:
    sessions = session_of(before), session_of(after)
    rng = np.random.default_rng(0)
    pieces = _pieces(before)
    for batch, length in ((1, 1), (2, 2), (3, 9), (2, min(max_length, LONGEST_CHECKED))):
        mask = np.ones((batch, length), np.int64)
        mask[1:, length // 2 + 1 :] = 0
        arrays = {
            "input_ids": rng.integers(1, pieces, mask.shape),
            "attention_mask": mask,
            "token_type_ids": 0 * mask,
        }
        feed = {value.name: arrays[value.name] for value in before.graph.input}
        expected, found = (session.run(["logits"], feed)[0] for session in sessions)
        if not np.abs(found - expected).max() <= ROUNDING * np.abs(expected).max():
            return False
    return True


def _pieces(model: onnx.ModelProto) -> int:
    """Return a number of pieces that the table of words surely has; a trimmed one may have very few."""
    rows = {tensor.name: int(tensor.dims[0]) for tensor in model.graph.initializer if len(tensor.dims) == 2}
    tables = [n.input[0] for n in model.graph.node if n.op_type == "Gather" and n.input[1] == "input_ids"]
    return min([MOST_PIECES_CHECKED, *(rows[table] for table in tables if table in rows)])
