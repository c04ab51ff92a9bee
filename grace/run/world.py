"""The processes of one run: who this is, sums and gathers over all; one process needs no torch.distributed.

`accelerate launch -m grace train ...` and `torchrun -m grace train ...` both say who is who in RANK and WORLD_SIZE.
"""

from __future__ import annotations

import io
import os
import pickle
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import EnvironmentGapError

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """This process among those of the run."""

    rank: int = 0
    """0 is the main one."""
    size: int = 1
    """How many there are."""

    @property
    def is_main(self) -> bool:
        """Whether this process writes files and shows progress."""
        return self.rank == 0

    def total(self, values: Sequence[float], device: str) -> list[float]:
        """Return the sum of each value over all processes."""
        import torch

        # mps has no float64, and the counts here are small enough for float32 there
        summed = torch.tensor(values, dtype=torch.float32 if device == "mps" else torch.float64, device=device)
        if self.size > 1:
            torch.distributed.all_reduce(summed)
        found: list[float] = summed.tolist()
        return found

    def wait(self) -> None:
        """Wait until every process is here."""
        import torch

        if self.size > 1:
            torch.distributed.barrier()

    def gathered(self, own: torch.Tensor) -> torch.Tensor:
        """Return the rows (n, ...) of all processes in rank order; the own part keeps its gradient, the rest has none.

        Processes may have different numbers of rows.
        """
        import torch

        if self.size == 1:
            return own
        counts = [torch.zeros(1, dtype=torch.long, device=own.device) for _ in range(self.size)]
        torch.distributed.all_gather(counts, torch.tensor([len(own)], device=own.device))
        most = max(int(count) for count in counts)
        padded = own.detach().new_zeros((most, *own.shape[1:]))
        padded[: len(own)] = own.detach()
        parts = [torch.zeros_like(padded) for _ in range(self.size)]
        torch.distributed.all_gather(parts, padded)
        rows = [part[: int(count)] for part, count in zip(parts, counts, strict=True)]
        rows[self.rank] = own
        return torch.cat(rows)

    def gathered_objects(self, own: Sequence[Any], device: str) -> list[Any]:
        """Return the objects of all processes in rank order; what is sent is pickled, and only this run's own.

        Processes may have different numbers of objects.
        """
        import torch

        if self.size == 1:
            return list(own)
        sent = torch.frombuffer(bytearray(pickle.dumps(list(own))), dtype=torch.uint8).to(device)
        stream = io.BytesIO(self.gathered(sent).cpu().numpy().tobytes())
        return [one for _ in range(self.size) for one in pickle.load(stream)]  # noqa: S301 - from this run's processes

    def sum_gradients(self, parameters: Sequence[torch.Tensor]) -> None:
        """Add up each parameter's gradient over all processes, in one message."""
        import torch

        if self.size == 1:
            return
        with_gradient = [one for one in parameters if one.grad is not None]
        flat = torch.cat([one.grad.reshape(-1) for one in with_gradient if one.grad is not None])
        torch.distributed.all_reduce(flat)
        start = 0
        for one in with_gradient:
            assert one.grad is not None  # noqa: S101 - chosen so above
            one.grad.copy_(flat[start : start + one.numel()].view_as(one))
            start += one.numel()


def join(device: str) -> World:
    """Join the other processes that the launcher started, where there are any.

    Raises:
        EnvironmentGapError: they cannot be found.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        return World()
    import torch

    if not torch.distributed.is_initialized():
        try:
            torch.distributed.init_process_group("nccl" if device.startswith("cuda") else "gloo")
        except (torch.distributed.DistError, ValueError) as error:  # ValueError: a variable of the launcher is not set
            why = str(error).splitlines()[0]
            raise EnvironmentGapError(
                [f"WORLD_SIZE is {size}, and the other processes cannot be joined ({why}); start it with torchrun"]
            ) from error
    return World(rank=torch.distributed.get_rank(), size=size)


@contextmanager
def all_there(world: World, out: Path) -> Iterator[None]:
    """Turn what a process meets when another one is gone into EnvironmentGapError.

    Args:
        world: the processes.
        out: the run's directory, which has the checkpoints.
    """
    try:
        yield
    except RuntimeError as error:
        if world.size == 1 or not _is_of_the_connection(error):
            raise
        lost = f"process {world.rank} of {world.size}: another process of this run has ended, or cannot be reached"
        kept = f"the checkpoints in {out} are kept; start all processes again with --resume"
        raise EnvironmentGapError([f"{lost}; {kept}"]) from error


def _is_of_the_connection(error: RuntimeError) -> bool:
    import torch

    return isinstance(error, torch.distributed.DistError) or "gloo/transport" in str(error)  # gloo has no class for it


def local_device(device: str) -> str:
    """Return `device`, and for cuda under a launcher the GPU that is this process's."""
    return f"cuda:{os.environ['LOCAL_RANK']}" if device == "cuda" and "LOCAL_RANK" in os.environ else device
