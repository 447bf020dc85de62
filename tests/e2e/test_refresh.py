"""Refresh tokens: T057-T059, T065."""

import pytest

from client import UUID7, at_once, b64url, claims_of, login, refresh, register, unb64url

REFRESH = "/api/auth/refresh"


def row(stack, user):
    return f"user_id = '{user.id}' and id = '{user.sid}'"


def counter(stack, user):
    return int(stack.sql.value(f"select counter from taskcell.sessions where {row(stack, user)}"))


def shift(stack, user, change):
    stack.sql.run(f"update taskcell.sessions set {change} where {row(stack, user)}")


def test_rotation(http, user):
    """T065: the flow. A new pair, the same session and user."""
    token = user.refresh
    for _ in range(4):
        a = refresh(http, token).expect(200)
        assert a.header("Cache-Control") == "no-store"
        assert set(a.json) == set(user.auth)
        assert a.json["user"] == user.auth["user"]
        assert a.json["refresh_token"] != token
        new = claims_of(a.json["access_token"])
        assert new["sid"] == user.sid and new["sub"] == user.id
        http.request("GET", "/api/me/tasks", token=a.json["access_token"]).expect(200)
        token = a.json["refresh_token"]
    assert user.alive()  # the earlier access token lives until it expires


def test_token_is_opaque_text_for_a_header_or_a_cookie(user):
    assert set(user.refresh) <= set(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
    assert user.email not in user.refresh and user.id not in user.refresh


def test_replay_inside_the_grace(http, stack, user):
    """The current one again, byte for byte, without advancing; each answer a new access token."""
    first = refresh(http, user.refresh).expect(200).json
    when = f"select rotated_at from taskcell.sessions where {row(stack, user)}"
    rotated = stack.sql.value(when)
    at = counter(stack, user)
    answers = [refresh(http, user.refresh).expect(200).json for _ in range(3)]
    for again in answers:
        assert again["refresh_token"] == first["refresh_token"]
        assert again["refresh_expires_at"] == first["refresh_expires_at"]
    jtis = {claims_of(x["access_token"])["jti"] for x in [first, *answers]}
    assert len(jtis) == 4
    assert counter(stack, user) == at
    assert stack.sql.value(when) == rotated  # a re-issue does not extend the grace
    assert refresh(http, first["refresh_token"]).expect(200).json["refresh_token"] != \
        first["refresh_token"]


def test_replay_late_in_the_grace(http, stack, user):
    refresh(http, user.refresh).expect(200)
    shift(stack, user, "rotated_at = rotated_at - interval '25 seconds'")
    refresh(http, user.refresh).expect(200)


def test_replay_when_the_clock_went_back(http, stack, user):
    """now() - rotated_at may be negative: that is inside the grace."""
    refresh(http, user.refresh).expect(200)
    shift(stack, user, "rotated_at = rotated_at + interval '60 seconds'")
    refresh(http, user.refresh).expect(200)


def test_replay_after_the_grace_is_theft(http, stack, user):
    """T065: the session ends for thief and owner."""
    with_start = stack.log_size()
    second = refresh(http, user.refresh).expect(200).json
    shift(stack, user, "rotated_at = rotated_at - interval '31 seconds'")
    a = refresh(http, user.refresh).expect(401, "session_ended")
    assert not user.alive()
    assert not user.alive(second["access_token"])
    refresh(http, second["refresh_token"]).expect(401, "session_ended")
    # It is logged, as something more than an ordinary refusal.
    log = stack.log_text(with_start)
    assert [l for l in log.splitlines() if "level=warning" in l and user.sid in l], a


def test_further_behind_is_theft_even_inside_the_grace(http, user):
    second = refresh(http, user.refresh).expect(200).json
    third = refresh(http, second["refresh_token"]).expect(200).json
    refresh(http, user.refresh).expect(401, "session_ended")
    assert not user.alive()
    refresh(http, third["refresh_token"]).expect(401, "session_ended")


def test_theft_concerns_its_session_alone(http, user):
    elsewhere = login(http, user.email).expect(200).json
    second = refresh(http, user.refresh).expect(200).json
    refresh(http, second["refresh_token"]).expect(200)
    refresh(http, user.refresh).expect(401, "session_ended")
    assert user.alive(elsewhere["access_token"])
    refresh(http, elsewhere["refresh_token"]).expect(200)


def test_without_grace_every_replay_is_theft(make_stack):
    """The setting 0 is strict."""
    strict = make_stack(refresh_grace=0, workers=1, auth_workers=1)
    user = register(strict.http)
    second = refresh(strict.http, user.refresh).expect(200).json
    refresh(strict.http, user.refresh).expect(401, "session_ended")
    refresh(strict.http, second["refresh_token"]).expect(401, "session_ended")


def test_ahead_of_the_database(http, stack, user):
    """A token from a future that a restored back-up does not know."""
    second = refresh(http, user.refresh).expect(200).json
    shift(stack, user, "counter = counter - 1")
    refresh(http, second["refresh_token"]).expect(401, "invalid_refresh_token")
    assert user.alive()
    refresh(http, user.refresh).expect(200)


@pytest.mark.parametrize("column", ["idle_expires_at", "expires_at"])
def test_expired(http, stack, user, column):
    """T065: an expired refresh token, by either life; access ends with it."""
    times = "created_at = created_at - interval '90 days', rotated_at = rotated_at - " \
        "interval '90 days', "
    if column == "expires_at":
        times += "idle_expires_at = now() - interval '1 second', "
    shift(stack, user, times + f"{column} = now() - interval '1 second'")
    refresh(http, user.refresh).expect(401, "invalid_refresh_token")
    assert not user.alive()


def test_idle_life_moves_absolute_life_does_not(http, stack, user):
    lives = "select extract(epoch from idle_expires_at - now())::bigint, " \
        "extract(epoch from expires_at - created_at)::bigint from taskcell.sessions " \
        f"where {row(stack, user)}"
    idle, absolute = map(int, stack.sql.run(lives)[0])
    assert abs(idle - 14 * 86400) < 60 and abs(absolute - 60 * 86400) < 2
    shift(stack, user, "idle_expires_at = now() + interval '1 day'")
    token = refresh(http, user.refresh)
    if token.status == 401:
        pytest.fail("a token whose row says it lives was refused")
    idle, after = map(int, stack.sql.run(lives)[0])
    assert abs(idle - 14 * 86400) < 60 and after == absolute
    # Never beyond the absolute end.
    shift(stack, user, "expires_at = now() + interval '100 seconds'")
    a = refresh(http, token.json["refresh_token"]).expect(200).json
    left = stack.sql.value(
        f"select extract(epoch from '{a['refresh_expires_at']}'::timestamptz - now())::bigint")
    assert 90 <= int(left) <= 100


@pytest.mark.parametrize("token", [
    "", "x", "garbage", "....", "a" * 114, "A" * 5000, " ", "\u0001", "é" * 60, "null",
    "a.b.c", "-" * 114, "=" * 114,
])
def test_garbage(http, token):
    a = http.request("POST", REFRESH, {"refresh_token": token})
    a.expect(401, "invalid_refresh_token")


def test_absent(http):
    """Also without any body."""
    http.request("POST", REFRESH, {}).expect(401, "invalid_refresh_token")
    http.request("POST", REFRESH).expect(401, "invalid_refresh_token")
    http.request("POST", REFRESH, b"").expect(401, "invalid_refresh_token")


def test_wrong_types(http):
    for value in (5, [], {}, True):
        a = http.request("POST", REFRESH, {"refresh_token": value}).expect(422)
        assert a.fields == {"refresh_token": {"invalid_type"}}


def test_every_byte_is_signed(http, user):
    """A bit changed in each byte in turn: never accepted, and the session stays."""
    data = unb64url(user.refresh)
    for i in range(0, len(data), 3):
        changed = bytearray(data)
        changed[i] ^= 1
        a = http.request("POST", REFRESH, {"refresh_token": b64url(bytes(changed))})
        a.expect(401, "invalid_refresh_token")
    for text in (user.refresh[:-1], user.refresh + "A", user.refresh + "=", " " + user.refresh,
                 user.refresh + "\n", user.refresh[:-4], user.refresh * 2):
        http.request("POST", REFRESH, {"refresh_token": text}).expect(401, "invalid_refresh_token")
    refresh(http, user.refresh).expect(200)


def test_other_spellings_of_the_last_character(http, user):
    """Base64 leaves bits unused at the end: one token has one spelling."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    same = [c for c in alphabet if c != user.refresh[-1]
            and unb64url(user.refresh[:-1] + c) == unb64url(user.refresh)]
    for c in same:
        a = http.request("POST", REFRESH, {"refresh_token": user.refresh[:-1] + c})
        a.expect(401, "invalid_refresh_token")


def test_kinds_of_token_are_not_exchanged(http, user):
    http.request("POST", REFRESH, {"refresh_token": user.access}).expect(
        401, "invalid_refresh_token")
    http.request("GET", "/api/auth/session", token=user.refresh).expect(401, "invalid_token")


def test_after_logout(http, user):
    """T066: logout invalidates the refresh token."""
    http.request("POST", "/api/auth/logout", token=user.access).expect(200)
    refresh(http, user.refresh).expect(401, "session_ended")


def test_after_disabling(http, stack, user):
    stack.sql.run("update taskcell.credentials set disabled_at = now(), epoch = epoch + 1 "
                  f"where user_id = '{user.id}'")
    refresh(http, user.refresh).expect(401, "session_ended")


def test_after_the_epoch_has_moved(http, stack, user):
    stack.sql.run(f"update taskcell.credentials set epoch = epoch + 1 where user_id = '{user.id}'")
    refresh(http, user.refresh).expect(401, "session_ended")
    assert not user.alive()


def test_session_that_is_gone(http, stack, user):
    stack.sql.run(f"delete from taskcell.sessions where {row(stack, user)}")
    a = refresh(http, user.refresh).expect(401)
    assert a.code in ("session_ended", "invalid_refresh_token")
    assert not user.alive()


def test_24_parallel_refreshes(http, stack, user):
    """All succeed with one successor, and one session lives."""
    token = user.refresh
    for _ in range(3):
        before = counter(stack, user)
        answers = at_once(24, lambda _: refresh(http, token))  # noqa: B023
        assert [a.status for a in answers] == [200] * 24
        successors = {a.json["refresh_token"] for a in answers}
        assert len(successors) == 1 and token not in successors
        assert {claims_of(a.json["access_token"])["sid"] for a in answers} == {user.sid}
        assert counter(stack, user) == before + 1
        assert all(user.alive(a.json["access_token"]) for a in answers[::8])
        token = successors.pop()
    assert stack.sql.run("select id from taskcell.sessions where revoked_at is null "
                         f"and user_id = '{user.id}'") == [[user.sid]]
    assert UUID7.fullmatch(user.sid)


def test_bearer_is_not_looked_at(http, user):
    """Clients send the expired access token along."""
    a = http.request("POST", REFRESH, {"refresh_token": user.refresh}, token="nonsense")
    a.expect(200)
