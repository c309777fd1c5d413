"""What is wrong with text that is no YAML, in words to act on. One rule: the text itself is not quoted."""

import re

import yaml


class Fault(Exception):
    """One fault at a place of the text; 0 when it is in the text as a whole."""

    def __init__(self, message: str, line: int = 0, column: int = 0, hint: str = "") -> None:
        super().__init__(message)
        self.message, self.line, self.column, self.hint = message, line, column, hint


_INDENT = "give keys of one level the same indentation"
_QUOTE_ANCHOR = "put it in quotes"
_QUOTE_TAG = "values are plain data; put text that begins with ! in quotes"
_LIST_OPEN = "the list that opens with '[' is not closed"
_MAPPING_OPEN = "the mapping that opens with '{' is not closed"
_BLOCK_TEXT = "this is no heading of a text block"
_NO_NAME = "text cannot begin with & or *"
_BRACES = "a ',' or a '}' is missing; text that holds braces must be in quotes"

# What the two parsers say, what it means and what to do. The first whose words are in the complaint is taken.
_MEANINGS: tuple[tuple[str, str, str], ...] = (
    (
        "mapping values are not allowed",
        "a ':' is not expected here",
        "put text that holds ': ' in quotes, or see whether the line is indented too far",
    ),
    ("block sequence entries are not allowed", "a list item cannot begin here", "put it on its own line below its key"),
    (
        "did not find expected '-' indicator",
        "the list ends before this line",
        "begin an item with '- ', or indent less",
    ),
    ("did not find expected key", "this line does not line up with the keys above", _INDENT),
    ("expected <block end>", "this line does not line up with those above", _INDENT),
    ("could not find expected ':'", "a ':' is missing after this key", "write `key: value`, with a space after the :"),
    ("did not find expected ',' or ']'", _LIST_OPEN, "a ',' or a ']' is missing"),
    ("expected ',' or ']'", _LIST_OPEN, "a ',' or a ']' is missing"),
    ("did not find expected ',' or '}'", _MAPPING_OPEN, _BRACES),
    ("expected ',' or '}'", _MAPPING_OPEN, _BRACES),
    ("unexpected end of stream", "the quote that opens here is never closed", "close it"),
    ("unknown escape character", "this backslash means nothing in double quotes", "write \\\\, or use single quotes"),
    ("hexdecimal", "this escape needs hexadecimal digits", "write \\\\, or use single quotes"),
    ("escape code", "this escape is no character", "write the character itself"),
    ("unexpected ':'", "a ':' is not expected here", "put text that holds a ':' in quotes"),
    ("mapping keys are not allowed", "a '?' is not expected here", "put text that begins with '? ' in quotes"),
    ("tab character that violates", "a tab cannot indent", "use spaces"),
    ("unexpected document indicator", "the quote that opens here is never closed", "close it"),
    ("tag", "this tag cannot be read", _QUOTE_TAG),
    ("anchor", _NO_NAME, _QUOTE_ANCHOR),
    ("alias", _NO_NAME, _QUOTE_ANCHOR),
    ("alphabetic or numeric character", _NO_NAME, _QUOTE_ANCHOR),
    ("block scalar", _BLOCK_TEXT, "after | or > stands nothing but a comment"),
    ("chomping", _BLOCK_TEXT, "after | or > stands nothing but a comment"),
    ("directive", "a line cannot begin with %", "put the text in quotes"),
    ("document start", "the file goes on after its end", "take the `---` or `...` out"),
    ("node content", "a value is missing here", ""),
)
_CANNOT_BEGIN = {
    "\t": ("a tab cannot indent", "use spaces"),
    "@": ("text cannot begin with @", "put it in quotes"),
    "`": ("text cannot begin with `", "put it in quotes"),
    "%": ("text cannot begin with %", "put it in quotes"),
}
# These faults are where the thing began, not where the parser gave up.
_AT_OPENING = ("is not closed", "is never closed", "is missing after this key")
_NOT_TEXT = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\x80-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]")


def describe(error: yaml.YAMLError, text: str) -> Fault:
    """The parser's complaint in plain words."""
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return Fault("this is not YAML")
    mark = error.problem_mark
    message, hint = _meaning(error, text)
    if message.endswith(_AT_OPENING) and error.context_mark is not None:
        mark = error.context_mark
    return Fault(message, mark.line + 1, mark.column + 1, hint)


def _meaning(error: yaml.MarkedYAMLError, text: str) -> tuple[str, str]:
    problem = f"{error.problem} {error.context or ''}"
    if "cannot start any token" in problem:
        return _CANNOT_BEGIN.get(_character(error, text), ("a value cannot begin like this", "put it in quotes"))
    for words, message, hint in _MEANINGS:
        if words in problem:
            return message, hint
    return "this is not YAML", "check quotes, colons and indentation"


def _character(error: yaml.MarkedYAMLError, text: str) -> str:
    mark = error.problem_mark
    lines = text.splitlines()
    line = lines[mark.line] if mark and mark.line < len(lines) else ""
    return line[mark.column : mark.column + 1] if mark else ""


def refuse_control_characters(text: str) -> None:
    """Raises `Fault` at the first character that no text file holds."""
    if found := _NOT_TEXT.search(text):
        line, column = position(text, found.start())
        raise Fault(f"the character U+{ord(found[0]):04X} cannot stand in a text file", line, column, "delete it")


def position(text: str, index: int) -> tuple[int, int]:
    """Line and column of a character."""
    before = text[:index]
    return before.count("\n") + 1, index - before.rfind("\n")
