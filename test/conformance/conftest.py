import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.dont_write_bytecode = True

import kit  # noqa: E402


@pytest.fixture(scope="session")
def outcome():
    return kit.run()


@pytest.fixture(scope="session")
def complaints(outcome):
    return outcome.complaints()
