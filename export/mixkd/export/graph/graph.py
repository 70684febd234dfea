"""An ONNX graph that can be rewritten: which node makes a tensor, which nodes read it, which are constant.

Our own hundred lines instead of onnx-ir: its import takes 0.3 s, and its order of the nodes is another, so
that exported files would change.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper


class Graph:
    """A model's main graph with look-up tables; Constant nodes are turned into initializers.

    A rewrite edits nodes in place, then calls `tidy`; until then the look-ups describe the graph as it was.
    """

    def __init__(self, model: onnx.ModelProto) -> None:
        self.model = model
        self._lift_constants()
        self._look_up()

    @property
    def nodes(self) -> Any:
        """The nodes, in topological order."""
        return self.model.graph.node

    def _look_up(self) -> None:
        graph = self.model.graph
        self.initializers = {tensor.name: tensor for tensor in graph.initializer}
        self.outputs = {value.name for value in graph.output}
        self.captured = {name for node in graph.node for name in captured_names(node)}
        self.producer = {name: node for node in graph.node for name in node.output if name}
        self.readers: dict[str, list[tuple[onnx.NodeProto, int]]] = defaultdict(list)
        for node in graph.node:
            for index, name in enumerate(node.input):
                if name:
                    self.readers[name].append((node, index))
        self._names = {*self.initializers, *self.producer, *(value.name for value in graph.input)}

    def constant(self, name: str) -> NDArray[Any] | None:
        """Return the value of a constant tensor; None for a computed one."""
        tensor = self.initializers.get(name)
        return None if tensor is None else numpy_helper.to_array(tensor)

    def add_constant(self, value: NDArray[Any], hint: str) -> str:
        """Add an initializer and return its name."""
        name = self.fresh_name(hint)
        tensor = numpy_helper.from_array(np.asarray(value, order="C"), name)
        self.initializers[name] = self.model.graph.initializer.add()
        self.initializers[name].CopyFrom(tensor)
        return name

    def add_node(
        self, op: str, inputs: Iterable[str], hint: str, *, domain: str = "", **attributes: Any
    ) -> str:
        """Append a node with one output and return the output's name; `tidy` sorts the nodes."""
        name = self.fresh_name(hint)
        node = helper.make_node(op, list(inputs), [name], name=name, domain=domain, **attributes)
        self.nodes.append(node)
        return name

    def fresh_name(self, hint: str) -> str:
        """Return an unused name that starts with the hint."""
        name, number = hint, 1
        while name in self._names:
            name, number = f"{hint}_{number}", number + 1
        self._names.add(name)
        return name

    def replace(self, old: str, new: str) -> None:
        """Make every node that reads one tensor read another; not for outputs and captured tensors."""
        for node, index in self.readers[old]:
            node.input[index] = new
        self.readers[new].extend(self.readers.pop(old))

    def tidy(self) -> None:
        """Drop nodes and constants that no output needs, sort the rest topologically, renew the look-ups."""
        graph = self.model.graph
        producer = {name: node for node in graph.node for name in node.output if name}
        ordered: list[onnx.NodeProto] = []
        seen: set[str] = set()
        stack = [(name, False) for name in reversed([value.name for value in graph.output])]
        while stack:
            name, ready = stack.pop()
            node = producer.get(name)
            if node is None or (node.output[0] in seen and not ready):
                continue
            if ready:
                ordered.append(node)
                continue
            seen.add(node.output[0])
            stack.append((name, True))
            stack.extend((source, False) for source in reversed(sources_of(node)))
        used = {name for node in ordered for name in sources_of(node)} | {v.name for v in graph.output}
        ordered = [copy_of(node) for node in ordered]
        kept = [tensor for tensor in graph.initializer if tensor.name in used]
        del graph.node[:], graph.value_info[:]
        graph.node.extend(ordered)
        if len(kept) < len(graph.initializer):
            kept = [copy_of(tensor) for tensor in kept]
            del graph.initializer[:]
            graph.initializer.extend(kept)
        self._look_up()

    def _lift_constants(self) -> None:
        graph = self.model.graph
        for node in graph.node:
            if node.op_type == "Constant":
                tensor = helper.get_attribute_value(node.attribute[0])
                graph.initializer.add().CopyFrom(tensor)
                graph.initializer[-1].name = node.output[0]
        kept = [copy_of(node) for node in graph.node if node.op_type != "Constant"]
        del graph.node[:]
        graph.node.extend(kept)


def copy_of(message: Any) -> Any:
    """Return a copy of a message, which stays valid when the list that holds the message is cleared."""
    twin = type(message)()
    twin.CopyFrom(message)
    return twin


def sources_of(node: onnx.NodeProto) -> list[str]:
    """Return what a node reads: its inputs, and the outer tensors that its subgraphs read."""
    return [name for name in node.input if name] + sorted(captured_names(node))


def all_nodes(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    """Yield the nodes of a graph, each followed by those of its subgraphs."""
    for node in graph.node:
        yield node
        for entry in node.attribute:
            if entry.type == onnx.AttributeProto.GRAPH:
                yield from all_nodes(entry.g)


def captured_names(node: onnx.NodeProto) -> set[str]:
    """Return the outer tensors that the subgraphs of a node (If, Loop) read."""
    captured: set[str] = set()
    for graph in (a.g for a in node.attribute if a.type == onnx.AttributeProto.GRAPH):
        own = {name for inner in graph.node for name in inner.output}
        own |= {value.name for value in (*graph.input, *graph.initializer)}
        read = {name for inner in graph.node for name in sources_of(inner)} | {v.name for v in graph.output}
        captured |= read - own
    return captured


def attribute(node: onnx.NodeProto, name: str, default: Any = None) -> Any:
    """Return a node's attribute, or the default where it isn't set."""
    return next((helper.get_attribute_value(a) for a in node.attribute if a.name == name), default)
