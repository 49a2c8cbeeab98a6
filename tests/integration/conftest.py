"""Marks and the order of things for the integration tests: `big` runs only where STEELYARD_BIG is set."""

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from harness import BINARY  # noqa: E402


def pytest_configure(config):
    config.addinivalue_line("markers", "big: moves many gigabytes; runs only with STEELYARD_BIG=1")


def pytest_collection_modifyitems(items):
    if not os.access(BINARY, os.X_OK):
        pytest.exit(f"{BINARY} is not there: build it (./dev build) or name it with STEELYARD", returncode=2)
    if not os.environ.get("STEELYARD_BIG"):
        for item in items:
            if item.get_closest_marker("big"):
                item.add_marker(pytest.mark.skip(reason="set STEELYARD_BIG=1"))
