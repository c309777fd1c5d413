"""What translation must know of a JSON Schema: whether OpenAI takes it as strict, and how it reads without references.

The one rule: a schema is a caller's data. It is never trusted to be one, never changed in place, and neither its depth
nor the size to which its references would grow can exhaust anything.
"""

from typing import Any, Final

from portbroker.conversation import Json

MAX_STRICT_DEPTH: Final = 10
MAX_STRICT_PROPERTIES: Final = 5000

# Keywords that OpenAI refuses in strict mode. Unions may only be written with anyOf.
_NOT_STRICT: Final = frozenset({
    "oneOf", "allOf", "not", "if", "then", "else", "dependentRequired", "dependentSchemas", "dependencies",
    "patternProperties", "propertyNames", "unevaluatedProperties", "unevaluatedItems", "prefixItems", "contains",
    "minContains", "maxContains", "minProperties", "maxProperties", "uniqueItems", "minLength", "maxLength",
})  # fmt: skip
_TYPED: Final = frozenset({"type", "anyOf", "$ref", "enum", "const"})
_DEFINITIONS: Final = ("$defs", "definitions")


def openai_strict(schema: object) -> bool:
    """Whether a schema lies in OpenAI's strict subset, so that `strict: true` is not answered with a 400.

    Every object forbids additional properties and requires all of its own; every schema says what it is.
    """
    if not isinstance(schema, dict) or schema.get("type") != "object" or "anyOf" in schema:
        return False
    properties = 0
    stack: list[tuple[object, int]] = [(schema, 0)]  # a stack, not recursion: the caller decides how deep it goes
    while stack:
        node, depth = stack.pop()
        if not isinstance(node, dict) or not _strict_node(node):
            return False
        inner = _inner(node)
        named = node.get("properties")
        if isinstance(named, dict):
            depth += 1
            properties += len(named)
        if depth > MAX_STRICT_DEPTH or properties > MAX_STRICT_PROPERTIES:
            return False
        stack.extend((child, depth) for child in inner)
    return True


def _strict_node(node: Json) -> bool:
    """One schema by itself: no refused keyword, something that says its type, closed objects, arrays with items."""
    if not _NOT_STRICT.isdisjoint(node) or _TYPED.isdisjoint(node):
        return False
    kinds = node.get("type")
    kinds = kinds if isinstance(kinds, list) else [kinds]
    if "array" in kinds and "items" not in node:
        return False
    return _closed(node) if "object" in kinds or "properties" in node else True


def _closed(node: Json) -> bool:
    properties, required = node.get("properties", {}), node.get("required", [])
    if node.get("additionalProperties") is not False or not isinstance(properties, dict):
        return False
    return isinstance(required, list) and all(name in required for name in properties)


def _inner(node: Json) -> list[object]:
    """The schemas directly inside one; what should be a mapping or a list and is not counts as a bad schema."""
    inner: list[object] = []
    for key in ("properties", *_DEFINITIONS):
        if key in node:
            inner.extend(node[key].values() if isinstance(node[key], dict) else [None])
    if "anyOf" in node:
        inner.extend(node["anyOf"] if isinstance(node["anyOf"], list) else [None])
    if "items" in node:
        inner.append(node["items"])
    return inner


_NAMED: Final = frozenset({"properties", "patternProperties", "dependentSchemas", *_DEFINITIONS})
_DATA: Final = frozenset({"const", "enum", "default", "example", "examples"})

MAX_INLINED_NODES: Final = 20_000
MAX_INLINED_DEPTH: Final = 64


def inline_refs(schema: Any) -> Any:
    """The schema with every local `$ref` replaced by what it points to, and without the definitions at its root.

    A reference into itself, to nowhere or to another document becomes `{}` (anything goes), and so does what would
    grow beyond all measure. Keywords beside a `$ref` win over what it points to.
    """
    if not isinstance(schema, dict) or not _has_ref(schema):
        return schema
    inlined = _Inliner(schema).schema(schema, ())
    return {key: value for key, value in inlined.items() if key not in _DEFINITIONS}


def _has_ref(schema: Json) -> bool:
    stack: list[object] = [schema]
    while stack:
        node = stack.pop()
        if isinstance(node, dict):
            if isinstance(node.get("$ref"), str):
                return True
            stack.extend(node.values())
        elif isinstance(node, list):
            stack.extend(node)
    return False


class _Inliner:
    """One schema being rewritten: `trail` is the references that are being followed, innermost last."""

    __slots__ = ("budget", "root")

    def __init__(self, root: Json) -> None:
        self.root = root
        self.budget = MAX_INLINED_NODES

    def schema(self, node: Json, trail: tuple[str, ...], depth: int = 0) -> Json:
        """One schema in which no reference is left."""
        self.budget -= 1
        if self.budget < 0 or depth >= MAX_INLINED_DEPTH:
            return {}
        reference = node.get("$ref")
        if isinstance(reference, str):
            return self.resolve(reference, node, trail, depth)
        return {key: self.value(key, value, trail, depth + 1) for key, value in node.items()}

    def resolve(self, reference: str, node: Json, trail: tuple[str, ...], depth: int) -> Json:
        """What a reference points to, with the keywords beside it laid over."""
        target = None if reference in trail else _point(self.root, reference)
        beside = {key: value for key, value in node.items() if key != "$ref"}
        inner = (*trail, reference)
        found = self.schema(target, inner, depth + 1) if isinstance(target, dict) else {}
        return {**found, **self.schema(beside, trail, depth + 1)} if beside else found

    def value(self, key: str, value: Any, trail: tuple[str, ...], depth: int) -> Any:
        """The value of one keyword: data stays, schemas are rewritten."""
        if key in _DATA:
            return value
        if key in _DEFINITIONS and depth == 1 and not trail:
            return {}  # the root's definitions are thrown away: no work on them
        if isinstance(value, dict):
            if key in _NAMED:
                return {name: self.item(one, trail, depth) for name, one in value.items()}
            return self.schema(value, trail, depth)
        return [self.item(one, trail, depth) for one in value] if isinstance(value, list) else value

    def item(self, value: Any, trail: tuple[str, ...], depth: int) -> Any:
        return self.schema(value, trail, depth) if isinstance(value, dict) else value


def _point(root: Json, reference: str) -> Any:
    """What a local JSON pointer (`#/$defs/Name`) points to; None when there is nothing."""
    if reference == "#" or not reference.startswith("#/"):
        return None  # the root within itself never ends, and other documents are never fetched
    node: Any = root
    for step in reference[2:].split("/"):
        name = step.replace("~1", "/").replace("~0", "~")
        if isinstance(node, list):
            node = node[int(name)] if name.isdecimal() and int(name) < len(node) else None
        else:
            node = node.get(name) if isinstance(node, dict) else None
    return node
