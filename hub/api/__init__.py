"""The HTTP API and the web console: thin translation between people and machines and the hub's own parts."""

from hub.api.application import create_app
from hub.api.parts import ApiParts, ChangeNotifier, PartHealth, Site

__all__ = ["ApiParts", "ChangeNotifier", "PartHealth", "Site", "create_app"]
