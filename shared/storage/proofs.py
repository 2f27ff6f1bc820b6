"""Proofs of the head: knowing that a state was the journal's newest at some moment.

A `Proof(seq, began)` says: everything that anyone had acknowledged before `began` (monotonic
seconds) lies in entries up to `seq`. Two things give one: a probe (a GET of the entry behind one's
own head that found nothing, begun at `began`; if it finds one, one LIST begun later fixes the
target, and entries beyond it are not chased), and a winning create begun at `began`.

`Prover` shares probes: callers who wait while one is under way share the next, since the running
one began before they asked. Proofs are also left on a small board, a file that the container's
processes share, so that one tailer's probe serves them all.
"""

import os
import struct
import threading
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeGuard

from shared import waiting
from shared.clock import Clock
from shared.waiting import Signal


@dataclass(frozen=True, slots=True)
class Proof:
    """Up to `seq`, the journal holds all that was acknowledged before `began`."""

    seq: int
    began: float


class ProofTimeout(Exception):  # noqa: N818
    """The head could not be proven within the time allowed."""


class Board:
    """The latest proof of a container, in a small file that its processes share.

    Each record carries a checksum, so that a torn or foreign one is no proof at all.
    """

    _RECORD = struct.Struct("<QdI")

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def read(self) -> Proof | None:
        record = os.pread(self._file, self._RECORD.size, 0)
        if len(record) < self._RECORD.size:
            return None
        seq, began, total = self._RECORD.unpack(record)
        return Proof(seq, began) if total == zlib.crc32(record[:16]) else None

    def write(self, proof: Proof) -> None:
        """Leave a proof for the others, if that can be done: a full disk says nothing of it."""
        fields = struct.pack("<Qd", proof.seq, proof.began)
        with suppress(OSError):
            os.pwrite(self._file, fields + struct.pack("<I", zlib.crc32(fields)), 0)

    def close(self) -> None:
        os.close(self._file)


class Prover:
    """Gives proofs to many callers at the price of few probes. Thread-safe.

    `probe` brings the replica to the journal's head and returns the seq it proved; it may raise.
    """

    def __init__(self, clock: Clock, board: Board, probe: Callable[[], int]) -> None:
        self._clock = clock
        self._board = board
        self._probe = probe
        self._lock = threading.Lock()
        self._waiting: list[Signal] = []
        self._latest = Proof(0, float("-inf"))
        self._probing = False

    def note(self, proof: Proof) -> None:
        """Take in a proof from elsewhere: a winning create."""
        with self._lock:
            self._keep(proof)
            told, self._waiting = self._waiting, []
        _tell(told)

    def latest(self, after: float = float("inf")) -> Proof:
        """The newest proof known to this container; or this process's own, where that began at
        `after` or later and the board need not be read.
        """
        own = self._latest
        if own.began >= after:
            return own
        shared = self._board.read()
        with self._lock:
            if self._is_better(shared, self._latest):
                self._latest = shared
            return self._latest

    def _is_better(self, shared: Proof | None, own: Proof) -> TypeGuard[Proof]:
        """Whether what the board has says more than `own`."""
        if shared is None:
            return False
        # A record from the future is from another boot's clock.
        return own.began < shared.began <= self._clock.monotonic() and shared.seq >= own.seq

    def prove(self, after: float, deadline: float, *, leaves: bool = False) -> Proof:
        """A proof that began at `after` or later.

        Raises ProofTimeout at `deadline`, or whatever this caller's own probe raised. A caller that
        `leaves` then does so also where the probe is its own, which goes on without it.
        """
        while True:
            failed: list[Exception] = []
            with self._lock:
                if self._latest.began >= after:
                    return self._latest
                leads, self._probing = not self._probing, True
                if not leads or leaves:
                    told = waiting.signal()
                    self._waiting.append(told)
            if leads and not leaves:
                return self._led()
            if leads:
                self._lead_beside(failed)
            left = deadline - self._clock.monotonic()
            if left <= 0 or not told.wait(left):
                raise ProofTimeout
            if failed:
                raise failed[0]

    def _led(self) -> Proof:
        """Lead where nobody is in the way who waits for this very proof."""
        failed: list[Exception] = []
        try:
            proof = waiting.alone(lambda: self._lead(failed))
        except waiting.NoThread as error:
            self._give_up()
            raise ProofTimeout from error
        if proof is None:
            raise failed[0]
        return proof

    def _lead_beside(self, failed: list[Exception]) -> None:
        """Lead in a thread that nobody has to wait for."""
        try:
            threading.Thread(target=self._lead, args=(failed,), name="proof", daemon=True).start()
        except RuntimeError as error:
            self._give_up()
            raise ProofTimeout from error

    def _lead(self, failed: list[Exception]) -> Proof | None:
        """A proof; None where the probe failed, as is then told in `failed`."""
        began = self._clock.monotonic()
        proof = None
        try:
            proof = Proof(self._probe(), began)
        except Exception as error:  # noqa: BLE001 - raised by whoever waits for it
            failed.append(error)
        finally:
            self._give_up(proof)
        return proof

    def _give_up(self, proof: Proof | None = None) -> None:
        """Let others lead, with what was found if anything was."""
        with self._lock:
            self._probing = False
            if proof is not None:
                self._keep(proof)
            told, self._waiting = self._waiting, []
        _tell(told)

    def _keep(self, proof: Proof) -> None:
        if proof.began > self._latest.began:
            self._latest = proof
            # Another process may have left a younger one while this one's probe was under way.
            if not self._is_better(self._board.read(), proof):
                self._board.write(proof)


def _tell(told: list[Signal]) -> None:
    for each in told:
        each.set()
