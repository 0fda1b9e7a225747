# SPDX-License-Identifier: Apache-2.0
"""What tests in Python share. Importable with test/ on the path: pytest.ini, PYTHONPATH."""
