"""What every figure of the harness shares: the level of its intervals, its points, its arrays."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
CONFIDENCE = 0.95
"""Of every interval, both sides together."""
NORMAL_QUANTILE = 1.959963984540054
"""Standard errors from the middle to either end of an interval of `CONFIDENCE`, where a figure is normal."""
POINTS = 100.0
"""A score of 0 to 1 is shown in so many points."""
