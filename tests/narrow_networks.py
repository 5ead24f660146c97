"""Trains narrow ResNets in every way that users do; `test_memory_format.py` runs it as a program.

What goes wrong here may end the process. It says first what it is about to do.
"""

import torch
from torch.nn import functional as F

import snnviz as sv
from snnviz import rivals
from snnviz.export import load_compact, save_compact
from snnviz.structure import memory_format

PLAN = sv.Schedule(epochs=1, task_steps=2, switcher_steps=2, batch_size=32, warmup_epochs=0)


def main(folder: str) -> None:
    torch.manual_seed(0)
    images, labels = torch.randn(96, 3, 16, 16), torch.arange(96) % 4
    data = sv.ImageData.from_tensors((images, labels), (images, labels), device="cpu")

    print("training", flush=True)
    trainer = sv.Trainer(narrow(data), data, PLAN, device="cpu", precision="float32")
    trainer.run(progress=False)

    print("the network by itself", flush=True)
    fine_tune(trainer.network, data)

    print("training a wide network", flush=True)
    wide = sv.network("resnet8", data)
    trainer = sv.Trainer(wide, data, PLAN, device="cpu", precision="float32")
    assert not memory_format.layers_at_risk(wide)
    for group, neurons in trainer.history.groups.items():
        trainer.pin(group, range(4, neurons), on=False)
    trainer.run(progress=False)

    print("compacting it, with latencies", flush=True)
    small, report = sv.compact(trainer)
    assert memory_format.layers_at_risk(small)
    assert report.latency

    print("training the compact network", flush=True)
    fine_tune(small, data)
    sv.Trainer(small, data, PLAN, device="cpu", precision="float32").run(progress=False)

    print("training it after it was saved", flush=True)
    fine_tune(load_compact(save_compact(small, folder, images[:2])), data)

    print("training one that was saved in channels_last", flush=True)
    small.to(memory_format=torch.channels_last)
    fine_tune(load_compact(save_compact(small, folder, images[:2])), data)

    print("a rival", flush=True)
    plan = PLAN.replace(epochs=2)
    rivals.train("slimming", narrow(data), data, plan, device="cpu", precision="float32", size=0.7)


def narrow(data: sv.ImageData) -> torch.nn.Module:
    network = sv.network("resnet8", data, width=0.25)
    assert memory_format.layers_at_risk(network)
    return network


def fine_tune(network: torch.nn.Module, data: sv.ImageData, steps: int = 20) -> None:
    """A few steps of the usual loop."""
    network.train()
    images, labels = data.batch("train", torch.arange(64))
    for _ in range(steps):
        F.cross_entropy(network(images), labels).backward()


if __name__ == "__main__":
    import sys

    main(sys.argv[1])
