"""What a bundle holds, and everything for which loading would refuse it."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mixkd.errors import BundleError, MkdError
from mixkd.runtime.bundle import Bundle, Trust, check_bundle
from mixkd.runtime.graph.sizes import bytes_by_format, measure_sizes
from mixkd.runtime.manifest import FP32_FILE, SIGNATURE_FILE, Manifest
from mixkd.runtime.trust import check_graph, expected_of, naming, read

_PROBE = "a text that any bundle must answer"
_LABELS_SHOWN = 3


@dataclass(slots=True, kw_only=True)
class Inspection:
    """What was found.

    Attributes:
        folder: The bundle.
        sha256: That of its `mkd.json`, which stands for all of it.
        signature: Whether it is signed, and by whom it was checked to be.
        facts: What it holds, in words, by name.
        files: The files' sizes and sha256, by name.
        problems: Everything for which `Classifier.load` would refuse it; empty for a sound bundle.
    """

    folder: Path
    sha256: str = ""
    signature: str = "none"
    facts: dict[str, str] = field(default_factory=dict)
    files: dict[str, tuple[int, str]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def lines(self) -> Iterator[str]:
        """Yield the account as lines."""
        for name, value in {**self.facts, "sha256": self.sha256, "signature": self.signature}.items():
            yield f"{name:10} {value}"
        yield f"files      {'as the manifest says' if not self.problems else ''}".rstrip()
        for name, (size, sha256) in sorted(self.files.items()):
            yield f"  {size:>10}  {sha256[:16]}  {name}"

    def check(self) -> None:
        """Raise what was found.

        Raises:
            BundleError: If there is any problem; it names all of them.
        """
        if self.problems:
            raise BundleError("; ".join(self.problems))


def inspect(folder: str | Path, *, trust: Trust | None = None) -> Inspection:
    """Check a bundle as loading does, but go on after the first problem, and tell what it holds.

    Args:
        folder: The bundle.
        trust: Which bundle is meant; None takes any.

    Raises:
        BundleError: If its manifest can't be read: then there is nothing to tell.
        ConfigError: If a key is none.
    """
    folder, trust = Path(folder), trust or Trust()
    bundle, problems = check_bundle(folder, trust=trust)
    found = Inspection(folder=folder, sha256=bundle.sha256, problems=problems)
    found.facts = dict(_manifest_facts(bundle.manifest))
    found.files = {name: (e.size_bytes, e.sha256) for name, e in bundle.manifest.files.items()}
    if (folder / SIGNATURE_FILE).exists():
        found.signature = f"checked with {trust.key}" if trust.key else "there is one; --verify-key checks it"
    _attempt(problems, lambda: found.facts.update(_graph_facts(bundle)))
    if FP32_FILE in bundle.manifest.files and bundle.manifest.model_file != FP32_FILE:
        expected = expected_of(bundle.manifest)._replace(precision=None)
        _attempt(problems, lambda: check_graph(folder / FP32_FILE, expected))
    if not problems:
        _attempt(problems, lambda: _answer(folder, trust))
    return found


def _attempt(problems: list[str], work: Callable[[], object]) -> None:
    try:
        work()
    except MkdError as error:
        if str(error) not in problems:
            problems.append(str(error))


def _answer(folder: Path, trust: Trust) -> None:
    from mixkd.runtime.classifier import Classifier

    Classifier.load(folder, threads=1, expect_sha256=trust.sha256, verify_key=trust.key).predict(_PROBE)


def _manifest_facts(manifest: Manifest) -> Iterator[tuple[str, str]]:
    shown = ", ".join(manifest.labels[:_LABELS_SHOWN])
    more = ", ..." if len(manifest.labels) > _LABELS_SHOWN else ""
    yield "task", f"{manifest.task}, {len(manifest.labels)} labels ({shown}{more})"
    yield "inputs", f"{', '.join(manifest.inputs)}; at most {manifest.max_length} tokens"
    yield "graph", f"{manifest.model_file}, {manifest.precision}, recipe {manifest.recipe}"
    numbers = ", ".join(f"{key} {_number(value)}" for key, value in manifest.quality.items())
    yield "quality", numbers or "not measured"
    student = manifest.provenance.get("student_sha256")
    yield "student", f"sha256 {student}" if student else "unknown"


def _graph_facts(bundle: Bundle) -> Mapping[str, str]:
    with naming(bundle.model_path):
        graph = read(bundle.model_path)
    check_graph(bundle.model_path, expected_of(bundle.manifest))
    sizes, formats = measure_sizes(graph), bytes_by_format(graph)
    operators = Counter(node.op for node in graph.all_nodes())
    opset = graph.opsets.get("", graph.opsets.get("ai.onnx", 0))
    manifest = bundle.manifest
    return {
        "graph": f"{manifest.model_file}, {manifest.precision}, recipe {manifest.recipe}, opset {opset}, "
        f"IR {graph.ir_version}",
        "weights": f"embeddings {sizes.embeddings_bytes / 1e6:.2f} MB, "
        f"encoder {sizes.encoder_bytes / 1e6:.2f} MB, head {sizes.head_bytes / 1e6:.2f} MB",
        "types": ", ".join(f"{name} {size / 1e6:.2f} MB" for name, size in formats.most_common()),
        "operators": ", ".join(f"{count} {op}" for op, count in operators.most_common()),
    }


def _number(value: Any) -> str:
    return f"{value:.4f}" if isinstance(value, float) else str(value)
