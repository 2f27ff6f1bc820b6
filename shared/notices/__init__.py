"""Notices: one short message to a person for each event that concerns them.

A service's `notices.py` says which events make which words; `mapping` is what it is written with.
The rest runs in a process of its own beside the service (`program`): `feed` follows the service's
journal and writes messages down, `outbox` keeps them, `sender` hands them to a `message.Notifier`,
which is the `console` or an SMS gateway over `http`. docs/decisions/0060 says what is promised.
"""
