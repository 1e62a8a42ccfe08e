#!/usr/bin/env python3
"""Chatty's set-up and checks, with Python's standard library alone.

python3 dev.py run [--no-client] [options of `chatty serve`]    set up, migrate, serve
python3 dev.py test [options of pytest]                         every check, then every test
python3 dev.py setup | lint | fmt | lock [--upgrade] | clean
"""

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
PYTHON = BIN / "python"
WEB = ROOT / "web"
JS_TESTS = ROOT / "tests" / "js"
VENDOR = ROOT / "src" / "static" / "vendor"
CACHES = ".mypy_cache", ".ruff_cache", ".pytest_cache", ".import_linter_cache", ".hypothesis", ".schemathesis"


def run(*args: str) -> None:
    """Set up what serving needs and become the service. `--no-client` leaves out Node and the pages it builds."""
    install("requirements.txt")
    if "--no-client" not in args:
        install("requirements-web.txt")
        build_web()
    os.chdir(ROOT)
    os.execv(PYTHON, [str(PYTHON), "-m", "src", "serve", "--migrate", *(arg for arg in args if arg != "--no-client")])


def setup(*_: str) -> None:
    """Make ready all that serving, building and testing need."""
    install("requirements-test.txt")
    npm_ci(JS_TESTS)
    build_web()


def test(*args: str) -> None:
    """Run every check and every test. pytest's closing line comes last; the exit status tells of any failure."""
    setup()
    passed = check()
    if not passed:
        print("A CHECK FAILED, see above. The tests run all the same.", flush=True)
    # Two processes at least: what one waits for (a restart, a disk), the other uses. `-n 0` runs all in one.
    processes = "-n", str(min(max(os.cpu_count() or 2, 2), 8)), "--dist", "worksteal"
    failed = call(PYTHON, "-m", "pytest", *processes, *args)
    sys.exit(failed or not passed)


def lint(*_: str) -> None:
    """Style, types, and the direction of imports."""
    install("requirements-test.txt")
    sys.exit(not check())


def fmt(*_: str) -> None:
    """Put the Python code into its one form."""
    install("requirements-test.txt")
    sys.exit(call(BIN / "ruff", "check", "--fix") or call(BIN / "ruff", "format"))


def lock(*args: str) -> None:
    """Bring the lock files in step with pyproject.toml and package.json; with `--upgrade`, take newer versions too."""
    with tempfile.TemporaryDirectory() as throw_away:
        must(sys.executable, "-m", "venv", throw_away)
        python = Path(throw_away, BIN.name, "python")
        must(python, "-m", "pip", "install", "--quiet", "uv")
        compile_ = [python, "-m", "uv", "pip", "compile", "--quiet", "--universal", "--python-version", "3.11"]
        compile_ += ["--generate-hashes", "--no-header", "--no-annotate", *args]
        # What is tested is what runs: the other files take their versions from the tests'.
        must(*compile_, "pyproject.toml", "--extra", "test", "--output-file", "requirements-test.txt")
        compile_ += ["--constraints", "requirements-test.txt"]
        must(*compile_, "pyproject.toml", "--output-file", "requirements.txt")
        must(*compile_, "--group", "web", "--output-file", "requirements-web.txt")
    install("requirements-test.txt")
    for package in (WEB, JS_TESTS):
        must(BIN / "npm", "update" if "--upgrade" in args else "install", "--fetch-retries", "2", directory=package)
        npm_ci(package)  # at once: only this tells whether the lock can be installed


def clean(*_: str) -> None:
    """Remove what these commands made. The data in `var/` and `uploads/` stay."""
    modules = [package / "node_modules" for package in (WEB, JS_TESTS)]
    for directory in [VENV, VENDOR, *modules, *(ROOT / name for name in ("build", "dist", *CACHES))]:
        shutil.rmtree(directory, ignore_errors=True)


def check() -> bool:
    """Run the checks that are not tests, all of them. True if none complains."""
    checks = ["ruff", "check"], ["ruff", "format", "--check"], ["mypy"], ["lint-imports"]
    statuses = [call(BIN / name, *options) for name, *options in checks]
    return not any(statuses)


def install(requirements: str) -> None:
    """Install the Python packages of a lock file into `.venv`."""
    if not PYTHON.exists():
        make_venv()
    pip = PYTHON, "-m", "pip", "install", "-qq", "--disable-pip-version-check", "--require-hashes", "-r", requirements
    once(f"Installing {requirements} into .venv …", VENV / f".{requirements}.stamp", [ROOT / requirements], pip)


def make_venv() -> None:
    """Make `.venv`, or say what this Python lacks for it."""
    if not (importlib.util.find_spec("venv") and importlib.util.find_spec("ensurepip")):
        sys.exit("This Python cannot make a virtual environment. On Debian or Ubuntu: sudo apt install python3-venv")
    print("Making .venv …", flush=True)
    must(sys.executable, "-m", "venv", "--clear", VENV)


def npm_ci(package: Path) -> None:
    """Install the locked npm packages of a directory. npm keeps our environment: it may hold a proxy's settings."""
    sources = [package / "package-lock.json", package / ".npmrc"]
    stamp = package / "node_modules" / ".stamp"
    npm = BIN / "npm", "ci", "--loglevel", "warn", "--fetch-retries", "2"
    once(f"Installing the npm packages of {package.relative_to(ROOT)} …", stamp, sources, npm, package)


def build_web() -> None:
    """Put the pages and scripts that browsers get under `src/static/`."""
    npm_ci(WEB)
    sources = [path for path in sorted(WEB.rglob("*")) if path.is_file() and "node_modules" not in path.parts]
    once("Building web …", VENDOR / ".stamp", sources, (BIN / "npm", "run", "--silent", "build"), WEB)


def once(title: str, stamp: Path, sources: list[Path], command: tuple[object, ...], directory: Path = ROOT) -> None:
    """Run a command, unless it has ended well on the same sources before: then `stamp` holds their digest."""
    digest = hashlib.sha256(sys.version.encode())
    for source in sources:
        digest.update(source.read_bytes())
    if stamp.exists() and stamp.read_text() == digest.hexdigest():
        return
    print(title, flush=True)
    must(*command, directory=directory)
    stamp.parent.mkdir(parents=True, exist_ok=True)
    stamp.write_text(digest.hexdigest())


def must(*command: object, directory: Path = ROOT) -> None:
    """Run a command; if it fails, stop here with its exit status."""
    if status := call(*command, directory=directory):
        sys.exit(f"Failed with status {status}: {' '.join(map(str, command))}")


def call(*command: object, directory: Path = ROOT) -> int:
    """Run a command with `.venv` first on the PATH. Its exit status."""
    environment = os.environ | {"PATH": f"{BIN}{os.pathsep}{os.environ.get('PATH', '')}"}
    return subprocess.run([str(part) for part in command], cwd=directory, env=environment, check=False).returncode


COMMANDS = {command.__name__: command for command in (run, test, setup, lint, fmt, lock, clean)}

if __name__ == "__main__":
    if sys.version_info < (3, 11):
        sys.exit(f"Chatty needs Python 3.11 or newer; this is {sys.version.split()[0]}.")
    command = COMMANDS.get(sys.argv[1] if len(sys.argv) > 1 else "")
    if not command:
        sys.exit(__doc__)
    try:
        command(*sys.argv[2:])
    except KeyboardInterrupt:
        sys.exit(130)
