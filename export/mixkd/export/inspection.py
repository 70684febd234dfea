"""What a bundle holds, as text."""

from collections import Counter
from pathlib import Path

import onnx

from mixkd.export.graph.graph import all_nodes
from mixkd.export.judge.sizes import measure_sizes
from mixkd.runtime.bundle import open_bundle


def describe(folder: Path) -> list[str]:
    """Return the lines of a readable account of a bundle, its checksums verified.

    Raises:
        BundleError: If it is damaged.
    """
    bundle = open_bundle(folder, verify=True)
    manifest = bundle.manifest
    model = onnx.load(bundle.model_path)
    sizes = measure_sizes(model)
    types = {t.name: onnx.TensorProto.DataType.Name(t.data_type).lower() for t in model.graph.initializer}
    weights: Counter[str] = Counter()
    for tensor in model.graph.initializer:
        weights[types[tensor.name]] += onnx.numpy_helper.to_array(tensor).nbytes
    ops = Counter(node.op_type for node in all_nodes(model.graph))
    opset = max((entry.version for entry in model.opset_import if entry.domain in {"", "ai.onnx"}), default=0)
    facts = {
        "task": f"{manifest.task}, {len(manifest.labels)} labels ({', '.join(manifest.labels[:3])}, ...)",
        "inputs": f"{', '.join(manifest.inputs)}; at most {manifest.max_length} tokens",
        "graph": f"{manifest.model_file}, {manifest.precision}, recipe {manifest.recipe}, opset {opset}, "
        f"IR {model.ir_version}",
        "weights": f"embeddings {sizes.embeddings_bytes / 1e6:.2f} MB, "
        f"encoder {sizes.encoder_bytes / 1e6:.2f} MB, head {sizes.head_bytes / 1e6:.2f} MB",
        "types": ", ".join(f"{name} {size / 1e6:.2f} MB" for name, size in weights.most_common()),
        "operators": ", ".join(f"{count} {op}" for op, count in ops.most_common()),
        "quality": ", ".join(f"{key} {_number(value)}" for key, value in manifest.quality.items())
        or "not measured",
        "student": f"sha256 {manifest.provenance.get('student_sha256')}",
    }
    lines = [f"{name:10} {value}" for name, value in facts.items()]
    lines += ["files      (sha256 verified)"]
    lines += [f"  {e.size_bytes:>10}  {e.sha256[:16]}  {name}" for name, e in sorted(manifest.files.items())]
    return lines


def _number(value: object) -> str:
    return f"{value:.4f}" if isinstance(value, float) else str(value)
