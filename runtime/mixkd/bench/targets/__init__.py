"""Where variants are measured: this machine, another over ssh, a capped one, an emulated processor.

`parse_target` makes a target of its name, `list_targets` says which names there are and what each needs.
"""

import shutil
from dataclasses import dataclass

from mixkd.bench.report.figures import Evidence
from mixkd.bench.targets.base import LocalTarget, Target
from mixkd.errors import ConfigError

_SSH = "ssh://user@host[:port][?python=PATH]"


@dataclass(frozen=True, slots=True)
class Listed:
    """One target that can be asked for.

    Attributes:
        name: As `--target` takes it.
        evidence: What its rows may be used for.
        note: What it is.
        missing: What it needs first; None where it can run now.
    """

    name: str
    evidence: Evidence
    note: str
    missing: str | None


def parse_target(name: str) -> Target:
    """Return the target of a name.

    Args:
        name: ``local``, ``ssh://[user@]host[:port][?python=PATH]``, ``profile:NAME`` or ``emulate:NAME``.

    Raises:
        ConfigError: If there is no such target.
    """
    from mixkd.bench.targets.emulate import EmulatedTarget
    from mixkd.bench.targets.profiles import ProfileTarget
    from mixkd.bench.targets.ssh import SshTarget

    if name == "local":
        return LocalTarget()
    if name.startswith("ssh://"):
        return SshTarget.parse(name)
    kind, _, rest = name.partition(":")
    if kind == "profile":
        return ProfileTarget.named(rest)
    if kind == "emulate":
        return EmulatedTarget.named(rest)
    raise ConfigError(
        f"--target must be local, {_SSH}, profile:NAME or emulate:NAME, not {name!r}: mkd targets lists them"
    )


def list_targets() -> list[Listed]:
    """Return every target, usable or not."""
    from mixkd.bench.targets.cgroups import find_means
    from mixkd.bench.targets.emulate import PROCESSORS, EmulatedTarget
    from mixkd.bench.targets.profiles import PROFILES, ProfileTarget
    from mixkd.bench.targets.ssh import TIMEOUTS

    ssh = None if shutil.which("ssh") else "an OpenSSH client"
    listed = [
        Listed("local", Evidence.DEVICE, "this machine", None),
        Listed(
            _SSH,
            Evidence.DEVICE,
            f"another machine; also takes {', '.join(TIMEOUTS)}, in seconds",
            ssh,
        ),
    ]
    means = find_means() or "rlimit"
    for name, profile in PROFILES.items():
        capped = ProfileTarget.named(name)
        note = f"{profile.note}; memory capped by {means}"
        listed.append(Listed(capped.name, capped.evidence, note, capped.missing()))
    for name, processor in PROCESSORS.items():
        emulated = EmulatedTarget.named(name)
        listed.append(Listed(emulated.name, emulated.evidence, processor.note, emulated.missing()))
    return listed
