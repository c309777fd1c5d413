"""Where the way from a client over the gateway to a provider breaks, and how to mend it.

The one rule: nothing is changed, nothing is paid for, and what could not be found out is said to be unknown.
"""
