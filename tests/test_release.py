"""What is written more than once for a release says the same each time."""

import ast
import importlib.metadata
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version
from rattler_build import RattlerBuildError, Stage0Recipe, VariantConfig

import xbinn

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT = PYPROJECT["project"]
CONDA_NAMES = {"cf-xarray": "cf_xarray", "matplotlib": "matplotlib-base", "torch": "pytorch"}
"""Packages whose name in conda is another one; conda's names are in lower case."""
CONDA_PARTS = {
    "dask": ["dask-core", "distributed"],  # dask[array,distributed]; numpy is there by itself
    "h5netcdf": ["h5netcdf", "h5py"],  # h5netcdf[h5py]
}
UNVERSIONED = {"h5py"}
"""Parts of an extra, which states no floor of its own."""
NOT_IN_CONDA_FORGE = {"gpu"}
"""Extras that the recipe leaves to the user: dask-cuda and numba-cuda depend on the machine."""
DEVELOPERS = {"dev", "docs", "test"}


def recipe() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "recipe" / "recipe.yaml").read_text())


def conda(requirement: Requirement) -> dict[str, SpecifierSet]:
    name = canonicalize_name(requirement.name)
    names = CONDA_PARTS.get(name, [CONDA_NAMES.get(name, name)])
    return {n: SpecifierSet() if n in UNVERSIONED else requirement.specifier for n in names}


def listed(lines: list[str]) -> dict[str, SpecifierSet]:
    parts = (line.partition(" ") for line in lines if line.partition(" ")[0] != "python")
    return {name: SpecifierSet(floor) for name, _, floor in parts}


def wanted(texts: list[str]) -> dict[str, SpecifierSet]:
    found: dict[str, SpecifierSet] = {}
    for requirement in map(Requirement, texts):
        if requirement.name != PROJECT["name"]:  # an extra may hold another one
            found |= conda(requirement)
    return found


# --- version ----------------------------------------------------------------------------------


def test_the_version_comes_from_tags():
    assert PROJECT["dynamic"] == ["version"]
    assert "version" not in PROJECT
    assert xbinn.__version__ == importlib.metadata.version("xbinn")
    assert Version(xbinn.__version__) >= Version(fallback())


def fallback() -> str:
    return PYPROJECT["tool"]["hatch"]["version"]["fallback-version"]


# --- the recipe -------------------------------------------------------------------------------


def rendered() -> dict[str, Any]:
    """The recipe as rattler-build reads it, which refuses what it does not know."""
    text = (ROOT / "recipe" / "recipe.yaml").read_text()
    (variant,) = Stage0Recipe.from_yaml(text).render(VariantConfig())
    return variant.recipe.to_dict()


def test_the_recipe_renders():
    found = rendered()
    assert found["package"] == {"name": PROJECT["name"], "version": fallback()}
    least = PROJECT["requires-python"].removeprefix(">=")
    requirements = found["requirements"]
    assert requirements["host"][0] == f"python {least}.*"
    assert requirements["run"][0] == f"python >={least}"
    assert found["tests"][0]["python"]["python_version"] == f"{least}.*"


@pytest.mark.parametrize(
    ("part", "wrong", "match"),
    [
        ("license_file:", "licence_file:", "unknown field 'licence_file'"),
        ("${{ python_min }}", "${{ python_max }}", "undefined value"),
        ("Apache-2.0", "Apache 2", "SPDX"),
    ],
)
def test_a_wrong_recipe_does_not_render(part, wrong, match):
    """What `rendered` shows is worth something."""
    text = (ROOT / "recipe" / "recipe.yaml").read_text()
    assert part in text
    with pytest.raises(RattlerBuildError, match=match):
        Stage0Recipe.from_yaml(text.replace(part, wrong)).render(VariantConfig())


def test_the_recipe_is_as_the_linter_of_conda_forge_wants_it():
    """Its rules for recipes of noarch Python packages, but for what only a public home can fill."""
    text = (ROOT / "recipe" / "recipe.yaml").read_text()
    found = recipe()
    order = ["context", "package", "source", "build", "requirements", "tests", "about"]
    assert [part for part in found if part != "schema_version"] == order
    assert found["build"]["number"] == 0
    least = PROJECT["requires-python"].removeprefix(">=")
    assert found["context"]["python_min"] == least
    assert found["requirements"]["host"][0] == "python ${{ python_min }}.*"
    assert found["requirements"]["run"][0] == "python >=${{ python_min }}"
    python = found["tests"][0]["python"]
    assert python["python_version"] == "${{ python_min }}.*"
    assert python["pip_check"] is True
    assert PROJECT["name"] in python["imports"]
    about = found["about"]
    assert {"license", "license_file", "summary"} <= set(about)
    assert "unknown" not in about["license"].lower()
    assert text.endswith("\n")
    assert not text.endswith("\n\n")


def test_the_recipe_needs_what_the_project_needs():
    assert listed(recipe()["requirements"]["run"]) == wanted(PROJECT["dependencies"])


def test_the_recipe_constrains_what_the_extras_hold():
    extras = PROJECT["optional-dependencies"]
    texts = [t for n, ts in extras.items() if n not in DEVELOPERS | NOT_IN_CONDA_FORGE for t in ts]
    assert listed(recipe()["requirements"]["run_constraints"]) == wanted(texts)


def test_the_recipe_builds_as_the_project_does():
    needed = {"pip": SpecifierSet()} | wanted(PYPROJECT["build-system"]["requires"])
    assert listed(recipe()["requirements"]["host"]) == needed
    scripts = [f"{name} = {target}" for name, target in PROJECT["scripts"].items()]
    assert recipe()["build"]["python"]["entry_points"] == scripts


def test_the_recipe_is_that_of_this_package():
    found = recipe()
    assert found["schema_version"] == 1
    assert set(found) == {
        "schema_version", "context", "package", "source", "build", "requirements", "tests", "about",
    }  # fmt: skip
    assert found["package"] == {"name": PROJECT["name"], "version": "${{ version }}"}
    assert f'default="{fallback()}"' in found["context"]["version"]
    assert found["build"]["noarch"] == "python"
    about = found["about"]
    assert about["license"] == PROJECT["license"]
    assert about["summary"] == PROJECT["description"]
    assert (ROOT / about["license_file"]).exists()


# --- citation ---------------------------------------------------------------------------------


def citation() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "CITATION.cff").read_text())


def test_the_citation_is_that_of_this_package():
    found = citation()
    # What the schema of version 1.2.0 asks for.
    assert found["cff-version"] == "1.2.0"
    assert found["message"]
    assert found["title"].startswith(f"{PROJECT['name']}: ")
    assert found["type"] == "software"
    assert found["license"] == PROJECT["license"]
    assert [author["name"] for author in found["authors"]] == [
        a["name"] for a in PROJECT["authors"]
    ]
    assert len(set(found["keywords"])) == len(found["keywords"])


def test_the_citation_names_the_methods():
    references = citation()["references"]
    for reference in references:
        assert {"type", "title", "authors"} <= set(reference)
        for author in reference["authors"]:
            assert set(author) == {"family-names", "given-names"}
    told = [(r["authors"][0]["family-names"], r["year"]) for r in references]
    assert told == [("Xu", 2025), ("Tao", 2020)]
    assert references[0]["identifiers"][0]["value"] == "arXiv:2502.00672"
    assert references[1]["doi"] == "10.3389/fdata.2020.00017"


# --- what is imported -------------------------------------------------------------------------


def imported() -> set[str]:
    found = set()
    for path in (ROOT / "xbinn").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                found.add(node.module.partition(".")[0])
    return found - set(sys.stdlib_module_names) - {"xbinn"}


def declared() -> set[str]:
    extras = PROJECT["optional-dependencies"]
    texts = [*PROJECT["dependencies"]]
    texts += [t for name, ts in extras.items() if name not in DEVELOPERS for t in ts]
    found = set()
    for requirement in map(Requirement, texts):
        found.add(canonicalize_name(requirement.name))
        # An extra such as h5netcdf[h5py] names a package that is imported by itself.
        found |= {canonicalize_name(extra) for extra in requirement.extras}
    return found


def test_all_that_is_imported_is_declared():
    homes = importlib.metadata.packages_distributions()
    undeclared = {
        name
        for name in imported()
        if not {canonicalize_name(home) for home in homes.get(name, [name])} & declared()
    }
    assert not undeclared, "add them to pyproject.toml"


# --- how it is installed ----------------------------------------------------------------------


def test_make_installs_the_build_tools_first():
    """Without build isolation they must be there before xbinn itself is built."""
    makefile = (ROOT / "Makefile").read_text()
    first = re.search(r"-c \$\(CONSTRAINTS\) \\\n\t  ([a-z- ]+)\n", makefile)
    assert first is not None
    needed = [Requirement(text).name for text in PYPROJECT["build-system"]["requires"]]
    assert first[1].split() == needed


@pytest.mark.parametrize("folder", ["benchmarks", "docs", "examples", "recipe", "tests", "xbinn"])
def test_the_sdist_is_enough_to_run_the_tests(folder):
    assert folder in PYPROJECT["tool"]["hatch"]["build"]["targets"]["sdist"]["include"]
