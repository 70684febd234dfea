"""What a graph may take when it runs: every operator known, every tensor bounded, before anything runs.

The graph is gone through once for one text of the longest length, with shapes instead of numbers. Shapes
that could hang on what a text says, and not on its length alone, are refused where they decide how large a
tensor gets: a few bytes must not ask for gigabytes.
"""

from collections import ChainMap
from collections.abc import MutableMapping

from mixkd.runtime.graph import elementwise, layout, products
from mixkd.runtime.graph.facts import Fact, Facts, Growing, Rule, broadcast, count, fact_of, least
from mixkd.runtime.graph.model import BOOL, INT64, KIND_NAMES, Declared, Graph, Node, Tensor

OWN_DOMAIN = "com.microsoft"
"""onnxruntime's own operators."""

LONGEST_PROBED = 512
"""Tokens of the text that the bounds hold for; a longer one takes more, as any does."""

_LARGEST = 2**25
"""Numbers of one tensor; 64 heads over 512 tokens have half as many."""

_ALL = 2**28
_ALL_PER_WEIGHT = 128
"""Numbers of all tensors together: so many, and so many more for each number in the file.

ALBERT of 24 layers, which share their weights, takes 100 for each as it is traced; others some 10 to 30.
"""

_PRODUCTS = 2**36
_PRODUCTS_PER_WEIGHT = 64 * LONGEST_PROBED
"""Multiplications: so many, and for each number in the file its use at each token in 64 layers."""

_NONE: frozenset[str] = frozenset()
_AXIS, _TO, _VALUE = frozenset({"axis"}), frozenset({"to"}), frozenset({"value"})
_REDUCED = frozenset({"axes", "keepdims"})
_Operator = tuple[Rule, frozenset[str]]


def _all(names: str, rule: Rule, attributes: frozenset[str] = _NONE) -> dict[str, _Operator]:
    return dict.fromkeys(names.split(), (rule, attributes))


OPERATORS: dict[str, _Operator] = {
    **_all(
        "Abs Ceil Cos Erf Exp Floor HardSwish Log Mish Neg Reciprocal Relu Round Sigmoid Sign Sin Softplus "
        "Sqrt Tanh",
        elementwise.same,
    ),
    **_all("Elu LeakyRelu HardSigmoid", elementwise.same, frozenset({"alpha", "beta"})),
    **_all("Gelu", elementwise.same, frozenset({"approximate"})),
    **_all("Softmax", elementwise.along_axis, _AXIS),
    **_all("CumSum", elementwise.cumulative),
    **_all("Identity", elementwise.unchanged),
    **_all("Cast", elementwise.cast, _TO),
    **_all("Clip", elementwise.clip),
    **_all("Add Sub Mul Div Pow Min Max BitwiseAnd", elementwise.arithmetic),
    **_all("BitShift", elementwise.arithmetic, frozenset({"direction"})),
    **_all("Equal Greater GreaterOrEqual Less LessOrEqual", elementwise.comparison),
    **_all("Where", elementwise.choice),
    **_all("And Or Not", elementwise.logic),
    **_all("Shape", layout.shape, frozenset({"start", "end"})),
    **_all("Constant", layout.constant, _VALUE),
    **_all("ConstantOfShape", layout.constant_of_shape, _VALUE),
    **_all("Expand", layout.expand),
    **_all("Tile", layout.tile),
    **_all("Range", layout.numbers_in_a_row),
    **_all("Concat", layout.concat, _AXIS),
    **_all("Reshape", layout.reshape, frozenset({"allowzero"})),
    **_all("Flatten", layout.flatten, _AXIS),
    **_all("Slice", layout.slice_),
    **_all("Split", layout.split, frozenset({"axis", "num_outputs"})),
    **_all("Squeeze", layout.squeeze),
    **_all("Unsqueeze", layout.unsqueeze),
    **_all("Transpose", layout.transpose, frozenset({"perm"})),
    **_all("Gather", layout.gather, _AXIS),
    **_all("GatherElements", layout.gather_elements, _AXIS),
    **_all("MatMul", products.matmul),
    **_all("MatMulInteger", products.matmul_integer),
    **_all("Gemm", products.gemm, frozenset({"alpha", "beta", "transA", "transB"})),
    **_all("LayerNormalization", products.layer_normalization, frozenset({"axis", "epsilon"})),
    **_all("ReduceMax ReduceMean ReduceMin ReduceSum", products.reduction, _REDUCED),
    **_all("DynamicQuantizeLinear", products.quantize_by_range),
    **_all("QuantizeLinear", products.quantize, _AXIS),
    **_all("DequantizeLinear", products.dequantize, _AXIS),
}
"""The operators of ONNX that our exports hold: what each makes of shapes, and its attributes."""

OWN_OPERATORS: dict[str, _Operator] = _all(
    "MultiHeadAttention", products.attention, frozenset({"num_heads", "mask_filter_value", "scale"})
)
_BRANCHES = ("then_branch", "else_branch")
_TYPES: dict[str, type] = {
    **dict.fromkeys(("alpha", "beta", "epsilon", "mask_filter_value", "scale"), float),
    **dict.fromkeys(("axes", "perm"), tuple),
    **dict.fromkeys(("approximate", "direction"), bytes),
    "value": Tensor,
}
"""What an attribute holds, by its name; any other is a whole number."""


def check_operators(graph: Graph) -> None:
    """Refuse operators and attributes that no export of mixkd writes.

    Raises:
        ValueError: If there is one.
    """
    for node in graph.all_nodes():
        if node.op != "If" or node.domain:
            _operator(node)


def run_shapes(graph: Graph, *, max_length: int) -> dict[str, Fact]:
    """Go through a graph for one text of the longest length, and return what is known of its outputs.

    Args:
        graph: It takes (B, T) whole numbers, and what it gives are nodes' outputs or initializers.
        max_length: Tokens of the longest text.

    Raises:
        ValueError: If an operator is foreign, if nodes don't fit together, or if running the graph could take
            more memory or time than a text and the weights explain.
    """
    known: dict[str, Fact] = {}
    shape = (1, Growing(min(max_length, LONGEST_PROBED), 1))
    for name, declared in graph.inputs.items():
        # Sizes that are declared are taken at their word: onnxruntime computes with them when it loads.
        if declared != (INT64, (None, None)) or name in graph.tensors:
            raise ValueError(f"its input {name!r} takes something else than the tokens of texts")
        known[name] = Fact(INT64, shape)
    run = _Run(sum(tensor.count for tensor in graph.tensors.values()))
    run.graph(graph, known)
    return {name: known[name] for name in graph.outputs}


class _Run:
    """What the tensors and products so far add up to."""

    def __init__(self, weights: int) -> None:
        self._numbers_left = _ALL + _ALL_PER_WEIGHT * weights
        self._products_left = _PRODUCTS + _PRODUCTS_PER_WEIGHT * weights
        self._largest = max(_LARGEST, weights)

    def graph(self, graph: Graph, known: MutableMapping[str, Fact]) -> None:
        for name, tensor in graph.tensors.items():
            if name in known:
                raise ValueError(f"{name!r} stands twice")
            known[name] = fact_of(tensor)
        for node in graph.nodes:
            try:
                self._node(node, known)
            except (ValueError, KeyError, IndexError, TypeError) as error:
                raise ValueError(f"{node.op} {_shown(node)}: {error}") from error
        for name, declared in (*graph.outputs.items(), *graph.others.items()):
            _check_declared(name, declared, known.get(name))

    def _node(self, node: Node, known: MutableMapping[str, Fact]) -> None:
        facts: Facts = [known[name] if name else None for name in node.inputs]
        if node.op == "If" and not node.domain:
            found, products_needed = self._branches(node, facts, known), 0
        else:
            found, products_needed = _operator(node)(node, facts)
        names = node.outputs
        if not names or len(names) > len(found):
            raise ValueError(f"it has {len(names)} outputs")
        self._products_left -= products_needed
        for name, fact in zip(names, found, strict=False):
            size = count(fact.dims)
            self._numbers_left -= size
            if not name or name in known:
                raise ValueError(f"its output {name!r} stands twice, or has no name")
            if min(map(least, fact.dims), default=1) < 1:
                raise ValueError("its output may be empty, which some releases of onnxruntime die of")
            if size > self._largest or self._numbers_left < 0 or self._products_left < 0:
                raise ValueError("a text would take more memory or time than the weights explain")
            known[name] = fact

    def _branches(self, node: Node, facts: Facts, known: MutableMapping[str, Fact]) -> list[Fact]:
        if len(facts) != 1 or facts[0] is None or facts[0].kind != BOOL or count(facts[0].dims) != 1:
            raise ValueError("its condition is not one truth")
        results: list[list[Fact]] = []
        for name in _BRANCHES:
            branch = node.attributes.get(name)
            if not isinstance(branch, Graph) or branch.inputs or len(node.attributes) != len(_BRANCHES):
                raise ValueError("it has no two branches")
            inner: ChainMap[str, Fact] = ChainMap({}, known)
            self.graph(branch, inner)
            results.append([inner[output] for output in branch.outputs])
        if len(results[0]) != len(results[1]):
            raise ValueError("its branches give different outputs")
        return [_either(*both) for both in zip(*results, strict=True)]


def _operator(node: Node) -> Rule:
    table = {"": OPERATORS, "ai.onnx": OPERATORS, OWN_DOMAIN: OWN_OPERATORS}.get(node.domain, {})
    found = table.get(node.op)
    if found is None:
        raise ValueError(f"the operator {node.domain or 'ai.onnx'}.{node.op} is in no export of mixkd")
    rule, attributes = found
    for name, value in node.attributes.items():
        if name not in attributes or not isinstance(value, _TYPES.get(name, int)):
            raise ValueError(f"the attribute {name!r} of {node.op} is in no export of mixkd")
    return rule


def _check_declared(name: str, declared: Declared, fact: Fact | None) -> None:
    """Refuse what is declared of a value and can't be true: onnxruntime computes with it when it loads."""
    if fact is None:
        raise ValueError(f"nothing gives {name!r}, of which something is declared")
    dims = declared.dims
    fits = dims is None or (
        len(dims) == len(fact.dims)
        and all(told is None or 0 <= told <= most for told, most in zip(dims, fact.dims, strict=True))
    )
    if declared.kind not in {0, fact.kind} or not fits:
        told = f"{KIND_NAMES.get(declared.kind, declared.kind)} {dims}"
        raise ValueError(f"{name!r} is declared to be {told}, but is {KIND_NAMES[fact.kind]} {fact.dims}")


def _either(first: Fact, second: Fact) -> Fact:
    if first.kind != second.kind:
        raise ValueError("its branches give tensors of different number formats")
    # A traced branch that never runs may have lost an axis: the bound is that of the larger.
    if first == second and first.dims is second.dims:
        return first
    dims = broadcast(first.dims, second.dims)
    fewest = min(map(least, (*first.dims, *second.dims)), default=1)
    return Fact(first.kind, tuple(Growing(most, min(fewest, most)) for most in dims))


def _shown(node: Node) -> str:
    return repr(node.outputs[0]) if node.outputs else "without outputs"
