"""How long the installed service takes from its command to its first answer.

`.venv/bin/python -m bench.start`: builds the wheel, installs it with the locked packages into a new environment, and
starts it five times on a migrated SQLite database. The first start writes byte code; it is shown apart.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from .harness import ROOT, serving


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        chatty = _installed(Path(directory))
        times = []
        for _ in range(6):
            with serving([str(chatty)], Path(directory) / "data") as served:
                times.append(served.started_in)
        print(f"first {times[0]:.2f} s, then {' '.join(f'{each:.2f}' for each in times[1:])} s")


def _installed(directory: Path) -> Path:
    """The `chatty` command of a clean environment."""
    environment = directory / "venv"
    pip = [str(environment / "bin" / "python"), "-m", "pip", "install", "-q"]
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(directory), str(ROOT)]
    subprocess.run(build, check=True, stdout=subprocess.DEVNULL)
    subprocess.run([*pip, "--require-hashes", "-r", str(ROOT / "requirements.txt")], check=True)
    subprocess.run([*pip, "--no-deps", *map(str, directory.glob("*.whl"))], check=True)
    return environment / "bin" / "chatty"


if __name__ == "__main__":
    main()
