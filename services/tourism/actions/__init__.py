"""One function for each thing a client can want of tourism, one transaction each.

People are subjects, visitors are digests (`shared.auth.subjects`). What a caller may not see is
NOT_FOUND, so that nobody learns what exists.

Whoever writes to a session first lets go of holds on it that have expired; where nobody writes, the
service does it by itself (`upkeep`).
"""
