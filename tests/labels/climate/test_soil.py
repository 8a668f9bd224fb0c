"""Soil physics against its exact solutions and limits."""

import numpy as np
import pytest

from xbinn.constants import INTERFACE_DEPTH, NODE_DEPTH
from xbinn.labels.climate import soil

NODES = np.array(NODE_DEPTH[:20])
YEAR = 365 * 86400.0


def test_retention_and_its_inverse():
    sand, clay = np.array([20.0, 50.0, 80.0]), np.array([40.0, 20.0, 5.0])
    for pressure in (-1.5, -0.033):
        water = soil.water_at(pressure, sand, clay)
        np.testing.assert_allclose(soil.potential(water, sand, clay), pressure, rtol=1e-12)
        assert (np.diff(water) < 0).all()  # sand holds less
    assert soil.porosity(40.0) == pytest.approx(0.489 - 0.0504)


def test_water_scalar_spans_its_bounds():
    sand, clay = 40.0, 20.0
    warm = 290.0
    at = {
        p: soil.water_scalar(soil.water_at(p, sand, clay), warm, sand, clay) for p in (-2.0, -0.2)
    }
    assert at[-2.0] == pytest.approx(0.0, abs=1e-12)
    # log(-2 / -0.2) / log(-2 / -0.002) = 1 / 3
    assert at[-0.2] == pytest.approx(1 / 3)
    assert soil.water_scalar(soil.porosity(sand), warm, sand, clay) <= 1.0
    assert soil.water_scalar(0.0, warm, sand, clay) == 0.0
    frozen = [soil.water_scalar(0.3, t, sand, clay) for t in (273.15, 272.9, 272.0, 270.0)]
    assert (np.diff(frozen) < 0).all()
    assert frozen[-1] == 0.0


def test_oxygen_is_short_where_pores_are_full():
    pores = soil.porosity(50.0)
    found = soil.oxygen_scalar(np.array([0.1, pores - 0.1, pores - 0.05, pores]), 50.0)
    np.testing.assert_allclose(found, [1.0, 1.0, 0.5, 0.2])


def test_temperature_is_the_damped_wave():
    """One harmonic without freezing: amplitude exp(-z/d), delayed by z/d (Carslaw and Jaeger)."""
    t = np.arange(12) / 12 * 2 * np.pi
    air = 290.0 + 8.0 * np.cos(t)
    found = soil.soil_temperature(air, 0.25, 40.0, 20.0)
    capacity = soil.heat_capacity(0.25, 40.0, 20.0)
    diffusivity = soil.conductivity(0.25, 40.0, 20.0, False) / capacity
    assert 2e-7 < diffusivity < 1e-6  # m2 s-1, of moist mineral soil
    depth = np.sqrt(diffusivity * YEAR / np.pi)
    expected = 290.0 + 8.0 * np.exp(-NODES / depth) * np.cos(t[:, None] - NODES / depth)
    np.testing.assert_allclose(found, expected, atol=1e-9)
    np.testing.assert_allclose(found.mean(axis=0), 290.0)


def test_snow_halves_frost():
    air = 273.15 + np.array([-20.0, 0.0, 10.0])
    np.testing.assert_allclose(soil.surface_temperature(air), 273.15 + np.array([-10.0, 0.0, 10.0]))


def test_freezing_and_dryness_change_how_far_the_year_reaches():
    t = np.arange(12) / 12 * 2 * np.pi

    def reach(mean, water):
        layers = soil.soil_temperature(mean + 10.0 * np.cos(t), water, 40.0, 20.0)
        return np.ptp(layers[:, 9]) / 20.0

    assert reach(275.0, 0.3) < reach(290.0, 0.3)  # latent heat
    assert reach(290.0, 0.02) < reach(290.0, 0.2)  # dry soil conducts less


def test_bucket_keeps_the_balance():
    months = np.ones(12)
    capacity = np.array([150.0])
    warm = 15.0 * months[None]
    # Supply and demand in balance: demand S / C = supply.
    held = soil.bucket(warm, 30.0 * months[None], 60.0 * months[None], capacity)
    np.testing.assert_allclose(held, 75.0, rtol=1e-6)
    np.testing.assert_allclose(
        soil.bucket(warm, 500 * months[None], 1 * months[None], capacity), 150.0
    )
    assert soil.bucket(warm, 0 * months[None], 100 * months[None], capacity).max() < 1e-6
    cold = warm.copy()
    cold[0, :3] = -5.0
    rain = np.zeros((1, 12))
    rain[0, :3] = 20.0  # 60 mm of snow, which melts in April
    found = soil.bucket(cold, rain, 0 * rain + 50.0, capacity)[0]
    assert found[3] > found[2]
    # Half of the first month after the melt: 60 mm supplied evenly, decaying at a third a month.
    after = 60.0 * (1 - np.exp(-1 / 3)) * 3
    assert found[3] == pytest.approx(0.5 * (after + 2 * found[2] - found[1]), abs=20.0)


def test_evapotranspiration_of_thornthwaite():
    """12 hours and the same warmth all year: 16 (10 T / I) ** a, by hand."""
    air = np.full((1, 12), 20.0)
    index = 12 * 4.0**1.514
    power = 6.75e-7 * index**3 - 7.71e-5 * index**2 + 1.792e-2 * index + 0.49239
    found = soil.thornthwaite(air, np.full((1, 12), 12.0))
    np.testing.assert_allclose(found, 16.0 * (200.0 / index) ** power)
    assert soil.thornthwaite(-air, np.full((1, 12), 12.0)).max() == 0.0
    light = soil.daylight(np.array([0.0, 60.0, -60.0, 80.0]), 12)
    np.testing.assert_allclose(light[0], 12.0, atol=1e-9)
    np.testing.assert_allclose(light[1] + light[2], 24.0, atol=1e-9)
    assert light[3].max() == 24.0
    assert 17.5 < light[1].max() < 19.0


def test_thaw_depth():
    warmest = np.stack([
        np.full(20, 275.0),  # thaws all the way
        np.full(20, 270.0),  # never
        273.15 + 1.06 - NODES,  # linear: crosses at the node of 1.06 m
        273.15 + 1.0 - NODES,
    ])  # fmt: skip
    year = np.stack([warmest - 5.0, warmest], axis=1)
    found = soil.thaw_depth(year)
    np.testing.assert_allclose(found, [INTERFACE_DEPTH[19], 0.0, 1.06, 1.0], atol=1e-9)
