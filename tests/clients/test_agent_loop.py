"""The loop of an agent, driven by the SDK's tool runner: it calls tools, returns results, and comes to an end."""

import asyncio
import json
from pathlib import Path
from typing import Any

import anthropic
import pytest
from anthropic import beta_async_tool

from tests.clients.front import MODEL, PROVIDER_TYPES, fronting
from tests.clients.scripted import coding

ASK: Any = {"model": MODEL, "max_tokens": 1000, "messages": [{"role": "user", "content": "Write hello.txt"}]}

each_provider = pytest.mark.parametrize("provider_type", PROVIDER_TYPES.values(), ids=PROVIDER_TYPES)


@beta_async_tool(name="Write")
async def write(file_path: str, content: str) -> str:
    """Write a file.

    Args:
        file_path: where
        content: what
    """
    await asyncio.to_thread(Path(file_path).write_text, content)
    return f"{file_path} was written"


@beta_async_tool(name="Bash")
async def bash(command: str, description: str) -> str:
    """Run a command.

    Args:
        command: the command
        description: what it does
    """
    process = await asyncio.create_subprocess_shell(command, stdout=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()
    return output.decode()


@each_provider
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_a_tool_runner_writes_a_file_and_comes_to_an_end(
    provider_type: str, stream: bool, tmp_path: Path
) -> None:
    async with fronting(coding(str(tmp_path)), provider_type) as front:
        runner = front.anthropic.beta.messages.tool_runner(**ASK, tools=[write, bash], stream=stream)
        message = await runner.until_done()
        assert message.content[-1].to_dict() == {"type": "text", "text": "Done: hello.txt says hello."}
        assert (tmp_path / "hello.txt").read_text() == "Hello from the script\n"
        # The runner asked for a thread, was told that there are none, and went on with the whole conversation.
        threads = ["thread" in seen.body for seen in front.provider.seen]
        assert threads == ([False] * 3 if provider_type == "custom" else [True] + [False] * 3)
        messages = front.provider.last.body["messages"]
        assert [m["role"] for m in messages if m["role"] != "tool"][:2] == ["user", "assistant"]
        assert len(messages) == 5
        assert "Hello from the script\\n" in json.dumps(messages[-1])


async def test_a_thread_is_refused_in_words_that_the_sdk_acts_on() -> None:
    async with fronting(coding("/nonexistent")) as front:
        with pytest.raises(anthropic.BadRequestError) as caught:
            await front.anthropic.messages.create(**ASK, extra_body={"thread": {"type": "create"}})
        assert caught.value.error_code == "thread_unsupported_request"
        assert front.provider.seen == []
