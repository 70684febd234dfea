"""`--target` words to targets."""

from mixkd.bench.targets.base import LocalTarget, Target
from mixkd.errors import ConfigError


def parse_target(word: str) -> Target:
    """Return the target that a word names.

    Args:
        word: ``local``, ``ssh://[user@]host[:port][?python=PATH]``, ``profile:NAME`` or ``emulate:NAME``.

    Raises:
        ConfigError: If it names none.
    """
    if word == "local":
        return LocalTarget()
    if word.startswith("ssh://"):
        from mixkd.bench.targets.ssh import SshTarget

        return SshTarget.parse(word)
    kind, _, name = word.partition(":")
    if kind == "profile":
        from mixkd.bench.targets.profiles import ProfileTarget

        return ProfileTarget.named(name)
    if kind == "emulate":
        from mixkd.bench.targets.emulate import EmulatedTarget

        return EmulatedTarget.named(name)
    raise ConfigError(
        f"there is no target {word!r}: give local, ssh://user@host[:port][?python=PATH], "
        "profile:NAME or emulate:NAME (mkd targets lists them)"
    )
