"""How the buckets are set, as provisioning would have them, and as far as the credentials see."""

from collections.abc import Iterator

from infra.doctor.finding import Finding, trouble
from infra.plan import Options, Step, planned
from shared.clock import Clock
from shared.settings import StoreSettings
from shared.storage.objects import Denied, StoreError

_UNSEEN = (
    "These credentials do not see how the buckets are set: run it once more with an operator's,"
    " without --service."
)


def buckets(settings: StoreSettings, clock: Clock, options: Options) -> Iterator[Finding]:
    """What a plan of provisioning has to say of each bucket."""
    try:
        steps = planned(settings, clock, options)
    except Denied:
        yield Finding("note", "buckets", _UNSEEN)
    except StoreError as error:
        yield trouble("buckets", error)
    except ValueError as error:
        yield Finding("wrong", "buckets", f"{error}.", "Correct the settings.")
    else:
        yield from map(_told, steps)


def _told(step: Step) -> Finding:
    about = f"bucket {step.bucket}"
    if step.state == "is":
        return Finding("well", about, f"{_sentence(step.says)}.")
    if step.state == "refused":
        return Finding("wrong", about, step.says)
    said = f"Still to do: {step.says}."
    return Finding("wrong", about, said, "Run python -m infra.provision.")


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
