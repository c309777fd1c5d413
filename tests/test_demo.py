"""The demo provider answers truly as a chat server would, and says what it is."""

import json
import time

from portbroker.conversation import AnswerContext, Report
from portbroker.demo import chunks, whole
from portbroker.dialects.registry import OPENAI_CHAT

ASK = {"model": "demo", "messages": [{"role": "user", "content": [{"type": "text", "text": "Hello!"}]}]}


def test_an_answer_says_what_it_is_and_what_was_asked() -> None:
    answer = OPENAI_CHAT.decode_answer(json.loads(whole(ASK)), AnswerContext(), Report())
    text = answer["content"][0]["text"]
    assert "demo provider" in text
    assert "“Hello!”" in text
    assert answer["usage"]["output_tokens"] > 0


def test_what_an_agent_puts_before_the_words_of_its_user_is_not_quoted() -> None:
    reminder = "<system-reminder>a</system-reminder>\n"
    said = [{"type": "text", "text": reminder}, {"type": "text", "text": f"{reminder}\nHello!"}]
    later = {"role": "user", "content": "<system-reminder>b</system-reminder>"}
    answer = json.loads(whole({"messages": [{"role": "user", "content": said}, later]}))
    assert "You said: “Hello!”" in answer["choices"][0]["message"]["content"]
    alone = json.loads(whole({"messages": [{"role": "user", "content": "<p>Hello!</p>"}]}))
    assert "“<p>Hello!</p>”" in alone["choices"][0]["message"]["content"]


def test_a_stream_says_the_same_as_a_whole_answer() -> None:
    said = ""
    for event in chunks(ASK):
        data = event.removeprefix(b"data: ").strip()
        if data != b"[DONE]":
            said += "".join(choice["delta"].get("content", "") for choice in json.loads(data)["choices"])
    assert said == json.loads(whole(ASK))["choices"][0]["message"]["content"]


def test_a_limit_cuts_the_answer_and_is_given_as_the_reason() -> None:
    choice = json.loads(whole({**ASK, "max_tokens": 3}))["choices"][0]
    assert choice["finish_reason"] == "length"
    assert len(choice["message"]["content"].split()) == 3


def test_an_answer_is_of_now() -> None:
    assert abs(json.loads(whole(ASK))["created"] - time.time()) < 60
