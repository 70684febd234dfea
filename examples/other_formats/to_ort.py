"""Write a bundle's graph in onnxruntime's own format, with the list of operators that a reduced build needs.

python to_ort.py BUNDLE FOLDER
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from mixkd.runtime import open_bundle


def main(bundle: Path, folder: Path) -> None:
    """Check the bundle, then write `model_quantized.ort` and `required_operators_and_types.config`."""
    open_bundle(bundle)  # a damaged one stops here
    folder.mkdir(parents=True)
    graph = folder / "model_quantized.onnx"
    shutil.copyfile(bundle / "onnx" / graph.name, graph)
    tool = ("-m", "onnxruntime.tools.convert_onnx_models_to_ort")
    options = ("--optimization_style", "Fixed", "--enable_type_reduction")
    quiet = {**os.environ, "ORT_DISABLE_TELEMETRY": "1"}
    subprocess.run([sys.executable, *tool, *options, str(folder)], env=quiet, check=True)
    graph.unlink()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
