"""Load over HTTP by wrk, and the citizens it speaks for."""

import itertools
import json
import shutil
import subprocess
import time
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path

import orjson
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet

CITIZENS = 200
CONNECTIONS = 64
_SCRIPT = Path(__file__).parent / "load.lua"


@dataclass(frozen=True, slots=True)
class Answered:
    """What came of one run of wrk. It raised where any request failed."""

    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float

    @property
    def per_second(self) -> float:
        return self.requests / self.seconds


def run(
    url: str,
    mode: str,
    rows: Path | None,
    seconds: float,
    traced: float | None = None,
    *,
    connections: int = CONNECTIONS,
) -> Answered:
    """Ask for whole seconds, at least two. With `traced`, orders come as from the gateway, which
    keeps traces of so many percent.

    Raises RuntimeError where an answer was not 2xx.
    """
    # What the run before left under way would wait beside this one's, and be one too many.
    time.sleep(0.5)
    said = subprocess.run(
        [
            *(_program(), "-t2", f"-c{connections}", f"-d{max(2, round(seconds))}s"),
            *("--timeout", "10s", "-s", str(_SCRIPT), url),
            *("--", mode, uuid.uuid4().hex[:12], str(rows or "-")),
            *([] if traced is None else [str(traced)]),
        ],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    found = json.loads(said.splitlines()[-1])
    failed = found.pop("failed")
    if any(failed.values()) or not found["requests"]:
        raise RuntimeError(f"of {found['requests']} requests to {url} failed: {failed}")
    return Answered(**found)


def _program() -> str:
    found = shutil.which("wrk")
    if found is None:
        raise SystemExit("wrk is missing: sudo infra/install-debian-packages")
    return found


class Citizens:
    """An issuer with one key, and tokens of its citizens for an hour."""

    def __init__(self, folder: Path, issuer: str) -> None:
        self.jwks = folder / "jwks.json"
        key = ECKey.generate_key("P-256", {"kid": "bench"})
        self.jwks.write_bytes(orjson.dumps(KeySet([key]).as_dict(private=False)))
        self.tokens = [_token(key, issuer, f"account-{n}") for n in range(CITIZENS)]

    def orders(self, products: Sequence[str], rows: Path) -> Path:
        """Rows for the mode `order`: every product, every citizen."""
        count = max(CITIZENS, len(products))
        pairs = zip(itertools.cycle(self.tokens), itertools.cycle(products), strict=False)
        return _write(rows, (f"{t} {p}" for t, p in itertools.islice(pairs, count)))

    def reads(self, port: int, product: str, rows: Path, *, by_seq: bool) -> Path:
        """Place an order for each citizen, and give the rows for the mode `read`.

        With `by_seq` each read names the entry that its order is in.
        """
        connection = HTTPConnection("127.0.0.1", port)
        lines = []
        for token in self.tokens:
            path, seq = _order(connection, token, product)
            lines.append(f"{token} {path} {seq if by_seq else '-'}")
        connection.close()
        return _write(rows, lines)


def _order(connection: HTTPConnection, token: str, product: str) -> tuple[str, str]:
    headers = {
        "Authorization": f"Bearer {token}",
        "Content-Type": "application/json",
        "Idempotency-Key": uuid.uuid4().hex,
    }
    body = orjson.dumps({"lines": [{"product_id": product, "quantity": 1}]})
    connection.request("POST", "/commerce/v1/orders", body, headers)
    answer = connection.getresponse()
    said = answer.read()
    if answer.status != 201:
        raise RuntimeError(f"an order was answered {answer.status}: {said!r}")
    return answer.headers["Location"], answer.headers["Commit-Seq"]


def _token(key: ECKey, issuer: str, account: str) -> str:
    claims = {
        "iss": issuer,
        "aud": "commerce",
        "sub": account,
        "exp": int(time.time()) + 3600,
        "scope": "orders:read orders:write",
        "roles": ["citizen"],
    }
    header = {"alg": "ES256", "typ": "at+jwt", "kid": "bench"}
    return jwt.encode(header, claims, key, algorithms=["ES256"])


def _write(path: Path, lines: Iterable[str]) -> Path:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path
