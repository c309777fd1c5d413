"""What conditions and strategies see of a call: facts, each found when first asked for, and once.

The one rule: a body may hold anything, and no fact raises for it; what is not there, or of another type, is absent.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import Any

from portbroker.call import Call
from portbroker.config.call_words import FAMILIES, WORDS
from portbroker.conversation import Json
from portbroker.fieldmap.problems import is_number
from portbroker.fieldmap.segments import MISSING
from portbroker.tokens import texts

_SESSION_HEADERS = ("x-claude-code-session-id", "session_id", "x-session-id")
# Tuples, because what stands in a client's `type` need not be hashable.
_IMAGES = ("image", "image_url", "input_image")
_RESULTS = ("tool_result", "function_call_output", "custom_tool_call_output")
_NO_THINKING = frozenset({"disabled", "between_tools"})
_LIMITS = ("max_tokens", "max_completion_tokens", "max_output_tokens")


class Facts:
    """The facts of one call.

    `headers` are the request's, by any case or in lower case; `caller` is the name of the key that was shown.
    """

    def __init__(self, call: Call, headers: Mapping[str, str], caller: str = "") -> None:
        self.call = call
        self.model = call.model
        self.caller = caller
        self._headers = headers

    @property
    def input_tokens(self) -> int:
        return self.call.estimate()

    @property
    def stream(self) -> bool:
        return self.call.stream

    @property
    def client(self) -> str:
        return self.call.dialect.name

    @property
    def key(self) -> Any:
        return self.caller or MISSING

    @cached_property
    def max_tokens(self) -> Any:
        found = (self.call.body.get(name) for name in _LIMITS)
        return next((limit for limit in found if is_number(limit)), MISSING)

    @cached_property
    def has_images(self) -> bool:
        return any(map(_holds_image, _messages(self.call.body)))

    @cached_property
    def has_tools(self) -> bool:
        body = self.call.body
        return any(isinstance(body.get(name), list) and body[name] for name in ("tools", "functions"))

    @cached_property
    def has_web_search(self) -> bool:
        body = self.call.body
        tools = body.get("tools")
        kinds = [tool.get("type") for tool in tools if isinstance(tool, dict)] if isinstance(tools, list) else []
        return "web_search_options" in body or any(str(kind).startswith("web_search") for kind in kinds)

    @cached_property
    def thinking(self) -> bool:
        return _thinks(self.call.body)

    def header(self, name: str) -> Any:
        """A header of the request, by its name in lower case, or `MISSING`."""
        value = self._headers.get(name)
        return MISSING if value is None else value

    def metadata(self, name: str) -> Any:
        """An entry of the body's metadata, or `MISSING`; `user_id` is also what OpenAI's dialects call `user`."""
        body = self.call.body
        metadata = body.get("metadata")
        if isinstance(metadata, dict) and name in metadata:
            return metadata[name]
        named = (body.get(other) for other in ("safety_identifier", "user") if name == "user_id")
        return next((user for user in named if isinstance(user, str)), MISSING)

    def session(self) -> str | None:
        """What the client calls the session that the call belongs to: a header, a cache key, else its user."""
        named = [self.header(name) for name in _SESSION_HEADERS]
        named += [self.call.body.get("prompt_cache_key"), self.metadata("user_id")]
        return next((name for name in named if isinstance(name, str) and name), None)

    @cached_property
    def prompt(self) -> str:
        """A hash of what stays of the prompt when a conversation goes on: system, tools, first user message."""
        digest = hashlib.blake2b(digest_size=16)
        for text in texts(_stable(self.call.body)):
            digest.update(text.encode("utf-8", "surrogatepass") + b"\0")
        return digest.hexdigest()


def reader(word: str) -> Callable[[Facts], Any] | None:
    """What finds the fact that a word of `when` names; None for an unknown word."""
    if word in WORDS:
        return lambda facts: getattr(facts, word)
    family, _, name = word.partition(".")
    if family not in FAMILIES or not name:
        return None
    if family == "header":
        name = name.lower()
        return lambda facts: facts.header(name)
    return lambda facts: facts.metadata(name)


def _messages(body: Json) -> Iterator[Json]:
    for name in ("messages", "input"):
        found = body.get(name)
        if isinstance(found, list):
            yield from (message for message in found if isinstance(message, dict))


def _holds_image(message: Json) -> bool:
    """Whether a message, or a result of a tool within it, holds an image; an item of `input` may be either itself."""
    blocks = _dicts(message.get("content")) + _dicts(message.get("output"))
    inner = [inside for block in blocks if block.get("type") in _RESULTS for inside in _dicts(block.get("content"))]
    return any(block.get("type") in _IMAGES for block in (message, *blocks, *inner))


def _dicts(value: Any) -> list[Json]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _thinks(body: Json) -> bool:
    """Whether the model is asked to think, in any dialect's words; an effort alone asks for it."""
    thinking = body.get("thinking")
    if isinstance(thinking, dict) and isinstance(thinking.get("type"), str):
        return thinking["type"] not in _NO_THINKING
    if isinstance(body.get("enable_thinking"), bool):
        return bool(body["enable_thinking"])
    config, reasoning = body.get("output_config"), body.get("reasoning")
    efforts = [body.get("reasoning_effort")]
    efforts += [part.get("effort") for part in (config, reasoning) if isinstance(part, dict)]
    if isinstance(reasoning, dict) and (reasoning.get("enabled") is True or is_number(reasoning.get("max_tokens"))):
        return True
    return any(isinstance(effort, str) and effort != "none" for effort in efforts)


def _stable(body: Json) -> list[Any]:
    """System, tools and the conversation up to its first user message. A text and a list of one text are the same."""
    stable = [body.get("tools"), _blocks(body.get("system")), body.get("instructions")]
    if isinstance(body.get("input"), str):
        stable.append(_blocks(body["input"]))
    for message in _messages(body):
        stable.append(_blocks(message.get("content")))
        if message.get("role") == "user":
            break
    return stable


def _blocks(content: Any) -> Any:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content
