"""The HTML file: its parts put together, with a policy that lets nothing else run or load."""

import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from hashlib import sha256
from html import escape
from importlib.metadata import version
from pathlib import Path
from typing import Any

from snnviz.lab.neurons import Grid
from snnviz.lab.page.scripts import join_script, join_styles
from snnviz.lab.report.pictures import Picture
from snnviz.lab.schedule.timeline import Timeline

HERE = Path(__file__).parent
SHOWS = "export default {"  # how each of the lab's scripts hands on what it shows


def make_document(
    title: str, about: str, events: str, pictures: Sequence[Picture], contents: Mapping[str, Any]
) -> str:
    """The file's text.

    Args:
        title: the run's name.
        about: a line below it.
        events: a table of HTML.
        pictures: its figures.
        contents: what the scripts draw from.
    """
    script, style = make_script(), _make_style()
    policy = (
        f"default-src 'none'; script-src {_allow(script)}; style-src {_allow(style)}; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )
    figures = "\n".join(_write_figure(picture) for picture in pictures)
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="generator" content="snnviz {escape(version("snnviz"))}">
<title>{escape(title)}: which neurons switch off</title>
<link rel="icon" href="data:,">
<style>{style}</style>
</head>
<body>
<main class="snnviz-report">
<header>
<h1>{escape(title)}</h1>
<p>{escape(about)}</p>
<button type="button" class="snnviz-theme" hidden></button>
</header>
<noscript><p>The neurons, the schedule and the slider need JavaScript, which is switched off in this
browser. The figures and the events are below.</p></noscript>
<div class="snnviz-time" role="group" aria-label="time" hidden></div>
<section class="snnviz-neurons" aria-label="neurons"></section>
<section class="snnviz-course" aria-label="schedule"><h2>Schedule</h2>
<div class="snnviz-timeline"></div></section>
<section aria-label="figures"><h2>Figures</h2><div class="snnviz-figures">
{figures}
</div></section>
<section class="snnviz-views" aria-label="events"><h2>Events</h2>
<div class="snnviz-events">{events}</div></section>
</main>
<script type="application/json" id="snnviz-contents">{write_json(contents)}</script>
<script>{script}</script>
</body>
</html>
"""


def write_json(contents: Mapping[str, Any]) -> str:
    """JSON in which nothing can be taken for a tag, whatever the names in it are."""
    text = json.dumps(contents, allow_nan=False, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def make_script() -> str:
    """The lab's own scripts, each in a scope of its own, and the one that puts them on the page."""
    widgets = {"grid": str(Grid._esm), "timeline": str(Timeline._esm)}
    parts = ",\n".join(f"{name}: {_in_own_scope(text)}" for name, text in widgets.items())
    report = _in_own_scope(join_script(HERE / "report.js"))
    return f'"use strict";\n{report}.render({{\n{parts}\n}});\n'


def _in_own_scope(script: str) -> str:
    before, found, after = script.partition(f"\n{SHOWS}")
    assert found, "a script of the lab ends in an object with `render`"
    return f"(() => {{\n{before}\nreturn {{{after}}})()"


def _make_style() -> str:
    lab = Path(HERE.parent)
    events = join_styles(lab / "views" / "events.css", HERE / "report.css")
    return "\n".join([str(Grid._css), str(Timeline._css), events])


def _allow(text: str) -> str:
    """What allows exactly this script or style sheet, by its hash."""
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


def _write_figure(picture: Picture) -> str:
    images = []
    for theme, content in (("light", picture.light), ("dark", picture.dark)):
        source = f"data:image/svg+xml;base64,{b64encode(content).decode()}"
        size = f'width="{picture.width}" height="{picture.height}"'
        images.append(
            f'<img class="snnviz-on-{theme}" {size} alt="{escape(picture.alt)}" src="{source}">'
        )
    return (
        f'<figure data-figure="{escape(picture.name)}"><figcaption>{escape(picture.title)}'
        f'</figcaption><div class="snnviz-picture">{"".join(images)}<i hidden></i></div></figure>'
    )
