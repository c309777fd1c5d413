"""LangChain, with its models for Anthropic and for both of OpenAI's APIs."""

import sys
from typing import Any

from langchain_anthropic import ChatAnthropic
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from pydantic import BaseModel


class City(BaseModel):
    """A city and how warm it is."""

    city: str
    degrees: int


@tool
def weather(city: str) -> str:
    """Weather of a city."""
    return f"Sun in {city}"


def whole(pieces: Any) -> Any:
    """A streamed message, put together."""
    first = next(pieces)
    for piece in pieces:
        first += piece
    return first


def loop(model: Any, *, streamed: bool) -> str:
    """What is said when all calls are answered."""
    messages: list[Any] = [HumanMessage("Weather in Paris?")]
    while True:
        able = model.bind_tools([weather])
        messages.append(whole(able.stream(messages)) if streamed else able.invoke(messages))
        if not messages[-1].tool_calls:
            return str(messages[-1].text)
        for call in messages[-1].tool_calls:
            messages.append(ToolMessage(weather.invoke(call["args"]), tool_call_id=call["id"]))


def main(url: str) -> None:
    openai: Any = {"model": "the-model", "base_url": f"{url}/v1", "api_key": "any"}
    for model in (
        ChatAnthropic(model_name="the-model", base_url=url, api_key="any", max_tokens=500),
        ChatOpenAI(**openai),
        ChatOpenAI(**openai, use_responses_api=True),
    ):
        print("text:", model.invoke("hi").text)
        print("stream:", whole(model.stream("hi")).text)
        print("tools:", loop(model, streamed=False))
        print("tools streamed:", loop(model, streamed=True))
        parsed: Any = model.with_structured_output(City, method="json_schema").invoke("hi")
        print("structured:", parsed.city, parsed.degrees)


main(sys.argv[1])
