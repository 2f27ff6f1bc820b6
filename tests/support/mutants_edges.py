"""Faults to be seeded at the edges: who may do what, what is kept of it, what is written down.

As in mutants.py, each with the test that must catch it; `docs/security.md` shows the list.
"""

from tests.support.mutant import Mutant

_MATRIX = "tests/http/test_authorisation.py::"
_ACTING = "tests/http/test_acting.py::"
_BESIDE = "tests/http/test_identity_beside.py::"

EDGES = (
    Mutant(
        "forgets to check whose an order is",
        "services/commerce/actions/orders.py",
        '    if order.body["citizen"] != citizen:',
        '    if order.body["citizen"] == "":',
        f"{_MATRIX}test_anothers_is_not_found_and_ones_own_is_there"
        "[GET /commerce/v1/orders/{order_id}]",
    ),
    Mutant(
        "lets staff of one hospital act for another",
        "services/health/actions/keepers.py",
        "    if not staff.operator:\n        member",
        '    if staff.subject == "":\n        member',
        f"{_MATRIX}test_anothers_is_not_found_and_ones_own_is_there"
        "[POST /health/v1/sessions/{session_id}/stop]",
    ),
    Mutant(
        "asks for no role",
        "shared/web/service.py",
        "        if route.roles and not route.roles & identity.roles:",
        "        if route.roles and not identity.roles:",
        f"{_MATRIX}test_each_caller_is_answered_as_the_table_says[POST /commerce/v1/stores]",
    ),
    Mutant(
        "accepts a delegate on a merchant's route",
        "shared/web/service.py",
        "        if identity.actor is not None and not route.for_others:",
        "        if identity.actor is not None and not route.roles:",
        f"{_MATRIX}test_each_caller_is_answered_as_the_table_says[GET /commerce/v1/my/stores]",
    ),
    Mutant(
        "ignores the scope of a delegate",
        "shared/web/service.py",
        "        if route.scope not in identity.scopes:",
        "        if route.scope not in identity.scopes and identity.actor is None:",
        f"{_MATRIX}test_each_caller_is_answered_as_the_table_says[GET /commerce/v1/orders]",
    ),
    Mutant(
        "takes a token whose `act` it cannot read for the person's own",
        "shared/auth/tokens.py",
        'if "act" in claims else None',
        'if isinstance(claims.get("act"), dict) else None',
        "tests/unit/test_auth_tokens.py::test_an_act_of_another_form_makes_it_no_token[None]",
    ),
    Mutant(
        "leaves who acted out of what is stored",
        "shared/auth/acting.py",
        "    if actor is not None:",
        '    if actor is not None and did == "":',
        f"{_ACTING}test_both_identities_stand_on_what_is_done_for_somebody[commerce]",
    ),
    Mutant(
        "leaves who acted out of the event",
        "shared/auth/acting.py",
        '    return {} if actor is None else {"acted_by": actor.noted()}',
        "    return {}",
        f"{_ACTING}test_both_identities_stand_on_what_is_done_for_somebody[health]",
    ),
    Mutant(
        "forgets to say who cancelled a booking",
        "services/tourism/actions/bookings.py",
        '        note(booking.body, "cancelled", actor)\n',
        "",
        f"{_ACTING}test_both_identities_stand_on_what_is_done_for_somebody[tourism]",
    ),
    Mutant(
        "answers an agent with what the person did under the same key",
        "shared/auth/tokens.py",
        'return self.subject if self.actor is None else f"{self.subject} {self.actor.subject}"',
        "return self.subject",
        f"{_ACTING}test_keys_of_an_agent_and_of_the_person_are_apart[commerce]",
    ),
    Mutant(
        "seals delegations with one key for all services",
        "shared/auth/delegations.py",
        'hmac.digest(key, b"delegation", hashlib.sha512)',
        'hmac.digest(b"", b"delegation", hashlib.sha512)',
        "tests/http/test_pairwise.py::test_no_two_journals_share_anything_that_tells_a_person",
    ),
    Mutant(
        "makes subjects with one key for all services",
        "shared/auth/subjects.py",
        'hmac.digest(key, b"subject\\0" + account.encode(), hashlib.sha256)',
        'hmac.digest(b"", b"subject\\0" + account.encode(), hashlib.sha256)',
        "tests/http/test_pairwise.py::test_no_two_journals_share_anything_that_tells_a_person",
    ),
    Mutant(
        "lets one account hold one booking too many",
        "services/tourism/actions/bookings.py",
        "    if len(holds) == domain.HOLDS_MAX:",
        "    if len(holds) > domain.HOLDS_MAX:",
        "tests/http/test_tourism_bookings.py::test_one_account_holds_so_many_bookings_at_once",
    ),
    Mutant(
        "lets one account hoard doctors' hours",
        "services/health/actions/appointments.py",
        "    if len(found) == TO_COME_MAX:",
        "    if len(found) > TO_COME_MAX:",
        "tests/http/test_health_appointments.py::test_one_account_books_so_many_appointments_ahead",
    ),
    Mutant(
        "counts no orders",
        "services/commerce/actions/orders.py",
        "        if orders_max:\n            _check_pace",
        "        if orders_max < 0:\n            _check_pace",
        "tests/http/test_commerce_orders.py::"
        "test_one_citizen_places_so_many_orders_within_a_minute",
    ),
    Mutant(
        "counts requests under an address that a client makes up",
        "infra/nginx.conf.jinja",
        '        "" $whom;',
        '        "" $http_x_forwarded_for;',
        "tests/http/test_headers.py::"
        "test_a_forged_address_is_no_way_around_a_limit[X-Forwarded-For]",
    ),
    Mutant(
        "tells a service the way that a client says it came",
        "infra/nginx.conf.jinja",
        "    proxy_set_header X-Forwarded-For $remote_addr;",
        "    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;",
        "tests/http/test_gateway_routing.py::"
        "test_the_gateway_names_the_request_and_believes_no_client",
    ),
    Mutant(
        "writes what people look for into the gateway's error log",
        "infra/nginx.conf.jinja",
        'gateway-error.log" crit;',
        'gateway-error.log" warn;',
        "tests/http/test_secrets_under_load.py::"
        "test_nothing_that_identifies_a_person_is_written_under_load",
    ),
    Mutant(
        "logs the message of a failure",
        "shared/web/log.py",
        '"failure": type(error).__qualname__,',
        '"failure": repr(error),',
        "tests/http/test_secrets_under_load.py::"
        "test_nothing_that_identifies_a_person_is_written_under_load",
    ),
    Mutant(
        "lets pages of other sites read its answers",
        "shared/web/responses.py",
        '    ("Cross-Origin-Resource-Policy", "same-origin"),',
        '    ("Access-Control-Allow-Origin", "*"),',
        "tests/http/test_headers.py::test_what_is_no_route_says_so_too[commerce]",
    ),
    Mutant(
        "answers a member that it does not declare",
        "services/commerce/schemas/orders.py",
        '        "state": order_state(body),',
        '        "state": order_state(body),\n        "citizen": body["citizen"],',
        f"{_MATRIX}test_anothers_is_not_found_and_ones_own_is_there"
        "[GET /commerce/v1/orders/{order_id}]",
    ),
    Mutant(
        "lets who acts for a person see who else may",
        "services/identity/routes/delegations.py",
        """"GET /v1/delegations",
    Words("谁可以为我代办，最新在前", "Who may act for oneself, newest first"),
    scope="delegations:read",
    roles=PERSON,
    for_others=False,
""",
        """"GET /v1/delegations",
    Words("谁可以为我代办，最新在前", "Who may act for oneself, newest first"),
    scope="delegations:read",
    roles=PERSON,
""",
        f"{_MATRIX}test_each_caller_is_answered_as_the_table_says[GET /identity/v1/delegations]",
    ),
    Mutant(
        "shows anybody when a delegation was used",
        "services/identity/actions/delegations.py",
        '        if account not in {found.body["agent"], found.body.get("person")}:',
        '        if account == "":',
        f"{_MATRIX}test_anothers_is_not_found_and_ones_own_is_there"
        "[GET /identity/v1/delegations/{delegation_id}/acts]",
    ),
    Mutant(
        "holds the form of its sign-in page by a second policy",
        "services/identity/routes/pages.py",
        "            *headers,\n        ],\n        body,\n        policy,\n",
        '            ("Content-Security-Policy", policy),\n            *headers,\n        ],\n'
        "        body,\n",
        f"{_BESIDE}test_a_token_is_answered_as_the_table_says[no token-GET /identity/authorize]",
    ),
    Mutant(
        "passes over a bearer token in place of a client's secret",
        "services/identity/routes/oauth.py",
        "        if authorization is not None and not _BASIC.fullmatch(authorization):\n",
        '        if authorization == "":\n',
        f"{_BESIDE}test_a_token_is_answered_as_the_table_says[operator-POST /identity/token]",
    ),
)
