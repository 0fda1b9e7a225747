# SPDX-License-Identifier: Apache-2.0
"""The costs that do not depend on the machine (lib/cost_figures.py) stay within their budgets."""
import pytest

from lib.cost_figures import FIGURES, budgets


@pytest.mark.parametrize("name", FIGURES)
def test_figure_is_within_its_budget(name):
    """Lower the goal in test/bench/budgets.json when a figure falls."""
    budget = budgets()[name]
    assert FIGURES[name]() <= budget["goal"] + budget["margin"], budget


def test_each_margin_has_a_figure_and_a_reason():
    margins = {name: budget for name, budget in budgets().items() if "margin" in budget}
    assert margins.keys() == FIGURES.keys()
    assert all(budget["why"] for budget in margins.values())
