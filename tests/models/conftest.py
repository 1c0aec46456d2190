"""Rows for a small torch module."""

import numpy as np
import pytest

from tests.models.torch_cases import D, N


@pytest.fixture
def X(rng):
    return rng.normal(size=(N, D)).astype(np.float32)
