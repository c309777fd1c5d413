"""Bodies of Anthropic clients for tests: one that uses everything, and all the ways in which one value can be wrong."""

import copy
from typing import Any

from hypothesis import strategies as st


def change(kind: str, tool: Any) -> dict[str, Any]:
    """A block that adds a tool to the conversation or removes it."""
    return {"type": f"tool_{kind}", "tool": tool}


_junk: st.SearchStrategy[Any] = (
    st.none() | st.booleans() | st.integers() | st.text(max_size=3) | st.just([]) | st.just({}) | st.just([[]])
)
WHOLE: dict[str, Any] = {
    "model": "claude-x",
    "max_tokens": 10,
    "system": [{"type": "text", "text": "s", "cache_control": {"type": "ephemeral"}}],
    "thinking": {"type": "enabled", "budget_tokens": 5000, "display": "omitted"},
    "output_config": {"effort": "high", "format": {"type": "json_schema", "schema": {"type": "object"}}},
    "metadata": {"user_id": "u"},
    "stop_sequences": ["x"],
    "tool_choice": {"type": "tool", "name": "a", "disable_parallel_tool_use": True},
    "tools": [
        {"name": "a", "description": "d", "input_schema": {"type": "object"}, "input_examples": [{}], "strict": True},
        {"type": "web_search_20250305", "name": "web_search", "user_location": {"type": "approximate"}},
        {"type": "computer_20251124", "name": "computer", "display_width_px": 1, "display_height_px": 1},
    ],
    "messages": [
        {
            "role": "user",
            "content": [
                {"type": "image", "source": {"type": "url", "url": "u"}},
                {
                    "type": "document",
                    "title": "t",
                    "citations": {"enabled": True},
                    "source": {"type": "content", "content": [{"type": "text", "text": "x"}]},
                },
                {"type": "search_result", "title": "t", "source": "s", "content": [{"type": "text", "text": "x"}]},
            ],
        },
        {
            "role": "system",
            "content": [change("removal", {"type": "tool_reference", "name": "b"})],
            "output_config": {"effort": "low"},
        },
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "t", "signature": "pb1.eyJrIjoicmMifQ"},
                {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"q": 1}},
                {"type": "web_search_tool_result", "tool_use_id": "s", "content": [{"title": "t", "url": "u"}]},
                {"type": "tool_use", "id": "t", "name": "a", "input": {"x": 1}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "tool_reference", "tool_name": "a"}]}
            ],
        },
    ],
}


def places(node: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every path into a document."""
    inner = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [at, *(path for key, value in inner for path in places(value, (*at, key)))]


PLACES = [place for place in places(WHOLE) if place]


@st.composite
def _spoiled(draw: st.DrawFn) -> dict[str, Any]:
    place = draw(st.sampled_from(PLACES))
    body = copy.deepcopy(WHOLE)
    node: Any = body
    for key in place[:-1]:
        node = node[key]
    node[place[-1]] = draw(_junk)
    return body


spoiled = _spoiled()
