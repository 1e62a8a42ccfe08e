import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from shutil import copytree, ignore_patterns
from tempfile import TemporaryDirectory

import pytest

from src import __version__
from src.db import migrate

ROOT = Path(__file__).parent.parent

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def installed() -> Iterator[Path]:
    """The programs of a clean environment that holds Chatty's wheel, and the locked packages that it runs with."""
    with TemporaryDirectory(prefix="chatty-packaging-") as work:  # not tmp_path: it is large, and that may be memory
        yield install_into(Path(work))


def install_into(work: Path) -> Path:
    # Built from a copy: setuptools leaves its traces beside the sources.
    source = work / "source"
    copytree(ROOT / "src", source / "src", ignore=ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md"):
        (source / name).write_bytes((ROOT / name).read_bytes())
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", work, source)
    run(sys.executable, "-m", "venv", "--without-pip", work / "venv")
    programs = work / "venv" / ("Scripts" if os.name == "nt" else "bin")
    install = *pip(programs), "install", "-qq", "--disable-pip-version-check"
    run(*install, "--require-hashes", "-r", ROOT / "requirements.txt")
    run(*install, "--no-deps", work / f"chatty-{__version__}-py3-none-any.whl")
    return programs


def test_the_installed_command_says_what_it_can_do(installed: Path, tmp_path: Path) -> None:
    said = run(installed / "chatty", "--help", directory=tmp_path)
    assert all(command in said for command in ("serve", "migrate", "demo", "openapi", "asyncapi"))


def test_the_installed_command_makes_a_fresh_database(installed: Path, tmp_path: Path) -> None:
    run(installed / "chatty", "migrate", directory=tmp_path, CHATTY_DATA_DIR=str(tmp_path / "data"))
    with sqlite3.connect(tmp_path / "data" / "chatty.db") as database:
        assert database.execute("SELECT version_num FROM alembic_version").fetchall() == [(migrate.newest(),)]
    database.close()


@pytest.mark.parametrize("contract", ["openapi", "asyncapi"])
def test_the_installed_command_prints_its_contracts(installed: Path, tmp_path: Path, contract: str) -> None:
    assert json.loads(run(installed / "chatty", contract, directory=tmp_path))[contract].startswith("3.1.")


def test_the_wheel_asks_for_no_more_than_is_locked(installed: Path) -> None:
    assert "No broken requirements" in run(*pip(installed), "check")


def pip(programs: Path) -> tuple[object, ...]:
    """This environment's pip, at work on another one."""
    return sys.executable, "-m", "pip", "--python", programs / "python"


def run(*command: object, directory: Path = ROOT, **environment: str) -> str:
    """What a command says. Fails if it does."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=directory,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout
