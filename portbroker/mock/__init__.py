"""A provider that does as it is told: answers in every dialect, and fails in the ways that providers fail.

`behaviours` says what may be asked of it, `answers` writes its words, `serving` is its connections. The one rule: its
answers are written by the dialects' own encoders, so a client cannot tell them from those of a provider.
"""

from portbroker.mock.behaviours import Behaviour, BehaviourError, behaviour_of
from portbroker.mock.serving import CONTROL, Mock, serving

__all__ = ["CONTROL", "Behaviour", "BehaviourError", "Mock", "behaviour_of", "serving"]
