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
        "gives powers over others for a sign-in by number alone",
        "services/identity/actions/oauth.py",
        'return None if staff and not grant.body["staff"] else found',
        "return found",
        "tests/http/test_identity_tokens.py::"
        "test_a_number_alone_gives_no_power_over_others_to_who_was_a_citizen_then",
    ),
    Mutant(
        "lets a citizen's sign-in go on once they are of the staff",
        "services/identity/actions/roles.py",
        "        accounts.sign_out(account, now_ms)\n",
        "        pass\n",
        "tests/http/test_identity_delegations.py::"
        "test_who_becomes_an_agent_acts_by_a_sign_in_of_afterwards",
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
        "    if page.browser != from_browser or now_ms",
        "    if now_ms",
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
    Mutant(
        "accepts a second factor's code twice",
        "services/identity/domain/staff.py",
        'if step is None or step <= staff["last_step"]:',
        "if step is None:",
        "tests/http/test_identity_staff.py::test_a_code_is_good_once",
    ),
    Mutant(
        "takes a second factor's code of any minute near",
        "services/identity/domain/staff.py",
        "SKEW_STEPS = 1",
        "SKEW_STEPS = 2",
        "tests/unit/test_identity_people.py::test_a_code_is_good_once_and_for_one_step_to_either_side",
    ),
    Mutant(
        "lets strangers elsewhere lock staff out of their office",
        "services/identity/domain/staff.py",
        "others = [] if tried.is_known else [tried.everywhere, tried.by_address]",
        "others = [tried.everywhere, tried.by_address]",
        "tests/http/test_identity_staff.py::test_delays_grow_and_end_and_strangers_do_not_delay_the_office",
    ),
    Mutant(
        "looks at no password where the name is unknown",
        "services/identity/actions/staff.py",
        "right = _hashing(lambda: staff.is_password(kept, given.password)) and sealed is not None",
        "right = sealed is not None and _hashing(lambda: staff.is_password(kept, given.password))",
        "tests/http/test_identity_staff.py::test_an_unknown_name_does_the_same_work",
    ),
    Mutant(
        "lets one account be operator and auditor",
        "services/identity/domain/roles.py",
        "if len(staff) > 1 and not staff.isdisjoint(POWERS):",
        "if len(staff) > 2 and not staff.isdisjoint(POWERS):",
        "tests/unit/test_identity_people.py::test_duties_are_apart_whatever_the_order",
    ),
    Mutant(
        "lets an officer agree to a request of their own",
        "services/identity/domain/roles.py",
        'if request["by"] == by:',
        'if request["by"] == "":',
        "tests/http/test_identity_roles.py::test_a_power_needs_two_officers",
    ),
    Mutant(
        "begins a platform that has officers",
        "services/identity/actions/bootstrap.py",
        '        if tx.find("officers", (), limit=1):\n            raise Refused(OFFICERS_THERE)\n',
        "",
        "tests/http/test_identity_bootstrap.py::test_once_there_is_an_officer_nothing_is_done",
    ),
    Mutant(
        "lets an operator of the machine invite an officer who has enrolled",
        "services/identity/actions/bootstrap.py",
        'if (m.body["state"], m.body["by"]) == ("invited", BY)]',
        'if m.body["by"] == BY]',
        "tests/http/test_identity_bootstrap.py::"
        "test_no_officer_who_has_enrolled_is_invited_from_outside",
    ),
    Mutant(
        "shows invitations to a file",
        "services/identity/bootstrap.py",
        "    if arguments.invites and not terminal.isatty():",
        "    if terminal.closed:",
        "tests/http/test_identity_bootstrap.py::test_what_is_no_terminal_is_shown_no_invitation",
    ),
    Mutant(
        "lets one of the staff take over an officer's account",
        "services/identity/actions/staff.py",
        "        lose_powers(tx, known, by)\n",
        "",
        "tests/http/test_identity_roles.py::test_an_operator_cannot_take_over_an_officers_account",
    ),
    Mutant(
        "leaves a power with whoever is invited again",
        "services/identity/actions/roles.py",
        "            roles.take(account.body, role)\n            _remember(",
        "            _remember(",
        "tests/http/test_identity_roles.py::"
        "test_who_is_invited_again_has_lost_what_two_officers_give",
    ),
    Mutant(
        "believes a token about what its bearer may still give",
        "services/identity/actions/roles.py",
        '    names: list[str] = found.body["roles"]\n    return names',
        '    names: list[str] = ["operator", "security"]\n    return names',
        "tests/http/test_identity_roles.py::test_a_token_of_yesterday_gives_nothing",
    ),
    Mutant(
        "lets a delegation that was taken back give a token",
        "services/identity/domain/delegations.py",
        '    if delegation["state"] != "live":\n        return False\n    if',
        '    if delegation["state"] == "waiting":\n        return False\n    if',
        "tests/http/test_identity_delegations.py::test_a_delegation_that_was_taken_back_gives_no_token",
    ),
    Mutant(
        "lets a token say more than was delegated",
        "services/identity/domain/delegations.py",
        'return [name for name in dict.fromkeys(wanted) if name in delegation["scopes"]]',
        "return list(dict.fromkeys(wanted))",
        "tests/http/test_identity_delegations.py::test_no_token_says_more_than_was_delegated",
    ),
    Mutant(
        "lets a guardianship outlive the fourteenth birthday",
        "services/identity/domain/names.py",
        "return day_of(now_ms) < birthday(born, years)",
        "return day_of(now_ms) <= birthday(born, years)",
        "tests/http/test_identity_delegations.py::test_a_guardianship_ends_with_the_fourteenth_birthday",
    ),
    Mutant(
        "lets a token outlive the delegation's term",
        "services/identity/actions/exchange.py",
        'claims["exp"] = min(claims["exp"], ends_ms // 1000)',
        'claims["exp"] = int(claims["exp"])',
        "tests/http/test_identity_delegations.py::test_a_term_ends_and_no_token_outlives_it",
    ),
    Mutant(
        "takes an actor's token that was for another service",
        "services/identity/actions/exchange.py",
        'if "identity" not in claims["aud"] or ACTS not in',
        "if ACTS not in",
        "tests/http/test_identity_delegations.py::"
        "test_a_token_that_a_service_was_shown_is_no_actors",
    ),
    Mutant(
        "takes an actor's token that was not for acting",
        "services/identity/actions/exchange.py",
        ' or ACTS not in scopes.named(claims["scope"]):',
        ":",
        "tests/http/test_identity_delegations.py::"
        "test_a_token_that_a_service_was_shown_is_no_actors",
    ),
    Mutant(
        "gives two accounts one ID number",
        "services/identity/actions/names.py",
        'if taken is not None and taken.body["account"] != account:',
        'if taken is None and account == "":',
        "tests/http/test_identity_delegations.py::test_one_account_for_a_number_and_one_number_for_an_account",
    ),
    Mutant(
        "opens what was sealed for another document",
        "shared/sealing.py",
        'return f"{collection}\\0{key}".encode()',
        'return b""',
        "tests/unit/test_sealing.py::test_it_opens_for_its_own_place_only",
    ),
    Mutant(
        "keeps a key in memory after it was erased",
        "shared/sealing.py",
        "self._clock.monotonic() < kept.until",
        "kept.until > 0",
        "tests/unit/test_sealing.py::test_erased_is_unreadable_also_after_a_new_key_was_made",
    ),
    Mutant(
        "shows a secret again to who is operator no more",
        "services/identity/actions/clients.py",
        "    database.read(look)\n",
        "",
        "tests/http/test_identity_clients.py::"
        "test_who_is_operator_no_more_is_not_shown_a_secret_again",
    ),
    Mutant(
        "gives with a refresh what an app might ask for once",
        "services/identity/actions/oauth.py",
        'asked = known.within(scopes.named(scope or ""))',
        'asked = scopes.named(scope or "")',
        "tests/http/test_identity_tokens.py::"
        "test_a_scope_that_was_taken_from_an_app_ends_with_the_next_refresh",
    ),
    Mutant(
        "lets an operator's app ask for an officer's power",
        "services/identity/domain/clients.py",
        "if powers and not registration.office:",
        "if powers and registration.office is None:",
        "tests/http/test_identity_clients.py::"
        "test_an_operator_makes_no_app_that_could_ask_for_an_officers_power",
    ),
    Mutant(
        "lets an operator say where the office's own app is answered",
        "services/identity/domain/clients.py",
        """    _check_not_of_office(client)
    check_open(client)
    changed""",
        """    check_open(client)
    changed""",
        "tests/http/test_identity_clients.py::"
        "test_an_operator_does_not_change_the_offices_own_app[body0]",
    ),
    Mutant(
        "leaves a key that was withdrawn among those that are published",
        "services/identity/actions/keys.py",
        """            tx.delete("keys", kid)
            note(""",
        "            note(",
        "tests/http/test_identity_keys.py::"
        "test_a_withdrawn_key_signs_no_more_and_its_tokens_end_with_the_next_look",
    ),
    Mutant(
        "lets a sign-in that was taken back act for others",
        "services/identity/actions/oauth.py",
        "if grant is None or not grants.stands(grant.body, self.tx.now_ms):",
        "if grant is None:",
        "tests/http/test_identity_delegations.py::"
        "test_a_sign_in_that_has_ended_gives_no_token_for_anybody_else[signed out]",
    ),
    Mutant(
        "leaves the key of a name that its person has outgrown",
        "services/identity/actions/names.py",
        "        forget_name(tx, account.key, erased)\n",
        '        tx.delete("names", account.key)\n        tx.delete("id_numbers", digest)\n',
        "tests/http/test_identity_children.py::"
        "test_a_name_that_its_person_has_outgrown_is_unreadable_in_every_old_entry",
    ),
    Mutant(
        "keeps a child's name when the last guardianship has ended",
        "services/identity/actions/delegations.py",
        'if found.body.get("child") and not _guardianships(tx, found.body["person"]):',
        'if found.key == "":',
        "tests/http/test_identity_children.py::"
        "test_the_last_guardianship_takes_the_childs_name_with_it",
    ),
    Mutant(
        "forgets a child's name while another guardian acts",
        "services/identity/actions/delegations.py",
        "if len(standing) > 1 and not is_grown:",
        "if len(standing) < 1 and not is_grown:",
        "tests/http/test_identity_children.py::"
        "test_only_a_guardian_has_a_childs_name_forgotten_and_not_while_another_acts",
    ),
    Mutant(
        "verifies a child without a guardian",
        "services/identity/actions/names.py",
        "    names.check_age(person, now_ms)\n",
        "    assert now_ms\n",
        "tests/http/test_identity_children.py::"
        "test_nobody_under_fourteen_is_verified_without_a_guardian",
    ),
    Mutant(
        "verifies a name by a phone that is not the account's",
        "services/identity/actions/names.py",
        "    if not is_own:\n",
        "    if not person.phone:\n",
        "tests/http/test_identity_guardians.py::"
        "test_who_knows_names_and_numbers_and_has_no_phone_of_theirs_guards_nobody",
    ),
    Mutant(
        "takes for a guardian whoever knew a name and a number",
        "services/identity/actions/delegations.py",
        "if adult is None or adult.phone is None:",
        "if adult is None:",
        "tests/http/test_identity_guardians.py::"
        "test_a_name_that_was_verified_without_a_phone_guards_nobody_until_it_is_with_one",
    ),
    Mutant(
        "tells no guardian of another",
        "services/identity/actions/delegations.py",
        "            _tell(tx, own.secrets, made.key, numbers[other])\n",
        "            assert other in numbers\n",
        "tests/http/test_identity_guardians.py::"
        "test_the_other_guardians_are_told_of_a_new_one_once",
    ),
    Mutant(
        "tells a known staff name by its key in memory",
        "services/identity/actions/staff.py",
        "remembered=False",
        "remembered=True",
        "tests/http/test_identity_staff.py::"
        "test_an_unknown_name_asks_the_store_for_as_much_at_every_try",
    ),
    Mutant(
        "tells a known staff name where its office's address is past a limit",
        "services/identity/actions/staff.py",
        "if found is None or found.key != given.browser_of:",
        "if found is None:",
        "tests/http/test_identity_offices.py::test_an_address_past_its_limit_tells_no_name",
    ),
    Mutant(
        "lets one address try any number of names",
        "services/identity/domain/staff.py",
        "until_ms if count >= ADDRESS_FREE else now_ms",
        "until_ms if count < 0 else now_ms",
        "tests/http/test_identity_staff.py::"
        "test_an_address_that_tries_many_names_waits_before_anything_is_hashed_or_stored",
    ),
)
