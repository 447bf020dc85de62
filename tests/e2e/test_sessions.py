"""The list of one's sessions, and ending them: T070, T074."""

import pytest

import fastcgi
from client import NEVER, PASSWORD, TIME, UUID7, User, another, at_once, claims_of, login, refresh
from client import register

SESSIONS = "/api/auth/sessions"
MEMBERS = {"id", "created_at", "last_used_at", "expires_at", "ip", "user_agent", "current"}


def sessions(user):
    a = user.call("GET", SESSIONS).expect(200)
    assert a.header("Cache-Control") == "no-store"
    return a.json


def ids(user):
    return [s["id"] for s in sessions(user)]


def dead(user):
    """Both tokens, at the very next request."""
    user.call("GET", "tasks").expect(401, "session_ended")
    user.call("POST", "tasks", {"title": "too late"}).expect(401, "session_ended")
    user.call("GET", SESSIONS).expect(401, "session_ended")
    refresh(user.http, user.refresh).expect(401, "session_ended")


def living(user):
    assert user.alive()
    user.take(refresh(user.http, user.refresh).expect(200).json)


def shift(stack, user, change):
    stack.sql.run(f"update taskcell.sessions set {change} "
                  f"where user_id = '{user.id}' and id = '{user.sid}'")


# --- the list -----------------------------------------------------------------------------------


def test_list(http, user):
    second = another(user, "127.0.0.9")
    headers = {"User-Agent": "Tabs/9 (a \"quoted\" <b>\\; näive)"}
    a = http.request("POST", "/api/auth/login", {"email": user.email, "password": PASSWORD},
                     headers=headers).expect(200)
    third = User(http, a.json, PASSWORD)
    found = sessions(second)
    assert [s["id"] for s in found] == [third.sid, second.sid, user.sid]  # the last used first
    for s in found:
        assert set(s) == MEMBERS
        assert UUID7.fullmatch(s["id"])
        assert all(TIME.fullmatch(s[k]) for k in MEMBERS if k.endswith("_at")), s
        assert s["created_at"] <= s["last_used_at"] < s["expires_at"]
        assert s["current"] is (s["id"] == second.sid)
    assert [s["ip"] for s in found] == ["127.0.0.1", "127.0.0.9", "127.0.0.1"]
    assert [s["user_agent"] for s in found] == [headers["User-Agent"], None, None]


def test_expiry_is_the_nearer_one(http, stack, user):
    """As refresh_expires_at says, in whole seconds."""
    (s,) = sessions(user)
    assert s["expires_at"][:19] == user.auth["refresh_expires_at"][:19]
    shift(stack, user, "expires_at = date_trunc('second', now()) + interval '100 seconds'")
    (after,) = sessions(user)
    assert after["expires_at"] < s["expires_at"]
    auth = refresh(http, user.refresh).expect(200).json
    assert sessions(user)[0]["expires_at"][:19] == auth["refresh_expires_at"][:19]


def test_a_refresh_is_a_use(user):
    """It goes to the front; reading tasks does not count."""
    second = another(user)
    assert ids(user) == [second.sid, user.sid]
    user.call("GET", "tasks").expect(200)
    assert ids(user) == [second.sid, user.sid]
    before = {s["id"]: s for s in sessions(user)}
    living(user)
    after = {s["id"]: s for s in sessions(user)}
    assert ids(second) == [user.sid, second.sid]
    assert after[user.sid]["last_used_at"] > before[user.sid]["last_used_at"]
    assert after[user.sid]["created_at"] == before[user.sid]["created_at"]
    assert after[second.sid] == {**before[second.sid], "current": False}


def test_only_those_that_live(http, stack, user):
    gone = [another(user) for _ in range(4)]
    http.request("POST", "/api/auth/logout", token=gone[0].access).expect(200)
    shift(stack, gone[1], "idle_expires_at = now() - interval '1 second'")
    shift(stack, gone[2], "expires_at = now() - interval '1 second'")
    shift(stack, gone[3], "epoch = epoch - 1")
    assert ids(user) == [user.sid]


def test_only_ones_own(user, other):
    assert ids(user) == [user.sid] and ids(other) == [other.sid]


def test_no_secret_is_in_it(stack, user):
    text = user.call("GET", SESSIONS).body.decode()
    key = stack.sql.value(f"select key_id from taskcell.sessions where id = '{user.sid}'")
    for hidden in (user.access, user.refresh, "counter", "epoch", "hash", "token", key):
        assert hidden not in text


def test_head_and_options(http, user):
    user.call("HEAD", SESSIONS).expect(200)
    allow = http.request("OPTIONS", SESSIONS).expect(204).header("Allow")
    assert set(allow.split(", ")) == {"GET", "HEAD", "DELETE", "OPTIONS"}
    allow = http.request("OPTIONS", f"{SESSIONS}/{NEVER}").expect(204).header("Allow")
    assert set(allow.split(", ")) == {"DELETE", "OPTIONS"}
    user.call("POST", SESSIONS, {}).expect(405)
    user.call("GET", f"{SESSIONS}/{user.sid}").expect(405)
    user.call("GET", SESSIONS + "/").expect(200)  # one trailing slash


@pytest.mark.parametrize("method,path", [
    ("GET", SESSIONS), ("HEAD", SESSIONS), ("DELETE", SESSIONS), ("DELETE", f"{SESSIONS}/{NEVER}"),
])
def test_a_token_is_needed(http, user, method, path):
    http.request(method, path).expect(401)
    http.request(method, path, token="garbage").expect(401)
    http.request(method, path, token=user.refresh).expect(401)
    assert user.alive()


# --- ending one ---------------------------------------------------------------------------------


def test_end_another(user):
    second, third = another(user), another(user)
    a = user.call("DELETE", f"{SESSIONS}/{second.sid}").expect(204)
    assert a.header("Cache-Control") == "no-store"
    dead(second)
    assert ids(user) == [third.sid, user.sid]
    living(user)
    living(third)


def test_end_the_own(user):
    second = another(user)
    user.call("DELETE", f"{SESSIONS}/{user.sid}").expect(204)
    dead(user)
    living(second)


def test_letter_case_of_the_id(user):
    second = another(user)
    user.call("DELETE", f"{SESSIONS}/{second.sid.upper()}").expect(204)
    dead(second)


def test_what_is_not_there(http, stack, user, other):
    """Somebody else's, ended, expired, unknown and unreadable: the same bytes, nothing ends."""
    ended, expired = another(user), another(user)
    user.call("DELETE", f"{SESSIONS}/{ended.sid}").expect(204)
    shift(stack, expired, "idle_expires_at = now() - interval '1 second'")
    answers = [
        user.call("DELETE", f"{SESSIONS}/{x}").expect(404, "not_found").bare() for x in
        (other.sid, ended.sid, expired.sid, NEVER, user.id, "x", "me", "0", "-1", "..%2f",
         user.sid[:-1], user.sid + "0", user.sid.replace("-", ""), "{" + user.sid + "}",
         "%27or%271%27=%271")
    ]
    assert all(a == answers[0] for a in answers)
    assert other.alive() and user.alive()
    living(other)
    assert http.request("GET", "/api/health").status == 200


def test_an_ended_session_ends_nothing(user):
    second, third = another(user), another(user)
    user.call("DELETE", f"{SESSIONS}/{second.sid}").expect(204)
    second.call("DELETE", f"{SESSIONS}/{third.sid}").expect(401, "session_ended")
    second.call("DELETE", SESSIONS).expect(401, "session_ended")
    assert third.alive() and user.alive()


def test_racers_end_it_once(user):
    for _ in range(3):
        second = another(user)
        path = f"{SESSIONS}/{second.sid}"
        answers = at_once(8, lambda _: user.call("DELETE", path))  # noqa: B023
        assert sorted(a.status for a in answers) == [204] + [404] * 7
        dead(second)


def test_ended_in_every_worker_at_once(user):
    second = another(user)
    at_once(8, lambda _: second.call("GET", "tasks").expect(200))
    user.call("DELETE", f"{SESSIONS}/{second.sid}").expect(204)
    answers = at_once(8, lambda _: second.call("GET", "tasks"))
    assert {(a.status, a.code) for a in answers} == {(401, "session_ended")}


# --- ending all others --------------------------------------------------------------------------


def test_end_others(http, user, other):
    rest = [another(user) for _ in range(3)]
    a = user.call("DELETE", SESSIONS).expect(204)
    assert a.header("Cache-Control") == "no-store"
    for s in rest:
        dead(s)
    assert ids(user) == [user.sid]
    living(user)
    living(user)  # and again: the session is as it was
    assert other.alive()
    login(http, user.email).expect(200)


def test_end_others_when_there_are_none(user):
    for _ in range(3):
        user.call("DELETE", SESSIONS).expect(204)
        living(user)


def test_inside_the_grace_too(http, user):
    """A refresh token that was just used does not come back to life."""
    second = another(user)
    old = second.refresh
    living(second)
    user.call("DELETE", SESSIONS).expect(204)
    refresh(http, old).expect(401, "session_ended")
    dead(second)


def test_two_end_each_other(stack, user):
    """Whoever comes first wins: never both, never none."""
    for _ in range(4):
        pair = [another(user), another(user)]
        answers = at_once(2, lambda i: pair[i].call("DELETE", SESSIONS))  # noqa: B023
        assert sorted(a.status for a in answers) == [204, 401]
        winner = pair[0 if answers[0].status == 204 else 1]
        loser = pair[1 if answers[0].status == 204 else 0]
        assert winner.alive() and not loser.alive()
        assert ids(winner) == [winner.sid]


def test_logins_that_race_it(http, user):
    """A session from before is dead for good; one that began later lives. Nothing in between."""
    for _ in range(3):
        got = at_once(8, lambda i: user.call("DELETE", SESSIONS) if i == 4  # noqa: B023
                      else login(http, user.email))  # noqa: B023
        assert got[4].status == 204
        tokens = [a.json["access_token"] for a in got if a.status == 200]
        listed = set(ids(user))
        alive = {claims_of(t)["sid"] for t in tokens if user.alive(t)}
        assert listed == alive | {user.sid}
        user.call("DELETE", SESSIONS).expect(204)
        assert not any(user.alive(t) for t in tokens)


# --- expiry -------------------------------------------------------------------------------------


@pytest.mark.parametrize("column", ["idle_expires_at", "expires_at"])
def test_expiry_is_enforced_in_sql(stack, user, column):
    """By the row: an access token that is still good dies with it, and nothing needs to sweep."""
    second = another(user)
    shift(stack, user, f"{column} = now() - interval '1 millisecond'")
    user.call("GET", "tasks").expect(401, "session_ended")
    user.call("GET", SESSIONS).expect(401, "session_ended")
    user.call("DELETE", f"{SESSIONS}/{second.sid}").expect(401, "session_ended")
    refresh(user.http, user.refresh).expect(401)
    assert second.alive()


def test_short_lives_by_the_settings(make_stack):
    """The absolute life is counted from the login and no refresh moves it."""
    s = make_stack(refresh_idle_lifetime=4000, refresh_absolute_lifetime=5000, workers=1,
                   auth_workers=1)
    user = register(s.http)
    lives = ("select round(extract(epoch from idle_expires_at - rotated_at)), "
             "round(extract(epoch from expires_at - created_at)) from taskcell.sessions "
             f"where id = '{user.sid}'")
    assert s.sql.run(lives) == [["4000", "5000"]]
    living(user)
    assert s.sql.run(lives) == [["4000", "5000"]]
    # Nearer to the absolute end than an idle life is long.
    shift(s, user, "created_at = created_at - interval '3000 s', expires_at = expires_at - "
                   "interval '3000 s'")
    (listed,) = sessions(user)
    end = s.sql.value("select to_char(expires_at at time zone 'utc', "
                      "'YYYY-MM-DD\"T\"HH24:MI:SS') from taskcell.sessions "
                      f"where id = '{user.sid}'")
    assert listed["expires_at"].startswith(end)


# --- another web server -------------------------------------------------------------------------


def test_every_session_route_is_in_both_pools(stack, user):
    token = {"HTTP_AUTHORIZATION": f"Bearer {user.access}"}
    for pool in ("listen", "listen_auth"):
        second = another(user)
        path = stack.settings[pool]
        assert len(fastcgi.request(path, "GET", SESSIONS, **token).expect(200).json) == 2
        fastcgi.request(path, "DELETE", f"{SESSIONS}/{second.sid}", **token).expect(204)
        assert not second.alive()
