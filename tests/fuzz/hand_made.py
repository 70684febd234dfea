"""Graphs made by hand, of every kind that is known to hang, to kill or to lead onnxruntime astray.

Each takes a whole bundle's graph, so that all else is in order, and puts one thing in its way.
"""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import onnx
from onnx import ModelProto, TensorProto

from mixkd.runtime.manifest import FP32_FILE, INT8_FILE
from tests.fuzz import made_computing, made_large, made_odd
from tests.fuzz.harness import Outcome
from tests.fuzz.sealed import BUNDLES, copied, outcome_of, seal

Make = Callable[[ModelProto], None]
BASES = {"portable": INT8_FILE, "fp32": FP32_FILE}
INT_MIN = {TensorProto.INT32: -(2**31), TensorProto.INT64: -(2**63)}
LOCATIONS = (
    "*/_ORT_MEM_ADDR_/*",
    "_ORT_MEM_ADDR_",
    "config.json",
    "../config.json",
    "../tokenizer.json",
    "../../../../../../etc/passwd",
    "/etc/passwd",
    "/proc/self/mem",
    "/dev/zero",
    "",
    ".",
    "..",
    "model_quantized.onnx",
    "C:\\Windows\\win.ini",
    "\\\\server\\share",
    "https://example.com/weights",
    "a\0b",
    "a\nb",
)
SIZES = ([2**31], [2**31 - 1], [2**16, 2**16], [2**62, 2**62], [-1, 2**40], [0, 2**62], [2**20] * 6)
SHAPES: tuple[list[int], ...] = (
    [1000],
    [2**31, 2**31],
    [2**62, 4],
    [-1],
    [-4],
    [2**63 - 1],
    [0],
    [],
    [1] * 50,
    [65536] * 4,
)
FORMATS = (0, 4, 5, 8, 10, 11, 12, 13, 14, 15, 16, 17, 20, 21, 22, 23, 99, -1)
DECLARED = ((2**16, 2**24), (1, 2**31), (2**62, 2**62), (0, 0), (-1, -1))
VERSIONS = ((1, 8), (7, 8), (13, 8), (99, 8), (-1, 8), (2**40, 8), (18, 0), (18, 1), (18, 99), (18, 2**40))
OPERATORS = (
    ("evil", "Run"),
    ("ai.onnx.contrib", "PyOp"),
    ("ai.onnx.ml", "Normalizer"),
    ("", "Erf2"),
    ("com.microsoft.nchwc", "Conv"),
    ("ai.onnx.preview.training", "Adam"),
    ("a\0b", "X"),
)
_OWN_NAMES = """
Attention BeamSearch CropAndResize DecoderMaskedMultiHeadAttention DynamicQuantizeLSTM EmbedLayerNormalization
GatherBlockQuantized GroupQueryAttention MatMulNBits MoE PackedAttention PackedMultiHeadAttention QAttention
QLinearAdd QMoE RotaryEmbedding Sampling SkipLayerNormalization SparseAttention Unique WordConvEmbedding
"""
_FUNCTIONS = (
    made_large.loop_without_end,
    made_large.scan,
    made_large.large_range,
    made_large.large_range_of_tiny_steps,
    made_large.computed_shape,
    made_large.shape_of_the_text,
    made_large.shape_of_one_length,
    made_large.falling_with_the_length,
    made_large.doubling,
    made_large.outer_sum,
    made_large.outer_product,
    made_large.powers_of_the_length,
    made_large.rows_without_end,
    made_large.many_products,
    made_large.many_nodes,
    made_large.declared_between,
    made_odd.functions_that_double,
    made_odd.chain_of_functions,
    made_odd.function_that_calls_itself,
    made_odd.function_of_a_known_name,
    made_odd.sparse_constant,
    made_odd.trees,
    made_odd.cycle,
    made_odd.branches_within_branches,
    made_odd.text,
    made_computing.division_by_the_text,
    made_computing.ids_out_of_range,
    made_computing.empty_query,
    made_computing.empty_for_short_texts,
)


def _large() -> Iterator[tuple[str, Make]]:
    for op in ("ConstantOfShape", "Expand", "Tile", "RandomNormal", "EyeLike"):
        for size in SIZES:
            yield f"{op} {size}", partial(made_large.large, op=op, size=size)
    for dims in DECLARED:
        yield f"declared {dims}", partial(made_large.declared, dims=dims)


def _odd() -> Iterator[tuple[str, Make]]:
    for place in (0, -1, 10, 2**31, 2**62, -(2**62)):
        yield f"sparse at {place}", partial(made_odd.sparse, place=place)
    for domain, op in OPERATORS:
        yield f"foreign {domain!r} {op}", partial(made_odd.foreign, domain=domain, op=op)
    for place_of in LOCATIONS:
        for constant in (False, True):
            made = partial(made_odd.outside, location=place_of, constant=constant)
            yield f"outside {place_of!r}{' in a constant' * constant}", made
    for dims in SHAPES:
        yield f"shape of more {dims[:4]}, {len(dims)}", partial(made_odd.shape_of_more, dims=dims)
    for kind in FORMATS:
        yield f"number format {kind}", partial(made_odd.number_format, kind=kind)
    for opset, ir in VERSIONS:
        yield f"opset {opset}, IR {ir}", partial(made_odd.version, opset=opset, ir=ir)


def _computing() -> Iterator[tuple[str, Make]]:
    for kind, least in INT_MIN.items():
        for first, second in ((1, 0), (least, -1), (least, 0), (5, -2)):
            for op in ("Div", "Mod"):
                made = partial(made_computing.division, kind=kind, first=first, second=second, op=op)
                yield f"{op} {kind}: {first} / {second}", made
    yield "Mod by the text", partial(made_computing.division_by_the_text, op="Mod")
    for op in _OWN_NAMES.split():
        yield f"com.microsoft.{op}", partial(made_computing.own_operator, op=op)
    for value in (float("nan"), float("inf"), float("-inf"), 3e38):
        yield f"a weight of {value}", partial(made_computing.weight, value=value)
        yield f"scales of {value}", partial(made_computing.every_scale, value=value)


def _attention() -> Iterator[tuple[str, Make]]:
    for heads in (0, -1, 3, 2**31, 2**62):
        yield f"attention of {heads} heads", partial(made_computing.attention, heads=heads)
    for mask in ((1, 10**6), (1, 1, 1, 1), (0,), (1,), (4,), ()):
        yield f"attention with a mask of {mask}", partial(made_computing.attention, mask=mask)
    for key in ((1, 1, 16), (1, 4, 2, 2, 8), (1, 4, 2**20), (1, 0, 16)):
        yield f"attention with a key of {key}", partial(made_computing.attention, key=key)
    mask_of_int64 = partial(made_computing.attention, mask=(1, 3), kind=TensorProto.INT64)
    yield "attention with a mask of int64", mask_of_int64
    yield "attention with a bias", partial(made_computing.attention, bias=True)
    yield "attention with a past", partial(made_computing.attention, past=True)


def _made() -> Iterator[tuple[str, str, Make]]:
    for function in _FUNCTIONS:
        yield from ((base, function.__name__, function) for base in BASES)
    for name, make in (*_large(), *_odd(), *_computing()):
        yield from ((base, name, make) for base in BASES)
    for name, make in _attention():
        yield "portable", name, make  # the other has no attention in one node


MADE = {f"{name} ({base})": (base, make) for base, name, make in _made()}
NAMES = list(MADE)


def attempt(seed: int, folder: Path) -> Outcome:
    """Load and ask a bundle with the graph of that number; behind the last one they begin again."""
    base, make = MADE[NAMES[seed % len(NAMES)]]
    model = onnx.load(BUNDLES / base / BASES[base])
    make(model)
    bundle = copied(base, folder)
    (bundle / BASES[base]).write_bytes(model.SerializeToString())
    seal(bundle)
    return outcome_of(bundle)
