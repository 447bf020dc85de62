"""What is written down: T068. That no token, password or query is in it is looked at when the run
ends, over everything the tests ever sent."""

import re

from client import NEVER, fresh_email, login, refresh, remember_secret

PAIR = re.compile(r' ?([a-z_]+)=("(?:[^"\\]|\\.)*"|[^" ]+)')


def parse(line):
    pairs, at = {}, 0
    while at < len(line):
        m = PAIR.match(line, at)
        assert m, f"not key=value: {line!r} at {at}"
        assert m[1] not in pairs, line
        pairs[m[1]] = m[2]
        at = m.end()
    return pairs


def records(stack, answer, event):
    return [p for p in map(parse, stack.lines_of(answer)) if p["event"] == event]


def record(stack, answer):
    """The one line of a request."""
    (line,) = records(stack, answer, "request")
    assert line["level"] == "info" and line["request_id"] == answer.request_id
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", line["time"])
    assert 0 < int(line["us"]) < 60_000_000
    assert int(line["pid"]) in stack.workers()
    assert line["status"] == str(answer.status)
    return line


def test_a_line_a_request(stack, user):
    task = user.create("log me")
    cases = [
        ("GET", "/api/me/tasks?limit=5&search=what-i-look-for", None, "/api/{user_id}/tasks"),
        ("POST", f"/api/{user.id}/tasks", {"title": "a title to hide"}, "/api/{user_id}/tasks"),
        ("PATCH", f"/api/me/tasks/{task['id']}", None, "/api/{user_id}/tasks/{task_id}"),
        ("POST", f"/api/me/tasks/{task['id']}/complete", None,
         "/api/{user_id}/tasks/{task_id}/complete"),
        ("GET", f"/api/me/tasks/{NEVER}", None, "/api/{user_id}/tasks/{task_id}"),
        ("GET", "/api/auth/session", None, "/api/auth/session"),
        ("DELETE", f"/api/me/tasks/{task['id']}", None, "/api/{user_id}/tasks/{task_id}"),
    ]
    for method, target, body, route in cases:
        a = user.call(method, target, body)
        line = record(stack, a)
        assert (line["method"], line["route"]) == (method, route)
        assert line["user"] == user.id
    log = stack.log_text()
    assert task["id"] not in log
    for hidden in ("what-i-look-for", "a title to hide", "log me", user.email):
        assert hidden not in log


def test_errors_have_their_code(stack, user):
    assert record(stack, user.call("GET", f"tasks/{NEVER}"))["code"] == "not_found"
    assert record(stack, user.call("POST", "tasks", {}))["code"] == "validation_failed"
    assert "code" not in record(stack, user.call("GET", "tasks"))


def test_users_of_the_public_routes(stack, http, user):
    """Known once the work is done."""
    a = login(http, user.email).expect(200)
    assert record(stack, a)["user"] == user.id
    a = refresh(http, a.json["refresh_token"]).expect(200)
    assert record(stack, a)["user"] == user.id
    assert "user" not in record(stack, http.request("GET", "/api/health"))


def test_auth_failures(stack, http, user):
    """T068: with address and reason."""
    remember_secret("a-secret-in-the-email-field@example.org")
    cases = [
        login(http, user.email, "wrong password here"),
        login(http, fresh_email("unknown")),
        login(http, "a-secret-in-the-email-field@example.org"),
        refresh(http, "garbage-refresh-token"),
        http.request("GET", "/api/me/tasks"),
        http.request("GET", "/api/me/tasks", token="garbage-access-token"),
        user.call("GET", "tasks", token=user.access[:-4] + "AAAA"),
    ]
    http.request("POST", "/api/auth/logout", token=user.access).expect(200)
    cases.append(user.call("GET", "tasks"))
    for a in cases:
        a.expect(401)
        (line,) = records(stack, a, "auth_failed")
        assert line["address"] == "127.0.0.1" and line["reason"]
        assert line["level"] in ("info", "warning")
        record(stack, a)
    log = stack.log_text()
    assert "garbage-refresh-token" not in log and "garbage-access-token" not in log


def test_address_is_the_clients(stack, http):
    a = http.request("GET", "/api/me/tasks", source="127.9.8.7",
                     headers={"X-Forwarded-For": "10.1.2.3"})
    (line,) = records(stack, a, "auth_failed")
    assert line["address"] == "127.9.8.7"


def test_unknown_paths_are_not_written_down(stack, http):
    for path in ("/api/some-secret-path", "/api/%0aevent=forged", "/api/a%22b"):
        a = http.request("GET", path)
        line = record(stack, a)
        assert "some-secret-path" not in stack.log_text()
        assert not line["route"].startswith("/")


def test_every_line_is_a_record(stack):
    """So far, of everything that the tests did."""
    for line in stack.log_text().splitlines():
        pairs = parse(line)
        assert list(pairs)[:4] == ["time", "level", "pid", "event"], line
        assert pairs["level"] in ("error", "warning", "info", "debug")
