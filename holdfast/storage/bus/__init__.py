"""The event bus: publish to topics, subscribe from an offset on, resume without gap or repeat."""

from holdfast.bus.bus import Bus
from holdfast.bus.memory import MemoryLog
from holdfast.bus.subscription import Subscription
from holdfast.bus.surreal import SurrealLog

__all__ = ["Bus", "MemoryLog", "Subscription", "SurrealLog"]
