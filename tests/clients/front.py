"""The official SDKs in front of a gateway in front of a provider, all on sockets.

The one rule: the SDKs are as their users have them; only their retries are off unless a test is about them.
"""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from anthropic import AsyncAnthropic
from openai import AsyncOpenAI

from portbroker.app import running
from portbroker.compile import compile_snapshot
from portbroker.config.load import load_text
from tests.clients.scripted import Turn, scripted
from tests.providers import Behaviour, FakeProvider, serving

MODEL = "the-model"
PROVIDER_TYPES = {"chat": "custom", "anthropic": "anthropic"}
"""A provider type for each dialect that a provider may speak."""

_FILE = """
providers:
  - name: Upstream
    provider_type: {provider_type}
    base_url: {url}/v1
    api_key: sk-secret
    models: [the-model]
    timeout: {{connect: 1, first_byte: 5, idle: 5}}
    translation: {translation}
"""


@dataclass(frozen=True, slots=True)
class Front:
    """Both SDKs, pointed at one gateway, and the provider behind it."""

    anthropic: AsyncAnthropic
    openai: AsyncOpenAI
    provider: FakeProvider


@contextlib.asynccontextmanager
async def fronting(
    behave: Behaviour, provider_type: str = "custom", *, retries: int = 0, dialect: str | None = None
) -> AsyncIterator[Front]:
    """A gateway with one provider that behaves so; it serves `MODEL`, and any other as `Upstream/<model>`.

    `dialect` is what the provider speaks, where that is not what its type does.
    """
    async with serving(behave) as provider:
        translation = f"{{dialect: {dialect}}}" if dialect else "{}"
        text = _FILE.format(provider_type=provider_type, url=provider.url, translation=translation)
        config = load_text(text.encode(), file="test.yaml", directory=Path("/nonexistent"), environ={})
        async with (
            running(compile_snapshot(config), host="127.0.0.1", port=0, max_body=2**22) as listening,
            AsyncAnthropic(api_key="any", base_url=listening.url, max_retries=retries) as anthropic,
            AsyncOpenAI(api_key="any", base_url=listening.url + "/v1", max_retries=retries) as openai,
        ):
            yield Front(anthropic, openai, provider)


def saying(turn: Turn) -> Behaviour:
    """Always this turn, in the dialect that is asked for."""
    return scripted(turn, aside=turn)
