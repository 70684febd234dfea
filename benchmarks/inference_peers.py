"""Times one student in every engine at hand, interleaved in one process, against the floor of its products.

Usage: ``python benchmarks/inference_peers.py STUDENT --output benchmarks/results/inference_peers.json``

OpenVINO with NNCF is measured where both are installed. Each text is encoded beforehand: what is timed is the
model alone. The engines take turns of a few calls, in random order, so that a change of the machine's mood
hits all of them.
"""

import argparse
import json
import platform
import random
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from mixkd.export import ExportConfig, Recipe, export_student
from mixkd.export.convert import convert
from mixkd.export.student import open_student
from mixkd.runs import versions
from mixkd.runtime.bundle import open_bundle
from mixkd.runtime.encoding import Encoder
from mixkd.runtime.session import make_session
from mixkd.texts import open_corpus

LENGTHS = (12, 64, 128)
SAMPLES = 150
CALLS_PER_TURN = 5
AGREEMENT_TEXTS = 1000

Feed = Mapping[str, NDArray[np.int64]]
Engine = Callable[[Feed], NDArray[np.float32]]


def main() -> None:
    """Measure every engine and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("student", type=Path)
    parser.add_argument("--data", default="clinc150")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--samples", type=int, default=SAMPLES)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        files = make_files(arguments.student, Path(scratch))
        encoder = Encoder.from_folder(Path(scratch) / "portable", max_length=128, inputs=files["inputs"])
        texts = [row.text for row in open_corpus(arguments.data).read("test")]
        report: dict[str, Any] = {
            "versions": versions(),
            "machine": platform.processor() or platform.machine(),
        }
        for threads in (1, 2):
            engines = open_engines(files, threads)
            report[f"{threads}_threads"] = measure(engines, encoder, texts, arguments.samples)
            if threads == 1:
                report["agreement_with_pytorch"] = agreements(engines, encoder, texts[:AGREEMENT_TEXTS])
                report["floor_ms"] = {n: floor_ms(files["fp32"], n) for n in LENGTHS}
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print_table(report)


def make_files(student: Path, scratch: Path) -> dict[str, Any]:
    """Export the student in every way that starts from a file."""
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from optimum.onnxruntime import ORTQuantizer
    from optimum.onnxruntime.configuration import AutoQuantizationConfig

    files: dict[str, Any] = {"student": student}
    for recipe in (Recipe.PORTABLE, Recipe.FAST):
        config = ExportConfig(recipe=recipe, keep_fp32=True, max_length=max(LENGTHS))
        result = export_student(student, scratch / recipe, config=config, corpus=None)
        files[f"mixkd {recipe}"] = result.bundle.model_path
    bundle = open_bundle(scratch / Recipe.PORTABLE)
    files["inputs"], files["mixkd fp32"] = bundle.manifest.inputs, bundle.fp32_path
    plain = scratch / "plain"
    plain.mkdir()
    (plain / "config.json").write_bytes((student / "config.json").read_bytes())
    files["fp32"] = plain / "model.onnx"
    onnx.save(convert(open_student(student, max_length=None).model), files["fp32"])
    default = AutoQuantizationConfig.avx512_vnni(is_static=False, per_channel=False)
    ORTQuantizer.from_pretrained(plain, file_name="model.onnx").quantize(
        save_dir=plain, quantization_config=default
    )
    files["optimum int8"] = plain / "model_quantized.onnx"
    files["quantize_dynamic"] = plain / "dynamic.onnx"
    quantize_dynamic(files["fp32"], files["quantize_dynamic"], weight_type=QuantType.QInt8)
    return files


def open_engines(files: Mapping[str, Any], threads: int) -> dict[str, Engine]:
    """Open every engine that is installed."""
    engines: dict[str, Engine] = {}
    for name in ("mixkd portable", "mixkd fast", "mixkd fp32", "optimum int8", "quantize_dynamic"):
        engines[name] = onnx_engine(files[name], threads)
    engines["onnxruntime fp32"] = onnx_engine(files["fp32"], threads)
    engines |= torch_engines(files["student"], threads)
    try:
        engines["openvino nncf int8"] = openvino_engine(files["fp32"], files["inputs"], threads)
    except ImportError:
        print("openvino and nncf are not installed: left out")
    return engines


def onnx_engine(file: Path, threads: int) -> Engine:
    """Return an onnxruntime session, opened as the runtime opens its own, with the arena that peers have."""
    session = make_session(file, threads=threads, arena=True)
    return lambda feed: np.asarray(session.run(["logits"], dict(feed))[0])


def torch_engines(student: Path, threads: int) -> dict[str, Engine]:
    """Return PyTorch as it is, and compiled where a compiler is at hand."""
    import torch

    from mixkd.export.reference import TorchModel

    model = TorchModel(student, threads=threads)

    def eager(feed: Feed) -> NDArray[np.float32]:
        return model.run({name: torch.from_numpy(array) for name, array in feed.items()})

    compiled = torch.compile(model.module, dynamic=True)

    def compile_run(feed: Feed) -> NDArray[np.float32]:
        with torch.inference_mode():
            answer = compiled(**{name: torch.from_numpy(array) for name, array in feed.items()})
        return np.asarray(answer.logits.numpy())

    sample = {"input_ids": np.ones((1, 9), np.int64), "attention_mask": np.ones((1, 9), np.int64)}
    try:
        compile_run(sample)
    except Exception as error:  # a missing compiler shows in many ways
        print(f"torch.compile doesn't work here, left out: {type(error).__name__}")
        return {"pytorch fp32": eager}
    return {"pytorch fp32": eager, "torch.compile fp32": compile_run}


def openvino_engine(file: Path, inputs: Sequence[str], threads: int) -> Engine:
    """Return OpenVINO's int8, calibrated by NNCF as its documentation says for transformers."""
    import nncf  # type: ignore[import-not-found]  # measured where it is installed
    import openvino  # type: ignore[import-not-found]  # the same

    rng = np.random.default_rng(0)
    samples = []
    for length in rng.integers(6, 40, 100):
        ids = rng.integers(1000, 20000, (1, length))
        arrays = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
        samples.append({name: arrays[name] for name in inputs})
    core = openvino.Core()
    quantized = nncf.quantize(
        core.read_model(file), nncf.Dataset(samples), model_type=nncf.ModelType.TRANSFORMER
    )
    options = {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY"}
    compiled = core.compile_model(quantized, "CPU", options)
    request = compiled.create_infer_request()
    return lambda feed: np.asarray(request.infer(dict(feed))[compiled.output(0)])


def feed_of_length(encoder: Encoder, texts: Sequence[str], length: int, start: int) -> Feed:
    """Return a feed of real words, exactly `length` tokens: consecutive texts, cut where they are enough."""
    tokens = encoder.encode([" ".join(texts[start : start + 30])])[0]
    short = type(tokens)(tokens.ids[:length].copy(), tokens.type_ids[:length].copy(), truncated=True)
    short.ids[-1] = tokens.ids[-1]
    return encoder.feed([short])


def measure(
    engines: Mapping[str, Engine], encoder: Encoder, texts: Sequence[str], samples: int
) -> dict[str, dict[int, dict[str, float]]]:
    """Time every engine at every length, taking turns; milliseconds."""
    found: dict[str, dict[int, dict[str, float]]] = {name: {} for name in engines}
    order = random.Random(0)
    for length in LENGTHS:
        feeds = [feed_of_length(encoder, texts, length, start) for start in range(0, 20 * 30, 30)]
        taken: dict[str, list[int]] = {name: [] for name in engines}
        for round_number in range(-2, -(-samples // CALLS_PER_TURN)):
            feed = feeds[round_number % len(feeds)]
            for name, engine in order.sample(list(engines.items()), len(engines)):
                engine(feed)  # untimed: the weights of the engine before stand in the caches
                for _ in range(CALLS_PER_TURN):
                    started = time.perf_counter_ns()
                    engine(feed)
                    if round_number >= 0:
                        taken[name].append(time.perf_counter_ns() - started)
        for name, values in taken.items():
            p10, p50, p90 = np.percentile(values, [10, 50, 90]) / 1e6
            found[name][length] = {"p10_ms": p10, "p50_ms": p50, "p90_ms": p90}
    return found


def agreements(engines: Mapping[str, Engine], encoder: Encoder, texts: Sequence[str]) -> dict[str, float]:
    """Return each engine's share of texts answered as PyTorch answers them."""
    feeds = [encoder.feed([tokens]) for tokens in encoder.encode(texts)]
    truth = [int(engines["pytorch fp32"](feed).argmax()) for feed in feeds]
    return {
        name: float(np.mean([int(engine(feed).argmax()) == t for feed, t in zip(feeds, truth, strict=True)]))
        for name, engine in engines.items()
    }


def floor_ms(fp32: Path, length: int) -> float:
    """Return the time of the graph's constant products alone, at the rate of one plain int8 product."""
    weights = [t for t in onnx.load(fp32).graph.initializer if len(t.dims) == 2 and "MatMul" in t.name]
    products = [length * t.dims[0] * t.dims[1] for t in weights]
    return float(sum(products)) / int8_rate(length) / 1e6


def int8_rate(rows: int, inner: int = 384, columns: int = 1536) -> float:
    """Return multiplications per nanosecond of a plain MatMulInteger of that shape, one thread."""
    weight = onnx.numpy_helper.from_array(np.ones((inner, columns), np.int8), "weight")
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("MatMulInteger", ["x", "weight"], ["y"])],
        "product",
        [onnx.helper.make_tensor_value_info("x", onnx.TensorProto.UINT8, [rows, inner])],
        [onnx.helper.make_tensor_value_info("y", onnx.TensorProto.INT32, [rows, columns])],
        [weight],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=8)
    with tempfile.TemporaryDirectory() as scratch:
        onnx.save(model, Path(scratch) / "product.onnx")
        session = make_session(Path(scratch) / "product.onnx", threads=1, arena=True)
    x = np.ones((rows, inner), np.uint8)
    taken = []
    for _ in range(300):
        started = time.perf_counter_ns()
        session.run(None, {"x": x})
        taken.append(time.perf_counter_ns() - started)
    return rows * inner * columns / float(np.percentile(taken, 10))


def print_table(report: Mapping[str, Any]) -> None:
    """Print p50 by engine and length, and how many times as fast as optimum's default int8."""
    for key in ("1_threads", "2_threads"):
        base = report[key]["optimum int8"]
        print(f"\n{key}: p50 ms (times as fast as optimum int8)")
        for name, by_length in report[key].items():
            cells = [
                f"{v['p50_ms']:8.2f} ({base[n]['p50_ms'] / v['p50_ms']:.2f}x)" for n, v in by_length.items()
            ]
            print(f"  {name:22}" + "".join(cells))
    print("\nagreement with PyTorch:", report["agreement_with_pytorch"])
    print("floor of the int8 products, ms:", report["floor_ms"])


if __name__ == "__main__":
    main()
