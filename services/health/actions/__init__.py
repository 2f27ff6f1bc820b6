"""One function for each thing a client can want of health, one transaction each.

People are subjects (`shared.auth.subjects`). What a caller may not see is NOT_FOUND, so that
nobody learns what exists. Events name appointments by id and say nothing else: notices are made of
them, and no notice may say which doctor or department somebody visits.
"""
