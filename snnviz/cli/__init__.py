"""The command line: `snnviz train`, `resume`, `show` and the others; imports every folder."""

import os
import re
import shlex
import signal
import sys
import traceback
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, CycloptsError, Parameter

from snnviz.cli import notebook, reading, sweeping, training
from snnviz.cli.answers import DONE, FAILED, INTERRUPTED, WRONG_USAGE, Answer
from snnviz.cli.options import RunOptions, WrongUsage, asked, from_file, given, group_of, whole
from snnviz.runs import InUse, NotSaved
from snnviz.shrink import OutputsDiffer
from snnviz.training import Schedule, TrainingStopped

app = App(
    name="snnviz",
    help="""Train a task network and a switcher network alternately, and watch neurons switch off.

    Exit codes: 0 done; 1 an error that you can mend, which stands in one line on stderr; 2 wrong
    usage; 130 interrupted.

    The first Ctrl-C (or SIGTERM, with which clusters end a job) finishes the step, saves, and says
    how to resume. The second leaves at once; all epochs that had ended are safe.

    With --json, stdout has one JSON document (none after an error) and all else is on stderr.
    """,
    version=lambda: version("snnviz"),
    default_parameter=Parameter(negative_iterable=(), negative_none=(), consume_multiple=True),
    help_format="plaintext",
)

AskedRun: Any = asked(RunOptions)
AskedSchedule: Any = asked(Schedule, defaults=False)
_ALL_LEFT_OUT, _UNCHANGED = AskedRun(), AskedSchedule()

Run = Annotated[Path, Parameter(help="Folder of the run.")]
Json = Annotated[
    bool,
    Parameter(
        negative=(), show_default=False, help="One JSON document on stdout, all else on stderr."
    ),
]
Device = Annotated[
    str | None, Parameter(help="auto, cpu, cuda, mps or another torch device; else the run's.")
]
Data = Annotated[
    str | None,
    Parameter(help="folder:PATH, for a run with images of your own: where they are."),
]
Whole = Parameter(converter=whole)


@app.command(sort_key=1)
def train(
    *,
    config: Annotated[
        Path | None,
        Parameter(
            help="Options from a JSON or .toml file, named as here and nested at the dots, or "
            "from the config.json of a run. Options given here come before those of the file."
        ),
    ] = None,
    options: Annotated[AskedRun, Parameter(name="*")] = _ALL_LEFT_OUT,  # type: ignore
    json: Json = False,
) -> Answer | int:
    """Train a new run.

    It is saved at each epoch's end, and can be resumed from there whatever happens.
    """
    return training.train(from_file(config) if config else {}, given(options))


@app.command(sort_key=2)
def resume(
    run: Run,
    /,
    *,
    epoch: Annotated[
        int | None,
        Whole,
        Parameter(help="Go back to the end of this epoch, and drop what came later."),
    ] = None,
    data: Data = None,
    device: Device = None,
    json: Json = False,
) -> Answer | int:
    """Go on with a run as if it had never stopped."""
    return training.resume(run, epoch, data, device)


@app.command(sort_key=3)
def fork(
    run: Run,
    /,
    *,
    epoch: Annotated[
        int | None,
        Whole,
        Parameter(help="Its end is where the new run begins; 0 is the start; else the last one."),
    ] = None,
    name: Annotated[
        str | None, Parameter(help="Of the new run, which is put beside the other.")
    ] = None,
    schedule: Annotated[  # type: ignore
        AskedSchedule,  # type: ignore
        Parameter(group=group_of("schedule")),
    ] = _UNCHANGED,
    data: Data = None,
    device: Device = None,
    json: Json = False,
) -> Answer | int:
    """Train a new run that branches off from another one.

    Its schedule is that of the other run at that epoch, but for what is given here.
    """
    return training.fork(run, epoch, given(schedule), name, data, device)


@app.command(sort_key=4)
def show(
    path: Annotated[Path, Parameter(help="Folder of a run, or a folder of runs.")] = Path("runs"),
    /,
    *,
    json: Json = False,
) -> Answer:
    """Show a run (its config, epochs and events), or a folder of runs as a table."""
    return reading.show(path)


@app.command(sort_key=5)
def compact(
    run: Run,
    /,
    *,
    out: Annotated[Path, Parameter(help="Folder for the network, new or of an earlier one.")],
    epoch: Annotated[
        int | None, Whole, Parameter(help="As it was at this epoch's end; else as saved last.")
    ] = None,
    latency: Annotated[bool, Parameter(help="Measure how much faster it is.")] = True,
    data: Data = None,
    device: Device = None,
    json: Json = False,
) -> Answer:
    """Write the smaller network of a run: without the neurons that are off, with equal outputs."""
    return reading.compact(run, epoch, out, data, device, latency)


@app.command(sort_key=6)
def figures(
    run: Run,
    /,
    *,
    out: Annotated[
        Path | None, Parameter(help="Folder for the files; else figures/NAME of the run.")
    ] = None,
    formats: Annotated[
        tuple[str, ...], Parameter(help="Some of them.", show_default="pdf svg png")
    ] = (
        "pdf",
        "svg",
        "png",
    ),
    width: Annotated[
        str, Parameter(help="single or double column of a paper, or inches.")
    ] = "single",
    json: Json = False,
) -> Answer:
    """Draw every figure of a run, at the size of a paper."""
    return reading.figures(run, out, formats, width)


@app.command(sort_key=7)
def lab(
    run: Run,
    /,
    *,
    data: Data = None,
    browser: Annotated[bool, Parameter(help="Open a browser window.")] = True,
    port: Annotated[int | None, Whole, Parameter(help="JupyterLab's port.")] = None,
) -> int:
    """Open JupyterLab on a notebook, beside the run, that goes on with it by hand."""
    return notebook.lab(run, data, browser, port)


@app.command(sort_key=8)
def sweep(
    study: Annotated[Path, Parameter(help="A .toml file; docs/sweeps.md says what stands there.")],
    /,
    *,
    dry_run: Annotated[
        bool, Parameter(negative=(), help="Only tell how many runs there are, and how long.")
    ] = False,
    part: Annotated[str | None, Parameter(help="Only the runs of this part.")] = None,
    workers: Annotated[
        int | None,
        Whole,
        Parameter(help="Runs at a time; else one a core. 0: one after the other, without Ray."),
    ] = None,
    address: Annotated[
        str | None, Parameter(help="Of a Ray cluster to join; else this machine's cores and GPUs.")
    ] = None,
    gpus_per_run: Annotated[
        float | None,
        Parameter(help="Share of a GPU that a run takes, where there are any; else 1."),
    ] = None,
    results: Annotated[
        Path | None, Parameter(help="File for the results; else the study's.")
    ] = None,
    json: Json = False,
) -> Answer:
    """Make the runs of a study, a grid of them, on Ray.

    Each one's row stands in the results as soon as it ends. The same command, started again, makes
    only what is not done yet; runs that failed are tried again. Exit code 1: some failed.
    """
    if dry_run:
        return sweeping.dry_run(study, part, workers, results)
    return sweeping.sweep(study, part, workers, address, gpus_per_run, results)


# --- running ------------------------------------------------------------------------------------

# What a user can mend. Anything else is a bug, and shows its traceback.
_MENDABLE = (ValueError, OSError, ImportError, InUse, NotSaved, TrainingStopped, OutputsDiffer)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; returns the exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        command, bound, _ = app.parse_args(words, print_error=False, exit_on_error=False)
    except CycloptsError as error:
        return _failed(WRONG_USAGE, f"{error} See: {_help(words)}")
    as_json = bool(bound.arguments.get("json"))
    try:
        with _surroundings(as_json):
            answer = command(*bound.args, **bound.kwargs)
        if isinstance(answer, Answer):
            print(answer.as_json() if as_json else answer.text, flush=True)
            return answer.code
        return answer or DONE
    except WrongUsage as error:
        return _failed(WRONG_USAGE, f"{error} See: {_help(words)}")
    except KeyboardInterrupt:
        return _failed(INTERRUPTED, "interrupted; nothing was saved.")
    except BrokenPipeError:  # `snnviz show | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except _MENDABLE as error:
        return _failed(FAILED, str(error))
    except RuntimeError as error:
        if type(error).__name__ != "OutOfMemoryError":
            raise
        return _failed(FAILED, f"{error} Try a smaller --schedule.batch-size, or --device cpu.")


def _failed(code: int, text: str) -> int:
    """One line on stderr; after the traceback, if SNNVIZ_TRACEBACK is set."""
    if os.environ.get("SNNVIZ_TRACEBACK"):
        traceback.print_exc()
    print(f"snnviz: {_as_commands(' '.join(text.split()))}", file=sys.stderr, flush=True)
    return code


def _help(words: list[str]) -> str:
    known = words[:1] if words and words[0] in app else []
    return shlex.join(["snnviz", *known, "--help"])


def _as_commands(text: str) -> str:
    """Advice to call a method of `Trainer` on a folder, as the command that does the same."""

    def command(found: re.Match) -> str:
        how, folder, epoch = found.groups()
        words = f"snnviz {how} {shlex.quote(folder)}"
        return f"{words} --epoch {epoch}" if epoch and epoch.isdigit() else words

    pattern = r"Trainer\.(resume|fork)\('([^']+)'(?:, epoch=([0-9]+|\.\.\.))?\)"
    return re.sub(pattern, command, text)


@contextmanager
def _surroundings(as_json: bool) -> Iterator[None]:
    """Warnings as lines on stderr, a cluster's signal as Ctrl-C, and stdout kept for JSON."""
    before = signal.getsignal(signal.SIGTERM)
    if before is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _note
            with redirect_stdout(sys.stderr if as_json else sys.stdout):
                yield
    finally:
        if before is signal.SIG_DFL:
            signal.signal(signal.SIGTERM, before)


def _note(message: Warning | str, *where: Any, **more: Any) -> None:
    print(f"note: {' '.join(str(message).split())}", file=sys.stderr, flush=True)
