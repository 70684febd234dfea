#!/bin/sh
# Install the wheel (or an sdist) without extras into an empty environment: it must answer and pass the tests of the runtime and
# of the bench there, and nothing of the training side may be installed or imported.
#
#   scripts/check_torch_free.sh [WHEEL [PYTEST ARGUMENT...]]
#
# Without a wheel, one is built by $PYTHON [python3], which needs the packages build and hatchling.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
python=${PYTHON:-python3}
scratch=$(mktemp -d -p /var/tmp) # a test mounts a full disk over /tmp
trap 'rm -rf "$scratch"' EXIT

wheel=${1:-}
[ $# -eq 0 ] || shift
if [ -z "$wheel" ]; then
    "$python" -m build --no-isolation --wheel --outdir "$scratch/dist" "$root" >"$scratch/build.log"
    wheel=$(echo "$scratch"/dist/*.whl)
fi

wheel=$(realpath "$wheel")
"$python" -m venv "$scratch/venv"
pip() { "$scratch/venv/bin/python" -m pip install --quiet --no-compile "$@"; }
pip --require-hashes --requirement "$root/pinned/runtime.txt"
pip --no-deps "$wheel"
pip --constraint "$root/constraints.txt" pytest
"$scratch/venv/bin/python" -m pip check

# Away from the source tree, so that only what the wheel brought can be imported.
unset PYTHONPATH
mkdir "$scratch/tests"
cp "$root/pyproject.toml" "$scratch"
cp "$root"/tests/*.py "$scratch/tests"
cp -r "$root/tests/runtime" "$root/tests/bench" "$scratch/tests"
cd "$scratch"
PATH="$scratch/venv/bin:$PATH"
bundle=tests/runtime/fixtures/bundle

python - "$bundle" <<'END'
import importlib.util
import sys

from mixkd.runtime import Classifier

banned = {"torch", "transformers", "optimum", "onnx", "datasets", "accelerate"}
answer = Classifier.load(sys.argv[1]).predict("wake me up at 7")
assert answer.label == "alarm", answer
installed = {name for name in banned if importlib.util.find_spec(name)}
assert not installed, f"installed: {installed}"
imported = banned & set(sys.modules)
assert not imported, f"imported: {imported}"
END
test "$(mkd predict "$bundle" "wake me up at 7" | cut -f 1)" = alarm
test "$(echo "send my money" | mkd predict "$bundle" | cut -f 1)" = transfer
python -m pytest -q tests/runtime tests/bench "$@"
