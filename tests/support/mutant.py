"""A mutant: one passage replaced by another that breaks one promise and nothing else."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mutant:
    """`does` completes: one that …  `caught_by` is a pytest node id."""

    does: str
    file: str
    sound: str
    broken: str
    caught_by: str
