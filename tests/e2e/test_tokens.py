"""The bearer: T011, T017, T018, T034, T035-T040, T051-T054."""

import hashlib
import json
import time

import pytest

from client import NEVER, at_once, b64url, claims_of, sign, unb64url
from frontends import CHOSEN

PROTECTED = [
    ("GET", "/api/auth/session"), ("HEAD", "/api/auth/session"),
    ("GET", "/api/auth/sessions"), ("HEAD", "/api/auth/sessions"),
    ("DELETE", "/api/auth/sessions"), ("DELETE", f"/api/auth/sessions/{NEVER}"),
    ("GET", "/api/auth/account"), ("PATCH", "/api/auth/account"), ("GET", "/api/auth/export"),
    ("GET", "/api/me/tasks"), ("HEAD", "/api/me/tasks"), ("POST", "/api/me/tasks"),
    ("GET", f"/api/me/tasks/{NEVER}"), ("PUT", f"/api/me/tasks/{NEVER}"),
    ("PATCH", f"/api/me/tasks/{NEVER}"), ("DELETE", f"/api/me/tasks/{NEVER}"),
    ("PATCH", f"/api/me/tasks/{NEVER}/complete"), ("POST", f"/api/me/tasks/{NEVER}/complete"),
]


class Mint:
    """Makes tokens like the server's, and others."""

    def __init__(self, user, secret):
        self.header = user.access.split(".")[0]
        self.claims = claims_of(user.access)
        self.secret = secret

    def __call__(self, header=None, secret=None, drop=(), digest=hashlib.sha256, **changes):
        claims = {k: v for k, v in {**self.claims, **changes}.items() if k not in drop}
        return sign(header or self.header, claims, secret or self.secret, digest)

    def head(self, **changes):
        head = {**json.loads(unb64url(self.header)), **changes}
        return {k: v for k, v in head.items() if v is not None}


@pytest.fixture
def mint(user, stack):
    return Mint(user, stack.secret)


def test_the_server_signs_with_the_configured_secret(user, stack, mint):
    """T034: create and decode. Also shows that the tokens made here are like the real ones."""
    head = json.loads(unb64url(user.access.split(".")[0]))
    assert head == {"alg": "HS256", "typ": "JWT", "kid": head["kid"]} and head["kid"]
    header, payload, _ = user.access.split(".")
    assert sign(header, payload, stack.secret) == user.access
    user.call("GET", "tasks", token=mint()).expect(200)


@pytest.mark.parametrize("method,path", PROTECTED)
def test_every_protected_route(http, user, mint, method, path):
    """T035-T040, T052, T053, T054: missing, malformed, invalid and expired on each of them."""
    now = int(time.time())
    cases = {
        None: "missing_token",
        "garbage": "invalid_token",
        mint(secret="w" * 40): "invalid_token",
        sign(mint.head(alg="none"), mint.claims, mint.secret).rsplit(".", 1)[0] + ".":
            "invalid_token",
        mint(exp=now - 60, iat=now - 960, nbf=now - 960): "token_expired",
        mint(sid=NEVER): "session_ended",
    }
    for token, code in cases.items():
        # A body that is in order: a 404 may come first for rows that are not there, no 2xx ever.
        body = {"title": "x", "completed": True} if method in ("POST", "PUT", "PATCH") else None
        a = http.request(method, path, body, token=token).expect(401)
        challenge = a.header("WWW-Authenticate")
        if code == "missing_token":  # RFC 6750, 3.1: no error code without a token
            assert "error" not in challenge
        else:
            assert 'error="invalid_token"' in challenge
            assert 'error_description="' in challenge
        if method != "HEAD":
            assert a.code == code, (token, a)
    user.call("GET", "/api/me/tasks").expect(200)


@pytest.mark.parametrize("value,code", [
    ("", "missing_token"), ("Basic dXNlcjpwYXNz", "missing_token"), ("Token {}", "missing_token"),
    ("{}", None), ("Bearer", None), ("Bearer ", None), ("Bearer{}", None),
    ("Bearer {}x", "invalid_token"), ("Bearer x{}", "invalid_token"),
    ("Bearer {} {}", "invalid_token"), ("Bearer {},{}", "invalid_token"),
    ("Bearer {}.", "invalid_token"), ("Bearer .{}", "invalid_token"),
    ('Bearer "{}"', "invalid_token"), ("Bearer ..", "invalid_token"),
    ("Bearer .", "invalid_token"), ("Bearer a.b.c", "invalid_token"),
    ("Bearer " + "a" * 5000, "invalid_token"), ("Bearer \u00e9.\u00e9.\u00e9", "invalid_token"),
    ("Bearer " + "." * 300, "invalid_token"),
])
def test_malformed(user, value, code):
    a = user.http.request("GET", "/api/me/tasks",
                          headers={"Authorization": value.format(user.access, user.access)})
    a.expect(401)
    assert a.code == code or code is None and a.code in ("missing_token", "invalid_token"), a


def test_scheme_in_any_letter_case(user):
    for scheme in ("bearer", "BEARER", "Bearer", "bEaReR"):
        user.http.request("GET", "/api/me/tasks",
                          headers={"Authorization": f"{scheme} {user.access}"}).expect(200)


def test_two_authorization_headers(user):
    """nginx refuses them, in our form; the others join them, which is no token."""
    both = [("Authorization", f"Bearer {user.access}")] * 2
    user.http.request("GET", "/api/me/tasks", headers=both).expect(
        *((400, "invalid_request") if CHOSEN == "nginx" else (401, "invalid_token")))


def test_a_token_anywhere_else_is_none(user):
    """Not in the query and not in the body: RFC 6750, 2.2 and 2.3 are not for us."""
    a = user.http.request("GET", "/api/me/tasks?access_token=x")
    a.expect(401, "missing_token")
    user.http.request("POST", "/api/me/tasks", {"title": "x", "access_token": user.access}).expect(
        401, "missing_token")


@pytest.mark.parametrize("changes", [
    {"iss": "somebody"}, {"iss": None}, {"aud": "others"}, {"aud": ["others"]}, {"aud": None},
    {"iss": 5}, {"token_use": "refresh"}, {"token_use": None}, {"token_use": "ACCESS"},
    {"sub": "x"}, {"sub": None}, {"sub": 5}, {"sub": ""}, {"sid": "x"}, {"sid": None}, {"sid": 5},
    {"exp": None}, {"exp": "9999999999"}, {"exp": True}, {"exp": -1}, {"exp": 0},
    {"nbf": None}, {"nbf": "0"}, {"nbf": 9999999999},
    {"user_id": NEVER}, {"user_id": None},
])
def test_claims_must_hold(user, mint, changes):
    """T034: signed by us, but not what we issue."""
    a = user.call("GET", "tasks", token=mint(**changes)).expect(401)
    assert a.code in ("invalid_token", "token_expired")
    a = user.call("GET", "tasks", token=mint(drop=tuple(changes))).expect(401)
    assert a.code in ("invalid_token", "token_expired")


def test_times_and_their_leeway(user, mint):
    """T034: expiry. 30 s on exp and nbf; iat alone never rejects."""
    now = int(time.time())
    user.call("GET", "tasks", token=mint(exp=now - 20)).expect(200)
    user.call("GET", "tasks", token=mint(exp=now - 45)).expect(401, "token_expired")
    user.call("GET", "tasks", token=mint(nbf=now + 20)).expect(200)
    user.call("GET", "tasks", token=mint(nbf=now + 45)).expect(401, "invalid_token")
    user.call("GET", "tasks", token=mint(iat=now + 5000)).expect(200)
    user.call("GET", "tasks", token=mint(iat=now - 500000)).expect(200)


@pytest.mark.parametrize("head", [
    {"alg": "none"}, {"alg": "None"}, {"alg": "HS512"}, {"alg": "HS384"}, {"alg": "RS256"},
    {"alg": "hs256"}, {"alg": None}, {"kid": None}, {"kid": "00000000"}, {"kid": "../key"},
    {"kid": 5}, {"typ": "at+jwt"}, {"typ": None}, {"crit": ["exp"]}, {"jku": "http://127.0.0.1/"},
    {"jwk": {"kty": "oct", "k": "AAAA"}}, {"x5u": "x"},
])
def test_header_is_one_of_ours(user, mint, head):
    """The algorithm belongs to the key, never to the token."""
    token = mint(header=mint.head(**head))
    user.call("GET", "tasks", token=token).expect(401, "invalid_token")


def test_signatures(user, mint):
    header, payload, mac = user.access.split(".")
    tokens = [
        f"{header}.{payload}.", f"{header}.{payload}", f"{header}..{mac}", f".{payload}.{mac}",
        f"{header}.{payload}.{mac[:-2]}", f"{header}.{payload}.{mac}A",
        f"{header}.{payload}.{mac}=",
        f"{header}.{payload}.{mac}.{mac}", mint(digest=hashlib.sha512), mint(secret=b"\0" * 32),
        f"{header}.{b64url(json.dumps({**mint.claims, 'sub': NEVER}).encode())}.{mac}",
    ]
    for token in tokens:
        user.call("GET", "tasks", token=token).expect(401, "invalid_token")


def test_payload_must_be_an_object(user, mint):
    for payload in ("[]", '"x"', "5", "null", "{", "", "{}x", '{"exp":9999999999}'):
        token = sign(mint.header, b64url(payload.encode()) or "AA", mint.secret)
        user.call("GET", "tasks", token=token).expect(401, "invalid_token")
    deep = "[" * 900 + "]" * 900
    token = sign(mint.header, b64url(('{"x":%s}' % deep).encode()), mint.secret)
    user.call("GET", "tasks", token=token).expect(401, "invalid_token")


def test_a_session_belongs_to_its_user(user, other, mint):
    """A token of our own signature that mixes two people."""
    token = mint(sub=other.id, user_id=other.id)
    user.call("GET", "/api/me/tasks", token=token).expect(401, "session_ended")
    token = mint(sid=other.sid)
    user.call("GET", "/api/me/tasks", token=token).expect(401, "session_ended")


def test_token_comes_before_the_path(user, other):
    """A stranger without a token learns no more than 401."""
    for path in (f"/api/{user.id}/tasks", f"/api/{NEVER}/tasks", "/api/x/tasks",
                 f"/api/{user.id}/tasks/{NEVER}"):
        user.http.request("GET", path).expect(401, "missing_token")
    user.http.request("POST", f"/api/{other.id}/tasks", b"{").expect(401, "missing_token")


def test_order_of_checks_with_a_session_that_has_ended(http, user):
    """The session is looked at last, with the row: what costs no database comes first."""
    http.request("POST", "/api/auth/logout", token=user.access).expect(200)
    user.call("POST", "tasks", b"{").expect(400, "invalid_json")
    user.call("POST", "tasks", b"x", media="text/plain").expect(415)
    user.call("POST", "tasks", {}).expect(422)
    user.call("GET", f"/api/{NEVER}/tasks").expect(404)
    for method, path in PROTECTED:
        body = {"title": "x", "completed": True} if method in ("POST", "PUT", "PATCH") else None
        user.call(method, path, body).expect(401)


def test_a_valid_token_works_everywhere_at_once(user):
    """T051: authenticated access."""
    task = user.create()
    answers = at_once(16, lambda _: user.call("GET", f"tasks/{task['id']}"))
    assert [a.status for a in answers] == [200] * 16


def test_public_routes_need_none(http):
    for method, path, status in (("GET", "/api/health", 200), ("GET", "/api/ready", 200),
                                 ("POST", "/api/auth/logout", 200)):
        http.request(method, path).expect(status)
        http.request(method, path, token="garbage").expect(status)
