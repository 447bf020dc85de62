"""Health and readiness; the database going away and coming back."""

import fastcgi
from client import PASSWORD, at_once, claims_of, fresh_email, login, refresh, register
from frontends import FRONT
from stack import wait_for


def test_health(http):
    a = http.request("GET", "/api/health").expect(200)
    assert a.json == {"status": "ok"}


def test_ready(http):
    a = http.request("GET", "/api/ready").expect(200)
    assert isinstance(a.json["status"], str)


def test_metrics_through_nginx(http):
    """For this host; whom nginx refuses is told nothing else than by taskcell."""
    a = http.request("GET", "/api/metrics").expect(200)
    assert a.header("Content-Type").startswith("text/plain; version=0.0.4")
    assert a.header("Cache-Control") == "no-store"
    assert b'taskcell_requests_total{method="GET",route="/api/health",class="2xx"} ' in a.body
    http.request("GET", "/api/metrics/").expect(200)
    http.request("HEAD", "/api/metrics").expect(200)
    http.request("GET", "/api/metrics", source="127.0.0.2").expect(404, "not_found")
    http.request("GET", "/api/metrics", headers={"X-Forwarded-For": "192.0.2.1"}).expect(
        404, "not_found")
    http.request("POST", "/api/metrics").expect(405)


def test_database_stops_and_starts_again(stack, postgres, http, user):
    """503 meanwhile, and taskcell is not restarted."""
    kept = user.create("before")
    workers = stack.workers()
    with stack.expecting_errors("."):
        postgres.halt()
        try:
            for _ in range(3):
                a = http.request("GET", "/api/ready").expect(503, "unavailable")
                assert int(a.header("Retry-After")) >= 1
                http.request("GET", "/api/health").expect(200)
            user.call("GET", "tasks").expect(503, "unavailable")
            user.call("POST", "tasks", {"title": "meanwhile"}).expect(503, "unavailable")
            login(http, user.email).expect(503)
            refresh(http, user.refresh).expect(503, "unavailable")
            body = {"email": fresh_email(), "password": PASSWORD}
            http.request("POST", "/api/auth/register", body).expect(503)
            # What needs no database is answered as ever.
            user.call("POST", "tasks", b"{").expect(400)
            user.call("GET", "tasks", token="garbage").expect(401)
        finally:
            postgres.resume()
        wait_for("ready again", lambda: http.request("GET", "/api/ready").status == 200)
    assert user.tasks() == [kept]
    answers = at_once(24, lambda _: user.call("GET", "tasks"))
    assert [a.status for a in answers] == [200] * 24
    assert FRONT.spawns or stack.taskcell.poll() is None
    assert set(workers) <= set(stack.workers())
    refresh(http, user.refresh).expect(200)


def test_a_restart_that_nobody_noticed(stack, postgres, user):
    """Connections that died in silence are found before use: no request is lost to them."""
    at_once(8, lambda i: user.create(str(i)))
    with stack.expecting_errors("connection|database"):
        postgres.halt()
        postgres.resume()
        answers = at_once(12, lambda i: user.call("POST", "tasks", {"title": f"after {i}"}))
    assert [a.status for a in answers] == [201] * 12
    assert len(user.tasks()) == 20


def test_start_without_a_database(make_stack):
    """A database that is down may come back: the server is up and says so."""
    s = make_stack(ready=False, database="host=/nonexistent dbname=taskcell user=taskcell",
                   workers=1, auth_workers=1)
    with s.expecting_errors("."):
        wait_for("GET /api/health", lambda: s.http.request("GET", "/api/health").status == 200)
        s.http.request("GET", "/api/ready").expect(503, "unavailable")
    s.expected[0] = (0, *s.expected[0][1:])  # the workers complain when they start


def test_another_schema_is_not_ready(stack, make_stack, scratch):
    """A migration that this program does not know, made while it runs."""
    url, sql = scratch
    assert stack.program("taskcellctl", "migrate", database=url).returncode == 0
    s = make_stack(database=url, workers=1, auth_workers=1)
    with s.expecting_errors("unfit"):
        sql.run("insert into taskcell.migrations (version, name, checksum) values (99, 'x', 'x')")
        s.http.request("GET", "/api/ready").expect(503, "unavailable")
        s.http.request("GET", "/api/health").expect(200)
        sql.run("delete from taskcell.migrations where version = 99")
    wait_for("ready", s.is_ready)
    assert s.stop() == []


# --- behind a web server that is not nginx ------------------------------------------------------


def test_mount(make_stack):
    """A prefix of every path, also in what is sent back."""
    s = make_stack(with_nginx=False, mount="/todo", workers=1, auth_workers=1)
    api, auth = s.settings["listen"], s.settings["listen_auth"]
    wait_for("the socket", lambda: s.answers(api) and s.answers(auth))
    for uri, status in (("/todo/api/health", 200), ("/api/health", 404), ("/todo", 404), ("", 404),
                        ("/todoapi/health", 404), ("/todo/todo/api/health", 404)):
        a = fastcgi.request(api, "GET", uri, outside=status == 404)
        assert a.status == status, uri
    body = b'{"email":"%s","password":"%s"}' % (fresh_email().encode(), PASSWORD.encode())
    a = fastcgi.request(auth, "POST", "/todo/api/auth/register", body).expect(201)
    token = {"HTTP_AUTHORIZATION": f"Bearer {a.json['access_token']}"}
    for i in range(2):
        a = fastcgi.request(api, "POST", "/todo/api/me/tasks", b'{"title":"x"}', **token)
        a.expect(201)
        assert a.header("Location") == f"/todo/api/me/tasks/{a.json['id']}"
    a = fastcgi.request(api, "GET", "/todo/api/me/tasks?limit=1", **token).expect(200)
    assert a.next.startswith("/todo/api/me/tasks?")
    assert fastcgi.request(api, "GET", a.next, **token).expect(200).next is None


def test_every_route_is_in_both_pools(stack, user):
    token = {"HTTP_AUTHORIZATION": f"Bearer {user.access}"}
    for path in (stack.settings["listen"], stack.settings["listen_auth"]):
        fastcgi.request(path, "GET", "/api/me/tasks", **token).expect(200)
        body = b'{"email":"%s","password":"%s"}' % (user.email.encode(), PASSWORD.encode())
        fastcgi.request(path, "POST", "/api/auth/login", body).expect(200)


def test_authorization_under_its_other_name(stack, user):
    """As it arrives after an internal redirect of Apache."""
    a = fastcgi.request(stack.settings["listen"], "GET", "/api/auth/session",
                        REDIRECT_HTTP_AUTHORIZATION=f"Bearer {user.access}").expect(200)
    assert a.json["user"]["id"] == claims_of(user.access)["sub"]


def test_a_body_that_was_cut(stack, user):
    """Shorter or longer than declared: 400 and no side effect."""
    path = stack.settings["listen"]
    token = {"HTTP_AUTHORIZATION": f"Bearer {user.access}"}
    body = b'{"title":"cut"}'
    for length in (len(body) + 1, len(body) - 1, 60000, 0):
        a = fastcgi.request(path, "POST", "/api/me/tasks", body, length, **token)
        a.expect(400, "invalid_request")
    for length in ("x", "-1", "1e2", "99999999999999999999"):
        a = fastcgi.request(path, "POST", "/api/me/tasks", body, length, **token)
        assert a.status in (400, 413), a
    assert user.tasks() == []
    fastcgi.request(path, "POST", "/api/me/tasks", b" " * 70000, **token).expect(413)
    fastcgi.request(path, "POST", "/api/me/tasks", b" " * 3000000, **token).expect(413)
    fastcgi.request(path, "POST", "/api/me/tasks", body, **token).expect(201)


def test_without_a_request_id_one_is_made(stack):
    path = stack.settings["listen"]
    ids = {fastcgi.request(path, "GET", "/api/health").request_id for _ in range(3)}
    assert len(ids) == 3
    given = fastcgi.request(path, "GET", "/api/health", REQUEST_ID="0123456789abcdef0123")
    assert given.request_id == "0123456789abcdef0123"
    for bad in ("x\r\nSet-Cookie: a=b", "a b", "é" * 20, "x" * 65):
        a = fastcgi.request(path, "GET", "/api/health", REQUEST_ID=bad)
        assert a.request_id != bad and a.header("Set-Cookie") is None


def test_two_people_registered_through_different_pools(stack, http):
    assert register(http).id != register(http).id
    assert FRONT.spawns or len(stack.workers()) == 6
