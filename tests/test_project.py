"""The project keeps its own promises: light import, consistent tables, pinned tools."""

import ast
import importlib
import inspect
import itertools
import json
import math
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import numpydoc.docscrape
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import xbinn
from xbinn import constants, parameters, variables
from xbinn.errors import ParameterError

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "xbinn"
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
MODULES = sorted(PACKAGE.rglob("*.py"))


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


# --- import -----------------------------------------------------------------------------------


def test_import_loads_nothing_heavy() -> None:
    code = (
        "import json, sys, xbinn, xarray as xr;"
        "assert hasattr(xr.Dataset, 'binn');"
        "print(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(json.loads(ran.stdout))
    assert not loaded & {
        "torch", "dask", "distributed", "pint", "pint_xarray", "rioxarray", "rasterio",
        "matplotlib", "scipy", "zarr", "numba",
    }  # fmt: skip


# --- tables -----------------------------------------------------------------------------------


def test_column_is_consistent() -> None:
    n = constants.N_LAYERS + 1
    assert len(constants.LAYER_THICKNESS) == n
    assert len(constants.NODE_DEPTH) == n
    assert len(constants.INTERFACE_DEPTH) == n
    bottoms = itertools.accumulate(constants.LAYER_THICKNESS)
    assert list(bottoms) == pytest.approx(constants.INTERFACE_DEPTH, rel=1e-12)
    tops = (0.0, *constants.INTERFACE_DEPTH)
    for top, node, bottom in zip(
        tops, constants.NODE_DEPTH, constants.INTERFACE_DEPTH, strict=False
    ):
        assert top < node < bottom
    assert len(constants.POOL_LONG_NAMES) == constants.N_POOLS


def test_parameter_names_are_unique() -> None:
    names = [n for p in parameters.PARAMETERS for n in (p.name, *p.aliases)]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("p", parameters.PARAMETERS, ids=lambda p: p.name)
def test_parameter_is_consistent(p: parameters.Parameter) -> None:
    assert set(p.priors) == set(parameters.PRIORS)
    low, high = p.limits
    for least, most in p.priors.values():
        assert low <= least < most <= high
    if p.clm5_default is not None:
        assert low <= p.clm5_default <= high
    assert p.long_name
    assert p.units
    assert p.source


def test_parameters_without_default_come_from_sand() -> None:
    missing = {p.name for p in parameters.PARAMETERS if p.clm5_default is None}
    assert missing == set(parameters.clm5_sand_rule(50.0))


def test_sand_rule() -> None:
    # t = 0.85 - 0.68 * 0.5 = 0.51; fs1s2 = 0.49 * (1 - 0.004 / 0.49)
    rule = parameters.clm5_sand_rule(50.0)
    assert rule["fs1s2"] == pytest.approx(0.486, rel=1e-12)
    assert rule["fs1s3"] == 0.004


def test_unknown_prior_is_refused() -> None:
    with pytest.raises(ParameterError, match=r"'flat' is not known: choose one of 'binn', 'proda'"):
        parameters.prior_bounds("flat")  # type: ignore[arg-type]


def test_transfers_name_parameters_and_pools() -> None:
    for name, donor, receiver in parameters.TRANSFERS:
        assert name in parameters.PARAMETER_NAMES
        assert {donor, receiver} <= set(constants.POOLS)


def test_variable_names_are_unique() -> None:
    # A profile's soc and a column's soc are the same quantity on different dimensions.
    by_role = [(v.role, n) for v in variables.VARIABLES for n in (v.name, *v.aliases)]
    assert len(by_role) == len(set(by_role))
    outputs = {v.name for v in variables.VARIABLES if v.role != "profile"}
    assert not outputs & set(parameters.PARAMETER_NAMES)


@pytest.mark.parametrize("v", variables.VARIABLES, ids=lambda v: f"{v.role}-{v.name}")
def test_variable_is_consistent(v: variables.Variable) -> None:
    assert v.long_name
    assert v.units
    low, high = v.valid_range
    assert (-math.inf if low is None else low) < (math.inf if high is None else high)
    assert not set(v.dims) & set(v.optional_dims)


def test_inputs_follow_the_pools() -> None:
    assert len(variables.INPUT_NAMES) == constants.N_INPUTS


# --- code -------------------------------------------------------------------------------------


def test_table_numbers_stand_in_tables_only() -> None:
    forbidden = {
        constants.N_POOLS,
        constants.N_LAYERS,
        parameters.N_PARAMETERS,
        constants.N_POOLS * constants.N_LAYERS,
    }
    tables = {PACKAGE / "constants.py", PACKAGE / "parameters.py"}
    found = [
        f"{relative(path)}:{node.lineno}: {node.value}"
        for path in MODULES
        if path not in tables
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and type(node.value) is int and node.value in forbidden
    ]
    assert not found, "use xbinn.constants or xbinn.parameters"


def test_modules_are_small_rooms() -> None:
    long = [relative(p) for p in MODULES if len(p.read_text().splitlines()) > 400]
    assert not long, "split these modules"


def test_public_names_exist_and_are_documented() -> None:
    pages = "\n".join(p.read_text() for p in (ROOT / "docs" / "reference").glob("*.md"))
    for name in xbinn.__all__:
        assert getattr(xbinn, name).__doc__, name
        if not name.startswith("__"):
            listed = rf"^\s*{name}$|:: xbinn\.{name}\b"
            assert re.search(listed, pages, re.MULTILINE), f"{name} is not in docs/reference"


def test_what_a_page_names_is_there_after_import_xbinn() -> None:
    """In a process of its own, where nothing else has imported it."""
    page = (ROOT / "docs" / "reference" / "api.md").read_text()
    written = set(re.findall(r":: (xbinn(?:\.\w+)+)$", page, re.MULTILINE))
    # Not the homes of what functions return.
    public = (name for name in written if name.split(".")[1] in dir(xbinn))
    names = sorted(name for name in public if ".doors." not in name)
    assert "xbinn.science.calibration.calibration" in names
    assert not {"import_module", "version", "Any"} & set(dir(xbinn))
    code = f"import operator, xbinn; [operator.attrgetter(n[6:])(xbinn) for n in {names}]"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_experiments_are_those_of_the_reference() -> None:
    page = (ROOT / "docs" / "reference" / "api.md").read_text()
    named = set(re.findall(r":: xbinn\.science\.(\w+)", page)) - set(xbinn.science.__all__)
    assert named == set(dir(xbinn.science)) - {"compare"} - {
        name for name in dir(xbinn.science) if name.startswith("__")
    }


@pytest.mark.parametrize(
    "name", sorted(n for n in xbinn.__all__ if inspect.isfunction(getattr(xbinn, n)))
)
def test_public_functions_document_every_parameter(name: str) -> None:
    function = getattr(xbinn, name)
    doc = numpydoc.docscrape.FunctionDoc(function)
    documented = {n.strip(" *") for p in doc["Parameters"] for n in p.name.split(",")}
    wanted = {n for n, p in inspect.signature(function).parameters.items()}
    assert documented == wanted
    if inspect.signature(function).return_annotation not in (None, "None"):
        assert doc["Returns"]


# --- dependencies -----------------------------------------------------------------------------


def pins() -> dict[str, str]:
    lines = (ROOT / "requirements" / "constraints.txt").read_text().splitlines()
    pairs = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(name): version for name, version in pairs}


def requirements() -> list[Requirement]:
    project = PYPROJECT["project"]
    extras = project["optional-dependencies"]
    # dask-cuda and numba-cuda depend on the CUDA of the machine and are not part of the tested set.
    lists = [
        PYPROJECT["build-system"]["requires"],
        project["dependencies"],
        *(v for k, v in extras.items() if k != "gpu"),
    ]
    found = [Requirement(text) for text in itertools.chain(*lists)]
    return [r for r in found if r.name != "xbinn"]


@pytest.mark.parametrize("requirement", requirements(), ids=lambda r: r.name)
def test_tested_set_satisfies_the_floors(requirement: Requirement) -> None:
    pinned = pins()
    name = canonicalize_name(requirement.name)
    assert name in pinned, "add it to requirements/constraints.txt"
    assert requirement.specifier.contains(pinned[name])


# --- how arguments go -------------------------------------------------------------------------

DATA_ARGUMENTS = {
    "xbinn.check": {"profiles"},
    "xbinn.totals": {"variable"},
    "xbinn.show_versions": {"file"},
    "xbinn.plotting.plot_uncertainty": {"name"},
    "xbinn.datasets.open_grid": {"path"},
    "xbinn.datasets.open_profiles": {"path"},
    "xbinn.datasets.true_parameters": {"grid"},
    "xbinn.profiles.from_dataframe": {"columns"},
    "xbinn.profiles.to_standard_depths": {"depths"},
    "xbinn.testing.small_grid": {"shape"},
    "xbinn.testing.small_profiles": {"n"},
}
"""What may be left away and still comes by position: data, and what xarray too takes so."""
ORDER = ("ds", "sites", "model", "parameters", "covariates", "retrieved", "profiles", "training")
"""Of the data."""


def public_functions() -> list[str]:
    """Those on the reference page, and in the modules that it shows whole."""
    page = (ROOT / "docs" / "reference" / "api.md").read_text()
    names = {f"xbinn.{n}" for n in xbinn.__all__ if inspect.isfunction(getattr(xbinn, n))}
    names |= set(re.findall(r"autofunction:: ([\w.]+)", page))
    for module in (xbinn.datasets, xbinn.testing):
        functions = (n for n in module.__all__ if inspect.isfunction(getattr(module, n)))
        names |= {f"{module.__name__}.{n}" for n in functions}
    return sorted(names)


@pytest.mark.parametrize("name", public_functions())
def test_settings_come_by_keyword_and_data_in_order(name: str) -> None:
    module, _, last = name.rpartition(".")
    function = getattr(importlib.import_module(module), last)
    taken = inspect.signature(function).parameters.values()
    by_position = [p for p in taken if p.kind is not p.KEYWORD_ONLY]
    optional = {p.name for p in by_position if p.default is not p.empty}
    assert optional == DATA_ARGUMENTS.get(name, set())
    places = [ORDER.index(p.name) for p in by_position if p.name in ORDER]
    assert places == sorted(places)
