"""Forms as clients upload files in them (`multipart/form-data`): where a field stands in the bytes.

The one rule: a file is looked past and never read; only the heads of parts are.
"""

import re
from collections.abc import Iterator

from portbroker.errors import CallError

Span = tuple[int, int]

_BOUNDARY = re.compile(r"""(?i)\bboundary=(?:"([^"]{1,70})"|([^\s;,"]{1,70}))""")
_NAME = re.compile(rb"""(?i)^content-disposition:[^\r\n]*?;[ \t]*name=(?:"([^"\r\n]*)"|([^\s;"]+))""", re.MULTILINE)
_FILE = re.compile(rb"(?i);[ \t]*filename\*?=")
_LONGEST_HEAD = 4096
_MOST_PARTS = 1000


def is_form(content_type: str) -> bool:
    """Whether a body of this type is a form."""
    return content_type.partition(";")[0].strip().lower() == "multipart/form-data"


def field_spans(raw: bytes, content_type: str) -> dict[str, Span]:
    """Where the values of the form's fields, files aside, begin and end; of a name that is there twice, the first.

    Raises `CallError` for what is no such form.
    """
    found = _BOUNDARY.search(content_type)
    if found is None:
        raise CallError("the content-type of a form must name its boundary")
    spans: dict[str, Span] = {}
    for number, (start, end) in enumerate(_parts(raw, (found[1] or found[2]).encode("latin-1", "replace"))):
        if number == _MOST_PARTS:
            raise CallError(f"the form has more than {_MOST_PARTS} parts")
        head_end = raw.find(b"\r\n\r\n", start, min(end, start + _LONGEST_HEAD))
        head = raw[start : head_end if head_end >= 0 else start]
        name = _NAME.search(head)
        if name is not None and not _FILE.search(head):
            text = (name[1] if name[1] is not None else name[2]).decode("utf-8", "replace")
            spans.setdefault(text, (head_end + 4, end))
    return spans


def _parts(raw: bytes, boundary: bytes) -> Iterator[Span]:
    """Where each part begins and ends. Raises `CallError` when the form does not begin or end as it must."""
    mark = b"--" + boundary
    if raw.startswith(mark):
        place = len(mark)
    elif (place := raw.find(b"\r\n" + mark)) >= 0:
        place += len(mark) + 2
    else:
        raise CallError("the form does not hold the boundary that its content-type names")
    while not raw.startswith(b"--", place):
        start = raw.find(b"\n", place) + 1
        # The head of a part may be empty: its blank line follows the boundary at once.
        end = raw.find(b"\r\n" + mark, max(start - 2, 0)) if start else -1
        if end < 0:
            raise CallError("the form breaks off in the middle of a part")
        yield min(start, end), end
        place = end + len(mark) + 2
