"""The rendered configuration, as nginx and as a reader sees it."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from infra import gateway, nginx
from infra.gateway import ANSWERS, Gateway, Rate, Service, Tls
from infra.seaweed import free_ports

ROOT = Path(gateway.__file__).parents[1]
COMMERCE = Service("commerce", ("127.0.0.1:9001", "127.0.0.1:9002"))
IDENTITY = Service("identity", ("unix:/run/with space/identity.sock",))


def rendered(directory: Path, **choices: object) -> str:
    return gateway.render(Gateway(directory, directory / "logs", (COMMERCE, IDENTITY), **choices))  # type: ignore[arg-type]


def test_nginx_accepts_the_configuration(tmp_path: Path) -> None:
    listen = f"127.0.0.1:{free_ports(1)[0]}"
    user = gateway.own_user()
    gateway.install(Gateway(tmp_path, tmp_path, (COMMERCE, IDENTITY), user=user, listen=listen))
    checked = subprocess.run(
        nginx.argv(tmp_path, "-t"), capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stderr
    assert "warn" not in checked.stderr


def test_every_choice_reaches_the_configuration(tmp_path: Path) -> None:
    text = rendered(
        tmp_path,
        listen="10.1.2.3:8443",
        public_host="gansu.example",
        tls=Tls(Path("/tls/chain.pem"), Path("/tls/key.pem")),
        user="web web",
        workers=3,
        connections=777,
        credential_rate=Rate(11, 12),
        anonymous_rate=Rate(21, 22),
        address_rate=Rate(31, 0),
        address_connections=41,
        body_bytes_max=51_000,
        uri_bytes_max=61,
        client_seconds=71,
        answer_seconds=81,
        cache_mib=91,
        upstream_keepalive=101,
        upstream_idle_seconds=111,
    )
    for line in (
        "listen 10.1.2.3:8443 ssl backlog=1024;",
        "http2 on;",
        "proxy_set_header Host gansu.example;",
        'ssl_certificate "/tls/chain.pem";',
        'ssl_certificate_key "/tls/key.pem";',
        "ssl_protocols TLSv1.2 TLSv1.3;",
        "ssl_session_tickets off;",
        "user web web;",
        "worker_processes 3;",
        "worker_connections 777;",
        "zone=credential:16m rate=11r/s;",
        "limit_req zone=credential burst=12 nodelay;",
        "zone=anonymous:8m rate=21r/s;",
        "limit_req zone=anonymous burst=22 nodelay;",
        "zone=address:8m rate=31r/s;",
        "limit_req zone=address ;",
        "limit_conn connections 41;",
        "client_max_body_size 51000;",
        '"~^.{62}" 1;',
        "client_header_timeout 71s;",
        "client_body_timeout 71s;",
        "proxy_read_timeout 81s;",
        "max_size=91m",
        "keepalive 101;",
        "keepalive_timeout 111s;",
    ):
        assert line in text


def test_every_location_that_reaches_a_service_is_limited(tmp_path: Path) -> None:
    blocks = re.findall(r"location /[a-z/]* \{\n(.*?)\n        \}", rendered(tmp_path), re.DOTALL)
    reaching = [block for block in blocks if "proxy_pass" in block]
    assert len(reaching) == 5
    for block in reaching:
        assert block.count("limit_req zone=") == 3
        assert "limit_conn" in block
        assert "$uri_too_long" in block
        assert "$method_unknown" in block


def test_whatever_header_services_read_is_forwarded() -> None:
    sources = [*(ROOT / "shared").rglob("*.py"), *(ROOT / "services").rglob("*.py")]
    read = {
        name.replace("_", "-").title()
        for source in sources
        for name in re.findall(r'"HTTP_([A-Z_]+)"', source.read_text())
    }
    assert read >= {"Authorization", "Idempotency-Key"}
    # The last ends at the gateway; those before it, it sets itself.
    set_here = {
        *("Accept-Encoding", "Accept-Language", "Cookie", "If-None-Match"),
        *("X-Forwarded-For", "X-Request-Id", "Traceparent", "Transfer-Encoding"),
    }
    assert read - set_here <= set(gateway.FORWARDED)


def test_the_manual_states_the_defaults(tmp_path: Path) -> None:
    manual = (ROOT / "docs" / "operations.md").read_text()
    choices = Gateway(tmp_path, tmp_path, (COMMERCE,))
    credential, anonymous = choices.credential_rate, choices.anonymous_rate
    for words in (
        f"{choices.body_bytes_max >> 10} KiB, a picture {choices.picture_bytes_max >> 20} MiB",
        f"{choices.uri_bytes_max:,} bytes, else 414",
        f"{credential.per_second} a second and {credential.burst} at once, for each token",
        f"{anonymous.per_second} a second and {anonymous.burst} at once, for each address",
        f"{choices.address_rate.per_second:,} a second and {choices.address_rate.burst:,} at once",
        f"{choices.address_connections:,} connections",
        f"{choices.address_uploads} of each address of a client, {choices.uploads_max} in all",
        f"{choices.uploads_max * (choices.picture_bytes_max >> 20)} MiB of the gateway's disk",
        f"let go after {choices.client_seconds} s",
        f"504 after {choices.answer_seconds} s",
    ):
        assert words in manual


def test_nothing_makes_nginx_repeat_or_keep_more_than_it_may(tmp_path: Path) -> None:
    directives = re.sub(r"#.*", "", rendered(tmp_path))
    for forbidden in ("non_idempotent", "proxy_cache_valid", "proxy_cache_use_stale"):
        assert forbidden not in directives


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda answer: str(answer.code))
def test_every_answer_of_its_own_is_a_problem_in_both_languages(answer: gateway.Answer) -> None:
    chinese, english = json.loads(answer.document("zh")), json.loads(answer.document("en"))
    assert chinese.keys() == english.keys() == {"type", "title", "status", "request_id"}
    assert re.search(r"[一-鿿]", chinese["title"])
    assert english["title"].isascii()
    assert chinese["status"] == answer.status
    assert chinese["type"] == f"/problems/{answer.problem.slug}"
    passes = answer.status in {429, 502, 503, 504}
    assert (answer.retry_after_seconds is not None) == passes


@pytest.mark.parametrize("name", ["", "a-b", "Commerce", "a/b", "a;b", "a\n"])
def test_a_name_that_cannot_be_a_path_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="lower-case letters"):
        Service(name, ("127.0.0.1:1",))


def test_a_service_without_containers_is_refused() -> None:
    with pytest.raises(ValueError, match="no upstream"):
        Service("commerce", ())
