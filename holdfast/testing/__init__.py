"""Tools for tests of agents.

The names are listed in `__init__.pyi`. Each is loaded when it is first used, as pytest loads the plugin in this package
in every project of an environment.
"""

from holdfast._lazy import attach_stub

__getattr__, __dir__, __all__ = attach_stub(__name__, __file__)
