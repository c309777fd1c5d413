"""PortBroker: an LLM gateway whose whole behaviour is one validated YAML file."""

__version__ = "0.1.0"
