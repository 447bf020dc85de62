"""What ends a session ends it for the very next request, in one round trip to the database: no
cache to wait for, and no second question."""

import pytest

from client import NEVER, PASSWORD, User, another, at_once, claims_of, fresh_email, login, refresh
from client import register, remember_secret

NEW = "a new horse, a new battery"


def log_out(stack, user, _other):
    user.http.request("POST", "/api/auth/logout", token=user.access).expect(200)


def log_out_by_refresh_token(stack, user, _other):
    user.http.request("POST", "/api/auth/logout", {"refresh_token": user.refresh}).expect(200)


def end_it(stack, user, other):
    other.call("DELETE", f"/api/auth/sessions/{user.sid}").expect(204)


def end_others(stack, user, other):
    other.call("DELETE", "/api/auth/sessions").expect(204)


def change_password(stack, user, other):
    remember_secret(NEW)
    other.call("POST", "/api/auth/password",
               {"current_password": PASSWORD, "new_password": NEW}).expect(200)


def change_own_password(stack, user, other):
    change_password(stack, other, user)


def change_email(stack, user, other):
    other.call("PATCH", "/api/auth/account",
               {"email": fresh_email(), "current_password": PASSWORD}).expect(200)


def delete_account(stack, user, other):
    other.call("DELETE", "/api/auth/account", {"password": PASSWORD}).expect(204)


def ctl_disable(stack, user, other):
    stack.ctl("user", "disable", user.email)


def ctl_end(stack, user, other):
    stack.ctl("session", "end", user.email, user.sid)


def ctl_end_of_user(stack, user, other):
    stack.ctl("session", "end", user.email)


def ctl_delete(stack, user, other):
    stack.ctl("user", "delete", user.email)


def theft(stack, user, other):
    second = refresh(user.http, user.refresh).expect(200).json
    refresh(user.http, second["refresh_token"]).expect(200)
    refresh(user.http, user.refresh).expect(401, "session_ended")


ACTS = [log_out, log_out_by_refresh_token, end_it, end_others, change_password,
        change_own_password, change_email, delete_account, ctl_disable, ctl_end, ctl_end_of_user,
        ctl_delete, theft]


@pytest.mark.parametrize("act", ACTS, ids=[a.__name__ for a in ACTS])
def test_the_very_next_request(stack, http, act):
    """In each worker, also in those that have just served this session."""
    user = register(http)
    other = another(user)
    task = user.create()
    answers = at_once(12, lambda _: user.call("GET", "tasks"))
    assert {a.status for a in answers} == {200}
    act(stack, user, other)
    user.call("GET", "tasks").expect(401, "session_ended")
    answers = at_once(12, lambda i: user.call(*[
        ("GET", "tasks"), ("POST", "tasks", {"title": "too late"}), ("GET", f"tasks/{task['id']}"),
        ("DELETE", f"tasks/{task['id']}"), ("GET", "/api/auth/session"),
        ("GET", "/api/auth/account")][i % 6]))
    assert {(a.status, a.code) for a in answers} == {(401, "session_ended")}
    a = refresh(http, user.refresh)
    assert a.status == 401, a


def test_disabled_and_enabled_again(stack, http, user):
    """The sessions of before stay dead."""
    stack.ctl("user", "disable", user.email)
    assert not user.alive()
    login(http, user.email).expect(401, "invalid_credentials")
    stack.ctl("user", "enable", user.email)
    assert not user.alive()
    refresh(http, user.refresh).expect(401, "session_ended")
    User(http, login(http, user.email).expect(200).json, PASSWORD).call("GET", "tasks").expect(200)


def test_everyones_sessions(make_stack, scratch, stack):
    """`session end --all`, as after a restore: on a database of its own."""
    url, _ = scratch
    assert stack.program("taskcellctl", "migrate", database=url).returncode == 0
    s = make_stack(database=url, workers=2, auth_workers=1)
    people = [register(s.http) for _ in range(4)]
    s.ctl("session", "end", "--all")
    assert not any(p.alive() for p in people)
    for p in people:
        refresh(s.http, p.refresh).expect(401, "session_ended")
        login(s.http, p.email).expect(200)
    assert s.stop() == []


# --- round trips --------------------------------------------------------------------------------


def test_the_proxy_counts(counted):
    """Health asks nothing, readiness does: the counting is not blind."""
    assert counted.cost("GET", "/api/health")[1] == 0
    assert counted.cost("GET", "/api/ready")[1] >= 1


def test_task_requests_cost_one(counted, user):
    a, n = counted.cost("POST", "/api/me/tasks", b'{"title":"x"}', user.access)
    task = f"/api/me/tasks/{a.expect(201).json['id']}"
    assert n == 1
    for method, path, body, status in (
            ("GET", "/api/me/tasks", b"", 200), ("HEAD", "/api/me/tasks", b"", 200),
            ("GET", "/api/me/tasks?limit=2&completed=true", b"", 200), ("GET", task, b"", 200),
            ("PUT", task, b'{"title":"y"}', 200), ("PATCH", task, b"", 200),
            ("PATCH", task, b'{"title":"z"}', 200), ("POST", task + "/complete", b"", 200),
            ("GET", f"/api/me/tasks/{NEVER}", b"", 404),
            ("GET", "/api/auth/session", b"", 200), ("GET", "/api/auth/sessions", b"", 200),
            ("GET", "/api/auth/account", b"", 200),
            ("PATCH", "/api/auth/account", b'{"name":"n"}', 200),
            ("DELETE", task, b"", 200), ("DELETE", task, b"", 404)):
        a, n = counted.cost(method, path, body, user.access)
        assert (a.status, n) == (status, 1), (method, path, a, n)


def test_refusals_cost_one_too(counted, http, user):
    """The same question answers whether the session lives."""
    second = another(user)
    user.call("DELETE", f"/api/auth/sessions/{second.sid}").expect(204)
    for method, path, body in (
            ("GET", "/api/me/tasks", b""), ("POST", "/api/me/tasks", b'{"title":"x"}'),
            ("GET", f"/api/me/tasks/{NEVER}", b""), ("DELETE", f"/api/me/tasks/{NEVER}", b""),
            ("GET", "/api/auth/session", b""), ("GET", "/api/auth/sessions", b""),
            ("DELETE", "/api/auth/sessions", b"")):
        a, n = counted.cost(method, path, body, second.access)
        assert a.expect(401, "session_ended") and n == 1, (method, path, n)
    assert http.request("GET", "/api/health").status == 200


def test_what_asks_nothing(counted, user):
    """Refused before the database: no token, a bad one, somebody else's path, a bad body."""
    for method, path, body, token, status in (
            ("GET", "/api/me/tasks", b"", None, 401),
            ("GET", "/api/me/tasks", b"", "garbage", 401),
            ("GET", "/api/me/tasks", b"", user.access[:-4] + "AAAA", 401),
            ("GET", f"/api/{NEVER}/tasks", b"", user.access, 404),
            ("POST", "/api/me/tasks", b"{", user.access, 400),
            ("POST", "/api/me/tasks", b"{}", user.access, 422),
            ("DELETE", "/api/auth/sessions/x", b"", user.access, 404),
            ("PATCH", "/api/auth/account", b'{"name":""}', user.access, 422),
            ("POST", "/api/auth/refresh", b'{"refresh_token":"garbage"}', None, 401)):
        a, n = counted.cost(method, path, body, token)
        assert (a.status, n) == (status, 0), (method, path, a, n)


def test_ends_cost_one(counted, user):
    """The act and its row in the audit are one transaction and one round trip."""
    sids = [another(user) for _ in range(3)]
    a, n = counted.cost("DELETE", f"/api/auth/sessions/{sids[0].sid}", token=user.access)
    assert (a.status, n) == (204, 1)
    a, n = counted.cost("POST", "/api/auth/logout", token=sids[1].access)
    assert (a.status, n) == (200, 1)
    a, n = counted.cost("DELETE", "/api/auth/sessions", token=user.access)
    assert (a.status, n) == (204, 1)
    assert not sids[2].alive() and user.alive()
    a, n = counted.cost("POST", "/api/auth/refresh",
                        b'{"refresh_token":"%s"}' % user.refresh.encode())
    assert (a.status, n) == (200, 1)
    assert claims_of(a.json["access_token"])["sid"] == user.sid


def test_login_costs_the_same_for_nobody(counted, user):
    """A known and an unknown e-mail ask as often."""
    def body(email, password):
        return f'{{"email":"{email}","password":"{password}"}}'.encode()

    wrong, n = counted.cost("POST", "/api/auth/login", body(user.email, "not the password"))
    unknown, m = counted.cost("POST", "/api/auth/login", body(fresh_email(), "not the password"))
    assert wrong.status == unknown.status == 401 and n == m
    assert wrong.bare() == unknown.bare()
