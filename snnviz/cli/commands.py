"""Every command, its options and their help, handed on to the function that does it."""

from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from snnviz.cli import log, notebook, reading, sweeping, training
from snnviz.cli.answers import Answer
from snnviz.cli.convert import path, whole
from snnviz.cli.files import read_options
from snnviz.cli.options import RunOptions, collect_given, group_of, make_options
from snnviz.training import Schedule

app = App(
    name="snnviz",
    help="""Train a task network and a switcher network alternately, and watch neurons switch off.

    Exit codes: 0 done; 1 an error that you can fix, explained in one line on stderr; 2 wrong
    usage; 130 interrupted.

    Ctrl-C finishes the step, saves the run, and prints the command that resumes it. So do SIGTERM,
    with which clusters end a job, and SIGHUP, which a closed terminal sends. A second Ctrl-C quits
    immediately; all finished epochs are safe.

    With --json, stdout is one JSON document (nothing after an error); everything else goes to
    stderr.
    """,
    version=lambda: version("snnviz"),
    default_parameter=Parameter(negative_iterable=(), negative_none=(), consume_multiple=True),
    help_format="rst",  # which joins the lines of a paragraph
)

AskedRun: Any = make_options(RunOptions)
AskedSchedule: Any = make_options(Schedule, defaults=False)
_ALL_LEFT_OUT, _UNCHANGED = AskedRun(), AskedSchedule()

Run = Annotated[Path, Parameter(converter=path, help="Folder of the run.")]
Json = Annotated[
    bool,
    Parameter(
        negative=(),
        show_default=False,
        help="Print one JSON document on stdout, and everything else on stderr.",
    ),
]
Device = Annotated[
    str | None,
    Parameter(help="auto, cpu, cuda, mps or another torch device; by default the run's."),
]
Data = Annotated[
    str | None,
    Parameter(help="folder:PATH, where your own images are, if the run was trained on them."),
]
Whole = Parameter(converter=whole)


@app.command(sort_key=1)
def train(
    *,
    config: Annotated[
        Path | None,
        Parameter(
            converter=path,
            help="File of options: JSON or .toml, named as here and nested at the dots, or the "
            "config.json of a run. Options given here take precedence.",
        ),
    ] = None,
    options: Annotated[AskedRun, Parameter(name="*")] = _ALL_LEFT_OUT,  # type: ignore
    json: Json = False,
) -> Answer | int:
    """Train a new run.

    It is saved at the end of each epoch, and can always be resumed from there.
    """
    return training.train(read_options(config) if config else {}, collect_given(options))


@app.command(sort_key=2)
def resume(
    run: Run,
    /,
    *,
    epoch: Annotated[
        int | None,
        Whole,
        Parameter(help="Go back to the end of this epoch, and delete what came later."),
    ] = None,
    data: Data = None,
    device: Device = None,
    json: Json = False,
) -> Answer | int:
    """Continue a run as if it had never stopped."""
    return training.resume(run, epoch, data, device)


@app.command(sort_key=3)
def fork(
    run: Run,
    /,
    *,
    epoch: Annotated[
        int | None,
        Whole,
        Parameter(help="Start from the end of this epoch (0 is the start); by default the last."),
    ] = None,
    name: Annotated[
        str | None, Parameter(help="Name of the new run, which is saved beside the other one.")
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

    It keeps the schedule that the other run had at that epoch, except for the options given here.
    """
    return training.fork(run, epoch, collect_given(schedule), name, data, device)


@app.command(sort_key=4)
def show(
    path: Annotated[
        Path, Parameter(converter=path, help="Folder of a run, or a folder of runs.")
    ] = Path("runs"),
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
    out: Annotated[
        Path,
        Parameter(converter=path, help="Folder for the network: a new one, or to be replaced."),
    ],
    epoch: Annotated[
        int | None,
        Whole,
        Parameter(help="Take the network at the end of this epoch; by default as last saved."),
    ] = None,
    latency: Annotated[
        bool, Parameter(help="Measure how much faster the smaller network is.")
    ] = True,
    data: Data = None,
    device: Device = None,
    json: Json = False,
) -> Answer:
    """Write a run's network without the neurons that are off; its outputs stay equal."""
    return reading.compact(run, epoch, out, data, device, latency)


@app.command(sort_key=6)
def figures(
    run: Run,
    /,
    *,
    out: Annotated[
        Path | None,
        Parameter(converter=path, help="Folder for the files; by default figures/NAME of the run."),
    ] = None,
    formats: Annotated[
        tuple[str, ...], Parameter(help="File formats to write.", show_default="pdf svg png")
    ] = (
        "pdf",
        "svg",
        "png",
    ),
    width: Annotated[
        str, Parameter(help="Width: the single or double column of a paper, or inches.")
    ] = "single",
    json: Json = False,
) -> Answer:
    """Draw every figure of a run, at the size that a paper needs."""
    return reading.figures(run, out, formats, width)


@app.command(sort_key=7)
def report(
    run: Run,
    /,
    *,
    html: Annotated[
        Path | None,
        Parameter(converter=path, help="The file; by default NAME.html, after the run."),
    ] = None,
    weights: Annotated[
        bool, Parameter(help="Show weights and classes, where the run's network can be built.")
    ] = True,
    data: Data = None,
    json: Json = False,
) -> Answer:
    """Write a run into one HTML file to hand on: it opens in any browser, without Python.

    It has the neurons with a slider over the epochs, the schedule, the figures and the events.
    """
    return reading.report(run, html, weights, data)


@app.command(sort_key=8)
def export_log(
    run: Run,
    /,
    *,
    to: Annotated[str, Parameter(help="tensorboard, trackio or wandb.")] = "tensorboard",
    out: Annotated[
        Path | None,
        Parameter(
            converter=path,
            help="New folder for TensorBoard's file; by default logs/NAME of the run.",
        ),
    ] = None,
    project: Annotated[
        str, Parameter(help="Project of Trackio or W&B in which the run appears.")
    ] = "snnviz",
    json: Json = False,
) -> Answer:
    """Write a run's scalars, and histograms of its factors, for another tool."""
    return log.export(run, to, out, project)


@app.command(sort_key=9)
def lab(
    run: Run,
    /,
    *,
    data: Data = None,
    browser: Annotated[bool, Parameter(help="Open a browser window.")] = True,
    port: Annotated[int | None, Whole, Parameter(help="JupyterLab's port.")] = None,
) -> int:
    """Open JupyterLab with a notebook that shows the run's lab; it is saved beside the run."""
    return notebook.lab(run, data, browser, port)


@app.command(sort_key=10)
def sweep(
    study: Annotated[
        Path, Parameter(converter=path, help="A .toml file, which docs/sweeps.md describes.")
    ],
    /,
    *,
    dry_run: Annotated[
        bool, Parameter(negative=(), help="Only print the number of runs and how long they take.")
    ] = False,
    part: Annotated[str | None, Parameter(help="Make only the runs of this part.")] = None,
    workers: Annotated[
        int | None,
        Whole,
        Parameter(
            help="Runs at a time; by default one per core. 0: one after the other, without Ray."
        ),
    ] = None,
    address: Annotated[
        str | None,
        Parameter(help="Address of a Ray cluster to join; by default only this machine is used."),
    ] = None,
    gpus_per_run: Annotated[
        float | None,
        Parameter(help="Share of a GPU for each run, where there are GPUs; by default 1."),
    ] = None,
    results: Annotated[
        Path | None,
        Parameter(converter=path, help="File for the results; by default the one of the study."),
    ] = None,
    json: Json = False,
) -> Answer:
    """Make the runs of a study, a grid of runs, with Ray.

    The row of each run is in the results as soon as the run ends. Started again, the same command
    skips finished runs and repeats those that failed. Exit code 1: some runs failed.
    """
    if dry_run:
        return sweeping.dry_run(study, part, workers, results)
    return sweeping.sweep(study, part, workers, address, gpus_per_run, results)
