"""What a student learns of a teacher: by hand on small numbers, and what the losses do not look at."""

from __future__ import annotations

import math

import pytest
import torch

from grace.objectives.distillation import cosine_loss, similarity_loss

TEACHER = torch.tensor([[1.0, 0.0], [0.0, 2.0], [3.0, 3.0]])
STUDENT = torch.tensor([[0.0, 5.0], [0.0, 1.0], [1.0, 0.0]])


def test_cosine_loss_by_hand():
    """Cosines 0, 1, 1/sqrt 2."""
    assert float(cosine_loss(STUDENT, TEACHER)) == pytest.approx(1 - (0 + 1 + math.sqrt(0.5)) / 3)


def test_similarity_loss_by_hand():
    """Student's cosines of pairs 1, 0, 0; the teacher's 0, r, r with r = 1/sqrt 2: squares 1, 1/2, 1/2."""
    assert float(similarity_loss(STUDENT, TEACHER)) == pytest.approx(2 / 3)
    assert float(similarity_loss(STUDENT[:1], TEACHER[:1])) == 0.0


def test_the_similarity_loss_sees_neither_rotation_nor_length_nor_dimension():
    """A student that is the teacher turned, stretched and in another space has nothing left to learn of it."""
    generator = torch.Generator().manual_seed(0)
    teacher = torch.randn(6, 3, generator=generator)
    turned, _ = torch.linalg.qr(torch.randn(5, 3, generator=generator))
    student = (teacher @ turned.T) * torch.rand(6, 1, generator=generator).add(0.5)
    assert float(similarity_loss(student, teacher)) == pytest.approx(0.0, abs=1e-10)
    assert float(cosine_loss(teacher.flip(0), teacher)) > 0.1


def test_gradients_flow_into_the_student_alone():
    """The teacher is a constant."""
    student, teacher = STUDENT.clone().requires_grad_(), TEACHER.clone().requires_grad_()
    (cosine_loss(student, teacher) + similarity_loss(student, teacher)).backward()
    assert student.grad is not None
    assert student.grad.abs().sum() > 0
    assert teacher.grad is None
