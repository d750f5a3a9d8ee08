"""Fetches what pages use of others' (the Singapore Government Design System first) and copies it
to static/vendor."""

import hashlib
import re
import shutil
import subprocess
import sys
from pathlib import Path

from postman.local import ROOT

VENDOR = ROOT / "static" / "vendor" / "sgds"
PACKAGES = ROOT / "node_modules" / "@govtechsg"
# Whole scripts that a page includes as they are: our folder → where the package keeps it.
SCRIPTS = {
    "dompurify": "dompurify/dist/purify.min.js",  # HTML made safe where we may not see it
    "papaparse": "papaparse/papaparse.min.js",  # CSV files read where we may not see them
}
# The browser would ask for maps that are not copied, and a manifest storage insist on them.
FETCHES = re.compile(r"@import[^;]*|url\((?!\s*[\"']?(data:|#))[^)]*")
# The component carries its framework's development build, which says so on every page's console.
QUIET = '(globalThis.litIssuedWarnings ??= new Set()).add("dev-mode");\n'
SOURCE_MAP = re.compile(r"(/\*|//)[#@] sourceMappingURL=\S+?(\*/)?\s*$")


def build() -> int:
    """Do nothing when nothing changed since last time. Returns the exit status."""
    stamp = VENDOR / ".built-from"
    if stamp.exists() and stamp.read_text() == _fingerprint():
        return 0
    print("Fetching the Singapore Government Design System and two scripts…", flush=True)
    npm = _npm()
    done = subprocess.run(
        [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=ROOT, check=False
    )
    if done.returncode != 0:
        print("npm could not fetch the packages; its own lines above say why.", file=sys.stderr)
        return 1
    _copy()
    stamp.write_text(_fingerprint())
    return 0


def _fingerprint() -> str:
    inputs = (ROOT / "package-lock.json").read_bytes() + Path(__file__).read_bytes()
    return hashlib.sha256(inputs).hexdigest()


def _npm() -> str:
    """The machine's npm, or one from a wheel beside this Python."""
    if shutil.which("node") and (npm := shutil.which("npm")):
        return npm
    wheel = Path(sys.executable).with_name("npm")
    if not wheel.exists():
        print("Node is not installed here; fetching one for this directory only…", flush=True)
        requirements = str(ROOT / "requirements" / "node.txt")
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--require-hashes"]
        subprocess.run([*pip, "-r", requirements], check=True)
    return str(wheel)


def _copy() -> None:
    shutil.rmtree(VENDOR, ignore_errors=True)
    VENDOR.mkdir(parents=True)
    component = PACKAGES / "sgds-web-component"
    themes = [component / "themes" / f"{name}.css" for name in ("root", "day")]
    files = {
        "sgds.css": _text(PACKAGES / "sgds" / "css" / "sgds.css"),
        "masthead.css": "".join(scoped(_text(theme)) for theme in themes),
        "masthead.js": QUIET + _text(component / "components" / "Masthead" / "index.umd.min.js"),
    }
    for name, text in files.items():
        (VENDOR / name).write_text(self_contained(text), encoding="utf-8")
    for folder, script in SCRIPTS.items():
        _copy_script(ROOT / "node_modules" / script, VENDOR.parent / folder)


def _copy_script(script: Path, folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    (folder / script.name).write_text(_text(script), encoding="utf-8")


def scoped(theme: str) -> str:
    """The masthead's colours for it alone: sgds.css gives the same variables other values."""
    return theme.replace('@import "./root.css";\n', "").replace(":root", "sgds-masthead")


def self_contained(text: str) -> str:
    """The text itself. Raises ValueError when a browser would fetch more because of it."""
    if more := FETCHES.search(text):
        raise ValueError(f"This asset fetches something else: {more[0]}")
    return text


def _text(path: Path) -> str:
    return SOURCE_MAP.sub("", path.read_text(encoding="utf-8"))
