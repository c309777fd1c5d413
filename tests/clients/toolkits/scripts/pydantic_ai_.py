"""Pydantic AI, with its models for Anthropic and for OpenAI's two APIs."""

import asyncio
import sys
from collections.abc import AsyncIterable

from pydantic import BaseModel
from pydantic_ai import Agent
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.openai import OpenAIProvider


class City(BaseModel):
    """A city and how warm it is."""

    city: str
    degrees: int


def weather(city: str) -> str:
    """Weather of a city."""
    return f"Sun in {city}"


async def watch(_: object, events: AsyncIterable[object]) -> None:
    """With a handler of events, every answer is streamed."""
    async for _ in events:
        pass


async def main(url: str) -> None:
    openai = OpenAIProvider(base_url=f"{url}/v1", api_key="any")
    for model in (
        AnthropicModel("the-model", provider=AnthropicProvider(base_url=url, api_key="any")),
        OpenAIChatModel("the-model", provider=openai),
        OpenAIResponsesModel("the-model", provider=openai),
    ):
        print("text:", (await Agent(model).run("hi")).output)
        async with Agent(model).run_stream("hi") as streamed:
            print("stream:", await streamed.get_output())
        print("tools:", (await Agent(model, tools=[weather]).run("Weather in Paris?")).output)
        watched = Agent(model, tools=[weather]).run("Weather in Paris?", event_stream_handler=watch)
        print("tools streamed:", (await watched).output)
        parsed = (await Agent(model, output_type=City).run("hi")).output
        print("structured:", parsed.city, parsed.degrees)


asyncio.run(main(sys.argv[1]))
