"""What is asked, of whom, and what the mock does with it. The one rule: bodies are the same in every run."""

import json
import random
import string
from dataclasses import dataclass
from typing import Any

PATHS = {"openai.chat": "/v1/chat/completions", "anthropic.messages": "/v1/messages"}
MODEL = "bench-model"


@dataclass(frozen=True, slots=True)
class Scenario:
    """One kind of call, with `asked` bytes of text; `agent` asks with the body of a coding agent instead.

    `events` deltas come `delay` microseconds apart, of the arguments of a `tool` where there is one; an answer that is
    no stream has `size` bytes of text.
    """

    dialect: str
    stream: bool = False
    agent: bool = False
    tool: bool = False
    asked: int = 800
    events: int = 200
    delay: int = 0
    size: int = 1000

    @property
    def setting(self) -> str:
        """What the mock is told."""
        return f"events={self.events}&delay={self.delay}&size={self.size}&tool={self.tool:d}"


SCENARIOS = {
    "chat": Scenario("openai.chat"),
    "chat_100k": Scenario("openai.chat", size=100_000),
    "chat_1m": Scenario("openai.chat", asked=1_000_000),
    "chat_agent": Scenario("openai.chat", agent=True),
    "chat_paced": Scenario("openai.chat", stream=True, delay=10_000),
    "anthropic": Scenario("anthropic.messages"),
    "anthropic_1m": Scenario("anthropic.messages", asked=1_000_000),
    "anthropic_agent": Scenario("anthropic.messages", agent=True),
    "anthropic_tool": Scenario("anthropic.messages", stream=True, tool=True),
    "anthropic_stream": Scenario("anthropic.messages", stream=True),
    "anthropic_paced": Scenario("anthropic.messages", stream=True, delay=10_000),
}


def request(scenario: Scenario, port: int) -> bytes:
    """The whole HTTP request."""
    body = json.dumps(call(scenario)).encode()
    head = (
        f"POST {PATHS[scenario.dialect]} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
        f"anthropic-version: 2023-06-01\r\nAuthorization: Bearer bench\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def call(scenario: Scenario) -> dict[str, Any]:
    """The body."""
    dice = random.Random(7)
    anthropic = scenario.dialect == "anthropic.messages"
    if scenario.agent:
        body = _agent(dice) if anthropic else _chat_agent(dice)
    else:
        body = {"messages": [{"role": "user", "content": _words(dice, scenario.asked)}]}
        if scenario.tool:
            body["tools"] = [_as_tool(anthropic, *tool) for tool in _tools(dice)[:1]]
    body |= {"model": MODEL, "max_tokens": 1024}
    if scenario.stream:
        body |= {"stream": True} if anthropic else {"stream": True, "stream_options": {"include_usage": True}}
    return body


def _agent(dice: random.Random) -> dict[str, Any]:
    messages: list[dict[str, Any]] = []
    for turn in range(8):
        use = {"type": "tool_use", "id": f"toolu_{turn}", "name": f"Tool{turn}", "input": {"arg_0": _words(dice, 80)}}
        result = {"type": "tool_result", "tool_use_id": f"toolu_{turn}", "content": _words(dice, 1400)}
        messages += [
            {"role": "user", "content": [{"type": "text", "text": _words(dice, 400)}]},
            {"role": "assistant", "content": [{"type": "text", "text": _words(dice, 200)}, use]},
            {"role": "user", "content": [result]},
        ]
    tools = [_as_tool(True, *tool) for tool in _tools(dice)]
    return {"system": [{"type": "text", "text": _words(dice, 12_000)}], "messages": messages, "tools": tools}


def _chat_agent(dice: random.Random) -> dict[str, Any]:
    messages: list[dict[str, Any]] = [{"role": "system", "content": _words(dice, 12_000)}]
    for turn in range(8):
        function = {"name": f"Tool{turn}", "arguments": json.dumps({"arg_0": _words(dice, 80)})}
        calls = [{"id": f"call_{turn}", "type": "function", "function": function}]
        messages += [
            {"role": "user", "content": _words(dice, 400)},
            {"role": "assistant", "content": _words(dice, 200), "tool_calls": calls},
            {"role": "tool", "tool_call_id": f"call_{turn}", "content": _words(dice, 1400)},
        ]
    return {"messages": messages, "tools": [_as_tool(False, *tool) for tool in _tools(dice)]}


def _as_tool(anthropic: bool, name: str, about: str, schema: dict[str, Any]) -> dict[str, Any]:
    if anthropic:
        return {"name": name, "description": about, "input_schema": schema}
    return {"type": "function", "function": {"name": name, "description": about, "parameters": schema}}


def _tools(dice: random.Random) -> list[tuple[str, str, dict[str, Any]]]:
    def schema() -> dict[str, Any]:
        properties = {f"arg_{n}": {"type": "string", "description": _words(dice, 120)} for n in range(5)}
        return {"type": "object", "properties": properties, "required": ["arg_0"], "additionalProperties": False}

    return [(f"Tool{number}", _words(dice, 1000), schema()) for number in range(18)]


def _words(dice: random.Random, size: int) -> str:
    words: list[str] = []
    written = 0
    while written < size:
        words.append("".join(dice.choices(string.ascii_lowercase, k=dice.randint(2, 9))))
        written += len(words[-1]) + 1
    return " ".join(words)[:size]
