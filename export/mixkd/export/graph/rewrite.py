"""The exact rewrites of a traced graph: the same logits from fewer and smaller nodes."""

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
"""The largest difference between the logits of two exact graphs, relative to the largest logit."""

LONGEST_CHECKED = 128
MOST_PIECES_CHECKED = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class RewriteReport:
    """What the rewrites did.

    Attributes:
        shape_nodes: Removed nodes that only computed shapes.
        narrowed: Nodes that now compute the first position alone; 0 where the classifier pools all positions.
        position_tables: Position tables that are sliced now instead of looked up.
        attentions: Attentions in the traced graph.
        fused_attentions: Those that are one node now.
        exact: Whether both graphs gave the same logits; if not, the traced graph is exported.
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
        """Return what a user should know; nothing where every rewrite applied."""
        left = self.attentions - self.fused_attentions
        if not self.exact:
            return ("the rewrites changed the outputs, so the graph is exported as traced",)
        if not left:
            return ()
        return (
            f"{left} of {self.attentions} attentions could not be fused into one node (relative positions, "
            "rotary positions, local windows or an unknown pattern): the results are correct, only slower",
        )


def rewrite(model: onnx.ModelProto, *, max_length: int) -> tuple[onnx.ModelProto, RewriteReport]:
    """Apply every exact rewrite.

    Args:
        model: A traced fp32 graph; it is not changed.
        max_length: Tokens of the longest text that the new graph will get.

    Returns:
        A new model, and what was done. Its logits differ from the traced model's by float32 rounding only; if
        they differ by more, it is a copy of the traced model.
    """
    graph = Graph(copy_of(model))
    graph.tidy()
    dims = measure_dims(graph)
    shape_nodes = fix_shapes(graph, dims)
    tables = slice_positions(graph, dims, max_length=max_length)
    dead = drop_dead_positions(graph, measure_dims(graph))
    attention = fuse_attention(graph, measure_dims(graph))
    exact = _answers_alike(model, graph.model, max_length=max_length)
    report = RewriteReport(
        shape_nodes=shape_nodes,
        narrowed=dead.narrowed,
        position_tables=tables,
        attentions=attention.found,
        fused_attentions=attention.fused,
        exact=exact,
    )
    return (graph.model, report) if exact else (copy_of(model), report)


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
        if not np.isfinite([expected, found]).all():
            return False
        if np.abs(found - expected).max() > ROUNDING * np.abs(expected).max():
            return False
    return True


def _pieces(model: onnx.ModelProto) -> int:
    # Ids below this have a row in the table of word embeddings; a trimmed table may have very few.
    rows = {tensor.name: int(tensor.dims[0]) for tensor in model.graph.initializer if len(tensor.dims) == 2}
    tables = [n.input[0] for n in model.graph.node if n.op_type == "Gather" and n.input[1] == "input_ids"]
    return min([MOST_PIECES_CHECKED, *(rows[table] for table in tables if table in rows)])
