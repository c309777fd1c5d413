"""Params: canonical parameters turned into those of a dialect, by the table that each dialect brings along.

The one rule: the table is rules like any other, so that whatever it does can be seen and overridden by id.
"""

from functools import cache

from portbroker.config.options import Options
from portbroker.conversation import Json, Report
from portbroker.fieldmap import Params, RuleContext
from portbroker.fieldmap.conditions import Known
from portbroker.fieldmap.presets import read_preset
from portbroker.fieldmap.problems import Place, RuleProblem, refuse
from portbroker.fieldmap.rules import Rule, bind_rules, compile_list


def known_options(options: Options) -> Known:
    """Options as rules know them: `options.NAME`, by the names of the file."""
    return {f"options.{name}": value for name, value in options.model_dump(mode="json", by_alias=True).items()}


@cache
def dialect_table(dialect: str) -> tuple[Rule, ...]:
    """The compiled table of a dialect, `presets/dialects/<dialect>.yaml`."""
    problems: list[RuleProblem] = []
    table = compile_list(read_preset(f"dialects/{dialect}")["params"], Place(problems, ("params",)))
    refuse(problems)
    return table


def dialect_params(dialect: str, options: Options) -> Params:
    """What the plain table of a dialect does under these options."""
    rules = bind_rules(dialect_table(dialect), known_options(options))
    context = RuleContext()  # the options are folded in; of a call the plain tables ask nothing

    def params(body: Json, report: Report) -> Json:
        return rules(body, context, report)

    return params
