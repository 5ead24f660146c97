"""What every benchmark says of the machine it ran on."""

import os
import platform
from pathlib import Path

import torch


def describe() -> dict[str, str | int]:
    """The machine in a few words, without its name."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count() or 0,
        "threads": torch.get_num_threads(),
        "accelerator": torch.cuda.get_device_name() if torch.cuda.is_available() else "none",
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    found = {k.strip(): v.strip() for k, _, v in (line.partition(":") for line in lines)}
    name = found.get("model name", platform.processor())
    return name + (" with AMX" if "amx_bf16" in found.get("flags", "") else "")
