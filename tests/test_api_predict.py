"""`xbinn.predict`: lazy, the same for any chunks, scheduler and layout of the grid."""

import dask
import dask.array
import numpy as np
import pytest
import torch
import xarray as xr
from distributed import Client, LocalCluster
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

import xbinn
from xbinn.errors import DeviceError, InputError
from xbinn.parameters import PARAMETER_NAMES
from xbinn.testing import small_grid, small_profiles
from xbinn.variables import CARBON_NAMES, PROCESS_NAMES, Status

SHAPE = (5, 6)


@pytest.fixture(scope="module")
def grid() -> xr.Dataset:
    return small_grid(SHAPE)


@pytest.fixture(scope="module")
def model(grid) -> xbinn.Model:
    return xbinn.fit(grid, small_profiles(grid, 60), epochs=3, seed=0)


@pytest.fixture(scope="module")
def predicted(grid, model) -> xr.Dataset:
    return xbinn.predict(grid, model)


def close(actual: xr.Dataset, expected: xr.Dataset, rtol: float = 1e-5) -> None:
    # Batches of another size round differently in the network's matrix products.
    xr.testing.assert_allclose(actual.drop_attrs(), expected.drop_attrs(), rtol=rtol, atol=0.0)


# --- what comes back --------------------------------------------------------------------------


def test_outputs(grid, predicted):
    assert list(predicted.data_vars) == [
        *PARAMETER_NAMES, *PROCESS_NAMES, *CARBON_NAMES, "status",
    ]  # fmt: skip
    for name, da in predicted.data_vars.items():
        assert da.dims == (("depth", "lat", "lon") if name == "soc" else ("lat", "lon"))
        assert da.dtype == (np.int8 if name == "status" else np.float32)
        assert da.attrs["units"]
        assert da.attrs["long_name"]
    assert predicted["soc"].attrs["units"] == "kg m-3"
    assert predicted["cSoil"].attrs["standard_name"] == "soil_mass_content_of_carbon"
    assert predicted["cSoil"].attrs["ancillary_variables"] == "status"
    assert predicted.attrs["Conventions"] == "CF-1.11, ACDD-1.3"
    land = grid["TSOI"].notnull().all(["month", "depth"])
    np.testing.assert_array_equal(predicted.status == Status.VALID, land)
    for name in ("cSoil", "q10", "soc"):
        da = predicted[name] if name != "soc" else predicted[name].isel(depth=0)
        np.testing.assert_array_equal(da.notnull(), land)


@pytest.mark.parametrize(
    ("outputs", "names"),
    [
        (("parameters",), PARAMETER_NAMES),
        (("processes",), PROCESS_NAMES),
        ("soc", CARBON_NAMES),
        (("soc", "parameters"), (*PARAMETER_NAMES, *CARBON_NAMES)),
    ],
)
def test_groups_of_outputs(grid, model, predicted, outputs, names):
    out = xbinn.predict(grid, model, outputs=outputs)
    assert list(out.data_vars) == [*names, "status"]
    assert ("depth" in out.coords) == ("soc" in names)
    for name in (*names, "status"):
        np.testing.assert_array_equal(out[name], predicted[name])


@pytest.mark.parametrize("outputs", [(), ("maps",), "maps", ("soc", "pools")])
def test_unknown_outputs_are_refused(grid, model, outputs):
    with pytest.raises(InputError, match=r"cannot be returned: choose one or more of 'parameters'"):
        xbinn.predict(grid, model, outputs=outputs)


def test_what_is_no_model_or_dataset_is_refused(grid, model):
    with pytest.raises(InputError, match=r"model must be an xbinn.Model, not str.*xbinn.load"):
        xbinn.predict(grid, "m.xbinn")
    with pytest.raises(InputError, match=r"ds must be an xarray.Dataset"):
        xbinn.predict(grid["TSOI"], model)


def test_device(grid, model, predicted, device):
    close(xbinn.predict(grid, model, device=device.type), predicted, rtol=1e-4)


def test_a_device_that_is_not_there_is_refused_at_once(grid, model):
    with pytest.raises(DeviceError, match="device 'cuda:99' was asked for"):
        xbinn.predict(grid.chunk(lat=2), model, device="cuda:99")


def test_simulate_with_the_predicted_parameters_agrees(grid, predicted):
    names = [*PROCESS_NAMES, *CARBON_NAMES]
    out = xbinn.simulate(grid, predicted, dtype="float32")
    close(out[[*names, "status"]], predicted[[*names, "status"]])


# --- lazy -------------------------------------------------------------------------------------


def test_building_computes_nothing(grid, model, predicted, raise_if_dask_computes):
    lazy = grid.chunk(lat=2, lon=4, month=5, depth=7)
    with raise_if_dask_computes():
        out = xbinn.predict(lazy, model)
        repr(out)
    for name, da in out.data_vars.items():
        assert isinstance(da.data, dask.array.Array), name
        assert da.data.dtype == predicted[name].dtype
        assert type(da.data._meta) is np.ndarray
        assert da.chunksizes["lat"] == (2, 2, 1)
        assert da.chunksizes["lon"] == (4, 2)
    assert out["soc"].chunksizes["depth"] == (20,)
    close(out.compute(scheduler="synchronous"), predicted)


def test_the_model_is_not_in_the_graph(grid, model):
    out = xbinn.predict(grid.chunk(lat=1), model, outputs=("soc",))
    import cloudpickle

    layers = out["cSoil"].data.dask.layers
    block = next(layer for name, layer in layers.items() if "predict_block" in name)
    assert len(cloudpickle.dumps(block)) < 100_000


def test_one_block_is_computed_once(grid, model, monkeypatch):
    from xbinn.running import block

    calls = []
    original = block.pack
    monkeypatch.setattr(block, "pack", lambda *args: calls.append(1) or original(*args))
    xbinn.predict(grid.chunk(lat=3), model).compute(scheduler="synchronous")
    assert len(calls) == 2


def test_bad_values_are_found_when_computed(grid, model, raise_if_dask_computes):
    spoilt = grid.assign(W_SCALAR=(grid["W_SCALAR"] * 100).assign_attrs(units="1")).chunk(lat=2)
    with raise_if_dask_computes():
        out = xbinn.predict(spoilt, model)
    with pytest.raises(InputError, match=r"W_SCALAR from .* looks like percent"):
        out.compute(scheduler="synchronous")


# --- chunks and schedulers --------------------------------------------------------------------


def parts(size: int) -> st.SearchStrategy[tuple[int, ...]]:
    """Draw chunks that add up to a size."""
    cuts = st.sets(st.integers(1, size - 1), max_size=size - 1)
    return cuts.map(lambda c: tuple(np.diff([0, *sorted(c), size]).tolist()))


chunkings = st.fixed_dictionaries({"lat": parts(SHAPE[0]), "lon": parts(SHAPE[1])})


@given(chunks=chunkings, other=chunkings)
@settings(max_examples=6, phases=[Phase.generate])
def test_chunks_do_not_matter(grid, model, predicted, chunks, other):
    lazy = grid.chunk(chunks)
    # As when covariates and forcing come from different files.
    lazy = lazy.assign({n: grid[n].chunk(other) for n in ("elevation", "TSOI")})
    out = xbinn.predict(lazy, model)
    close(out.compute(scheduler="threads", num_workers=2), predicted)
    close(out.compute(scheduler="synchronous"), predicted)


def test_the_same_chunks_give_the_same_bytes(grid, model):
    out = xbinn.predict(grid.chunk(lat=2), model)
    once, again = (out.compute(scheduler=s) for s in ("threads", "synchronous"))
    xr.testing.assert_identical(once, again)


def test_worker_threads_leave_the_main_thread_alone(grid, model):
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        xbinn.predict(grid.chunk(lat=1), model).compute(scheduler="threads", num_workers=2)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


@pytest.fixture(scope="module")
def client():
    with (
        LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client


def test_a_cluster_gives_the_same_numbers(grid, model, predicted, client):
    for chunks in ({"lat": 2, "lon": 3}, {"lat": (1, 4), "lon": 6}):
        close(xbinn.predict(grid.chunk(chunks), model).compute(), predicted)
    parameters = xbinn.default_parameters(grid)
    lazy = xbinn.simulate(grid.chunk(lat=2), parameters).compute()
    close(lazy, xbinn.simulate(grid, parameters), rtol=1e-12)


def test_a_cluster_passes_errors_on(grid, model, client):
    spoilt = grid.assign(nbedrock=grid["nbedrock"] + 0.5).chunk(lat=5)
    with pytest.raises(InputError, match="nbedrock is not an integer"):
        xbinn.predict(spoilt, model).compute()


# --- layouts of the grid ----------------------------------------------------------------------


@pytest.mark.parametrize("chunked", [False, True])
def test_latitude_flipped(grid, model, predicted, chunked):
    flipped = grid.isel(lat=slice(None, None, -1))
    out = xbinn.predict(flipped.chunk(lat=2) if chunked else flipped, model).compute()
    np.testing.assert_array_equal(out.lat, flipped.lat)
    close(out.sortby("lat"), predicted)


def test_longitude_from_0_to_360(grid, model, predicted):
    shifted = grid.assign_coords(lon=grid.lon % 360).sortby("lon")
    out = xbinn.predict(shifted, model)
    close(out.assign_coords(lon=(out.lon + 180) % 360 - 180).sortby("lon"), predicted)


@pytest.mark.parametrize("chunked", [False, True])
def test_list_of_points(grid, model, predicted, chunked):
    points = grid.stack(cell=("lat", "lon"))
    out = xbinn.predict(points.chunk(cell=7) if chunked else points, model).compute()
    assert out["soc"].dims == ("depth", "cell")
    close(out.unstack("cell"), predicted)
    plain = points.reset_index("cell").drop_vars("cell", errors="ignore")
    out = xbinn.predict(plain, model)
    np.testing.assert_array_equal(out.lat, points.lat)
    np.testing.assert_allclose(out.cSoil, predicted.cSoil.values.ravel(), rtol=1e-5)


def test_one_column(grid, model, predicted):
    place = {"lat": 2, "lon": 3}
    out = xbinn.predict(grid.isel(place), model)
    assert out["cSoil"].dims == ()
    close(out, predicted.isel(place, drop=True))


def test_projected_grid(grid, model, predicted):
    import rioxarray  # noqa: F401

    renamed = grid.rename(lat="y", lon="x").assign_coords(
        y=grid.lat.values * 1e5, x=grid.lon.values * 1e5
    )
    projected = renamed.rio.write_crs("EPSG:6933")
    out = xbinn.predict(projected, model)
    assert out.rio.crs.to_epsg() == 6933
    np.testing.assert_allclose(out.cSoil, predicted.cSoil, rtol=1e-6)
    np.testing.assert_array_equal(out.y, projected.y)
    assert out["cSoil"].attrs["grid_mapping"] == "spatial_ref"


def test_fit_is_the_same_on_any_layout(grid):
    profiles = small_profiles(grid, 60)
    expected = xbinn.fit(grid, profiles, epochs=1, seed=0).training_data
    layouts = {
        "flipped": grid.isel(lat=slice(None, None, -1)),
        "0..360": grid.assign_coords(lon=grid.lon % 360).sortby("lon"),
        "transposed": grid.transpose("lon", ...),
        "points": grid.stack(cell=("lat", "lon")).reset_index("cell"),
    }
    for name, layout in layouts.items():
        found = xbinn.fit(layout, profiles, epochs=1, seed=0).training_data
        for key in ("sites", "profiles", "samples", "left_out"):
            assert found[key] == expected[key], name
    moved = profiles.assign_coords(lon=profiles.lon % 360)
    found = xbinn.fit(grid, moved, epochs=1, seed=0).training_data
    assert found == expected


# --- nothing there ----------------------------------------------------------------------------


@pytest.mark.parametrize("chunks", [None, {"lat": 2}])
def test_an_empty_selection_is_an_empty_result(grid, model, predicted, chunks):
    nothing = grid.isel(lat=slice(0, 0))
    out = xbinn.predict(nothing if chunks is None else nothing.chunk(chunks), model).compute()
    assert out.sizes == {**predicted.sizes, "lat": 0}
    simulated = xbinn.simulate(nothing, xbinn.default_parameters(nothing))
    assert simulated.sizes["lat"] == 0


def test_a_block_of_size_zero_among_others(grid, model, predicted):
    lazy = grid.map(
        lambda da: (
            da.copy(data=dask.array.from_array(da.data, chunks=_zero_chunk(da)))
            if "lat" in da.dims
            else da
        )
    )
    close(xbinn.predict(lazy, model).compute(scheduler="synchronous"), predicted)


def _zero_chunk(da: xr.DataArray) -> tuple:
    return tuple((2, 0, 3) if d == "lat" else (n,) for d, n in da.sizes.items())


def test_all_ocean(grid, model):
    ocean = grid.copy()
    for name in (*xbinn.variables.FORCING_NAMES, "elevation"):
        ocean[name] = xr.full_like(grid[name], np.nan)
    for ds in (ocean, ocean.chunk(lat=2)):
        out = xbinn.predict(ds, model).compute(scheduler="synchronous")
        assert bool((out.status == Status.NO_FORCING).all())
        assert bool(out.drop_vars("status").isnull().all().to_array().all())


def test_missing_in_part_touches_no_neighbour(grid, model, predicted):
    holes = grid.copy(deep=True)
    holes["TSOI"][0, 3, 2, 3] = np.nan
    holes["ALTMAX"][5, 2, 4] = np.inf
    out = xbinn.predict(holes, model)
    assert int(out.status[2, 3]) == int(out.status[2, 4]) == Status.NO_FORCING
    others = xr.ones_like(grid["elevation"], dtype=bool)
    others[2, 3:5] = False
    close(out.where(others), predicted.where(others))
