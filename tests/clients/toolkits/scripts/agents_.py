"""The OpenAI Agents SDK, with its models for both of OpenAI's APIs."""

import asyncio
import sys

from agents import Agent, OpenAIChatCompletionsModel, OpenAIResponsesModel, Runner, function_tool, set_tracing_disabled
from openai import AsyncOpenAI
from pydantic import BaseModel


class City(BaseModel):
    """A city and how warm it is."""

    city: str
    degrees: int


@function_tool
def weather(city: str) -> str:
    """Weather of a city."""
    return f"Sun in {city}"


async def main(url: str) -> None:
    set_tracing_disabled(True)
    client = AsyncOpenAI(base_url=f"{url}/v1", api_key="any")
    for kind in (OpenAIChatCompletionsModel, OpenAIResponsesModel):
        plain = Agent("plain", model=kind("the-model", client))
        print("text:", (await Runner.run(plain, "hi")).final_output)
        streamed = Runner.run_streamed(plain, "hi")
        events = [event.data async for event in streamed.stream_events() if event.type == "raw_response_event"]
        print("stream:", "".join(event.delta for event in events if event.type == "response.output_text.delta"))
        able = Agent("able", model=kind("the-model", client), tools=[weather])
        print("tools:", (await Runner.run(able, "Weather in Paris?")).final_output)
        watched = Runner.run_streamed(able, "Weather in Paris?")
        async for _ in watched.stream_events():
            pass
        print("tools streamed:", watched.final_output)
        parsed = (await Runner.run(Agent("form", model=kind("the-model", client), output_type=City), "hi")).final_output
        print("structured:", parsed.city, parsed.degrees)


asyncio.run(main(sys.argv[1]))
