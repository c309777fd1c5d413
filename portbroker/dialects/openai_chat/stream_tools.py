"""The tool calls of a chat stream, told one after the other however their deltas are mixed.

A call waits until it has a name and its turn, is live while its block is open, and is done when the block ends. The
one rule: no byte of the arguments is lost; a call that is live streams, the others are kept until it is complete.
"""

from typing import Any

from portbroker.conversation import AnswerContext, Json, Report, mint
from portbroker.dialects import Strand
from portbroker.dialects.arguments import clean_id
from portbroker.dialects.envelope import wrap
from portbroker.dialects.openai_chat.serial import TOOL, SerialBlocks
from portbroker.dialects.openai_chat.stream_call import Call, arguments_piece


class Calls:
    """The calls of one answer, in order of appearance."""

    __slots__ = ("_all", "_blocks", "_by_id", "_context", "_live", "_newest", "_report", "_used", "_waiting")

    def __init__(self, blocks: SerialBlocks, context: AnswerContext, report: Report) -> None:
        self._blocks, self._context, self._report = blocks, context, report
        self._all: list[Call] = []
        self._newest: dict[int, Call] = {}
        self._by_id: dict[str, Call] = {}
        self._waiting: list[Call] = []
        self._live: Call | None = None
        self._used: set[str] = set()

    @property
    def used(self) -> bool:
        """Whether the answer has a tool_use block."""
        return bool(self._used)

    @property
    def unfinished(self) -> bool:
        return self._live is not None or bool(self._waiting)

    @property
    def strand(self) -> Strand | None:
        """The arguments of the live call, if more of them would go out as they come and change nothing else."""
        live = self._live
        if live is None or self._waiting or live.custom or not live.told or live.index is None:
            return None
        return ("input_json_delta", live.index) if self._newest.get(live.index) is live else None

    def go_on(self, piece: str) -> str:
        """More of these arguments, as they are told."""
        assert self._live is not None
        self._live.add(piece)
        return self._live.ready()

    def written(self) -> list[str]:
        """All arguments, in pieces."""
        return [part for call in self._all for part in call.parts]

    def complete(self) -> bool:
        """Whether all that is unfinished could end now."""
        live = [self._live] if self._live else []
        return all(call.name and call.complete() for call in live + self._waiting)

    def feed(self, delta: Json) -> None:
        """Take one entry of `tool_calls` and tell what can be told."""
        custom = isinstance(delta.get("custom"), dict)
        said = delta.get("custom" if custom else "function")
        said = said if isinstance(said, dict) else {}
        name = said.get("name")
        name = name if isinstance(name, str) else ""
        piece = arguments_piece(said.get("input" if custom else "arguments"))
        call = self._find(delta, name, piece)
        call.name = call.name or name
        self._note_signature(call, delta)
        self._add(call, call.quote(piece) if custom else piece)
        self._advance()

    def _add(self, call: Call, piece: str) -> None:
        if self._open(call):
            call.add(piece)
        elif piece.strip():
            self._report.add("dropped", _path(call))

    def _find(self, delta: Json, name: str, piece: str) -> Call:
        """The call that a delta belongs to: one that is known, or a new one."""
        index, call_id = delta.get("index"), delta.get("id")
        index = index if type(index) is int else None
        call_id = call_id if isinstance(call_id, str) else ""
        call = self._known(index, call_id, name, piece)
        if call is None:
            call = self._new(index)
        if call_id and not call.id:
            call.id = call_id
            self._by_id[call_id] = call
        return call

    def _known(self, index: int | None, call_id: str, name: str, piece: str) -> Call | None:
        if index is None:
            if call_id or name:
                return self._by_id.get(call_id)
            return self._all[-1] if self._all else None
        call = self._newest.get(index)
        if call is None or not call_id:
            # Some servers number every call 0 and name none: a complete one is over when the next begins.
            return None if call and name and piece and call.complete() else call
        if not call.id or call.id == call_id:
            return call
        earlier = self._by_id.get(call_id)
        return earlier if earlier and earlier.index == index and self._open(earlier) else None

    def _open(self, call: Call) -> bool:
        return call is self._live or call in self._waiting

    def _new(self, index: int | None) -> Call:
        call = Call(index, len(self._all))
        self._all.append(call)
        self._waiting.append(call)
        if index is not None:
            self._newest[index] = call
        return call

    def _note_signature(self, call: Call, delta: Json) -> None:
        if self._context.state == "gemini" and (signature := thought_signature(delta)):
            call.signature = signature

    def _advance(self) -> None:
        """Tell what the live call has, and let the next one begin when it is complete."""
        while True:
            if self._live is None and not self._begin():
                return
            live = self._live
            assert live is not None
            if not (self._waiting and live.complete()):
                break
            self._end(live)
        if text := live.ready():
            self._blocks.delta("input_json_delta", "partial_json", text)

    def _begin(self) -> bool:
        """Whether a call that waits could be opened."""
        call = next((c for c in self._waiting if c.name), None)
        if call is None:
            return False
        self._waiting.remove(call)
        self._live = call
        call.use_id = self._use_id(call.id)
        self._blocks.carry_details()
        self._carry(call)
        name = self._context.tool_names.get(call.name, call.name)
        self._blocks.open({"type": TOOL, "id": call.use_id, "name": name, "input": {}})
        return True

    def _use_id(self, call_id: str) -> str:
        use_id = clean_id(call_id)
        if not use_id or use_id in self._used:
            use_id = mint("toolu_")
        self._used.add(use_id)
        return use_id

    def _carry(self, call: Call) -> None:
        if call.signature and call.use_id:
            self._blocks.carry(wrap("gts", self._context.origin, m={call.use_id: call.signature}))
            call.signature = ""

    def _end(self, call: Call, cut: bool = False) -> None:
        if call.custom:
            call.add('"}')
        valid = cut or call.valid()
        if rest := call.rest(cut):
            self._blocks.delta("input_json_delta", "partial_json", rest)
        self._blocks.close()
        self._carry(call)
        self._live = None
        if not valid:
            self._report.add("invalid", _path(call))

    def finish(self, cut: bool = False) -> None:
        """End all calls. `cut`: the answer was, so that arguments may be unfinished."""
        while self._live or self._begin():
            assert self._live is not None
            self._end(self._live, cut)
        if self._waiting:
            self._report.add("dropped", "tool_call")
            self._waiting.clear()
        for call in self._all:
            self._carry(call)


def thought_signature(call: Any) -> str:
    """The thought signature that a provider put on a call, or ""."""
    for name in ("extra_content", "google", "thought_signature"):
        call = call.get(name) if isinstance(call, dict) else None
    return call if isinstance(call, str) and call.isascii() else ""


def _path(call: Call) -> str:
    return f"choices[0].delta.tool_calls[{call.place}].function.arguments"
