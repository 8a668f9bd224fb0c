"""Saved models: they come back the same or not at all, and nothing in them is executed."""

import ast
import json
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

import xbinn
from xbinn.errors import ModelFileError, XbinnError
from xbinn.running import artefact, predictor
from xbinn.testing import small_grid, small_profiles


@pytest.fixture(scope="module")
def grid() -> xr.Dataset:
    return small_grid()


@pytest.fixture(scope="module")
def profiles(grid) -> xr.Dataset:
    return small_profiles(grid)


@pytest.fixture(scope="module")
def model(grid, profiles) -> xbinn.Model:
    return xbinn.fit(grid, profiles, epochs=2, seed=0, hidden=(4,))


@pytest.fixture
def path(model, tmp_path) -> Path:
    model.save(tmp_path / "m.xbinn")
    return tmp_path / "m.xbinn"


# --- the same comes back ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"dtype": "float64"},
        {"encoder": "constant"},
        {"encoder": "linear", "constraint": "hard_sigmoid"},
        {"encoder": "spline"},
        {"prior": "proda", "bedrock": "published"},
        {"validation": None},
        {"observation": "node", "loss": "smooth_l1", "block_size": "300 km"},
    ],
    ids=str,
)
def test_a_loaded_model_is_the_model(grid, profiles, tmp_path, settings):
    model = xbinn.fit(grid, profiles, epochs=2, seed=0, **settings)
    model.save(tmp_path / "m.xbinn")
    loaded = xbinn.load(tmp_path / "m.xbinn")
    assert loaded.sha256 == model.sha256
    ours, theirs = xbinn.predict(grid, loaded), xbinn.predict(grid, model)
    xr.testing.assert_equal(ours, theirs)
    assert ours.attrs["source"] == theirs.attrs["source"]
    assert model.sha256 in ours.attrs["source"]
    xr.testing.assert_equal(xbinn.score(grid, loaded, profiles), xbinn.score(grid, model, profiles))
    xr.testing.assert_identical(loaded.history, model.history)
    assert loaded.covariates == model.covariates
    assert loaded.left_out == model.left_out
    assert json.loads(json.dumps(model.settings)) == loaded.settings
    assert repr(loaded) == repr(model)
    assert loaded._repr_html_() == model._repr_html_()
    for name, weight in model.predictor.network.state_dict().items():
        assert weight.dtype == loaded.predictor.network.state_dict()[name].dtype


def test_saving_again_gives_the_same_bytes(model, path, tmp_path):
    xbinn.load(path).save(tmp_path / "again.xbinn")
    assert (tmp_path / "again.xbinn").read_bytes() == path.read_bytes()


def test_the_file_explains_itself(model, path):
    magic, stated, payload = path.read_bytes().split(b"\n", 2)
    assert magic == b"xbinn model 1"
    assert stated.decode() == f"sha256 {model.sha256}"
    length = int.from_bytes(payload[:8], "little")
    meta = json.loads(json.loads(payload[8 : 8 + length])["__metadata__"]["xbinn"])
    assert {
        "encoder", "members", "covariates", "prior", "bedrock", "parameter_table", "xbinn_version",
        "settings", "record", "training_data", "observation_noise",
    } == set(meta)  # fmt: skip
    assert len(meta["training_data"]["fingerprint"]) == 64
    assert meta["covariates"]["numeric"][0] == ["annual_mean_temperature", "degC"]


def test_a_missing_loss_is_null_in_the_file_and_nan_in_memory(grid, profiles, tmp_path):
    model = xbinn.fit(grid, profiles, epochs=1, seed=0, validation=None)
    model.record[0]["training_loss"][0] = float("nan")
    model.save(tmp_path / "m.xbinn")
    assert np.isnan(xbinn.load(tmp_path / "m.xbinn").history["training_loss"][0])


def test_repr(model):
    text, html = repr(model), model._repr_html_()
    for part in ("10 numeric, 2 categorical", "binn", "closed", "in 12 cells", model.sha256):
        assert part in text
        assert part in html
    assert "R2" in text


def test_a_model_can_be_used_after_its_file_is_gone_or_replaced(grid, profiles, model, path):
    expected = xbinn.predict(grid, model)
    loaded = xbinn.load(path)
    other = xbinn.fit(grid, profiles, epochs=2, seed=1, hidden=(4,))
    other.save(path)
    xr.testing.assert_equal(xbinn.predict(grid, loaded), expected)
    path.unlink()
    xr.testing.assert_equal(xbinn.predict(grid, loaded), expected)


def test_the_reference_heals_a_file_that_is_no_model(model):
    reference = model.reference()
    Path(reference.path).write_bytes(b"")
    again = model.reference()
    assert again == reference
    assert artefact.read(again.path).sha256 == model.sha256


# --- damage -----------------------------------------------------------------------------------


def test_every_flipped_byte_is_refused(path):
    content = path.read_bytes()
    header = range(len(artefact._MAGIC) + 80)
    rng = np.random.default_rng(0)
    sample = {*header, len(content) - 1, *rng.integers(0, len(content), 200).tolist()}
    for position in sorted(sample):
        for flip in (0x01, 0x80):
            damaged = bytearray(content)
            damaged[position] ^= flip
            path.write_bytes(damaged)
            with pytest.raises(ModelFileError, match=r"is damaged|is not a model"):
                xbinn.load(path)
    path.write_bytes(content)
    assert xbinn.load(path)


@pytest.mark.parametrize("keep", [1, 13, 14, 50, 85, 86, 200, -1, -100])
def test_truncation_is_refused(path, keep):
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ModelFileError, match=r"is damaged|is not a model"):
        xbinn.load(path)


def test_bytes_at_the_end_are_refused(path):
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(ModelFileError, match=r"is damaged.*copy it again"):
        xbinn.load(path)


def test_empty_file_is_refused(path):
    path.write_bytes(b"")
    with pytest.raises(ModelFileError, match="it begins with b''"):
        xbinn.load(path)


def test_missing_file_and_folder_are_refused(tmp_path):
    for place in (tmp_path / "none.xbinn", tmp_path):
        with pytest.raises(ModelFileError, match=r"cannot be read.*check the path"):
            xbinn.load(place)


class _Bomb:
    """Touches a file when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return Path.touch, (self.mark,)


def test_pickle_is_refused_and_not_run(tmp_path):
    mark = tmp_path / "was-executed"
    path = tmp_path / "m.xbinn"
    path.write_bytes(pickle.dumps(_Bomb(mark)))
    with pytest.raises(ModelFileError, match="is not a model"):
        xbinn.load(path)
    payload = pickle.dumps(_Bomb(mark))
    path.write_bytes(artefact._MAGIC + b"sha256 " + _sha(payload) + b"\n" + payload)
    with pytest.raises(ModelFileError, match="does not hold a model"):
        xbinn.load(path)
    assert not mark.exists()


def _sha(payload: bytes) -> bytes:
    return artefact._digest(payload).encode()


def test_nothing_here_unpickles():
    package = Path(xbinn.__file__).parent
    for file in package.rglob("*.py"):
        tree = ast.parse(file.read_text())
        for node in ast.walk(tree):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                # An error is caught by its name; nothing is unpickled for that.
                told = {alias.name for alias in node.names}
                names = [node.module or ""] if told != {"UnpicklingError"} else []
            elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                assert (node.value.id, node.attr) != ("torch", "load"), file
            assert not {"pickle", "cloudpickle", "joblib", "dill"} & set(names), file


def rewritten(path: Path, change) -> Path:
    """The model with other metadata and a right sha256: no accident, but somebody's edit."""
    saved = artefact.read(path)
    meta = json.loads(json.dumps(saved.metadata))
    change(meta)
    path.write_bytes(artefact.to_bytes(saved.weights, meta))
    return path


def test_another_parameter_table_is_refused(path):
    def change(meta):
        meta["parameter_table"] = "0" * 64
        meta["xbinn_version"] = "9.9"

    with pytest.raises(ModelFileError, match=r"another parameter table \(by xbinn 9.9\)"):
        xbinn.load(rewritten(path, change))


def test_a_changed_parameter_table_changes_the_digest(path, monkeypatch):
    from dataclasses import replace

    from xbinn import parameters

    q10, *others = parameters.PARAMETERS
    wider = replace(q10, priors={k: (low, 2 * high) for k, (low, high) in q10.priors.items()})
    predictor.parameter_table_digest.cache_clear()
    monkeypatch.setattr(parameters, "PARAMETERS", (wider, *others))
    try:
        with pytest.raises(ModelFileError, match="another parameter table"):
            xbinn.load(path)
    finally:
        predictor.parameter_table_digest.cache_clear()


def test_the_noise_of_observations_is_kept(model, path):
    assert xbinn.load(path).predictor.noise == model.predictor.noise
    assert "noise" in repr(model)


def test_a_model_saved_before_noise_was_learnt_is_still_read(path):
    old = xbinn.load(rewritten(path, lambda meta: meta.pop("observation_noise")))
    assert old.predictor.noise is None


@pytest.mark.parametrize("part", ["settings", "record", "training_data"])
def test_a_model_that_lacks_a_part_is_refused(path, part):
    with pytest.raises(ModelFileError, match=f"lacks {part}: save the model again"):
        xbinn.load(rewritten(path, lambda meta: meta.pop(part)))


@pytest.mark.parametrize(
    "change",
    [
        lambda meta: meta.pop("covariates"),
        lambda meta: meta.pop("encoder"),
        lambda meta: meta.pop("prior"),
        lambda meta: meta.update(prior="flat"),
        lambda meta: meta.update(bedrock="open"),
        lambda meta: meta.update(covariates=3),
        lambda meta: meta["encoder"].update(hidden=[8]),
        lambda meta: meta["encoder"].update(encoder="cnn"),
        lambda meta: meta["covariates"].update(categorical=[["a", ["x"]]]),
    ],
)
def test_a_model_that_does_not_fit_together_is_refused(path, change):
    with pytest.raises(ModelFileError, match=r"(?s)is incomplete.*save it again"):
        xbinn.load(rewritten(path, change))


def test_an_encoder_with_what_is_unknown_is_refused_with_the_version_that_made_it(path):
    def change(meta):
        meta["encoder"]["glasses"] = True
        meta["xbinn_version"] = "9.9"

    said = r"has what this version.*'glasses'.*fit it again.*that made it \(9.9\)"
    with pytest.raises(ModelFileError, match=said):
        xbinn.load(rewritten(path, change))


def test_weights_without_metadata_are_refused(path):
    import safetensors.torch

    payload = safetensors.torch.save(dict(artefact.read(path).weights))
    path.write_bytes(artefact._MAGIC + b"sha256 " + _sha(payload) + b"\n" + payload)
    with pytest.raises(ModelFileError, match="does not hold a model"):
        xbinn.load(path)


def test_errors_are_of_xbinn_and_of_the_system(tmp_path):
    with pytest.raises(OSError, match="cannot be read"):
        xbinn.load(tmp_path / "none")
    assert issubclass(ModelFileError, XbinnError)


# --- writing ----------------------------------------------------------------------------------


def test_overwriting_is_whole_or_not_at_all(model, path, monkeypatch):
    before = path.read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(artefact.os, "fsync", full)
    with pytest.raises(ModelFileError, match=r"cannot be written.*No space left"):
        model.save(path)
    monkeypatch.undo()
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]
    model.save(path)
    assert xbinn.load(path).sha256 == model.sha256


def test_an_interrupt_leaves_the_old_file(model, path, monkeypatch):
    before = path.read_bytes()

    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(artefact.os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        model.save(path)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_a_folder_that_is_not_there(model, tmp_path):
    with pytest.raises(ModelFileError, match=r"cannot be written.*folder exists"):
        model.save(tmp_path / "none" / "m.xbinn")


def test_relative_paths(model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model.save("m.xbinn")
    assert xbinn.load("m.xbinn").sha256 == model.sha256


def test_a_fresh_process_gives_the_same_numbers(grid, model, path, tmp_path):
    expected = xbinn.predict(grid, model)
    out = tmp_path / "out.nc"
    code = (
        "import sys, xbinn; from xbinn.testing import small_grid;"
        "model = xbinn.load(sys.argv[1]); assert model.sha256 == sys.argv[3];"
        "small_grid().binn.predict(model).to_netcdf(sys.argv[2], engine='h5netcdf')"
    )
    subprocess.run([sys.executable, "-c", code, path, out, model.sha256], check=True)
    with xr.open_dataset(out, engine="h5netcdf", decode_coords="all") as again:
        xr.testing.assert_allclose(again.load(), expected, rtol=1e-6)
