"""The traced graph to the graph that is shipped: the same numbers from fewer and narrower nodes."""

from dataclasses import asdict, dataclass
from typing import Any

import onnx

from .attention import fuse_attention
from .dead_positions import drop_dead_positions
from .dims import measure_dims
from .graph import Graph, copy_of
from .positions import slice_positions
from .static_shapes import fix_shapes


@dataclass(frozen=True, slots=True, kw_only=True)
class RewriteReport:
    """What was done to the traced graph.

    Attributes:
        shape_nodes: Nodes that only computed shapes, now constant.
        narrowed: Nodes that now compute the first position alone; 0 where all positions are pooled.
        position_tables: Tables of positions that are sliced instead of looked up.
        attentions: Attentions there were.
        fused_attentions: Those that are one node now.
    """

    shape_nodes: int
    narrowed: int
    position_tables: int
    attentions: int
    fused_attentions: int

    def as_json(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        return asdict(self)


def rewrite(model: onnx.ModelProto, *, max_length: int) -> tuple[onnx.ModelProto, RewriteReport]:
    """Apply every exact rewrite.

    Args:
        model: A traced fp32 graph; left as it is.
        max_length: Tokens of the longest text that the new graph will see.

    Returns:
        A new model whose logits differ from the old one's by float32 rounding only, and what was done.
    """
    graph = Graph(copy_of(model))
    graph.tidy()
    dims = measure_dims(graph)
    shape_nodes = fix_shapes(graph, dims)
    tables = slice_positions(graph, dims, max_length=max_length)
    dead = drop_dead_positions(graph, measure_dims(graph))
    attention = fuse_attention(graph, measure_dims(graph))
    return graph.model, RewriteReport(
        shape_nodes=shape_nodes,
        narrowed=dead.narrowed,
        position_tables=tables,
        attentions=attention.found,
        fused_attentions=attention.fused,
    )
