"""How many tokens a call has, by the vocabulary of OpenAI's newer models (o200k_base), which lies beside this.

The one rule: nothing here is imported or read before something is to be counted, and nothing is ever fetched. A count
errs on the high side, because a client that believes it has room will fail later.
"""

from portbroker.tokenizer.bodies import count_tokens

__all__ = ["count_tokens"]
