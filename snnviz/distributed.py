"""One run on several GPUs: what the processes that `torchrun` started do together.

Each process holds the whole run and all images, and trains on its share of every batch. Torch's
DistributedDataParallel (DDP) averages the gradients, so that all processes take the same step. Only
training steps, and resuming a run from its folder, wait for the other processes. One process alone
can make, evaluate and save a trainer.
"""

import copy
import hashlib
import os
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch import distributed as dist
from torch.func import functional_call
from torch.nn.modules.batchnorm import _NormBase


def processes() -> int:
    """Number of processes that train this run: those that torchrun started, otherwise 1."""
    return int(os.environ["WORLD_SIZE"]) if _launched() else 1


def several() -> bool:
    """Whether more than one process trains the run."""
    return processes() > 1


def rank() -> int:
    """This process's number, from 0."""
    return int(os.environ["RANK"]) if _launched() else 0


def first() -> bool:
    """Whether this is the process that writes files and prints messages."""
    return rank() == 0


def own_gpu() -> str:
    """The name of this process's GPU; "cuda" if there is only one process.

    Raises:
        ValueError: torchrun started more processes here than there are GPUs.
    """
    here = torch.cuda.device_count()
    if not several() or not here:
        return "cuda"
    number, started = int(os.environ["LOCAL_RANK"]), os.environ["LOCAL_WORLD_SIZE"]
    if number >= here:
        raise ValueError(
            f"torchrun must start at most one process per GPU, got {started} processes for {here} "
            f'GPUs. Use --nproc-per-node {here}, or train on the CPU with device="cpu".'
        )
    torch.cuda.set_device(number)
    return f"cuda:{number}"


def share(n: int) -> tuple[slice, float]:
    """This process's rows of a batch of n, and their weight in a mean over the processes.

    Raises:
        ValueError: there are fewer rows than processes.
    """
    count, own = processes(), rank()
    if n < count:
        raise ValueError(
            f"schedule.batch_size must be at least {count}, the number of processes that share a "
            f"batch, got batches of {n}. Use larger batches, or start fewer processes."
        )
    begin, end = n * own // count, n * (own + 1) // count
    return slice(begin, end), (end - begin) * count / n


# --- communication: every process must call these functions, in the same order ----------------


def total(values: Tensor) -> Tensor:
    """Sums `values` over the processes, in place; the result is the same to the bit in all."""
    if not dist.is_initialized():
        gpus = torch.cuda.is_available()
        dist.init_process_group("cpu:gloo,cuda:nccl" if gpus else "gloo")  # for tensors on both
    dist.all_reduce(values)
    return values


def any_of(flag: bool) -> bool:
    """Whether `flag` is true in any process. Each waits for all others."""
    return bool(total(torch.tensor(float(flag), dtype=torch.float32, device="cpu")) > 0)


def check_alike(parts: Mapping[str, Iterable[Tensor] | str]) -> None:
    """Checks that all processes hold the same values, bit for bit.

    Raises:
        ValueError: they do not; raised in all processes.
    """
    digests = torch.zeros(processes(), len(parts), dtype=torch.int64, device="cpu")
    digests[rank()] = torch.tensor(
        [_hash_tensors(part) for part in parts.values()], dtype=torch.int64, device="cpu"
    )
    alike = (total(digests) == digests[0]).all(0).tolist()
    unlike = [name for name, same in zip(parts, alike, strict=True) if not same]
    if unlike:
        raise ValueError(
            f"{' and '.join(unlike)} must be the same in all processes, got different values. Give "
            "each process the whole data and the same seeds, and call torch.manual_seed(…) before "
            "making a network. The trainer itself gives each process its share of a batch."
        )


class Together:
    """A task network and a switcher that several processes train.

    DDP averages the gradients of the parameters of the module that it wraps, in each backward pass
    that follows a forward pass of that module. In snnviz these parameters are not those with which
    the network runs: a step runs the task network with scaled parameters, and trains either the
    task network or the switcher.

    Args:
        network: the task network.
        switcher: the switcher.

    Raises:
        ValueError: they are on another process's GPU.
    """

    def __init__(self, network: nn.Module, switcher: nn.Module) -> None:
        device, own = next(network.parameters()).device, os.environ["LOCAL_RANK"]
        if device.type == "cuda" and str(device.index) != own:
            raise ValueError(
                f"device must be the process's own GPU, cuda:{own}, got {device}. "
                'Use device="auto".'
            )
        self._network = network
        # Statistics over the whole batch; torch can do this only on CUDA.
        self._runs = with_synced_norms(network) if device.type == "cuda" else network
        self._passes = {
            "task": nn.parallel.DistributedDataParallel(_Pass(network, self._runs)),
            "switcher": nn.parallel.DistributedDataParallel(_Pass(switcher, self._runs)),
        }

    def scores(self, phase: str, parameters: Mapping[str, Tensor], images: Tensor) -> Tensor:
        """Class scores; DDP averages the gradients of the module that this phase trains."""
        self._runs.train(self._network.training)
        return self._passes[phase](parameters, images)

    def settle(self) -> None:
        """Averages the norms' statistics over all processes, after a task step.

        Raises:
            ValueError: a parameter had no gradient, for which DDP would wait without end.
        """
        named = self._network.named_parameters()
        if unused := [name for name, p in named if p.requires_grad and p.grad is None]:
            raise ValueError(
                f"network must use all parameters in each step when several processes train it, "
                f"got unused ones ({', '.join(unused)[:200]}). Freeze them first: "
                "parameter.requires_grad_(False)."
            )
        norms = [module for module in self._runs.modules() if isinstance(module, _NormBase)]
        own = [norm for norm in norms if not isinstance(norm, nn.SyncBatchNorm)]
        moved = [b for norm in own for b in (norm.running_mean, norm.running_var) if b is not None]
        if moved:
            means = total(torch.cat(moved)) / processes()
            for buffer, mean in zip(moved, means.split([len(b) for b in moved]), strict=True):
                buffer.copy_(mean)


class _Pass(nn.Module):
    """Runs `network` with given parameters, and shows DDP the parameters of `learner`."""

    def __init__(self, learner: nn.Module, network: nn.Module) -> None:
        super().__init__()
        self.learned = nn.ParameterList(p for p in learner.parameters() if p.requires_grad)
        self._runs = (network,)  # in a tuple, so that DDP does not find its buffers

    def forward(self, parameters: dict[str, Tensor], images: Tensor) -> Any:
        return functional_call(self._runs[0], parameters, (images,), tie_weights=False)


def with_synced_norms(network: nn.Module) -> nn.Module:
    """A copy that shares all tensors, and whose batch norms use the batches of all processes.

    The network itself belongs to the user and is not changed.
    """
    tensors = [*network.parameters(), *network.buffers()]
    twin = copy.deepcopy(network, {id(tensor): tensor for tensor in tensors})
    return nn.SyncBatchNorm.convert_sync_batchnorm(twin)


def _launched() -> bool:
    return dist.is_available() and dist.is_torchelastic_launched()


def _hash_tensors(part: Iterable[Tensor] | str) -> int:
    found = hashlib.blake2b(digest_size=7)  # fits into an int64
    if isinstance(part, str):
        found.update(part.encode())
        return int.from_bytes(found.digest())
    for tensor in part:
        flat = tensor.detach().cpu().contiguous().reshape(-1)
        found.update(flat.view(torch.uint8).numpy().tobytes())
    return int.from_bytes(found.digest())
