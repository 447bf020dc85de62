"""Pages of other origins: an allow-list, empty by default."""

import pytest

from client import NEVER, fresh_email, login, register

ONE, TWO, THREE = "https://app.example.org", "http://localhost:5173", "https://b.example:8443"
ROUTES = ["/api/auth/login", "/api/auth/account", "/api/auth/sessions", "/api/me/tasks",
          f"/api/me/tasks/{NEVER}", f"/api/auth/sessions/{NEVER}", "/api/health"]
EXPOSED = {"etag", "link", "location", "retry-after", "x-request-id", "x-total-count", "ratelimit",
           "ratelimit-policy", "idempotency-replayed", "preference-applied"}
ALLOWED = {"authorization", "content-type", "if-match", "if-none-match", "prefer",
           "idempotency-key"}


@pytest.fixture(scope="module")
def site(module_stack):
    return module_stack(cors_origins=f"{ONE} {TWO}, {THREE}", workers=2, auth_workers=1)


def words(text):
    return {w.strip().lower() for w in text.split(",")}


def preflight(http, path, origin, method="GET", headers="authorization"):
    return http.request("OPTIONS", path, headers={
        "Origin": origin, "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": headers})


def cors_headers(answer):
    return {k.lower() for k in answer.headers if k.lower().startswith("access-control-")}


def varies(answer):
    return "origin" in words(",".join(answer.headers.get_all("Vary") or []))


def allowed(answer, origin):
    """The origin itself, never a star, and never with credentials."""
    assert answer.header("Access-Control-Allow-Origin") == origin
    assert answer.header("Access-Control-Allow-Credentials") is None
    assert varies(answer)
    return answer


def refused(answer):
    """The browser hears nothing that would let a page read this."""
    assert cors_headers(answer) == set()
    assert varies(answer)  # so that a cache does not hand it to an origin that is allowed
    return answer


@pytest.mark.parametrize("path", ROUTES)
@pytest.mark.parametrize("origin", [ONE, TWO, THREE])
def test_preflight(site, path, origin):
    """Answered before authentication."""
    a = allowed(preflight(site.http, path, origin, "POST").expect(204), origin)
    allow = words(a.header("Allow"))
    assert words(a.header("Access-Control-Allow-Methods")) <= allow
    assert allow - words(a.header("Access-Control-Allow-Methods")) <= {"options", "head"}
    assert words(a.header("Access-Control-Allow-Headers")) == ALLOWED
    assert a.header("Access-Control-Max-Age") == "600"


@pytest.mark.parametrize("origin", [
    "https://evil.example", "null", "*", "", "https://app.example.org.evil.example",
    "https://app.example.or", "https://app.example.org:443", "https://app.example.org/",
    "http://app.example.org", "HTTPS://APP.EXAMPLE.ORG",
    "https://evil.example/https://app.example.org",
    f"{ONE} {TWO}", f"{ONE},", "app.example.org", "https://xapp.example.org", "http://localhost",
    "http://localhost:51730", "file://",
])
def test_other_origins(site, origin):
    """Exact origins: no suffix, no letter case, no list."""
    refused(preflight(site.http, "/api/me/tasks", origin).expect(204))
    refused(site.http.request("GET", "/api/health", headers={"Origin": origin}).expect(200))
    refused(site.http.request("GET", "/api/me/tasks", headers={"Origin": origin}).expect(401))


def test_an_unknown_path(site):
    """Also there, so that the page can read the error."""
    a = preflight(site.http, "/api/nothing/here", ONE)
    assert a.status == 404
    a = site.http.request("GET", "/api/nothing/here", headers={"Origin": ONE}).expect(404)
    allowed(a, ONE)


def test_answers_and_errors(site):
    """Every answer of ours that an allowed page gets, whatever its status."""
    user = register(site.http)
    origin = {"Origin": ONE}
    task = user.create()
    answers = [
        user.call("GET", "tasks", headers=origin).expect(200),
        user.call("POST", "tasks", {"title": "x"}, headers=origin).expect(201),
        user.call("GET", f"tasks/{NEVER}", headers=origin).expect(404),
        user.call("PUT", f"tasks/{task['id']}", {"title": "y"},
                  headers={**origin, "If-Match": '"0"'}).expect(412),
        user.call("POST", "tasks", b"{", headers=origin).expect(400),
        user.call("POST", "tasks", {}, headers=origin).expect(422),
        user.call("POST", "tasks", b"x", media="text/plain", headers=origin).expect(415),
        user.call("PUT", "tasks", {}, headers=origin).expect(405),
        user.call("GET", "tasks", token="garbage", headers=origin).expect(401),
        user.call("DELETE", f"tasks/{task['id']}",
                  headers={**origin, "Prefer": "return=minimal"}).expect(204),
        login(site.http, user.email, headers=origin).expect(200),
        login(site.http, fresh_email(), headers=origin).expect(401),
        site.http.request("GET", "/api/health", headers=origin).expect(200),
        site.http.request("HEAD", "/api/health", headers=origin).expect(200),
    ]
    for a in answers:
        allowed(a, ONE)
        assert words(a.header("Access-Control-Expose-Headers")) == EXPOSED, a
        assert a.header("Access-Control-Allow-Methods") is None


def test_without_an_origin(site):
    """Ordinary clients see nothing of it, but caches are told."""
    a = site.http.request("GET", "/api/health").expect(200)
    refused(a)
    a = site.http.request("OPTIONS", "/api/health").expect(204)
    refused(a)
    assert a.header("Allow")


def test_options_that_is_no_preflight(site):
    """Without the method that is asked for it is an ordinary OPTIONS."""
    a = site.http.request("OPTIONS", "/api/me/tasks", headers={"Origin": ONE}).expect(204)
    allowed(a, ONE)
    assert a.header("Access-Control-Allow-Methods") is None
    assert a.header("Allow")


def test_it_authorises_nobody(site):
    """An allowed origin still needs a token, and does not get round the cookie's rule."""
    headers = {"Origin": ONE, "Cookie": "taskcell_refresh=x"}
    site.http.request("GET", "/api/me/tasks", headers=headers).expect(401, "missing_token")


def test_empty_by_default(http, user):
    """No header of it, and no Vary, since nothing varies."""
    for a in (preflight(http, "/api/me/tasks", ONE).expect(204),
              http.request("GET", "/api/health", headers={"Origin": ONE}).expect(200),
              user.call("GET", "tasks", headers={"Origin": "null"}).expect(200)):
        assert cors_headers(a) == set() and not varies(a)


@pytest.mark.parametrize("value", [
    "*", "null", "https://a.example/", "https://a.example/x", "a.example", "https://*.example",
    "https://A.example", "https://a.example:443", "https://u@a.example", "https://",
    "https://a.example:x",
])
def test_what_is_no_origin_is_refused(stack, value):
    """At the start, instead of matching nothing later."""
    done = stack.program("taskcellctl", "config", cors_origins=f"https://ok.example {value}")
    assert done.returncode != 0 and "CORS_ORIGINS" in done.stderr, done
