"""The dialects that are served, by name."""

from portbroker.dialects import Dialect, anthropic_messages, openai_chat

DIALECTS: dict[str, Dialect] = {d.name: d for d in (anthropic_messages.DIALECT, openai_chat.DIALECT)}
