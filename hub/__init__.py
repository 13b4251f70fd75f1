"""GridHub: from a sensor's MQTT message to the station crew's phone, nothing lost, nothing twice."""

__version__ = "0.1.0"
