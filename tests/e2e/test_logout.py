"""Logout and the session: T022, T060, T066."""

import time

import pytest

from client import TIME, UUID7, at_once, claims_of, login, refresh, register, sign

LOGOUT = "/api/auth/logout"
DONE = {"success": True, "message": "Logged out"}


def logout(http, body=None, token=None):
    a = http.request("POST", LOGOUT, body, token=token).expect(200)
    assert a.json == DONE
    assert a.header("Cache-Control") == "no-store"
    return a


def ended(user):
    """The access token and the refresh token are both dead, at once."""
    user.call("GET", "tasks").expect(401, "session_ended")
    user.call("POST", "tasks", {"title": "too late"}).expect(401, "session_ended")
    assert not user.alive()
    refresh(user.http, user.refresh).expect(401, "session_ended")


def test_by_access_token(http, user):
    """T066: logout invalidates; the very next request is refused."""
    logout(http, token=user.access)
    ended(user)
    logout(http, token=user.access)  # twice is no mistake


def test_with_a_body_that_says_nothing(http, user):
    logout(http, {}, token=user.access)
    ended(user)


def test_by_expired_access_token(http, stack, user):
    header, _, _ = user.access.split(".")
    now = int(time.time())
    old = {**claims_of(user.access), "iat": now - 9000, "nbf": now - 9000, "exp": now - 8000}
    token = sign(header, old, stack.secret)
    http.request("GET", "/api/me/tasks", token=token).expect(401, "token_expired")
    logout(http, token=token)
    ended(user)


def test_by_refresh_token(http, user):
    logout(http, {"refresh_token": user.refresh})
    ended(user)


def test_by_refresh_token_when_the_access_token_is_no_good(http, user):
    logout(http, {"refresh_token": user.refresh}, token="not.a.token")
    ended(user)


def test_access_token_comes_first(http, user):
    other = login(http, user.email).expect(200).json
    logout(http, {"refresh_token": other["refresh_token"]}, token=user.access)
    ended(user)
    refresh(http, other["refresh_token"]).expect(200)


def test_with_nothing(http, user):
    """Still 200, and nobody is logged out."""
    logout(http)
    logout(http, {})
    logout(http, b"")
    logout(http, {"refresh_token": ""})
    logout(http, {"refresh_token": "garbage"})
    logout(http, token="garbage")
    assert user.alive()


def test_a_forged_token_ends_nothing(http, user):
    header, _, _ = user.access.split(".")
    logout(http, token=sign(header, claims_of(user.access), "x" * 40))
    logout(http, {"refresh_token": user.refresh[:-6] + "AAAAAA"})
    assert user.alive()
    refresh(http, user.refresh).expect(200)


def test_other_sessions_stay(http, user):
    second = login(http, user.email).expect(200).json
    logout(http, token=user.access)
    ended(user)
    assert user.alive(second["access_token"])
    refresh(http, second["refresh_token"]).expect(200)


def test_other_users_session_by_a_token_that_mixes_two(http, stack, user, other):
    """A session belongs to its user: a token of our own making cannot name another's."""
    header, _, _ = user.access.split(".")
    mixed = sign(header, {**claims_of(user.access), "sid": other.sid}, stack.secret)
    logout(http, token=mixed)
    assert user.alive() and other.alive()


def test_at_once_in_every_worker(http):
    """No worker keeps an opinion of its own about a session."""
    for _ in range(3):
        user = register(http)
        at_once(8, lambda _: user.call("GET", "tasks").expect(200))  # noqa: B023
        logout(http, token=user.access)
        answers = at_once(8, lambda _: user.call("GET", "tasks"))  # noqa: B023
        assert {(a.status, a.code) for a in answers} == {(401, "session_ended")}


def test_wrong_type(http):
    a = http.request("POST", LOGOUT, {"refresh_token": 5})
    assert a.expect(422).fields == {"refresh_token": {"invalid_type"}}


# --- GET /api/auth/session ----------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_session(http, user, method):
    """T017: who am I."""
    a = http.request(method, "/api/auth/session", token=user.access).expect(200)
    assert a.header("Cache-Control") == "no-store"
    if method == "HEAD":
        return
    assert set(a.json) == {"user", "session", "expires_at"}
    assert a.json["user"] == user.auth["user"]
    assert a.json["expires_at"] == user.auth["expires_at"]  # the access token's
    session = a.json["session"]
    assert session["id"] == user.sid and UUID7.fullmatch(session["id"])
    assert all(TIME.fullmatch(v) for k, v in session.items() if k.endswith("_at")), session
    text = a.body.decode()
    assert user.refresh not in text and "hash" not in text
