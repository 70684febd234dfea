#!/bin/sh
# Build what is released, and check it: make release. Leaves the wheel and the sdist in dist/, tags and uploads nothing.
# $PYTHON [python3] needs `pip install ".[release]"`; a package index is asked.
set -eu

cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
case $python in */*) python=$(cd "$(dirname "$python")" && pwd)/$(basename "$python") ;; esac
version=$("$python" -c 'from mixkd.version import __version__; print(__version__)')

test -z "$(git status --porcelain)" || { echo "there are changes that are not committed: commit them first" >&2; exit 1; }
"$python" -m pytest -q tests/cli/test_pins.py tests/cli/test_project_files.py

rm -rf dist
"$python" -m build --no-isolation --outdir dist .
"$python" -m twine check --strict dist/*

# Each into an environment of its own, installed by hashes and without torch: the wheel passes the tests of the
# runtime and of the bench, the sdist answers and passes those of the classifier.
PYTHON=$python scripts/check_torch_free.sh "dist/mixkd-$version-py3-none-any.whl" -m "not slow"
PYTHON=$python scripts/check_torch_free.sh "dist/mixkd-$version.tar.gz" -m "not slow" -k test_classifier
(cd dist && sha256sum mixkd-*)

cat <<END

dist/ is ready. RELEASING.md says what is left; the tag is made last, on the commit that was built:
  git tag --sign v$version --message "mixkd $version" $(git rev-parse HEAD)
  git push origin v$version
END
