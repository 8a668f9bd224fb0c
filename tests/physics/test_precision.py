"""float32 against float64 on real cells: is single precision good enough?"""

import numpy as np
import torch

from xbinn.physics.processes import carbon_closure, processes

STEP = 5_000
NEGLIGIBLE = 1e-6
"""Layers with less than this fraction of the largest SOC of their column are not compared."""


def test_single_precision_on_real_cells(real_columns):
    """20,000 draws of real cells x prior cube, parameters unrounded in the float64 run only."""
    assert len(real_columns) == 20_000
    by_layer, by_stock, by_process, closure = [], [], [], []
    for start in range(0, len(real_columns), STEP):
        part = real_columns.select(slice(start, start + STEP))
        single, double = part.to(torch.float32).solve(), part.to(torch.float64).solve()
        assert single.soc.dtype == torch.float32
        assert bool(single.pools.isfinite().all())
        assert float(single.pools.min()) >= 0.0
        error = (single.soc.double() - double.soc).abs() / double.soc
        by_layer.append(error[double.soc > NEGLIGIBLE * double.soc.amax(0)].numpy())
        x, y = processes(single), processes(double)
        by_stock.append((x.residence_time.double() / y.residence_time - 1.0).abs().numpy())
        by_process.append(
            [
                np.nanmax((a.double() / b - 1.0).abs().numpy())
                for name, a, b in zip(vars(x), vars(x).values(), vars(y).values(), strict=True)
                # beta itself is rounded, and near 1 its shape changes with that
                if name != "input_allocation"
            ]
        )
        closure.append(carbon_closure(single).abs().max().item())
    layers, stocks = np.concatenate(by_layer), np.concatenate(by_stock)
    assert np.quantile(layers, 0.999) < 2e-5
    assert layers.max() < 1e-4
    # Rounding beta to float32 moves the input at 8 m by up to 3e-5, and permafrost keeps it there.
    assert np.quantile(stocks, 0.999) < 3e-5
    assert stocks.max() < 1e-4
    assert np.max(by_process) < 1e-4
    assert max(closure) < 2e-6


def test_double_precision_closes_the_budget_of_real_cells(real_columns):
    part = real_columns.select(slice(0, STEP)).to(torch.float64)
    assert float(carbon_closure(part.solve()).abs().max()) < 1e-13
