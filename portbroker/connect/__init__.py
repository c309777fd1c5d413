"""Other programs' settings: read, changed in place, and put back.

The one rule: what a client's file holds beside our few settings stays byte for byte as it is, comments and all.
"""
