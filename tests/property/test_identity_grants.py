"""The law of a grant, at every step of many histories: one code, one good refresh token.

The model knows nothing of numbers: it keeps who was answered what, and when.
"""

import random

import pytest

from services.identity.domain import grants
from services.identity.domain.grants import GRACE_MS, Asked
from shared.storage.catalogue import Body
from shared.times import HOUR_MS, MINUTE_MS

ASKED = Asked("app", "cn.gansu.app:/signed-in", "openid", "x" * 43, "")
NOW_MS = 1_767_225_600_000
STEPS_MS = (0, 1, GRACE_MS - 1, GRACE_MS, HOUR_MS, grants.IDLE_MS - 1, grants.IDLE_MS)


class Model:
    """What may happen to refresh tokens 0, 1, 2, … of one grant."""

    def __init__(self, now_ms: int) -> None:
        self.newest = 0
        self.answered_ms = {0: now_ms}
        self.began_ms = now_ms
        self.over = False

    def may(self, number: int, now_ms: int) -> bool:
        good_until = min(
            self.answered_ms[self.newest] + grants.IDLE_MS, self.began_ms + grants.WHOLE_MS
        )
        if self.over or now_ms >= good_until:
            return False
        if number == self.newest:
            self.newest += 1
            self.answered_ms[self.newest] = now_ms
            return True
        is_lost_reply = number == self.newest - 1
        if is_lost_reply and now_ms < self.answered_ms[self.newest] + GRACE_MS:
            return True
        self.over = True
        return False


def opened(now_ms: int) -> Body:
    grant = grants.new_grant("account_1", ASKED, staff=False, now_ms=now_ms)
    assert grants.redeem(grant, now_ms)
    return grant


@pytest.mark.parametrize("seed", range(300))
def test_refreshing_follows_the_law(seed: int) -> None:
    chance, now_ms = random.Random(seed), NOW_MS
    grant, model = opened(now_ms), Model(now_ms)
    for _ in range(40):
        now_ms += chance.choice(STEPS_MS) if chance.random() < 0.3 else chance.randrange(MINUTE_MS)
        number = max(0, model.newest - chance.choice((0, 0, 0, 0, 0, 0, 1, 1, 2, 5)))
        expected = model.may(number, now_ms)
        assert grants.rotate(grant, number, now_ms) == expected
        assert grant["number"] == model.newest
        assert (grant["state"] == "revoked") == model.over
        assert grant["until_ms"] > min(now_ms, grant["good_ms"])


def test_a_thief_and_the_owner_are_both_put_out_whoever_is_first() -> None:
    for thief_first in (True, False):
        grant, now_ms = opened(NOW_MS), NOW_MS
        holders = {"thief": 0, "owner": 0}
        order = ["thief", "owner"] if thief_first else ["owner", "thief"]
        outcomes = []
        for _ in range(3):
            for holder in order:
                now_ms += GRACE_MS
                good = grants.rotate(grant, holders[holder], now_ms)
                holders[holder] += good
                outcomes.append(good)
        assert outcomes == [True, False, False, False, False, False]


def test_a_code_is_used_once_whatever_comes_between() -> None:
    grant = grants.new_grant("account_1", ASKED, staff=False, now_ms=NOW_MS)
    assert not grants.rotate(grant, 0, NOW_MS)
    assert grants.redeem(grant, NOW_MS)
    assert grants.rotate(grant, 0, NOW_MS)
    assert not grants.redeem(grant, NOW_MS)
    assert not grants.rotate(grant, 1, NOW_MS)
