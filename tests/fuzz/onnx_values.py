"""Odd values for a changed graph, and the places of a graph that can be changed."""

import random

from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, helper

_FOREIGN_NAMES = """
Bernoulli BitwiseNot BlackmanWindow CenterCropPad Col2Im Compress Conv ConvTranspose DFT DepthToSpace
Det Einsum GRU GatherND GridSample If LSTM Loop MaxPool MaxUnpool Mod Multinomial NonMaxSuppression
NonZero OneHot Optional Pad QLinearConv QLinearMatMul RandomNormal RegexFullMatch Resize ReverseSequence
RoiAlign STFT Scan ScatterElements ScatterND SequenceAt SequenceMap Size SplitToSequence
StringNormalizer TfIdfVectorizer TopK Unique
"""
FOREIGN = _FOREIGN_NAMES.split()
_OWN_FOREIGN_NAMES = """
Attention BeamSearch BiasGelu CropAndResize DecoderMaskedMultiHeadAttention DynamicQuantizeMatMul
EmbedLayerNormalization ExpandDims GatherBlockQuantized GroupQueryAttention Inverse MatMulNBits MoE
PackedAttention QAttention QGemm QMoE RotaryEmbedding SkipLayerNormalization SparseAttention Tokenizer
WordConvEmbedding
"""
OWN_FOREIGN = _OWN_FOREIGN_NAMES.split()
DOMAINS = ["", "ai.onnx", "ai.onnx.ml", "com.microsoft", "ai.onnx.contrib", "evil", "a" * 999]
_ATTRIBUTES_NAMES = """
alpha axes axis end epsilon keepdims mask_filter_value num_heads perm scale start to transA transB value
"""
ATTRIBUTES = _ATTRIBUTES_NAMES.split()
NUMBERS = [0, 1, -1, 2, 3, 7, 8, 127, 128, 255, 2**16, 2**24, 2**31 - 1, 2**31, 2**62, 2**63 - 1]
NUMBERS += [-(2**31), -(2**63)]
FLOATS = [0.0, -0.0, 1.0, -1.0, 1e-45, 3.4e38, float("inf"), float("-inf"), float("nan"), 1e-12]
NAMES = ["", "\x00", "a" * 3000, "logits", "probabilities", "input_ids", "*/_ORT_MEM_ADDR_/*", "../../secret"]
LOCATIONS = [
    "*/_ORT_MEM_ADDR_/*",
    "config.json",
    "../config.json",
    "../../../../etc/passwd",
    "/etc/passwd",
    "/dev/zero",
    "model_quantized.onnx",
    "",
    ".",
]


def all_graphs(graph: GraphProto) -> list[GraphProto]:
    inner = [a.g for node in graph.node for a in node.attribute if a.type == AttributeProto.GRAPH]
    return [graph, *(found for branch in inner for found in all_graphs(branch))]


def any_node(model: ModelProto, chance: random.Random) -> NodeProto:
    graphs = [graph for graph in all_graphs(model.graph) if graph.node]
    graph = graphs[0] if chance.random() < 0.7 else chance.choice(graphs)
    nodes: list[NodeProto] = list(graph.node)
    return chance.choice(nodes)


def any_tensor(model: ModelProto, chance: random.Random) -> TensorProto:
    graphs = all_graphs(model.graph)
    attributes = [attribute for graph in graphs for node in graph.node for attribute in node.attribute]
    found: list[TensorProto] = [tensor for graph in graphs for tensor in graph.initializer]
    found += [a.t for a in attributes if a.type == AttributeProto.TENSOR]
    return chance.choice(found)


def all_wires(graph: GraphProto) -> list[str]:
    outputs = [name for node in graph.node for name in node.output]
    return [*outputs, *(t.name for t in graph.initializer), *(v.name for v in graph.input)]


def odd_attribute(name: str, chance: random.Random) -> AttributeProto:
    kind = chance.random()
    if kind < 0.6:
        made = helper.make_attribute(name, chance.choice(NUMBERS))
    elif kind < 0.7:
        made = helper.make_attribute(name, chance.choice(FLOATS))
    elif kind < 0.8:
        made = helper.make_attribute(name, [chance.choice(NUMBERS) for _ in range(chance.randint(1, 5))])
    elif kind < 0.9:
        value = helper.make_tensor("", TensorProto.INT64, [], [chance.choice(NUMBERS)])
        made = helper.make_attribute(name, value)
    else:
        made = helper.make_attribute(name, chance.choice(["", "tanh", "LEFT", "x" * 2000]))
    if chance.random() < 0.05:
        made.type = chance.choice(AttributeProto.AttributeType.values())
    return made
