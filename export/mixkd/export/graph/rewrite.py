"""The exact rewrites of a traced graph: the same logits from fewer and smaller nodes."""

from dataclasses import dataclass

import onnx

from mixkd.export.graph.attention import fuse_attention
from mixkd.export.graph.dead_positions import drop_dead_positions
from mixkd.export.graph.dims import measure_dims
from mixkd.export.graph.graph import Graph, copy_of
from mixkd.export.graph.positions import slice_positions
from mixkd.export.graph.probes import largest_difference, probes
from mixkd.export.graph.static_shapes import fix_shapes
from mixkd.export.sessions import session_of

ROUNDING = 1e-5
"""The largest difference between the logits of two exact graphs, relative to the largest logit."""


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
    for feed in probes(before, max_length=max_length):
        expected, found = (session.run(["logits"], feed)[0] for session in sessions)
        if largest_difference(expected, found) > ROUNDING:
            return False
    return True
