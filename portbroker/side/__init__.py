"""Everything a client asks that is not a call to a model: probes, health, the list of models, stored responses.

The one rule: what we do not serve does not exist, and is said so in the dialect of the path.
"""

from portbroker.side.counting import counted
from portbroker.side.dispatch import Desk, answer, dialect_of, dumps, meant

__all__ = ["Desk", "answer", "counted", "dialect_of", "dumps", "meant"]
