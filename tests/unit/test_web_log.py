"""The service's own log."""

import orjson

from shared.web.log import RequestLog
from tests.support.clock import FakeClock


def test_a_failure_is_told_by_its_kind_and_place_and_not_by_its_message() -> None:
    lines: list[bytes] = []
    log = RequestLog("commerce", FakeClock(), lines.append)
    try:
        int("13811112222x")
    except ValueError as error:
        log.failed(request_id="r" * 8, route="GET /x", error=error)
    told = orjson.loads(lines[0])
    assert told["failure"] == "ValueError"
    assert told["frames"][-1].startswith("test_web_log.py:")
    assert "1381111" not in lines[0].decode()
    assert lines[0].endswith(b"}\n")
    assert lines[0].count(b"\n") == 1
