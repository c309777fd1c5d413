"""One flat name for each tool of a call: elsewhere there are no namespaces.

The one rule: definitions, history and choice get the same name from here, and no two tools share one.
"""

from portbroker.conversation import Json
from portbroker.dialects.tool_names import ToolNames

_LONGEST = 64


class FlatNames:
    """The names of one call. `map` leads from those that are not the whole truth back to namespace, name and kind."""

    __slots__ = ("_owners", "_short", "map")

    def __init__(self) -> None:
        self.map: dict[str, Json] = {}
        self._owners: dict[str, tuple[str, str]] = {}
        self._short = ToolNames(_LONGEST)

    def put(self, name: str, namespace: str = "", kind: str = "function") -> str:
        """The flat name. `kind` is `function` or `custom`; of a name that was put before, the first one holds."""
        flat = self._free(name, namespace)
        self._owners[flat] = (namespace, name)
        if namespace:
            self.map.setdefault(flat, {"namespace": namespace, "name": name, "kind": kind})
        elif kind == "custom" or flat != name:
            self.map.setdefault(flat, {"name": name, "kind": kind})
        return flat

    def _free(self, name: str, namespace: str) -> str:
        """A name that no other tool has: `a` with `b__c` and `a__b` with `c` must not meet."""
        if not namespace:
            flat = name
        else:
            between = "" if namespace.endswith("__") else "__"
            flat = self._short.put(f"{namespace}{between}{name}")
        while self._owners.get(flat, (namespace, name)) != (namespace, name):
            flat = self._short.put(f"{flat}/{namespace}")  # a character that must go: the name is hashed
        return flat
