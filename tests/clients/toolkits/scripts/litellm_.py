"""LiteLLM as a library, by its providers for Anthropic and OpenAI."""

import json
import sys

import litellm
from pydantic import BaseModel


class City(BaseModel):
    """A city and how warm it is."""

    city: str
    degrees: int


WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "Weather of a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
url = sys.argv[1]
for ask in (
    {"model": "anthropic/the-model", "api_base": url, "api_key": "any"},
    {"model": "openai/the-model", "api_base": f"{url}/v1", "api_key": "any"},
):
    hello = [{"role": "user", "content": "hi"}]
    print("text:", litellm.completion(**ask, messages=hello).choices[0].message.content)
    pieces = [chunk.choices[0].delta.content or "" for chunk in litellm.completion(**ask, messages=hello, stream=True)]
    print("stream:", "".join(pieces))
    for said, stream in (("tools:", False), ("tools streamed:", True)):
        messages = [{"role": "user", "content": "Weather in Paris?"}]
        answer = litellm.completion(**ask, messages=messages, tools=[WEATHER], stream=stream)
        if stream:
            answer = litellm.stream_chunk_builder(list(answer), messages=messages)
        message = answer.choices[0].message
        messages.append(message.model_dump())
        for call in message.tool_calls:
            city = json.loads(call.function.arguments)["city"]
            messages.append({"role": "tool", "tool_call_id": call.id, "content": f"Sun in {city}"})
        print(said, litellm.completion(**ask, messages=messages, tools=[WEATHER]).choices[0].message.content)
    text = litellm.completion(**ask, messages=hello, response_format=City).choices[0].message.content
    parsed = City.model_validate_json(text)
    print("structured:", parsed.city, parsed.degrees)
