"""What goes through between each client dialect and each provider dialect, found out by sending it.

The one rule: nothing here says what should come of a thing; it says how to ask for it and where to look.
"""
