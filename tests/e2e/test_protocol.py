"""HTTP itself: paths, methods, headers, the form of every error."""

import re

import pytest

from client import NEVER, PASSWORD, at_once, fresh_email
from frontends import CHOSEN, FRONT, is_own_form

METHODS = {
    "/api/health": {"GET", "HEAD", "OPTIONS"},
    "/api/ready": {"GET", "HEAD", "OPTIONS"},
    "/api/auth/register": {"POST", "OPTIONS"},
    "/api/auth/login": {"POST", "OPTIONS"},
    "/api/auth/refresh": {"POST", "OPTIONS"},
    "/api/auth/logout": {"POST", "OPTIONS"},
    "/api/auth/session": {"GET", "HEAD", "OPTIONS"},
    "/api/me/tasks": {"GET", "HEAD", "POST", "DELETE", "OPTIONS"},
    f"/api/me/tasks/{NEVER}": {"GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"},
    f"/api/me/tasks/{NEVER}/complete": {"POST", "PATCH", "OPTIONS"},
}
ALL = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "BREW", "PROPFIND"]
ALL = [method for method in ALL if method not in FRONT.refuses]


def allow(answer):
    methods = [m.strip() for m in answer.header("Allow").split(",")]
    assert len(methods) == len(set(methods))
    return set(methods)


@pytest.mark.parametrize("path", METHODS)
def test_methods(http, path):
    """405 with Allow, before any token is asked for; OPTIONS answers 204 with the same."""
    a = http.request("OPTIONS", path).expect(204)
    assert allow(a) == METHODS[path]
    for method in ALL:
        if method in METHODS[path]:
            continue
        a = http.request(method, path).expect(405)
        assert allow(a) == METHODS[path]
        if method != "HEAD":
            assert a.code == "method_not_allowed"


def test_405_is_decided_before_the_body_and_the_throttle(http):
    http.request("PUT", "/api/auth/login", b"{", media="text/plain").expect(405)


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "get", "G\u00cbT", "GET\x00"])
def test_methods_that_the_web_server_refuses(http, method):
    a = http.raw(f"{method} /api/health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    assert a.status in (400, 405, 501), a


@pytest.mark.parametrize("path", ["/api/health", "/api/auth/session", "/api/me/tasks", "task"])
def test_head_is_get_without_the_body(user, path):
    if path == "task":
        path = f"/api/me/tasks/{user.create()['id']}"
    get, head = user.call("GET", path).expect(200), user.call("HEAD", path).expect(200)
    keep = ("Content-Type", "Content-Length", "Cache-Control", "ETag", "Link")
    assert {k: head.header(k) for k in keep} == {k: get.header(k) for k in keep}
    assert int(get.header("Content-Length")) == len(get.body)


def test_head_of_an_error(user):
    get, head = user.call("GET", f"tasks/{NEVER}"), user.call("HEAD", f"tasks/{NEVER}")
    assert head.status == get.status == 404
    assert head.header("Content-Length") == get.header("Content-Length")


@pytest.mark.parametrize("path", [
    "/api", "/api/", "/api/nope", "/api/auth", "/api/auth/", "/api/auth/nope", "/api/me",
    "/api/me/nope", "/api/me/tasks/x/y", f"/api/me/tasks/{NEVER}/complete/x", "/api/HEALTH",
    "/API/health", "/api/Auth/session", "/api/me/Tasks", "/api/health/x", "/api/healthx",
    "/api/auth/tasks/x/complete/a/b/c/d/e/f/g", "/api/metric", "/api/openapi",
])
def test_unknown_paths(user, path):
    """404 whatever the method, with or without a token. What is not below /api is for the web server
    to answer, which may have other words for other methods."""
    methods = {"GET", "POST", "OPTIONS", "DELETE", "BREW"} & set(ALL)
    for method in methods if path.startswith("/api") else {"GET"}:
        for token in (None, user.access):
            a = user.http.request(method, path, token=token, check=path.startswith("/api"))
            a.expect(404)
            if path.startswith("/api"):
                assert a.code == "not_found"


def test_literal_beats_parameter(user):
    """`auth` is no user and `session` no list, whatever the method."""
    user.call("PUT", "/api/auth/session").expect(405)
    user.call("POST", "/api/auth/session", {"title": "x"}).expect(405)
    user.call("GET", "/api/auth/tasks").expect(404, "not_found")
    user.call("GET", f"/api/me/tasks/{NEVER}/complete").expect(405)


@pytest.mark.parametrize("path,status", [
    ("/api/health/", 200), ("/api/me/tasks/", 200), ("/api/auth/session/", 200),
    ("/api/me/tasks/{id}/", 200), ("/api/health//", 404), ("/api/me/tasks//", 404),
    ("/api//health", 404), ("//api/health", 404), ("/api/me//tasks", 404),
    ("/api/me/tasks//{id}", 404), ("/api/me%2Ftasks", 404), ("/api%2fhealth", 404),
    ("/api/me/tasks/{id}%2f", 404), ("/api/me/tasks%00", 0), ("/api/me/tasks/%00", 0),
    ("/api/me/tasks/%zz", 0), ("/api/me/tasks/%", 0), ("/api/me/tasks/%4", 0),
    ("/api/%68ealth", 200), ("/api/%6d%65/tasks", 200), ("/api/%256de/tasks", 404),
    ("/api/./health", 404), ("/api/x/../health", 404), ("/api/x/%2e%2e/health", 404),
    ("/api/health/.", 404), ("/api/../api/health", 404), ("/api/health;x=1", 404),
    ("/api/health#x", 404), ("/api/me/tasks/{ID}", 200), ("/api/{USER}/tasks/{ID}", 200),
    ("/api/me/tasks/%FF%FE", 404), ("/api/me/tasks/\u00e9", 404), ("/api/health?", 200),
    ("/api/health??x=/../", 200), ("/api/health/?a=b", 200), ("/api/health%20", 404),
    ("/api/health%2500", 404), ("/api/me\\tasks", 404),
    ("/api/health+", 404), ("/api/health%0d%0aX-Injected:%20yes", 404),
])
def test_paths(user, path, status):
    """One trailing slash, decoded once; what cannot be read is 404, or 400 by the web server."""
    task = user.create()
    target = path.replace("{id}", task["id"]).replace("{ID}", task["id"].upper()) \
        .replace("{USER}", user.id.upper())
    a = user.call("GET", target)
    assert a.header("X-Injected") is None
    if status:
        assert a.status == status or status == 404 and a.status == 400, a
    else:
        assert a.status in (400, 404), a


def test_trailing_slash_is_not_a_redirect(http):
    a = http.request("POST", "/api/auth/register/",
                     {"email": fresh_email(), "password": PASSWORD})
    a.expect(201)
    assert a.header("Location") is None or "auth" not in a.header("Location")


def test_request_ids(http):
    """The web server's, new each time; a client's is ignored."""
    seen = set()
    for header in ({}, {"X-Request-Id": "mine" * 8}, {"Request-Id": "mine" * 8},
                   {"X-Request-ID": "a" * 32, "REQUEST_ID": "b" * 32}):
        for path in ("/api/health", "/api/nope", "/api/me/tasks"):
            a = http.request("GET", path, headers=header)
            assert re.fullmatch(FRONT.request_id, a.request_id)
            assert a.request_id not in ("a" * 32, "b" * 32)
            seen.add(a.request_id)
        a = http.raw(b"GET /api/%zz HTTP/1.1\r\nHost: x\r\nX-Request-Id: me\r\n"
                     b"Connection: close\r\n\r\n")
        seen.add(a.request_id or a)
        assert a.request_id or is_own_form(a)
    assert len(seen) == 16


@pytest.mark.parametrize("path,cache", [
    ("/api/auth/session", "no-store"), ("/api/me/tasks", "private, no-cache"),
    (f"/api/me/tasks/{NEVER}", "private, no-cache"),
])
def test_cache_control(user, path, cache):
    """The same on success, on errors and on OPTIONS."""
    for method in ("GET", "HEAD", "DELETE", "OPTIONS", "POST"):
        for token in (user.access, "garbage"):
            assert user.call(method, path, token=token).header("Cache-Control") == cache
    for path in ("/api/auth/login", "/api/auth/register", "/api/auth/refresh", "/api/auth/logout"):
        assert user.http.request("POST", path, b"{").header("Cache-Control") == "no-store"


def test_no_header_of_a_client_gets_a_meaning(user):
    """What looks like a variable of the gateway is not one."""
    user.create()
    tricks = {"Proxy": "http://x/", "X-Forwarded-For": "1.2.3.4", "Remote-Addr": "x",
              "X-HTTP-Method-Override": "DELETE",
              "X-Original-URL": "/api/health", "X-Rewrite-URL": "/api/health",
              "X-Accel-Redirect": "/", "X-Sendfile": "/etc/passwd"}
    a = user.call("GET", "/api/me/tasks", headers=tricks).expect(200)
    assert isinstance(a.json, list) and len(a.json) == 1
    assert a.header("X-Accel-Redirect") is None


# --- bodies -------------------------------------------------------------------------------------


def padded(n):
    body = b'{"title":"big"' + b" " * (n - 15) + b"}"
    assert len(body) == n
    return body


def test_size(user):
    """At most 64 KiB."""
    user.call("POST", "tasks", padded(65536)).expect(201)
    for n in (65537, 65536 + 4096, 1_000_000):
        user.call("POST", "tasks", padded(n)).expect(413, "body_too_large")
    assert len(user.tasks()) == 1


def chunked(user, data, step):
    body = b"".join(b"%x\r\n%s\r\n" % (len(data[i:i + step]), data[i:i + step])
                    for i in range(0, len(data), step))
    head = user.http.head("POST", "/api/me/tasks", [
        ("Authorization", f"Bearer {user.access}"), ("Content-Type", "application/json"),
        ("Transfer-Encoding", "chunked")])
    return user.http.raw(head + body + b"0\r\n\r\n", "POST")


def test_chunked(user):
    chunked(user, b'{"title":"in chunks"}', 7).expect(201)
    chunked(user, padded(65536), 10000).expect(201)
    chunked(user, padded(65537), 10000).expect(413, "body_too_large")
    assert len(user.tasks()) == 2


@pytest.mark.parametrize("media", [
    "application/json", "application/json; charset=utf-8", "Application/JSON;charset=UTF-8",
    "application/json ;x=y", 'application/json; a="b;c"',
])
def test_media_types(user, media):
    user.call("POST", "tasks", {"title": "x"}, media=media).expect(201)


@pytest.mark.parametrize("media", [
    None, "", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x",
    "application/jsonx", "application/json5", "text/json", "application", "json", "*/*",
    "application/problem+json", "application/json, text/plain", "application/merge-patch+json",
])
def test_other_media_types(user, media):
    """415 with a body that is not empty."""
    task = user.create()
    data = b'{"title":"x"}'
    user.call("POST", "tasks", data, media=media).expect(415, "unsupported_media_type")
    user.call("PUT", f"tasks/{task['id']}", data, media=media).expect(415)
    user.http.request("POST", "/api/auth/login", data, media=media).expect(415)
    user.http.request("POST", "/api/auth/refresh", data, media=media).expect(415)
    patch = user.call("PATCH", f"tasks/{task['id']}", data, media=media)
    complete = user.call("PATCH", f"tasks/{task['id']}/complete", data, media=media)
    merge = media == "application/merge-patch+json"
    assert patch.status == complete.status == (200 if merge else 415)


def test_empty_body_needs_no_media_type(user):
    task = user.create()
    for media in (None, "text/plain", "application/json"):
        user.call("PATCH", f"tasks/{task['id']}", b"", media=media).expect(200)
        user.call("POST", f"tasks/{task['id']}/complete", b"", media=media).expect(200)
        user.http.request("POST", "/api/auth/logout", b"", media=media).expect(200)
        user.call("POST", "tasks", b"", media=media).expect(400, "invalid_json")
        user.http.request("POST", "/api/auth/login", b"", media=media).expect(400, "invalid_json")
        user.http.request("POST", "/api/auth/register", b"", media=media).expect(400)


def test_order_of_size_media_and_json(user):
    user.call("POST", "tasks", b"x" * 70000, media="text/plain").expect(413)
    user.call("POST", "tasks", b"{", media="text/plain").expect(415)
    user.call("GET", "tasks", b"x" * 70000, media="text/plain").expect(413)


def test_a_body_that_stops_early_does_nothing(user):
    """The web server waits for the rest; when the client leaves, no task is made."""
    data = b'{"title":"half"}'
    head = user.http.head("POST", "/api/me/tasks", [
        ("Authorization", f"Bearer {user.access}"), ("Content-Type", "application/json"),
        ("Content-Length", str(len(data) + 10))])
    with user.http.connect() as s:
        s.sendall(head + data)
        s.shutdown(1)
        assert s.recv(1000).startswith((b"HTTP/1.1 400", b""))
    assert user.tasks() == []


# --- what the web server answers itself ---------------------------------------------------------


# What nginx, Apache and lighttpd answer.
REFUSALS = [
    (b"GET /api/health HTTP/1.1\r\n", "invalid_request", 400, 400, 400),  # no Host
    (b"Host: y\r\n", "invalid_request", 400, 400, 400),
    (b"Content-Length: x\r\n", "invalid_request", 400, 400, 400),
    (b"Content-Length: -1\r\n", "invalid_request", 400, 400, 400),
    (b"Transfer-Encoding: nonsense\r\n", "not_implemented", 501, 400, 501),
    (b"X-Large: " + b"x" * 40000 + b"\r\n", "headers_too_large", 431, 400, 431),
    (b"GET /api/" + b"x" * 40000 + b" HTTP/1.1\r\nHost: x\r\n", "uri_too_long", 414, 414, 431),
    (b"TRACE /api/health HTTP/1.1\r\nHost: x\r\n", "method_not_allowed", 405, 405, 405),
]


@pytest.mark.parametrize("lines,code,nginx,apache,lighttpd", REFUSALS)
def test_errors_of_the_web_server(http, lines, code, nginx, apache, lighttpd):
    """Those of nginx under /api have the same form and the same kind of id; so have Apache's, if
    it could read the request."""
    status = {"nginx": nginx, "lighttpd": lighttpd}.get(CHOSEN, apache)
    if b" HTTP/1.1" not in lines:
        lines = b"GET /api/health HTTP/1.1\r\nHost: x\r\n" + lines
    http.raw(lines + b"Connection: close\r\n\r\n").expect(status, code)


def test_a_body_that_is_far_too_large(user):
    """Refused by its length alone, by the web server or by taskcell."""
    a = user.http.raw(user.http.head("POST", "/api/me/tasks", [
        ("Authorization", f"Bearer {user.access}"), ("Content-Length", "99999999")]), "POST")
    a.expect(413, "body_too_large")


def test_two_lengths_are_no_two_requests(http):
    """Refused, or the chunks count and nothing behind them is read."""
    a = http.raw(b"POST /api/auth/logout HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n"
                 b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
                 b"GET /api/nope HTTP/1.1\r\nHost: x\r\n\r\n", "POST")
    assert a.status in ((400,) if CHOSEN == "nginx" else (200, 400)), a


@pytest.mark.skipif(CHOSEN != "nginx", reason="of nginx's own return")
def test_errors_of_what_is_set_up_around_it(make_stack):
    """429, 500 and 503 by nginx itself, as a limit or a broken module of an operator gives them."""
    here = "\t# Headers of the client arrive"
    rows = "".join(f"\tlocation = /api/say/{n} {{ return {n}; }}\n" for n in (429, 500, 503))
    s = make_stack(nginx={here: rows + here}, workers=1, auth_workers=1)
    s.http.request("GET", "/api/say/500").expect(500, "internal_error")
    a = s.http.request("GET", "/api/say/503").expect(503, "unavailable")
    assert a.header("Retry-After") == "1"
    a = s.http.request("GET", "/api/say/429").expect(429, "rate_limited")
    assert a.header("Retry-After") == "1"


def test_bad_chunks(http):
    head = http.head("POST", "/api/auth/login", [("Content-Type", "application/json"),
                                                 ("Transfer-Encoding", "chunked")])
    http.raw(head + b"zz\r\n\r\n", "POST").expect(400)


def test_older_clients(http):
    http.raw(b"GET /api/health HTTP/1.0\r\n\r\n").expect(200)


def test_requests_after_one_another_on_one_connection(user):
    """Kept connections to the web server: no answer runs into the next."""
    with user.http.connect() as s:
        for i in range(6):
            path = ("/api/health", "/api/me/tasks", "/api/nope")[i % 3]
            s.sendall((f"GET {path} HTTP/1.1\r\nHost: x\r\n"
                       f"Authorization: Bearer {user.access}\r\n\r\n").encode())
            assert user.http.read(s).status == (200, 200, 404)[i % 3]


def test_pipelined_requests(user):
    with user.http.connect() as s:
        one = ("GET /api/me/tasks HTTP/1.1\r\nHost: x\r\n"
               f"Authorization: Bearer {user.access}\r\n\r\n")
        other = "GET /api/nope HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        s.sendall((one + other).encode())
        data = b""
        while chunk := s.recv(65536):
            data += chunk
    assert data.count(b"HTTP/1.1 200") == 1 and data.count(b"HTTP/1.1 404") == 1
    assert data.index(b"HTTP/1.1 200") < data.index(b"HTTP/1.1 404")


def test_many_at_once(user):
    """More than there are workers: everybody is served."""
    answers = at_once(64, lambda _: user.call("GET", "tasks"))
    assert [a.status for a in answers] == [200] * 64
