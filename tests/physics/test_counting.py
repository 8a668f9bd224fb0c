"""Solves are counted where they happen, forward and transposed, one for each column."""

import threading

import torch

from xbinn.physics.counting import SolveCount, count_solves, note_elsewhere, note_solves
from xbinn.physics.steady_state import SoilCarbonModel


def test_columns_are_counted_both_ways(draw):
    columns = draw(5, seed=0)
    n, forcing = len(columns), columns.forcing
    parameters = columns.parameters.clone().requires_grad_()
    with count_solves() as count:
        state = SoilCarbonModel().steady_state(parameters, forcing)
        assert (count.forward, count.transposed) == (n, 0)
        torch.autograd.backward(state.soc.sum())
    assert (count.forward, count.transposed) == (n, n)
    SoilCarbonModel().steady_state(parameters.detach(), forcing)
    assert count.forward == n, "closed counts do not grow"


def test_counts_nest_and_see_other_threads():
    with count_solves() as outer, count_solves() as inner:
        thread = threading.Thread(target=note_solves, kwargs={"forward": 3, "transposed": 2})
        thread.start()
        thread.join()
    assert (outer.forward, inner.forward, inner.transposed) == (3, 3, 2)
    with count_solves() as outer:
        with count_solves() as inner:
            pass
        note_solves(forward=1)
    assert (outer.forward, inner.forward) == (1, 0)


def test_what_another_process_counted_is_added_once():
    with count_solves() as count:
        note_elsewhere(SolveCount(5, 4, "another"))
        with count_solves() as here:
            note_solves(forward=1)
        note_elsewhere(here)  # counted when it happened
    assert (count.forward, count.transposed) == (6, 4)
