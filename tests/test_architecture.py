"""What holds the tree together and no other test would miss: imports, packages, lock files, paths."""

import ast
import json
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
SRC = ROOT / "src"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
MODULES = sorted(SRC.rglob("*.py"))
PYTHON_LOCKS = ["requirements.txt", "requirements-test.txt", "requirements-web.txt"]
NPM_LOCKS = ["web/package-lock.json", "tests/js/package-lock.json", "bench/peers/package-lock.json"]


class TestImports:
    @pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(SRC).as_posix())
    def test_inside_the_package_are_relative(self, path: Path) -> None:
        # `src` is called `chatty` once installed: an absolute import works in a checkout and fails there.
        absolute = [name for name in imported_by(path) if name.split(".")[0] in ("src", "chatty")]
        assert not absolute

    def test_go_one_way(self) -> None:
        linter = Path(sys.executable).with_name("lint-imports")
        checked = subprocess.run([linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
        assert checked.returncode == 0, checked.stdout + checked.stderr

    def test_have_a_direction_for_every_module(self) -> None:
        contract = next(one for one in PROJECT["tool"]["importlinter"]["contracts"] if one["type"] == "layers")
        layered = {name for layer in contract["layers"] for name in re.findall(r"src\.(\w+)", layer)}
        modules = {path.stem for path in SRC.glob("*.py")} | {path.parent.name for path in SRC.glob("*/__init__.py")}
        assert modules - {"__init__"} <= layered

    def test_of_other_packages_are_of_those_that_pyproject_names(self) -> None:
        named = {canonicalize_name(Requirement(one).name) for one in PROJECT["project"]["dependencies"]}
        named |= {"pydantic-core"}  # pydantic pins the one version that fits
        distributions = packages_distributions()
        for path in MODULES:
            for module in {name.split(".")[0] for name in imported_by(path)} - sys.stdlib_module_names:
                assert {canonicalize_name(name) for name in distributions[module]} & named, f"{path.name}: {module}"


class TestPackages:
    def test_in_pyproject_are_those_in_the_tree(self) -> None:
        in_tree = {path.parent.relative_to(SRC) for path in SRC.rglob("__init__.py")}
        assert sorted(PROJECT["tool"]["setuptools"]["packages"]) == sorted(
            ".".join(("chatty", *directory.parts)) for directory in in_tree
        )

    def test_leave_no_module_outside(self) -> None:
        assert [path for path in MODULES if not (path.parent / "__init__.py").exists()] == []


class TestLockFiles:
    @pytest.mark.parametrize("lock", PYTHON_LOCKS)
    def test_of_python_have_a_hash_for_every_package_and_name_no_host(self, lock: str) -> None:
        text = (ROOT / lock).read_text()
        assert "://" not in text
        unpinned = re.sub(r"^[\w.-]+(\[\S+\])?==.*(\\\n    --hash=sha256:\w{64} ?)+\n", "", text, flags=re.MULTILINE)
        assert text and not unpinned

    @pytest.mark.parametrize("lock", NPM_LOCKS)
    def test_of_npm_have_a_hash_for_every_package_and_name_no_host(self, lock: str) -> None:
        packages = json.loads((ROOT / lock).read_text())["packages"]
        packages.pop("")
        assert packages
        assert all(package["integrity"].startswith("sha512-") for package in packages.values())
        assert not any("://" in package.get("resolved", "") for package in packages.values())

    def test_meet_what_pyproject_asks_for(self) -> None:
        project = PROJECT["project"]
        asked = {
            "requirements.txt": project["dependencies"],
            "requirements-test.txt": project["dependencies"] + project["optional-dependencies"]["test"],
            "requirements-web.txt": PROJECT["dependency-groups"]["web"],
        }
        for lock, requirements in asked.items():
            for requirement in map(Requirement, requirements):
                version = pinned(lock).get(canonicalize_name(requirement.name))
                assert version and requirement.specifier.contains(version), f"{lock}: {requirement}: dev.py lock"

    def test_run_the_very_versions_that_are_tested(self) -> None:
        tested = pinned("requirements-test.txt").items()
        assert pinned("requirements.txt").items() <= tested
        assert pinned("requirements-web.txt").items() <= tested

    @pytest.mark.parametrize("lock", NPM_LOCKS)
    def test_of_npm_are_of_its_package_file(self, lock: str) -> None:
        package = json.loads((ROOT / lock).with_name("package.json").read_text())
        locked = json.loads((ROOT / lock).read_text())["packages"][""]
        for kind in ("dependencies", "devDependencies"):
            assert locked.get(kind) == package.get(kind)


def test_no_tracked_file_has_a_path_of_somebodys_machine() -> None:
    found = []
    for name in tracked():
        text = (ROOT / name).read_bytes().decode(errors="ignore")
        found += [f"{name}: {match}" for match in re.findall(r"/(?:home|Users|root|work)/\w[\w.-]*/[\w./-]*", text)]
    assert found == []


def tracked() -> list[str]:
    """The files that git keeps, whoever owns the checkout."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a checkout, so nothing says which files are kept")
    command = ["git", "-c", "safe.directory=*", "ls-files", "-z"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def imported_by(path: Path) -> list[str]:
    """The modules that a file imports absolutely."""
    names = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names.append(node.module or "")
    return names


def pinned(lock: str) -> dict[str, str]:
    """The version of every package in a lock file of Python's."""
    return dict(re.findall(r"^([a-z0-9-]+)(?:\[[^]]*\])?==([^ ;]+)", (ROOT / lock).read_text(), re.MULTILINE))
