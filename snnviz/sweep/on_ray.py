"""Ray: each run of a sweep has a process with one core, or with a share of a GPU."""

import gc
import logging
import os
import shutil
import signal
import tempfile
import threading
import traceback
import warnings
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from snnviz.sweep.cell import Cell, Row, describe_error, make, row_of_failure
from snnviz.sweep.queue import Queue

# One thread for each run. As in the Makefile, memory of large tensors is kept for the next step
# (glibc only).
_SURROUNDINGS = {
    "OMP_NUM_THREADS": "1",
    "MALLOC_MMAP_THRESHOLD_": "1073741824",
    "MALLOC_TRIM_THRESHOLD_": "4294967296",
}
# No usage statistics are sent, and Ray does not hide GPUs from a worker that has no share of one.
_QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}
# Workers begin with the runs: if they begin with Ray, its start takes half as long again.
_ALONE = {"RAY_prestart_worker_first_driver": "0"}
_STARTS = 6  # attempts to start Ray, on a busy machine
_STORE_BYTES = 100 * 2**20  # the processes exchange little data


def rows(
    queue: Queue, workers: int | None, address: str | None, gpus_per_run: float | None
) -> Generator[Row, None, None]:
    """Makes the runs of the queue, and yields the row of each when it ends, in any order."""
    with _cluster(workers, address) as ray:
        gpus = _gpus_of_a_run(ray, gpus_per_run)
        # Workers, also those with a GPU, make many runs; a run that kills one is not repeated.
        task = ray.remote(num_cpus=1, max_retries=0, max_calls=0)(_work)
        most = workers if address and workers else None
        under_way: dict[Any, Cell] = {}
        while True:
            while (most is None or len(under_way) < most) and (found := queue.next()):
                shares = 0 if found[0].conditions.device == "cpu" else gpus
                under_way[task.options(num_gpus=shares).remote(*found)] = found[0]
            if not under_way:
                return
            [ended], _ = ray.wait(list(under_way), num_returns=1)
            yield _row(ray, ended, under_way.pop(ended))


def _work(cell: Cell, reference: Row | None) -> Row:
    torch.set_num_threads(1)
    row = make(cell, reference)
    if torch.cuda.is_available():
        torch.cuda.empty_cache()  # other workers share the GPU
    return row


def _row(ray: Any, ended: Any, cell: Cell) -> Row:
    """The row that a worker returned, or the row of a failure if the worker died.

    Raises:
        ConnectionError: Ray itself has ended, which is no fault of the run.
    """
    try:
        return ray.get(ended)
    except (ray.exceptions.LocalRayletDiedError, ray.exceptions.RaySystemError) as error:
        raise ConnectionError(
            f"Ray has ended, and so have the unfinished runs ({describe_error(error)}). "
            "Finished runs are in the results: the same command continues."
        ) from error
    except ray.exceptions.OutOfMemoryError:
        why = "memory ran out, and Ray ended the run. Make fewer at a time: --workers."
    except ray.exceptions.WorkerCrashedError:
        why = "its process died. If memory had run out, make fewer at a time: --workers."
    except ray.exceptions.RayError as error:
        why = describe_error(error)
    return row_of_failure(cell, why)


def _gpus_of_a_run(ray: Any, asked: float | None) -> float:
    there = ray.cluster_resources().get("GPU", 0)
    if asked is not None and not there:
        raise ValueError(
            f"gpus_per_run needs a GPU, got {asked:g} and there is none. Leave it out."
        )
    return (1 if asked is None else asked) if there else 0


@contextmanager
def _cluster(workers: int | None, address: str | None) -> Iterator[Any]:
    """Ray, started on this machine or joined; it ends with the block, also after an error."""
    try:
        with _environment(_QUIET):
            import ray
    except ImportError as error:
        raise ImportError(
            "sweeps run on Ray, which is not installed. Install it: pip install 'snnviz[sweep]'; "
            "or make the runs one after the other in this process: workers=0."
        ) from error
    if ray.is_initialized():
        raise RuntimeError("Ray is already running in this process. Call ray.shutdown() first.")
    options: dict[str, Any] = {
        "logging_level": logging.ERROR,
        "log_to_driver": False,
    }
    folder, surroundings = None, _QUIET
    if address is None:
        # Its name is short, because the paths of sockets in it have a limit.
        folder = tempfile.mkdtemp(prefix="snnviz-")
        surroundings = {**_QUIET, **_ALONE, **_SURROUNDINGS}  # the workers inherit the last
        options |= {
            "address": "local",
            "num_cpus": workers or cores(),
            "include_dashboard": False,
            "object_store_memory": _STORE_BYTES,
            "_temp_dir": folder,
        }
    else:
        options |= {"address": address, "runtime_env": {"env_vars": _SURROUNDINGS}}
    try:
        with _environment(surroundings), _signals_kept():
            if address is None:
                _start(ray, options)
            else:
                _join(ray, address, options)
        yield ray
    finally:
        ray.shutdown()
        _drop_ended()
        if folder:
            shutil.rmtree(folder, ignore_errors=True)


def _start(ray: Any, options: dict[str, Any]) -> None:
    """Starts Ray on this machine; again if it is so busy that Ray gave up waiting for itself."""
    for _ in range(_STARTS):
        try:
            ray.init(**options)
        except Exception as error:  # Ray raises nothing more particular after its 30 seconds
            if "timed out during startup" not in str(error):
                raise
            _end_begun(error)
            ray.shutdown()
        else:
            return
    raise ConnectionError(
        f"Ray did not start in {_STARTS} attempts of half a minute: this machine is too busy. Try "
        "again later, or make the runs one after the other in this process: workers=0."
    )


def _end_begun(error: Exception) -> None:
    """Ends the processes of a start that failed: Ray leaves them running, beside the next start.

    They are known to Ray's node alone, whose constructor did not return.
    """
    for frame, _ in traceback.walk_tb(error.__traceback__):
        kill = getattr(frame.f_locals.get("self"), "kill_all_processes", None)
        if kill is not None:
            kill(check_alive=False, wait=True)


def _join(ray: Any, address: str, options: dict[str, Any]) -> None:
    try:
        ray.init(**options)
    except (ConnectionError, ValueError) as error:
        raise ConnectionError(
            f"the Ray cluster at {address!r} cannot be joined. Check that it runs; "
            "and if it asks for a token, set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN."
        ) from error


def _drop_ended() -> None:
    """Ray does not wait for the processes that it ends; the warnings of that are dropped here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def _signals_kept() -> Iterator[None]:
    """Within it, Ray may install its handler of SIGTERM; afterwards ours is there again."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)


def cores() -> int:
    """Physical cores that this process may use."""
    try:
        allowed = os.sched_getaffinity(0)
    except AttributeError:  # macOS and Windows do not have it
        return os.cpu_count() or 1
    names = "/sys/devices/system/cpu/cpu{}/topology/thread_siblings_list"
    try:
        return len({Path(names.format(i)).read_text() for i in allowed})
    except OSError:
        return len(allowed)
