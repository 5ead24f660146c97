"""Scripts in parts: what each imports is there, and joined they are one module with one scope."""

import re
from pathlib import Path

import pytest

import snnviz.lab
from snnviz.lab.neurons.grid import Grid
from snnviz.lab.page.scripts import join_script, join_styles, list_parts

LAB = Path(snnviz.lab.__file__).parent
SCRIPTS = sorted(LAB.rglob("*.js"))
WIDGETS = [script for script in SCRIPTS if "export default" in script.read_text(encoding="utf-8")]
DECLARED = re.compile(r"^(?:export )?(?:function|class|const|let) (\w+)", re.MULTILINE)
EXPORTED = re.compile(r"^export (?:function|class|const|let) (\w+)", re.MULTILINE)
IMPORTED = re.compile(r'^import \{([^}]*)\} from "(\.[^"]+)";$', re.MULTILINE)


def read(file: Path) -> str:
    return file.read_text(encoding="utf-8")


def test_parts_are_joined_each_once_below_what_they_need(tmp_path: Path) -> None:
    folder = tmp_path / "shared"
    folder.mkdir()
    (folder / "one.js").write_text("export const one = 1;\n")
    (folder / "two.js").write_text('import { one } from "./one.js";\nexport const two = one + 1;\n')
    widget = tmp_path / "widget.js"
    widget.write_text(
        'import { one } from "./shared/one.js";\nimport {\n  two,\n} from "./shared/two.js";\n\n'
        "export default { render: () => one + two };\n"
    )
    assert [part.name for part in list_parts(widget)] == ["one.js", "two.js", "widget.js"]
    assert join_script(widget) == (
        "const one = 1;\n\nconst two = one + 1;\n\nexport default { render: () => one + two };\n"
    )


def test_styles_come_in_the_order_that_is_given(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.css").write_text(f".{name} {{}}\n")
    assert join_styles(tmp_path / "b.css", tmp_path / "a.css") == ".b {}\n\n.a {}\n"


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_what_a_script_imports_is_there(script: Path) -> None:
    text = read(script)
    assert len(re.findall(r"^import\b", text, re.MULTILINE)) == len(IMPORTED.findall(text))
    for names, other in IMPORTED.findall(text):
        wanted = {name.strip() for name in names.split(",")} - {""}
        assert wanted <= set(EXPORTED.findall(read(script.parent / other))), other


@pytest.mark.parametrize("widget", WIDGETS, ids=lambda widget: widget.stem)
def test_no_two_parts_of_a_widget_share_a_name(widget: Path) -> None:
    names = [name for part in list_parts(widget) for name in DECLARED.findall(read(part))]
    assert sorted(names) == sorted(set(names))
    joined = join_script(widget)
    assert not re.search(r"^import\b", joined, re.MULTILINE)
    assert re.findall(r"^export (\w+)", joined, re.MULTILINE) == ["default"]


def test_every_script_is_part_of_a_widget() -> None:
    used = {part for widget in WIDGETS for part in list_parts(widget)}
    assert used == {script.resolve() for script in SCRIPTS}
    assert {widget.stem for widget in WIDGETS} == {
        "bar", "field", "fold", "frame", "grid", "image", "pointers", "projection", "readout",
        "report", "sheet", "timeline",
    }  # fmt: skip


def test_every_widget_listens_again_if_it_came_late() -> None:
    deaf = [widget.stem for widget in WIDGETS if "initialize: hear," not in read(widget)]
    assert deaf == ["report"], "which has no kernel"


def test_the_page_gets_one_text() -> None:
    assert str(Grid._esm) == join_script(LAB / "neurons" / "grid.js")
    assert ".snnviz-grid" in str(Grid._css)
    assert ".snnviz-page" in str(Grid._css)


@pytest.mark.parametrize("kind", ["js", "css"])
def test_no_script_or_style_is_long(kind: str) -> None:
    longest = {file.name: len(read(file).splitlines()) for file in LAB.rglob(f"*.{kind}")}
    assert longest
    assert {name: n for name, n in longest.items() if n > 450} == {}
