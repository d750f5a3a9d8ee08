"""`python -m postman.local demo` and `python -m postman.local assets`."""

import sys

from postman.local.assets import build
from postman.local.demo import demo

COMMANDS = {"demo": demo, "assets": build}

if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in COMMANDS:
        sys.exit("usage: python -m postman.local (demo | assets)")
    sys.exit(COMMANDS[sys.argv[1]]())
