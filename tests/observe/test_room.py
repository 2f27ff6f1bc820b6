"""A disk without room for what is counted: nothing is counted, and all else goes on."""

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from shared.observe import exposition, measures, room

ROOT = Path(__file__).parents[2]

_COUNTS = """
from shared.observe import measures
from shared.observe.metrics import EdgeMeter, EngineMeter, Metrics, StoreMeter
metrics = Metrics("commerce", measures.SERVICES)
engine, store, edge = EngineMeter(metrics, "c"), StoreMeter(metrics), EdgeMeter(metrics, {})
engine.batch(1), engine.commit("applied"), engine.waited([0.1])
store.answered("get", "ok", 0.1, is_error=False)
edge.answered("GET", "GET /a", 503, 0.1, "busy")
metrics.gauge(measures.QUEUE_DEPTH, database="c").set(1)
metrics.gauge(measures.READY).set(1)
"""

_OBSERVES = """
import resource, sys
from pathlib import Path
from shared.clock import SystemClock
from shared.observe import exposition
from shared.observe.observer import observing
from shared.settings import ObservationSettings, StoreSettings
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
folder = Path(sys.argv[1])
exposition.prepare(folder / "metrics")
observation = ObservationSettings.from_environ({"GANSU_METRICS_BIND": "127.0.0.1:1"})
settings = StoreSettings.from_environ(
    {"GANSU_REPLICA_DIRECTORY": str(folder), "GANSU_STORE_BUCKET": "bucket"}
)
observer = observing(observation, settings, "commerce", SystemClock())
exposition.ended(folder / "metrics", 4711)
print("counts" if observer.metrics else "counts nothing")
"""


def run(program: str, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=ROOT,
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        check=True,
    )


def test_all_room_is_taken_before_anything_is_counted(tmp_path: Path) -> None:
    program = (
        "import os, sys; from pathlib import Path; from shared.observe import measures, room;"
        "room.take(Path(sys.argv[1]), str(os.getpid()), measures.SERVICES);"
        "told = lambda: print(sorted((path.name, path.stat().st_blocks, path.stat().st_size)"
        " for path in Path(sys.argv[1]).iterdir()));"
        f"told(); exec({_COUNTS!r}); told()"
    )
    done = run(program, str(tmp_path), PROMETHEUS_MULTIPROC_DIR=str(tmp_path))
    before, after = done.stdout.splitlines()
    assert "histogram" in before
    assert before == after, "the library wrote where there was room, and nowhere else"
    for path in tmp_path.iterdir():
        assert path.stat().st_blocks * 512 >= path.stat().st_size, "without holes"


def test_what_is_counted_can_be_read_while_a_process_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exposition.prepare(tmp_path)
    write, looks = Path.write_bytes, []

    def slowly(path: Path, content: bytes) -> int:
        path.touch()
        looks.append(exposition.text(tmp_path))
        return write(path, content)

    monkeypatch.setattr(Path, "write_bytes", slowly)
    room.take(tmp_path, "4711", measures.SERVICES)

    assert len(looks) > 2
    assert set(looks) == {b""}
    assert list(tmp_path.glob("*.new")) == []


def test_what_a_process_that_died_had_begun_is_cleared_away(tmp_path: Path) -> None:
    exposition.prepare(tmp_path)
    before = sorted(tmp_path.iterdir())
    (tmp_path / f"histogram_4711{room.UNFINISHED}").touch()
    exposition.ended(tmp_path, 4711)

    assert sorted({*tmp_path.iterdir()} - {tmp_path / "lock"}) == before


def test_without_room_nothing_is_counted_and_all_else_goes_on(tmp_path: Path) -> None:
    done = run(_OBSERVES, str(tmp_path))
    assert done.stdout.splitlines()[-1] == "counts nothing"
    assert "this process counts nothing" in done.stdout
    assert list((tmp_path / "metrics").glob("*.db")) == []


@pytest.mark.parametrize("left", [b"", b"\x40" + bytes(7) + b"\x7f" * 56], ids=["empty", "garbled"])
def test_what_a_dying_process_left_half_done_is_lost_alone(
    tmp_path: Path, left: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    exposition.prepare(tmp_path)
    (tmp_path / "counter_4711.db").write_bytes(left)
    exposition.ended(tmp_path, 4711)
    assert "what process 4711 counted is lost" in caplog.text
    assert exposition.text(tmp_path) == b"", "it keeps nobody from reading the others"


def test_a_folder_that_is_gone_does_not_end_the_master(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    exposition.ended(tmp_path / "gone", 4711)
    assert [record.levelno for record in caplog.records] == [logging.ERROR]


def test_a_place_that_takes_nothing_is_left_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        room.take(tmp_path / "file" / "metrics", "1", measures.SERVICES)
