"""One function for each thing a client can want of commerce, one transaction each.

People are subjects (`shared.auth.subjects`). What a caller may not see is NOT_FOUND, so that
nobody learns what exists. Amounts are fen.
"""
