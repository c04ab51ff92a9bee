"""What a student learns of a teacher's vectors: pure functions of tensors; torch alone is imported, inside."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grace.objectives.losses import cosines

if TYPE_CHECKING:
    import torch


def cosine_loss(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """Return mean over i of 1 - cos(s_i, t_i), a scalar in [0, 2].

    Args:
        student, teacher: (n, d), any length; no gradient flows into the teacher's.
    """
    import torch.nn.functional as F  # noqa: N812 - its name everywhere

    return 1 - F.cosine_similarity(student.float(), teacher.detach().float(), dim=-1).mean()


def similarity_loss(student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    """Return mean over i != j of (cos(s_i, s_j) - cos(t_i, t_j))^2, a scalar in [0, 4]; 0 for one text.

    The student may have another dimension than the teacher. Source: similarity-preserving distillation (Tung and Mori
    2019, arXiv 1907.09682); there rows of the matrix are normalised, here its entries are cosines, as in relational
    distillation (Park et al. 2019, arXiv 1904.05068), whose Huber loss is a square below 1.

    Args:
        student: (n, d).
        teacher: (n, e); no gradient flows into it.
    """
    import torch

    n = len(student)
    if n < 2:
        return student.sum() * 0.0
    apart = cosines(student, student) - cosines(teacher, teacher).detach()
    others = ~torch.eye(n, dtype=torch.bool, device=apart.device)
    return apart[others].square().mean()
