"""Who signs the entries of a journal."""

from shared.clock import Clock


def writer_name(container: str, clock: Clock) -> str:
    """What a process signs its entries with: its container's name, and a part of its own."""
    own = clock.random(6).hex()
    return f"{container}.{own}" if container else own
