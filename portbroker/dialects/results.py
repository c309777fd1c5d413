"""What tools gave back, as text: failures, references to tools, and the results of a provider's own tools.

The one rule: a form that is not known is shown as JSON, never left out.
"""

from typing import Any, Final

from portbroker.conversation import Json
from portbroker.dialects.written import compact


def failed(text: str) -> str:
    """A result that says in words that it is an error: OpenAI's APIs have no flag for it."""
    if not text.strip():
        return "Error"
    return text if text.lstrip().lower().startswith(("error", "<tool_use_error")) else f"Error: {text}"


def reference(data: Json) -> str:
    """What stands for a tool that a search found."""
    return f"Tool available: {data.get('tool_name')}"


def rendered(content: Any, path: str) -> str:
    """What a server tool's result says. Its forms are many and new ones come: an unknown one is shown as JSON."""
    if isinstance(content, list):
        return "\n".join(_item(item, path) for item in content)
    return "" if content is None else _item(content, path)


def _item(content: Any, path: str) -> str:
    if isinstance(content, str):
        return content
    if not isinstance(content, dict):
        return compact(content, path)
    kind = content.get("type")
    if isinstance(content.get("error_code"), str):
        return f"Error: {content['error_code']}"
    if isinstance(kind, str) and kind in _FORMS:
        return _FORMS[kind](content, path)
    if isinstance(content.get("stdout"), str):
        return _output(content)
    shown = content.get("text")
    return shown if isinstance(shown, str) else _as_json(content, path)


def _search_hit(hit: Json, path: str) -> str:
    return f"{hit.get('title')} - {hit.get('url')}"


def _fetched(page: Json, path: str) -> str:
    """A fetched page: its address and, where it is text, what stood there."""
    document = page.get("content")
    source = document.get("source") if isinstance(document, dict) else None
    text = source.get("data") if isinstance(source, dict) and source.get("type") == "text" else None
    return f"{page.get('url')}\n{text}" if isinstance(text, str) else str(page.get("url"))


def _found_tools(found: Json, path: str) -> str:
    references = found.get("tool_references")
    listed = references if isinstance(references, list) else []
    return "\n".join(reference(one) for one in listed if isinstance(one, dict))


def _output(content: Json) -> str:
    """What a program printed, and its exit code where it failed."""
    printed = [content.get("stdout"), content.get("stderr")]
    lines = [text for text in printed if isinstance(text, str) and text]
    code = content.get("return_code")
    return "\n".join([*lines, f"(exit code {code})"] if code else lines)


def _file(content: Json, path: str) -> str:
    return str(content.get("content"))


def _as_json(content: Json, path: str) -> str:
    """A form that is not known here, without what only its maker can read."""
    return compact({key: value for key, value in content.items() if not key.startswith("encrypted_")}, path)


_FORMS: Final = {
    "web_search_result": _search_hit,
    "web_fetch_result": _fetched,
    "tool_search_tool_search_result": _found_tools,
    "text_editor_code_execution_view_result": _file,
}
