"""The local stack: a Temporal server, the scripted model server and a worker, kept running in the background.

The names are listed in `__init__.pyi`. Each is loaded when it is first used, as the supervisor has to stay small.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
