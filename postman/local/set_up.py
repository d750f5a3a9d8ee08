"""Makes .venv and the front-end assets: `python3 postman/local/set_up.py (demo | test)`.

Runs on the system's Python before anything is installed, so it imports only the standard library
and parses on Pythons older than the ones it accepts. Does nothing when nothing changed.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = ROOT / ".venv"
PYTHON = ENVIRONMENT / "bin" / "python"
OLDEST = (3, 11)
NEWER_NAMES = ("python3.13", "python3.12", "python3.11")


def main(kind: str) -> None:
    if sys.version_info < OLDEST:
        use_a_newer_python()
    if not is_usable(PYTHON):
        create_environment()
    install(ROOT / "requirements" / f"{kind}.txt")
    assets = subprocess.run([PYTHON, "-m", "postman.local", "assets"], cwd=ROOT, check=False)
    sys.exit(assets.returncode)


def use_a_newer_python() -> None:
    for name in NEWER_NAMES:
        path = shutil.which(name)
        if path and works(path):
            os.execv(path, [path, *sys.argv])  # noqa: S606
    found = ".".join(str(number) for number in sys.version_info[:3])
    sys.exit(f"Postman needs Python 3.11 or newer, and {sys.executable} is {found}.")


def works(python: str) -> bool:
    """Tried, not only found: a version manager's placeholder may stand there."""
    return subprocess.run([python, "-c", ""], check=False, capture_output=True).returncode == 0


def is_usable(python: Path) -> bool:
    """Not when it was moved, or when its Python was removed from the system."""
    try:
        found = subprocess.run(
            [python, "-c", "import sys; print(sys.prefix)"],
            check=True,
            capture_output=True,
            text=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return False
    return Path(found.stdout.strip()) == ENVIRONMENT


def create_environment() -> None:
    print("Creating .venv…", flush=True)
    shutil.rmtree(ENVIRONMENT, ignore_errors=True)
    made = subprocess.run(
        [sys.executable, "-m", "venv", ENVIRONMENT], check=False, capture_output=True, text=True
    )
    if made.returncode != 0:
        shutil.rmtree(ENVIRONMENT, ignore_errors=True)
        version = f"{sys.version_info[0]}.{sys.version_info[1]}"
        sys.exit(
            f"{made.stdout}{made.stderr}\n"
            "This Python cannot create virtual environments. On Debian or Ubuntu: "
            f"apt-get install python{version}-venv"
        )


def install(requirements: Path) -> None:
    stamp = ENVIRONMENT / requirements.name
    if stamp.exists() and stamp.read_bytes() == requirements.read_bytes():
        return
    print(f"Installing {requirements.relative_to(ROOT)}… (a minute, the first time)", flush=True)
    pip = [str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    done = subprocess.run([*pip, "--require-hashes", "-r", str(requirements)], check=False)
    if done.returncode != 0:
        sys.exit("pip could not install the requirements; its own lines above say why.")
    shutil.copyfile(requirements, stamp)


if __name__ == "__main__":
    main(sys.argv[1])
