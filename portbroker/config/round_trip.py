"""YAML with its comments, read and written by ruamel.yaml. One rule: it is imported when something is to be changed."""

import io
from collections.abc import Collection, Mapping, MutableMapping, MutableSequence
from typing import Any

_ANY = 1 << 16


def _yaml() -> Any:
    from ruamel.yaml import YAML

    yaml = YAML(typ="rt")
    yaml.preserve_quotes = True
    yaml.width = _ANY
    yaml.indent(mapping=2, sequence=4, offset=2)
    return yaml


def loaded(text: str) -> Any:
    """The text with its comments; None for what cannot stand alone."""
    from ruamel.yaml.error import YAMLError

    try:
        return _yaml().load(text)
    except YAMLError:
        return None


def written(data: Any) -> str:
    """The text of it."""
    text = io.StringIO()
    _yaml().dump(data, text)
    return text.getvalue()


def sequence() -> MutableSequence[Any]:
    """A list with nothing in it."""
    from ruamel.yaml.comments import CommentedSeq

    made: MutableSequence[Any] = CommentedSeq()
    return made


def mapping(values: Mapping[str, Any]) -> MutableMapping[str, Any]:
    """A mapping as it is to be written."""
    from ruamel.yaml.comments import CommentedMap

    made: MutableMapping[str, Any] = CommentedMap({name: _value(value) for name, value in values.items()})
    return made


def _value(value: Any) -> Any:
    """A value as it is to be written: a template in quotes, because a brace begins something else in YAML."""
    from ruamel.yaml.scalarstring import DoubleQuotedScalarString

    if isinstance(value, Mapping):
        return mapping(value)
    return DoubleQuotedScalarString(value) if isinstance(value, str) and "{" in value else value


def change(node: Any, values: Mapping[str, Any], gone: Collection[str]) -> None:
    """Write other values into a mapping that was loaded, and take those out that are `gone`."""
    for name, value in values.items():
        if name not in node or node[name] != value:
            node[name] = _value(value)
    for name in gone:
        if name in node:
            _hand_on_comment(node, name)
            del node[name]


def _hand_on_comment(node: Any, name: str) -> None:
    """What stands below a line that goes belongs to the line before it now."""
    tokens = node.ca.items.get(name)
    names = list(node)
    at = names.index(name)
    if not tokens or not tokens[2] or at == 0:
        return
    below = tokens[2].value.partition("\n")[2]
    before = node.ca.items.setdefault(names[at - 1], [None, None, None, None])
    if not below:
        return
    if before[2]:
        before[2].value = before[2].value.rstrip("\n") + "\n" + below
    else:
        tokens[2].value = "\n" + below
        before[2] = tokens[2]
