"""Who hangs where and who is responsible: places, people, stations, devices."""

from hub.registry.snapshot import Registry

__all__ = ["Registry"]
