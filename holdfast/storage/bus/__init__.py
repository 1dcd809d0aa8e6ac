"""The event bus: publish to topics, subscribe from an offset on, resume without gaps or repeats."""

from holdfast.storage.bus.bus import Bus
from holdfast.storage.bus.memory import MemoryLog
from holdfast.storage.bus.subscription import Subscription
from holdfast.storage.bus.surreal import SurrealLog

__all__ = ["Bus", "MemoryLog", "Subscription", "SurrealLog"]
