"""What every test gets: no network, one thread. `--skipped-last-time` runs the files that lacked a tool."""

import os
from pathlib import Path

import pytest

# Before torch or onnxruntime is imported: tests share two cores, and must not ask a hub.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("OMP_NUM_THREADS", "1")

_SKIPPED = "mixkd/skipped-files"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--skipped-last-time",
        action="store_true",
        help="run only the files of which a test was skipped since the cache was cleared",
    )


def pytest_configure(config: pytest.Config) -> None:
    if config.pluginmanager.hasplugin("cacheprovider"):
        config.pluginmanager.register(_Skipped(config), "mixkd-skipped")


class _Skipped:
    """Remembers the files of skipped tests in pytest's cache, over several runs."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        assert config.cache is not None
        self._files: set[str] = set(config.cache.get(_SKIPPED, []))
        self._wanted = frozenset(self._files) if config.getoption("--skipped-last-time") else None

    def pytest_ignore_collect(self, collection_path: Path) -> bool | None:
        if self._wanted is None or collection_path.is_dir():
            return None
        return collection_path.relative_to(self._config.rootpath).as_posix() not in self._wanted

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._note(report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        self._note(report)

    def pytest_sessionfinish(self) -> None:
        if not hasattr(self._config, "workerinput"):  # the workers of xdist report to this process
            assert self._config.cache is not None
            self._config.cache.set(_SKIPPED, sorted(self._files))

    def _note(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        if report.skipped and self._wanted is None:
            self._files.add(report.nodeid.partition("::")[0])
