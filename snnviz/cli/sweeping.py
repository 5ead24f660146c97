"""`snnviz sweep`: a study's grid of runs."""

import sys
from pathlib import Path
from typing import Any

from snnviz.cli.answers import DONE, FAILED, INTERRUPTED, Answer
from snnviz.sweep import Study, run
from snnviz.sweep.on_ray import cores
from snnviz.sweep.plan import Counts, plan


def sweep(
    file: Path,
    part: str | None,
    workers: int | None,
    address: str | None,
    gpus_per_run: float | None,
    results: Path | None,
) -> Answer:
    """Makes the runs that are not done yet."""
    study = Study.read(file)
    try:
        outcome = run(
            study,
            part,
            workers=workers,
            address=address,
            gpus_per_run=gpus_per_run,
            results=results,
        )
    except KeyboardInterrupt:
        return _interrupted(study, part, results)
    done = outcome.before + outcome.done
    text = f"{outcome.results}: {done} of {outcome.runs} runs are done, {outcome.done} of them now."
    if outcome.failed:
        text += (
            f"\n{outcome.failed} failed: column `error` says why. "
            "The same command tries them again."
        )
    document = outcome._asdict() | {"results": str(outcome.results)}
    return Answer(text, {"study": study.name, **document}, FAILED if outcome.failed else DONE)


def _interrupted(study: Study, part: str | None, results: Path | None) -> Answer:
    counts = plan(study, part, results=results)[-1]
    print(file=sys.stderr)
    text = f"Interrupted: {counts.done} of {counts.runs} runs are done. The same command continues."
    document = {"study": study.name, "results": str(results or study.results)}
    document |= {"runs": counts.runs, "done": counts.done, "left": counts.left}
    return Answer(text, document, INTERRUPTED)


def dry_run(file: Path, part: str | None, workers: int | None, results: Path | None) -> Answer:
    """Counts the runs, and estimates how long they take."""
    study, at_a_time = Study.read(file), max(1, cores() if workers is None else workers)
    kept = results or study.results
    counts = plan(study, part, at_a_time, results)
    document: dict[str, Any] = {"study": study.name, "results": str(kept), "workers": at_a_time}
    document["parts"] = [part._asdict() for part in counts]
    lines = [f"{study.name}: {at_a_time} at a time, into {kept}", *_lines(counts)]
    if counts[-1].rough:
        lines.append(
            f"For {counts[-1].rough} of them there is no earlier run of the same network and "
            "method. Their hours are estimated from other runs, and rough."
        )
    if counts[-1].unknown:
        lines.append(
            f"For {counts[-1].unknown} of them there is no earlier run on such a device: "
            "they are not counted in the hours."
        )
    return Answer("\n".join(lines), document)


def _lines(counts: list[Counts]) -> list[str]:
    heads = ("part", "runs", "done", "failed", "left", "hours")
    rows = [heads, *((*map(str, part[:5]), _hours(part)) for part in counts)]
    sizes = [max(len(row[i]) for row in rows) for i in range(len(heads))]
    return [
        "  ".join(
            [row[0].ljust(sizes[0]), *(w.rjust(n) for w, n in zip(row[1:], sizes[1:], strict=True))]
        )
        for row in rows
    ]


def _hours(part: Counts) -> str:
    if part.hours is None:
        return "unknown"
    words = ["at least"] if part.unknown else []
    words += ["about"] if part.rough else []
    return " ".join([*words, f"{part.hours:.2f}"])
