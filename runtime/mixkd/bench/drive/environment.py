"""The machine and the software that the numbers belong to, stored beside them."""

import platform
import re
from pathlib import Path

import psutil

from mixkd.bench.report.figures import Environment
from mixkd.runs import versions
from mixkd.runtime.threads import cgroups, cpu_quota

_ISA = (
    "sse4_2",
    "avx",
    "avx2",
    "fma",
    "avx512f",
    "avx512_vnni",
    "avx_vnni",
    "amx_int8",
    "asimd",
    "asimddp",
    "i8mm",
    "sve",
)
_ARM_CORES = {
    "0xd03": "Cortex-A53",
    "0xd05": "Cortex-A55",
    "0xd08": "Cortex-A72",
    "0xd0b": "Cortex-A76",
    "0xd0c": "Neoverse-N1",
    "0xd40": "Neoverse-V1",
    "0xd49": "Neoverse-N2",
    "0xd4f": "Neoverse-V2",
}
"""The cores of boards and servers, as Linux numbers them (MIDR_EL1, part)."""

_CPUFREQ = Path("/sys/devices/system/cpu/cpu0/cpufreq")


def read_environment() -> Environment:
    """Describe this machine."""
    cpuinfo = _read(Path("/proc/cpuinfo")) or ""
    flags = set((_first(cpuinfo, "flags") or _first(cpuinfo, "Features") or "").split())
    process = psutil.Process()
    cores = psutil.cpu_count() or 1
    return Environment(
        system=f"{platform.system()} {platform.release()}",
        machine=platform.machine(),
        processor=_first(cpuinfo, "model name")
        or _board()
        or _arm_core(cpuinfo)
        or platform.processor()
        or "unknown",
        isa=tuple(name for name in _ISA if name in flags),
        cores=cores,
        # macOS pins no process to a processor.
        usable_cores=len(process.cpu_affinity()) if hasattr(process, "cpu_affinity") else cores,
        cpu_quota=cpu_quota(),
        memory_bytes=psutil.virtual_memory().total,
        memory_limit_bytes=memory_limit(),
        governor=(_read(_CPUFREQ / "scaling_governor") or "").strip() or None,
        versions=versions(),
    )


def _board() -> str | None:
    # ARM boards name themselves in the device tree, not in cpuinfo.
    return (_read(Path("/proc/device-tree/model")) or "").strip("\0\n ") or None


def _arm_core(cpuinfo: str) -> str | None:
    if _first(cpuinfo, "CPU implementer") != "0x41":
        return None
    part = _first(cpuinfo, "CPU part") or ""
    return _ARM_CORES.get(part, f"Arm core {part}")


def memory_limit(root: Path = Path("/")) -> int | None:
    """Return the most bytes that the tightest control group around this process allows; None is no limit."""
    names = {1: "memory.limit_in_bytes", 2: "memory.max"}
    words = [(_read(folder / names[version]) or "").strip() for version, folder in cgroups("memory", root)]
    # Version 1 writes "no limit" as a number near 2^63, version 2 as "max".
    return min((int(word) for word in words if word.isdigit() and int(word) < 2**60), default=None)


def _first(text: str, key: str) -> str | None:
    match = re.search(rf"^{re.escape(key)}\s*:\s*(.+)$", text, re.MULTILINE)
    return match.group(1).strip() if match else None


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
