"""What the task files here name; see harness/backends/lm_eval/fever.py."""

from harness.backends.lm_eval.fever import binary, three_way, with_evidence

__all__ = ["binary", "three_way", "with_evidence"]
