"""Ray: a process a core, or a share of a GPU, for each run of a sweep."""

import gc
import logging
import os
import shutil
import signal
import tempfile
import threading
import warnings
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from snnviz.sweep.cell import Cell, Row, failed, in_words, make
from snnviz.sweep.queue import Queue

# One thread a run. What the Makefile sets for the others is set here, too: memory of large tensors
# is kept for the next step (glibc only).
_SURROUNDINGS = {
    "OMP_NUM_THREADS": "1",
    "MALLOC_MMAP_THRESHOLD_": "1073741824",
    "MALLOC_TRIM_THRESHOLD_": "4294967296",
}
# Nothing is sent to anybody, and a worker without a GPU is left to find none by itself.
_QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}
_STORE_BYTES = 100 * 2**20  # what passes between the processes is small


def rows(
    queue: Queue, workers: int | None, address: str | None, gpus_per_run: float | None
) -> Generator[Row, None, None]:
    """Makes the runs of the queue, and gives the row of each as it ends, in any order."""
    with _cluster(workers, address) as ray:
        gpus = _gpus_of_a_run(ray, gpus_per_run)
        # A worker is used again and again, also with a GPU; a run that kills it is not repeated.
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
        torch.cuda.empty_cache()  # others share the GPU
    return row


def _row(ray: Any, ended: Any, cell: Cell) -> Row:
    """What a worker gave back; it may have died instead.

    Raises:
        ConnectionError: Ray itself has ended. That says nothing of the run.
    """
    try:
        return ray.get(ended)
    except (ray.exceptions.LocalRayletDiedError, ray.exceptions.RaySystemError) as error:
        raise ConnectionError(
            f"Ray has ended, and with it the runs that were under way ({in_words(error)})."
            " Those that had ended are in the results: the same command goes on."
        ) from error
    except ray.exceptions.OutOfMemoryError:
        why = "memory ran out, and the run was ended. Make fewer at a time: --workers."
    except ray.exceptions.WorkerCrashedError:
        why = "its process died. If memory had run out, make fewer at a time: --workers."
    except ray.exceptions.RayError as error:
        why = in_words(error)
    return failed(cell, why)


def _gpus_of_a_run(ray: Any, asked: float | None) -> float:
    there = ray.cluster_resources().get("GPU", 0)
    if asked is not None and not there:
        raise ValueError(f"gpus_per_run is for GPUs, got {asked:g} and there are none.")
    return (1 if asked is None else asked) if there else 0


@contextmanager
def _cluster(workers: int | None, address: str | None) -> Iterator[Any]:
    """Ray, started on this machine or joined; ended however the block ends."""
    try:
        with _environment(_QUIET):
            import ray
    except ImportError as error:
        raise ImportError(
            "sweeps run on Ray, which is not installed. Install it: pip install 'snnviz[sweep]'; "
            "or make the runs one after the other in this process: workers=0."
        ) from error
    if ray.is_initialized():
        raise RuntimeError("Ray is in use in this process. Call ray.shutdown() first.")
    options: dict[str, Any] = {
        "logging_level": logging.ERROR,
        "log_to_driver": False,
    }
    folder, surroundings = None, _QUIET
    if address is None:
        # Of our own, and with a short name: the names of sockets in it may not be long.
        folder = tempfile.mkdtemp(prefix="snnviz-")
        surroundings = {**_QUIET, **_SURROUNDINGS}  # the workers inherit them
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
            try:
                ray.init(**options)
            except (ConnectionError, ValueError) as error:
                if address is None:
                    raise
                raise ConnectionError(
                    f"no Ray cluster lets this process in at {address!r}. See that it runs; and "
                    "if it asks for a token, set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN."
                ) from error
        yield ray
    finally:
        ray.shutdown()
        _drop_ended()
        if folder:
            shutil.rmtree(folder, ignore_errors=True)


def _drop_ended() -> None:
    """Ray forgets the processes that it ended without waiting for them, of which Python warns."""
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
    """Ray takes SIGTERM for itself; here it stays what it was."""
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
    except AttributeError:  # not on this system
        return os.cpu_count() or 1
    names = "/sys/devices/system/cpu/cpu{}/topology/thread_siblings_list"
    try:
        return len({Path(names.format(i)).read_text() for i in allowed})
    except OSError:
        return len(allowed)
