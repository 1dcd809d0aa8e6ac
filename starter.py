"""The command line of a checkout: `python starter.py --help`. Sets up what it needs first."""

import sys

import bootstrap

bootstrap.ensure("requirements/runtime.lock")

from holdfast.cli import main  # noqa: E402 - importable only once the requirements are there

if __name__ == "__main__":
    sys.exit(main())
