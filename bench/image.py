"""How long the image takes to its first answer, and how large it is: part (m).

On a Docker of its own, over bases that `tests/support/docker.py` makes in place of the public ones.
Each start is of a new container on an empty bucket, timed from before `docker run` to the 200.
"""

import time
from collections.abc import Iterator
from http.client import HTTPException
from pathlib import Path
from statistics import median

from bench.lab import Lab
from bench.report import Finding
from tests.support.docker import Docker
from tests.support.image import IMAGE, Service, Site, bases

ROOT = Path(__file__).parents[1]

_STARTS = 5
_SECONDS_MAX = 1.5
_MEGABYTES_MAX = 120

_ANSWERS = {
    "alive": "/commerce/health/live",
    "a list, once the store was found fit": "/commerce/v1/products",
}


def measure(lab: Lab) -> Iterator[Finding]:
    """Part (m)."""
    with Docker(lab.directory("docker")) as docker:
        compiler, runtime = bases(ROOT)
        docker.make_bases(compiler=compiler, runtime=runtime)
        docker.build(ROOT, IMAGE)
        yield _size(docker, runtime)
        for what, path in _ANSWERS.items():
            starts = [_start(lab, docker, path) for _ in range(_STARTS * lab.pace.rounds)]
            how = f"{len(starts)} starts, of {min(starts):.2f} to {max(starts):.2f} s"
            lab.say(f"  {median(starts):7.2f} s  first answer: {what}; {how}")
            yield Finding(
                "m", f"first 200: {what}", median(starts), "s", _SECONDS_MAX, at_most=True, how=how
            )


def _size(docker: Docker, runtime: str) -> Finding:
    whole, base = (docker.bytes_of(image) for image in (IMAGE, runtime))
    megabytes = (whole - base) / 1e6
    how = f"{whole / 1e6:.0f} MB in all"
    return Finding(
        "m", "image above its base", megabytes, "MB", _MEGABYTES_MAX, at_most=True, how=how
    )


def _start(lab: Lab, docker: Docker, path: str) -> float:
    """Seconds from `docker run` to the first 200."""
    site = Site(docker, lab.seaweed, lab.directory("site"))
    began = time.monotonic()
    service = site.service()
    while not _answers(service, path):
        time.sleep(0.005)
    seconds = time.monotonic() - began
    service.stop()
    return seconds


def _answers(service: Service, path: str) -> bool:
    try:
        return service.get(path)[0] == 200
    except (OSError, HTTPException):
        return False
