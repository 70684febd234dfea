"""A child over its pipes: nothing that it does or leaves undone holds up or fills this process."""

import math
import os
import sys
import time
from pathlib import Path

import pytest

from mixkd.bench.targets.pipes import Child, Limits, PipeError


def shell(script: str, **limits: float) -> Child:
    return Child(["sh", "-c", script], limits=Limits(**limits))  # type: ignore[arg-type]  # some are integers


def test_lines_and_the_rest_come_as_they_were_said() -> None:
    with shell("read word; echo $word; echo two; printf rest; echo said >&2; exit 3") as child:
        child.write(b"one\n")
        assert child.read_line() == b"one\n"
        assert child.read_line() == b"two\n"
        assert child.read_all() == b"rest"
        assert child.wait_in_time() == 3
        assert child.said() == "said\n"


def test_half_a_line_at_the_end_is_none() -> None:
    with shell("printf half") as child:
        assert child.read_line() == b""


def test_writing_to_a_child_that_is_gone_is_a_broken_pipe() -> None:
    with shell("exit 0") as child:
        child.wait(math.inf)
        with pytest.raises(BrokenPipeError):
            child.write(b"x")


@pytest.mark.parametrize(
    "script", ["sleep 1000", "printf half; sleep 1000", "yes >&2", "exec >&-; sleep 1000"]
)
def test_silence_ends_in_one_line(script: str) -> None:
    with (
        shell(script, silence_s=0.3) as child,
        pytest.raises(PipeError, match=r"^no answer for 0\.3 s \(silence_s\)$"),
    ):
        _hear_all(child)


def test_child_that_reads_nothing_is_given_up() -> None:
    with shell("sleep 1000", silence_s=0.3) as child, pytest.raises(PipeError, match="no answer for"):
        child.write(bytes(10_000_000))


def test_run_that_is_over_ends_every_wait() -> None:
    limits = Limits(silence_s=1000, ends_at=time.monotonic() + 0.3)
    with Child(["sleep", "1000"], limits=limits) as child:
        with pytest.raises(PipeError, match=r"the time for the whole run is over \(ends_at\)"):
            child.read_line()
        with pytest.raises(PipeError, match=r"the time for the whole run is over \(ends_at\)"):
            child.write(b"x")


@pytest.mark.parametrize("script", ["tr '\\0' x </dev/zero", "head -c 2000000 /dev/zero"])
def test_answer_without_an_end_is_cut(script: str) -> None:
    with (
        shell(script, reply_bytes=2**20) as child,
        pytest.raises(PipeError, match="its answer is longer than 1 MiB"),
    ):
        child.read_line()


@pytest.mark.slow
def test_answers_that_nobody_asked_for_stay_in_the_pipe() -> None:
    with shell("yes", reply_bytes=1000, total_bytes=10**6) as child:
        for _ in range(1000):
            assert child.read_line() == b"y\n"
        time.sleep(0.2)
        assert child._taken < 200_000


@pytest.mark.parametrize("stream", ["", ">&2"])
def test_all_that_is_said_has_a_cap(stream: str) -> None:
    with (
        shell(f"yes {stream}", total_bytes=2 * 10**5) as child,
        pytest.raises(PipeError, match=r"it said more than 195\.\d* KiB in all"),
    ):
        _hear_all(child)


def test_end_of_standard_error_is_kept() -> None:
    script = "import sys; sys.stderr.write('x' * 10**6 + 'the end')"
    with Child([sys.executable, "-c", script], limits=Limits()) as child:
        assert child.read_all() == b""
        child.wait_in_time()
        assert child.said().endswith("xthe end")
        assert len(child.said()) <= 65536


def test_what_the_child_started_ends_with_it(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    with (
        shell(f"sleep 1000 & echo $! >{note}; echo ready; wait", silence_s=0.5) as child,
        pytest.raises(PipeError),
    ):
        _hear_all(child)
    grandchild = int(note.read_text())
    for _ in range(100):
        if not _runs(grandchild):
            break
        time.sleep(0.05)
    assert not _runs(grandchild)


def _hear_all(child: Child) -> None:
    while child.read_line():
        pass
    child.wait_in_time()


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
