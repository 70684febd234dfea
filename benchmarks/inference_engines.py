"""The engines of `inference_peers.py`, one per process: loads a file, then answers and times on request.

Started as ``python inference_engines.py KIND FILE THREADS``; speaks JSON lines over its standard pipes.
OpenVINO has a Python of its own, so nothing but numpy is imported before an engine is chosen.
"""

import json
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Feed = Mapping[str, NDArray[Any]]
Engine = Callable[[Feed], NDArray[Any]]


def main() -> None:
    """Open the engine, then serve requests until the pipe closes."""
    replies = sys.stdout
    sys.stdout = sys.stderr  # what engines print must not mix with the replies
    kind, file, threads = sys.argv[1:]
    engine = ENGINES[kind](Path(file), int(threads))
    print(json.dumps("ready"), file=replies, flush=True)
    feeds: list[Feed] = []
    for line in sys.stdin:
        request = json.loads(line)
        if request["do"] == "feeds":
            feeds = [_arrays(feed) for feed in request["feeds"]]
            reply: Any = len(feeds)
        elif request["do"] == "answer":
            reply = [int(engine(feed).argmax()) for feed in feeds]
        else:
            reply = _time(engine, feeds[request["feed"]], request["calls"])
        print(json.dumps(reply), file=replies, flush=True)


def _arrays(feed: Mapping[str, Any]) -> Feed:
    return {name: np.asarray(values, np.int64) for name, values in feed.items()}


def _time(engine: Engine, feed: Feed, calls: int) -> list[int]:
    for _ in range(2):  # untimed: another process has just had the caches
        engine(feed)
    taken = []
    for _ in range(calls):
        started = time.perf_counter_ns()
        engine(feed)
        taken.append(time.perf_counter_ns() - started)
    return taken


def onnx_session(file: Path, threads: int) -> Any:
    """Return a session with onnxruntime's own defaults for memory and waiting, the same for every file."""
    from mixkd.runtime.session import open_session

    return open_session(file, threads=threads, arena=True, spinning=threads > 1)


def open_onnx(file: Path, threads: int) -> Engine:
    """Return an ONNX file in onnxruntime."""
    session = onnx_session(file, threads)
    return lambda feed: np.asarray(session.run(["logits"], dict(feed))[0])


def open_products(file: Path, threads: int) -> Engine:
    """Return the floor: the int8 products of an int8 graph alone, on the very integers they read there."""
    import onnx

    from mixkd.export.graph.graph import copy_of
    from mixkd.export.sessions import session_of

    model = onnx.load(file)
    products = [node for node in model.graph.node if node.op_type == "MatMulInteger"]
    sources = list(dict.fromkeys(node.input[0] for node in products))
    probe = copy_of(model)
    probe.graph.output.extend(onnx.ValueInfoProto(name=name) for name in sources)
    reader = session_of(probe, threads=1)
    weights = {node.input[1] for node in products}
    value = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("MatMulInteger", list(node.input[:2]), [node.output[0]]) for node in products],
        "products",
        [value(name, onnx.TensorProto.UINT8, None) for name in sources],
        [value(node.output[0], onnx.TensorProto.INT32, None) for node in products],
        [tensor for tensor in model.graph.initializer if tensor.name in weights],
    )
    alone = onnx.helper.make_model(graph, opset_imports=model.opset_import, ir_version=model.ir_version)
    bare = file.with_name("products.onnx")
    onnx.save(alone, bare)
    session = onnx_session(bare, threads)
    bound: dict[int, tuple[Feed, Any]] = {}

    def run(feed: Feed) -> NDArray[Any]:
        if id(feed) not in bound:
            binding = session.io_binding()
            bound[id(feed)] = feed, binding  # the feed is kept, so that no other one gets its id
            for name, array in zip(sources, reader.run(sources, dict(feed)), strict=True):
                binding.bind_cpu_input(name, array)
            for output in session.get_outputs():
                binding.bind_output(output.name)
        session.run_with_iobinding(bound[id(feed)][1])
        return np.zeros(1)

    return run


def open_torch(folder: Path, threads: int) -> Engine:
    """Return PyTorch as transformers runs it."""
    import torch

    from mixkd.export.judge.reference import TorchModel

    model = TorchModel(folder, threads=threads)
    return lambda feed: model.run({name: torch.from_numpy(array) for name, array in feed.items()})


def open_compiled(folder: Path, threads: int) -> Engine:
    """Return PyTorch compiled for any length."""
    import torch

    from mixkd.export.judge.reference import TorchModel

    module = torch.compile(TorchModel(folder, threads=threads).module, dynamic=True)

    def run(feed: Feed) -> NDArray[Any]:
        with torch.inference_mode():
            answer = module(**{name: torch.from_numpy(array) for name, array in feed.items()})
        return np.asarray(answer.logits.numpy())

    for length in (9, 12):  # a missing compiler shows here
        ids = np.ones((1, length), np.int64)
        run({"input_ids": ids, "attention_mask": ids, "token_type_ids": 0 * ids})
    return run


def open_openvino(file: Path, threads: int) -> Engine:
    """Return OpenVINO's int8, quantized by NNCF as it says for transformers, on the texts beside the file."""
    import nncf  # type: ignore[import-not-found]  # measured where it is installed
    import openvino  # type: ignore[import-not-found]  # the same

    quantized = file.with_name("openvino.xml")
    core = openvino.Core()
    if not quantized.is_file():
        samples = json.loads(file.with_name("calibration.json").read_text(encoding="utf-8"))
        dataset = nncf.Dataset([_arrays(feed) for feed in samples])
        model = nncf.quantize(core.read_model(file), dataset, model_type=nncf.ModelType.TRANSFORMER)
        openvino.save_model(model, quantized, compress_to_fp16=False)
    options = {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY"}
    compiled = core.compile_model(quantized, "CPU", options)
    request = compiled.create_infer_request()
    return lambda feed: np.asarray(request.infer(dict(feed))[compiled.output(0)])


ENGINES: dict[str, Callable[[Path, int], Engine]] = {
    "compiled": open_compiled,
    "onnx": open_onnx,
    "openvino": open_openvino,
    "products": open_products,
    "torch": open_torch,
}

if __name__ == "__main__":
    main()
