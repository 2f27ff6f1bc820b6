"""Faults to be seeded into identity; a part of `mutants.MUTANTS`."""

from tests.support.mutant import Mutant

IDENTITY = (
    Mutant(
        "takes a refresh token that was used before for one that lost its way",
        "services/identity/domain/grants.py",
        "    revoke(grant, now_ms)\n    return False\n\n\ndef revoke",
        "    return False\n\n\ndef revoke",
        "tests/http/test_identity_tokens.py::test_one_that_was_used_before_ends_the_whole_grant",
    ),
    Mutant(
        "answers a lost refresh again for ever",
        "services/identity/domain/grants.py",
        ' and now_ms < grant["rotated_ms"] + GRACE_MS:',
        ":",
        "tests/property/test_identity_grants.py::"
        "test_a_thief_and_the_owner_are_both_put_out_whoever_is_first",
    ),
    Mutant(
        "lets a code that is used twice keep what it gave",
        "services/identity/domain/grants.py",
        '    if grant["state"] != "code":\n        revoke(grant, now_ms)\n',
        '    if grant["state"] != "code":\n',
        "tests/http/test_identity_tokens.py::test_a_code_that_is_used_twice_ends_what_it_gave",
    ),
    Mutant(
        "redeems a code for whoever has it",
        "services/identity/actions/oauth.py",
        "self.register_grant(CodeGrant, [Pkce(required=True)])",
        "self.register_grant(CodeGrant)",
        "tests/http/test_identity_tokens.py::test_a_code_is_for_its_own_app_and_request",
    ),
    Mutant(
        "redeems a code for another app",
        "services/identity/actions/oauth.py",
        'if found is None or found.body["client"] != client.get_client_id():',
        "if found is None:",
        "tests/http/test_identity_tokens.py::test_a_code_is_for_its_own_app_and_request",
    ),
    Mutant(
        "leads to any address that begins as one of the app's",
        "services/identity/actions/oauth.py",
        'return redirect_uri in self.body["redirects"]',
        'return redirect_uri.startswith(tuple(self.body["redirects"]))',
        "tests/http/test_identity_authorize.py::"
        "test_an_address_that_is_not_the_apps_own_is_led_to_by_nothing",
    ),
    Mutant(
        "gives tokens to an account that was closed",
        "services/identity/actions/oauth.py",
        "if found is None or not accounts.may_sign_in(found.body):",
        "if found is None:",
        "tests/http/test_identity_tokens.py::test_what_an_account_is_shows_at_the_next_refresh",
    ),
    Mutant(
        "takes any number of guesses at a code",
        "services/identity/domain/sign_ins.py",
        '    elif sign_in["tries"] >= TRIES_MAX:\n',
        "    elif False:\n",
        "tests/http/test_identity_sign_in.py::test_five_guesses_and_no_more",
    ),
    Mutant(
        "makes an account before the code was right",
        "services/identity/actions/sign_ins.py",
        '        tx.emit("code.made", {"sign_in": key})\n',
        '        tx.emit("code.made", {"sign_in": key})\n        account_for(tx, phone)\n',
        "tests/http/test_identity_sign_in.py::"
        "test_an_account_is_made_by_the_right_code_and_not_before",
    ),
    Mutant(
        "takes a page from another browser",
        "services/identity/routes/forms.py",
        "    if page.browser != from_browser or not 0",
        "    if not 0",
        "tests/http/test_identity_sign_in.py::"
        "test_a_page_that_was_not_made_here_for_this_browser_is_refused",
    ),
    Mutant(
        "opens what was sealed for another document",
        "services/identity/domain/sealing.py",
        '    return f"{collection}\\0{key}".encode()\n',
        "    return collection[:0].encode() + key[:0].encode()\n",
        "tests/http/test_identity_privacy.py::"
        "test_what_was_sealed_opens_in_its_own_place_under_its_own_key",
    ),
    Mutant(
        "writes a number down in its outbox",
        "services/identity/actions/sign_ins.py",
        '        tx.emit("code.made", {"sign_in": key})\n',
        '        tx.emit("code.made", {"sign_in": key, "number": number})\n',
        "tests/http/test_identity_privacy.py::test_nothing_of_a_person_or_a_token_is_kept",
    ),
    Mutant(
        "signs with a key that nobody has yet",
        "services/identity/domain/keys.py",
        "    if last_ms > now_ms + AHEAD_MS:\n",
        "    if last_ms > now_ms:\n",
        "tests/http/test_identity_keys.py::test_keys_roll_over",
    ),
    Mutant(
        "forgets a key while its tokens are good",
        "services/identity/domain/keys.py",
        '        "gone_ms": from_ms + SIGNS_MS + TOKEN_MS_MAX,\n',
        '        "gone_ms": from_ms + SIGNS_MS,\n',
        "tests/http/test_identity_keys.py::test_a_token_of_the_old_key_is_good_until_it_expires",
    ),
)
