"""JavaScript and CSS in parts.

Each script is a module of its own, with imports and exports. The page is given one text for each
widget: its script, below all that it imports, without a build step.
"""

import re
from pathlib import Path

# `import { a, b } from "../page/dom.js";`, perhaps over several lines.
_IMPORT = re.compile(r'^import \{([^}]*)\} from "(\.[^"]+)";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?!default)", re.MULTILINE)


def join_script(script: Path) -> str:
    """One module out of a script and those that it imports, each once, below what it needs.

    All of them then share one scope, so that a name may be given once only, and an import cannot
    rename (tests/lab/page/test_scripts.py).
    """
    return "\n".join(
        _EXPORT.sub("", _IMPORT.sub("", part.read_text(encoding="utf-8"))).strip() + "\n"
        for part in list_parts(script)
    )


def list_parts(script: Path) -> list[Path]:
    """A script and all that it imports, each after those that it needs."""
    found: list[Path] = []

    def add(part: Path) -> None:
        if part not in found:
            for _, other in _IMPORT.findall(part.read_text(encoding="utf-8")):
                add((part.parent / other).resolve())
            found.append(part)

    add(script.resolve())
    return found


def join_styles(*styles: Path) -> str:
    """One text out of several style sheets, in their order."""
    return "\n".join(style.read_text(encoding="utf-8") for style in styles)
