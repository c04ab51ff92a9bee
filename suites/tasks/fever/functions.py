"""What the task files here name; see harness/backends/fever.py."""

from harness.backends.fever import binary, three_way, with_evidence

__all__ = ["binary", "three_way", "with_evidence"]
