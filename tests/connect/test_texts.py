"""Settings of others, edited in place: nothing else changes, and taking out what was put in gives the text back."""

from typing import Any

import pytest

from portbroker.connect.json_text import JsonText
from portbroker.connect.texts import Kind, TextError, drop, found, put
from portbroker.connect.toml_text import TomlText
from portbroker.connect.yaml_text import YamlItems, YamlText

JSON, JSONC, TOML, YAML, ITEMS = JsonText(), JsonText(lenient=True), TomlText(), YamlText(), YamlItems("model_id")

EDITS: list[tuple[Kind, str, tuple[str, ...], Any, str]] = [
    (JSON, "{}\n", ("env", "A"), "x", '{\n  "env": {\n    "A": "x"\n  }\n}\n'),
    (JSON, '{\n\t"a": 1\n}', ("env", "A"), "x", '{\n\t"a": 1,\n\t"env": {\n\t\t"A": "x"\n\t}\n}'),
    (JSON, '{"a": 1}', ("env", "A"), "x", '{"a": 1, "env": { "A": "x" }}'),
    (JSON, '{\n    "env": {\n        "B": 2\n    }\n}\n', ("env", "A"), "x",
     '{\n    "env": {\n        "B": 2,\n        "A": "x"\n    }\n}\n'),
    (JSON, '{\r\n  "a": 1\r\n}\r\n', ("b",), 2, '{\r\n  "a": 1,\r\n  "b": 2\r\n}\r\n'),
    (JSON, '\ufeff{\n  "é": "\\u00e9 \\" }"\n}', ("b",), 2, '\ufeff{\n  "é": "\\u00e9 \\" }",\n  "b": 2\n}'),
    (JSONC, '{\n  // one\n  "a": 1, // two\n}\n', ("b",), 2, '{\n  // one\n  "a": 1, // two\n  "b": 2,\n}\n'),
    (JSONC, '{\n  "a": [1, {"x": 2,},] /* } */ // two\n}\n', ("b",), 2,
     '{\n  "a": [1, {"x": 2,},], /* } */ // two\n  "b": 2\n}\n'),
    (TOML, "", ("model",), "m", 'model = "m"\n'),
    (TOML, '[a]\nmodel = "n"\n', ("model",), "m", 'model = "m"\n\n[a]\nmodel = "n"\n'),
    (TOML, 'x = """\n[a]\nmodel = 1\n"""  # y\n\n[a]\n', ("model",), "m",
     'x = """\n[a]\nmodel = 1\n"""  # y\nmodel = "m"\n\n[a]\n'),
    (TOML, 'x = [\n  "]", # ]\n]\n', ("p", "q.r", "k"), "m", 'x = [\n  "]", # ]\n]\n\n[p."q.r"]\nk = "m"\n'),
    (TOML, "[p]\na = 1\n\n[p.q] # here\nb = 1\n\n[[z]]\nb = 2\n", ("p", "q", "k"), "m",
     '[p]\na = 1\n\n[p.q] # here\nb = 1\nk = "m"\n\n[[z]]\nb = 2\n'),
    (YAML, "# only this\n", ("model",), "m", '# only this\nmodel: "m"\n'),
    (YAML, "a: [1,\n  2]\nb: |\n  x\n", ("model",), "m", 'a: [1,\n  2]\nb: |\n  x\nmodel: "m"\n'),
    (ITEMS, "", ("x",), {"model_id": "x", "n": 1}, '- model_id: "x"\n  n: 1\n'),
    (ITEMS, "  - model_id: y # z\n    n: 2\n", ("x",), {"model_id": "x", "n": 1},
     '  - model_id: y # z\n    n: 2\n  - model_id: "x"\n    n: 1\n'),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "text", "path", "value", "after"), EDITS)
def test_a_value_is_added_and_taken_out_again(
    kind: Kind, text: str, path: tuple[str, ...], value: Any, after: str
) -> None:
    edited = put(kind, text, path, kind.write(value))
    assert edited == after
    assert found(kind.read(edited), path) == value
    back = drop(kind, edited, path)
    for depth in range(len(path) - 1, 0, -1):
        if found(kind.read(back), path[:depth]) == {} and found(kind.read(text), path[:depth]) is None:
            back = drop(kind, back, path[:depth])
    assert back == text


REPLACED: list[tuple[Kind, str, tuple[str, ...], str, str]] = [
    (JSON, '{"a": {"b": [1,  2]}, "a2": 1}', ("a", "b"), "[1,  2]", '{"a": {"b": "new"}, "a2": 1}'),
    (JSON, '{"a": 1, "a": 2}', ("a",), "2", '{"a": 1, "a": "new"}'),
    (TOML, "model = 'old' # mine\n[t]\nmodel = 1\n", ("model",), "'old'", 'model = "new" # mine\n[t]\nmodel = 1\n'),
    (TOML, 'p.q = """a\nb""" # c\n', ("p", "q"), '"""a\nb"""', 'p.q = "new" # c\n'),
    (YAML, "a: 1\nmodel:   old  # mine\nb: 2\n", ("model",), "old", 'a: 1\nmodel:   "new"  # mine\nb: 2\n'),
]


@pytest.mark.parametrize(("kind", "text", "path", "was", "after"), REPLACED)
def test_a_value_is_replaced_where_it_stands_and_put_back(
    kind: Kind, text: str, path: tuple[str, ...], was: str, after: str
) -> None:
    source = kind.source(text, path)
    assert source == was
    edited = put(kind, text, path, kind.write("new"))
    assert edited == after
    assert put(kind, edited, path, source) == text


@pytest.mark.parametrize(
    ("kind", "text", "message", "line", "column"),
    [
        (JSON, '{\n  "a": 1,\n}', "a comma before the end", 2, 9),
        (JSON, '{\n  // x\n}', "a comment", 2, 3),
        (JSON, '{"a": 1} x', "nothing may follow", 1, 10),
        (JSON, '{"a": tru}', "a value is expected", 1, 7),
        (JSON, '{"a": "x', "not well formed", 1, 7),
        (JSON, '{"a" 1}', "a colon", 1, 6),
        (JSON, '{"a": 1 "b": 2}', "a comma or }", 1, 9),
        (JSON, "[1]", "an object is expected", 1, 1),
        (JSON, '{"a": ', "ends too early", 1, 7),
        (JSON, '{"a": ' + "[" * 5000, "nested too deeply", 1, 107),
        (TOML, "a = \n", "Invalid value", 1, 5),
        (TOML, "a = 1\na = 2\n", "Cannot overwrite", 2, 6),
        (YAML, "a: [1\n", "but got .<stream end>", 2, 1),
        (YAML, "- a\n", "names with values", 1, 1),
        (ITEMS, "a: 1\n", "a list of entries", 1, 1),
    ],
)  # fmt: skip
def test_a_broken_text_is_refused_with_the_place(kind: Kind, text: str, message: str, line: int, column: int) -> None:
    with pytest.raises(TextError, match=message) as caught:
        kind.read(text)
    assert (caught.value.line, caught.value.column) == (line, column)


@pytest.mark.parametrize(
    ("kind", "text", "path"),
    [
        (JSON, '{"env": "text"}', ("env", "A")),
        (TOML, "model_providers = {x = {a = 1}}\n", ("model_providers", "portbroker", "name")),
        (TOML, "[[p]]\na = 1\n", ("p", "q")),
        (YAML, "{a: 1}\n", ("model",)),
        (YAML, "a: 1\n...\n", ("model",)),
        (ITEMS, "[{model_id: y}]\n", ("x",)),
    ],
)
def test_what_cannot_be_edited_in_place_is_refused(kind: Kind, text: str, path: tuple[str, ...]) -> None:
    with pytest.raises(TextError):
        put(kind, text, path, kind.write({"model_id": "x"} if kind is ITEMS else "m"))
