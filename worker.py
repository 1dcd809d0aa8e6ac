"""The worker of a checkout: `python worker.py`. Sets up what it needs first."""

import sys

import bootstrap

bootstrap.ensure("requirements/runtime.lock")

from holdfast.worker import main  # noqa: E402 - importable only once the requirements are installed

if __name__ == "__main__":
    sys.exit(main())
