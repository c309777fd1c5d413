"""Every YAML block: a configuration whose tests pass, or a part of a translation with a document before and after.

The one rule: what a page shows is what PortBroker does.
"""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from portbroker.cli.expectations import run_tests
from portbroker.cli.outcomes import failure
from portbroker.cli.terminal import Terminal
from portbroker.compile import compile_snapshot
from portbroker.config.load import load
from portbroker.config.model import Config, ProviderConfig, TranslationConfig
from portbroker.conversation import Report
from portbroker.fieldmap import RuleContext
from portbroker.fieldmap.select import ProviderMaps, compile_library
from tests.docs.blocks import Block, of

NOTE = re.compile(r"# (before|after|ctx|reported|class|message): (.*)")


def is_configuration(block: Block) -> bool:
    return set(yaml.safe_load(block.text)) <= set(Config.model_fields)


CONFIGURATIONS = [block for block in of("yaml") if is_configuration(block)]
PARTS = [block for block in of("yaml") if not is_configuration(block)]


@pytest.mark.parametrize("block", CONFIGURATIONS, ids=str)
def test_a_configuration_is_served_and_passes_its_own_tests(block: Block, tmp_path: Path) -> None:
    path = tmp_path / "portbroker.yaml"
    path.write_text(block.text)
    variables = dict.fromkeys(re.findall(r"\benv\.(\w+)", block.text), "sk-test")
    loaded = load(path, environ=variables, thorough=True)
    snapshot = compile_snapshot(loaded)
    assert not loaded.warnings
    assert not [provider.reason for provider in snapshot.providers.values() if provider.reason]
    for outcome in run_tests(path):
        assert outcome.passed, "\n".join(failure(outcome, Terminal()))


@pytest.mark.parametrize("block", PARTS, ids=str)
def test_a_part_of_a_translation_does_what_its_comments_say(block: Block) -> None:
    notes: dict[str, str] = dict(NOTE.findall(block.text))
    written = yaml.safe_load(block.text)
    (hook,) = written
    context: dict[str, Any] = json.loads(notes.get("ctx", "{}"))
    maps = ProviderMaps(
        compile_library({}, {}),
        ProviderConfig(
            name=context.get("provider", "P"),
            base_url="https://llm.example.com/v1",
            translation=TranslationConfig.model_validate(written),
        ),
    )
    chosen = maps.resolve(context.get("model", "m"))
    before = json.loads(notes["before"])
    if hook == "errors":
        assert chosen.errors(before, 200) == (notes["class"], notes.get("message"))
        return
    report = Report()
    assert getattr(chosen, hook)(before, RuleContext(**context), report) == json.loads(notes["after"])
    assert ", ".join(map(str, report)) == notes.get("reported", "")


def test_each_hook_is_shown() -> None:
    shown = {key for block in PARTS for key in yaml.safe_load(block.text)}
    assert shown == {"request", "stream", "errors"}
