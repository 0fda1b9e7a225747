# SPDX-License-Identifier: Apache-2.0
import pytest

from conformance import comparison


@pytest.fixture(scope="session")
def outcome():
    return comparison.run()


@pytest.fixture(scope="session")
def complaints(outcome):
    return outcome.complaints()
