"""Standard streams that are closed, full or broken: one line or silence, never a traceback."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

BUNDLE = Path(__file__).parents[1] / "runtime" / "fixtures" / "bundle"
MKD = f"'{sys.executable}' -m mixkd.cli"

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the shell's redirections")


def shell(command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=False)


def test_closed_input_is_one_line() -> None:
    done = shell(f"{MKD} predict {BUNDLE} <&-")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "mkd: standard input is closed: give the texts as arguments\n"


@pytest.mark.parametrize("words", [f"predict {BUNDLE} pay", "--version", "targets", f"inspect {BUNDLE}"])
def test_closed_output_is_one_line(words: str) -> None:
    done = shell(f"{MKD} {words} >&-")
    assert done.returncode == 1
    assert done.stderr == "mkd: standard output is closed: the answer can't be written\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize(
    "words", [f"predict {BUNDLE} pay", "--version", "targets", "--help", "predict --help"]
)
def test_full_output_is_one_line(words: str) -> None:
    done = shell(f"{MKD} {words} >/dev/full")
    assert done.returncode == 1
    assert done.stderr == "mkd: standard output can't be written: No space left on device\n"


@pytest.mark.parametrize("stream", ["2>&-", "2>/dev/full"])
def test_errors_that_nobody_can_read_still_end_with_their_code(stream: str) -> None:
    done = shell(f"{MKD} predict nowhere pay {stream}")
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "")


def test_all_streams_closed_leave_the_exit_code() -> None:
    assert shell(f"{MKD} predict {BUNDLE} pay <&- >&- 2>&-").returncode == 1


@pytest.mark.parametrize("words", ["--help", "predict --help", "targets --json"])
def test_reader_that_has_gone_is_no_error_to_speak_of(words: str) -> None:
    done = shell(f"{{ sleep 0.3; {MKD} {words}; }} | true")
    assert done.stderr == ""


def test_closed_streams_are_not_taken_by_files(tmp_path: Path) -> None:
    # A library that prints to standard output must not print into a bundle.
    program = (
        "import os, sys\nfrom mixkd import cli\nsys.argv = ['mkd', 'targets']\n"
        "try: cli.main()\nexcept SystemExit: pass\n"
        f"file = os.open({str(tmp_path / 'file')!r}, os.O_CREAT | os.O_WRONLY)\n"
        "sys.exit(file)"
    )
    done = subprocess.run(
        ["/bin/sh", "-c", '"$0" "$@" <&- >&- 2>&-', sys.executable, "-c", program], check=False
    )
    assert done.returncode > 2


def test_interrupt_ends_without_a_traceback(tmp_path: Path) -> None:
    # Whoever runs the tests in the background may have told its children to ignore interrupts.
    program = (
        "import signal, sys\nfrom mixkd import cli\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        f"sys.argv = ['mkd', 'predict', {str(BUNDLE)!r}]\ncli.main()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("pay\n" * 10_000)
    process.stdin.flush()
    assert process.stdout.readline().startswith("transfer")
    os.kill(process.pid, signal.SIGINT)
    _, err = process.communicate()
    assert process.returncode != 0, err
    assert "Traceback" not in err
