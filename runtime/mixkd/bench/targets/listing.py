"""What this machine can measure on, and what to install for the rest."""

import shutil
from dataclasses import dataclass

from mixkd.bench.report.figures import Evidence
from mixkd.bench.targets.emulate import PROCESSORS, EmulatedTarget
from mixkd.bench.targets.profiles import PROFILES, ProfileTarget


@dataclass(frozen=True, slots=True)
class Listed:
    """One target that can be asked for.

    Attributes:
        name: As `--target` takes it.
        evidence: What its rows may be used for.
        note: What it stands for.
        missing: What it needs first; None where it can run now.
    """

    name: str
    evidence: Evidence
    note: str
    missing: str | None


def list_targets() -> list[Listed]:
    """Return every target, usable or not."""
    ssh = None if shutil.which("ssh") else "an OpenSSH client"
    listed = [
        Listed("local", Evidence.DEVICE, "this machine", None),
        Listed("ssh://user@host[:port][?python=PATH]", Evidence.DEVICE, "another machine", ssh),
    ]
    for name, profile in PROFILES.items():
        with ProfileTarget.named(name) as target:
            target.launch(threads=1)
            note = f"{profile.note}; memory held by {target.means}"
        listed.append(Listed(f"profile:{name}", Evidence.CAPPED_HOST, note, None))
    for name, processor in PROCESSORS.items():
        missing = EmulatedTarget.named(name).missing()
        listed.append(Listed(f"emulate:{name}", Evidence.EMULATED, processor.note, missing))
    return listed
