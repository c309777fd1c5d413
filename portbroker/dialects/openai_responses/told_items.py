"""Output items of a Responses answer while they are told: a message, a reasoning item, a call.

Each tells of its beginning when it is made, and `close` ends it and gives it whole. The one rule: an item's id never
changes, and every part that begins also ends.
"""

from typing import Any

from portbroker.conversation import AnswerContext, Json, mint
from portbroker.dialects.custom_tools import told_text
from portbroker.dialects.openai_responses.told_response import dumps
from portbroker.dialects.openai_responses.wire import Wire


class _Item:
    """What all items have: a place, an id, and where they are told."""

    __slots__ = ("_wire", "id", "index")

    def __init__(self, wire: Wire, index: int, prefix: str) -> None:
        self._wire = wire
        self.index = index
        self.id = mint(prefix)

    def _begin(self, item: Json) -> None:
        self._wire.tell("output_item.added", {"output_index": self.index, "item": item})

    def _end(self, item: Json) -> Json:
        self._wire.tell("output_item.done", {"output_index": self.index, "item": item})
        return item

    def _tell(self, kind: str, **fields: Any) -> None:
        self._wire.tell(kind, {"item_id": self.id, "output_index": self.index, **fields})


class ToldMessage(_Item):
    """What the model says: one part for each text block."""

    __slots__ = ("_annotations", "_head", "_parts", "_texts")

    def __init__(self, wire: Wire, index: int) -> None:
        super().__init__(wire, index, "msg_")
        self._parts: list[Json] = []
        self._begin(self._whole("in_progress"))

    def _whole(self, status: str) -> Json:
        return {"id": self.id, "type": "message", "status": status, "role": "assistant", "content": self._parts}

    def begin_part(self) -> None:
        self._texts: list[str] = []
        self._annotations: list[Json] = []
        place = {"item_id": self.id, "output_index": self.index, "content_index": len(self._parts)}
        self._head = dumps(place)[1:-1] + b',"delta":'
        self._tell("content_part.added", content_index=len(self._parts), part=_part("", []))

    def text(self, text: str) -> None:
        """A piece of the open part. The one event that there are many of: its fields are written once a part."""
        self._texts.append(text)
        self._wire.tell_raw("output_text.delta", self._head + dumps(text) + b',"logprobs":[]}')

    def cite(self, url: str, title: str) -> None:
        """A web citation of the open part, all of it as far as it is told when the part ends."""
        self._annotations.append({"type": "url_citation", "url": url, "title": title})

    def end_part(self) -> None:
        text = "".join(self._texts)
        number = len(self._parts)
        annotations = [{**each, "start_index": 0, "end_index": len(text)} for each in self._annotations]
        for place, annotation in enumerate(annotations):
            self._tell(
                "output_text.annotation.added", content_index=number, annotation_index=place, annotation=annotation
            )
        self._tell("output_text.done", content_index=number, text=text, logprobs=[])
        part = _part(text, annotations)
        self._tell("content_part.done", content_index=number, part=part)
        self._parts.append(part)

    def close(self) -> Json:
        return self._end(self._whole("completed"))


def _part(text: str, annotations: list[Json]) -> Json:
    return {"type": "output_text", "text": text, "annotations": annotations}


class ToldReasoning(_Item):
    """What the model thought: one summary, and what a client carries back for the next turn."""

    __slots__ = ("_texts",)

    def __init__(self, wire: Wire, index: int) -> None:
        super().__init__(wire, index, "rs_")
        self._texts: list[str] = []
        self._begin({"id": self.id, "type": "reasoning", "summary": []})

    def think(self, text: str) -> None:
        if not self._texts:
            self._tell("reasoning_summary_part.added", summary_index=0, part=_summary(""))
        self._texts.append(text)
        self._tell("reasoning_summary_text.delta", summary_index=0, delta=text)

    def close(self, sealed: str | None) -> Json:
        """End it; `sealed` is the state to carry, None for a client that asked for none."""
        item: Json = {"id": self.id, "type": "reasoning", "summary": []}
        if self._texts:
            part = _summary("".join(self._texts))
            self._tell("reasoning_summary_text.done", summary_index=0, text=part["text"])
            self._tell("reasoning_summary_part.done", summary_index=0, part=part)
            item["summary"] = [part]
        return self._end({**item, "encrypted_content": sealed} if sealed is not None else item)


def _summary(text: str) -> Json:
    return {"type": "summary_text", "text": text}


class ToldCall(_Item):
    """A call of a function, or of a tool that takes free text: its pieces mean something only together."""

    __slots__ = ("_custom", "_given", "_item", "_pieces")

    def __init__(self, wire: Wire, index: int, block: Json, context: AnswerContext) -> None:
        name: str = block["name"]
        name = context.tool_names.get(name, name)
        told = context.tool_map.get(name, {})
        self._custom = told.get("kind") == "custom" or name in context.custom_tools
        super().__init__(wire, index, "ctc_" if self._custom else "fc_")
        self._given = block.get("input")
        self._pieces: list[str] = []
        self._item = {
            "id": self.id,
            "type": "custom_tool_call" if self._custom else "function_call",
            "call_id": block["id"],
            "name": told.get("name", name),
            **({"namespace": told["namespace"]} if told.get("namespace") else {}),
        }
        self._begin(self._whole("", "in_progress"))

    def _whole(self, said: str, status: str) -> Json:
        return {**self._item, "input" if self._custom else "arguments": said, "status": status}

    def argue(self, piece: str) -> None:
        """A piece of the arguments."""
        self._pieces.append(piece)
        if not self._custom:
            self._tell("function_call_arguments.delta", delta=piece)

    def close(self) -> tuple[Json, bool]:
        """End it. Also whether a tool that takes free text was called with that and nothing else."""
        said, kept = "".join(self._pieces), True
        if self._custom:
            said, kept = told_text(said, self._given)
            if said:
                self._tell("custom_tool_call_input.delta", delta=said)
            self._tell("custom_tool_call_input.done", input=said)
        else:
            if not said:
                said = dumps(self._given if isinstance(self._given, dict) else {}).decode()
                self._tell("function_call_arguments.delta", delta=said)
            self._tell("function_call_arguments.done", arguments=said)
        return self._end(self._whole(said, "completed")), kept
