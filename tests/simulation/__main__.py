"""The simulator's commands.

    python -m tests.simulation replay --seed 7 --steps 20000
    python -m tests.simulation prove --first 0 --histories 100000
    python -m tests.simulation mutants --histories 1000

`replay` tells one history, line by line, and gives the same one again for the same seed. `prove`
judges many, on all processors; what is done already is not done again, unless the engine or the
simulator has changed since. `mutants` breaks a copy of the engine in each of the ways that
`tests/support/mutants.py` lists, and says how many histories it takes to notice.
"""

import argparse
import secrets
import signal
import sys
from pathlib import Path

from tests.simulation.hunt import hunt
from tests.simulation.prove import prove
from tests.simulation.run import STEPS, simulate

RECORD = Path(".cache/simulation.json")


def replay(seed: int, steps: int) -> int:
    outcome = simulate(seed, steps)
    print("\n".join(outcome.lines))
    print(f"\n{outcome.operations} requests, {outcome.entries} entries, {dict(outcome.happened)}")
    print(f"digest {outcome.digest}")
    for fault in outcome.faults:
        print(f"seed {seed}: {fault}")
    return 1 if outcome.faults else 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation")
    commands = parser.add_subparsers(required=True, dest="command")
    one = commands.add_parser("replay", help="tell one history")
    one.add_argument("--seed", type=int, default=None, help="a fresh one without it")
    one.add_argument("--steps", type=int, default=STEPS, help="turns of threads before the calm")
    many = commands.add_parser("prove", help="judge many histories")
    many.add_argument("--first", type=int, default=0)
    many.add_argument("--histories", type=int, default=100_000)
    broken = commands.add_parser("mutants", help="how soon seeded faults are seen")
    broken.add_argument("--histories", type=int, default=1000)
    given = parser.parse_args()
    # Whoever ends a proof early ends what it started, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended before it was done"))
    if given.command == "mutants":
        return hunt(given.histories)
    if given.command == "replay":
        seed = secrets.randbelow(1 << 40) if given.seed is None else given.seed
        return replay(seed, given.steps)
    return prove(given.first, given.histories, RECORD)


if __name__ == "__main__":
    sys.exit(main())
