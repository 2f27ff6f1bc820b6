"""The gateway's front page: what somebody sees who opens its address in a browser. It leads to the
pages on which the services can be tried; it runs nothing and loads nothing.
"""

import base64
import hashlib
from collections.abc import Sequence

from shared.language import TAGS, Language

_STYLE = (
    ":root{color-scheme:light dark;font:18px/1.6 system-ui,sans-serif}"
    "body{margin:0 auto;max-width:32em;padding:2em 1em}"
    "li{margin:.4em 0}"
)
_DIGEST = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()

POLICY = (
    f"default-src 'none'; style-src 'sha256-{_DIGEST}'; base-uri 'none'; form-action 'none';"
    " frame-ancestors 'none'"
)
"""The page's Content-Security-Policy."""

_TITLE: dict[Language, str] = {"zh": "智慧甘肃", "en": "Smart Gansu"}
_SAYS: dict[Language, str] = {
    "zh": "这里是全省统一的服务接口，供应用程序使用。各项服务可在以下页面试用：",
    "en": "Here is what the apps of a province talk to. Each service can be tried on its page:",
}


def page(services: Sequence[str], language: Language) -> str:
    """The page, as HTML. Services are named by their paths, which are lower-case letters."""
    links = "".join(
        f'<li><a href="/{service}/docs">{service}</a> '
        f'(<a href="/{service}/openapi.json">OpenAPI</a>)</li>'
        for service in services
    )
    return (
        f'<!doctype html><html lang="{TAGS[language]}"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{_TITLE[language]}</title><style>{_STYLE}</style>"
        f"<h1>{_TITLE[language]}</h1><p>{_SAYS[language]}</p><ul>{links}</ul></html>"
    )
