"""An HTTP client that sends what it is told, byte for byte, and looks at every answer's form."""

import base64
import concurrent.futures
import functools
import hashlib
import hmac
import http.client
import itertools
import json
import re
import socket
import threading
import urllib.parse

from frontends import FRONT, is_own_form
from openapi import contract

UUID7 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
NEVER = "01890000-0000-7000-8000-000000000000"  # an id that nobody has
PASSWORD = "correct horse battery staple"

# What must never reach a log: filled by whatever the tests send and receive.
secrets_used = set()
_secrets_lock = threading.Lock()


def remember_secret(text):
    if text and len(text) >= 8:
        with _secrets_lock:
            secrets_used.add(text)


def no_duplicates(pairs):
    keys = [k for k, _ in pairs]
    assert len(keys) == len(set(keys)), f"a duplicate member in {keys}"
    return dict(pairs)


def no_constant(name):
    raise AssertionError(f"{name} is no JSON")


def parse_json(data):
    return json.loads(
        data.decode("utf-8"), object_pairs_hook=no_duplicates, parse_constant=no_constant
    )


def b64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def unb64url(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def claims_of(token):
    return parse_json(unb64url(token.split(".")[1]))


def sign(header, payload, secret, digest=hashlib.sha256):
    """A JWT of two segments that are ready (text) or not yet (dicts)."""
    parts = [p if isinstance(p, str) else b64url(json.dumps(p).encode()) for p in (header, payload)]
    text = ".".join(parts)
    key = secret.encode() if isinstance(secret, str) else secret
    token = text + "." + b64url(hmac.new(key, text.encode(), digest).digest())
    remember_secret(token)
    return token


class Answer:
    def __init__(self, method, target, response, body):
        self.method = method
        self.target = target
        self.status = response.status
        self.reason = response.reason
        self.headers = response.headers
        self.body = body

    def __repr__(self):
        return f"<{self.method} {self.target}: {self.status} {self.body[:400]!r}>"

    def header(self, name):
        """The one header of this name, None when absent."""
        values = self.headers.get_all(name) or []
        assert len(values) <= 1, f"{name} more than once: {self.headers}"
        return values[0] if values else None

    @functools.cached_property
    def json(self):
        return parse_json(self.body)

    @property
    def request_id(self):
        return self.header("X-Request-Id")

    @property
    def code(self):
        return self.json["code"]

    @property
    def fields(self):
        """The fields that a 422 names, each with its codes."""
        found = {}
        for entry in self.json["errors"]:
            found.setdefault(entry["field"], set()).add(entry["code"])
        return found

    @property
    def next(self):
        """The target of the Link with rel="next", None when there is none."""
        link = self.header("Link")
        if link is None:
            return None
        m = re.fullmatch(r'<([^<>]+)>; rel="next"', link)
        assert m, link
        url = urllib.parse.urlsplit(urllib.parse.urljoin("http://x" + self.target, m[1]))
        return url.path + "?" + url.query

    def bare(self):
        """What must be equal when two refusals may not be told apart."""
        headers = sorted(
            (k.lower(), v) for k, v in self.headers.items()
            if k.lower() not in ("date", "x-request-id")
        )
        body = self.body.replace(self.request_id.encode(), b"<id>")
        assert body != self.body or not body
        return self.status, headers, body

    def expect(self, status, code=None):
        assert self.status == status, self
        if code is not None and not is_own_form(self):
            assert self.code == code, self
        return self


def check_form(a):
    """What the contract promises of every answer, whatever the route."""
    where = repr(a)
    if is_own_form(a):
        return
    assert a.request_id and re.fullmatch(r"[0-9A-Za-z_@-]{16,64}", a.request_id), where
    assert a.header("X-Content-Type-Options") == "nosniff", where
    caching = ("no-store", "private, no-cache")
    if a.status in (200, 304) and re.search(r"/jwks\.json|/openapi\.json", a.target):
        caching = ("public, max-age=300",)
    assert a.header("Cache-Control") in caching, where
    assert not any("\n" in v or "\r" in v for v in a.headers.values()), where
    if a.method == "HEAD" or a.status in (204, 304):
        assert a.body == b"", where
    contract.check(a)
    if a.status < 400:
        return
    if a.status != 401:
        assert a.header("WWW-Authenticate") is None, where
    if a.status in (429, 502, 503, 504):
        assert int(a.header("Retry-After")) >= 1, where
    if a.status == 405 and a.header("Server") is None:
        assert a.header("Allow"), where
    if a.method == "HEAD":
        return
    problem = a.json
    assert problem["request_id"] == a.request_id, where
    assert "current" not in problem or a.status in (409, 412), where
    assert ("errors" in problem) == (a.code == "validation_failed"), where


class Http:
    """One connection a request, so that any number of threads may use it."""

    def __init__(self, port):
        self.port = port

    def connect(self, source="127.0.0.1", timeout=60):
        s = socket.create_connection(("127.0.0.1", self.port), timeout, (source, 0))
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return s

    def raw(self, data, method="GET", target="?", source="127.0.0.1", check=True):
        """Sends bytes as they are and reads one answer."""
        if target == "?":
            target = (data.split(b"\r\n")[0].decode("latin-1").split(" ") + ["?"])[1]
        with self.connect(source) as s:
            try:
                s.sendall(data)
            except (BrokenPipeError, ConnectionResetError):
                pass  # refused before all was sent; the answer is there all the same
            return self.read(s, method, target, check)

    @staticmethod
    def read(s, method="GET", target="?", check=True):
        response = http.client.HTTPResponse(s, method=method)
        response.begin()
        answer = Answer(method, target, response, response.read())
        if check:
            check_form(answer)
        return answer

    @staticmethod
    def head(method, target, headers):
        lines = [f"{method} {target} HTTP/1.1", "Host: 127.0.0.1", "Connection: close"]
        lines += [f"{k}: {v}" for k, v in headers]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8")

    def request(self, method, target, body=None, *, token=None, headers=(), source="127.0.0.1",
                media="application/json", check=True):
        """`body`: None, bytes, or what is sent as JSON."""
        headers = list(headers.items() if isinstance(headers, dict) else headers)
        if token is not None:
            headers.append(("Authorization", f"Bearer {token}"))
        data = b""
        if body is None and method == "POST" and FRONT.needs_length:
            body, media = b"", None
        if body is not None:
            data = body if isinstance(body, bytes) else json.dumps(body).encode("utf-8")
            headers.append(("Content-Length", str(len(data))))
            if media is not None:
                headers.append(("Content-Type", media))
        return self.raw(self.head(method, target, headers) + data, method, target, source, check)


class User:
    """A person who is logged in."""

    def __init__(self, http_client, auth, password, source="127.0.0.1"):
        self.http = http_client
        self.password = password
        self.source = source
        self.take(auth)

    def take(self, auth):
        self.auth = auth
        self.id = auth["user"]["id"]
        self.email = auth["user"]["email"]
        self.access = auth["access_token"]
        self.refresh = auth.get("refresh_token")  # absent in cookie mode
        self.sid = claims_of(self.access)["sid"]
        remember_secret(self.access)
        remember_secret(self.refresh)
        return self

    def call(self, method, path, body=None, **kw):
        """`path` below /api/<own id>, or from / when it begins so."""
        target = path if path.startswith("/") else f"/api/{self.id}/{path}"
        return self.http.request(method, target, body, token=kw.pop("token", self.access),
                                 source=self.source, **kw)

    def create(self, title="A task", **members):
        return self.call("POST", "tasks", {"title": title, **members}).expect(201).json

    def task(self, task):
        return self.call("GET", f"tasks/{task['id']}").expect(200).json

    def pages(self, path, most=2000):
        """The answers with this page of a list and all behind it, as Link leads."""
        for _ in range(most):
            answer = self.call("GET", path).expect(200)
            yield answer
            path = answer.next
            if not path:
                return
        raise AssertionError(f"more than {most} pages")

    def tasks(self, path="tasks"):
        """All of them: a page has a thousand at most."""
        return [task for page in self.pages(path) for task in page.json]

    def alive(self, token=None):
        """Whether the session of this access token lives."""
        a = self.call("GET", "/api/auth/session", token=token or self.access)
        if a.status == 200:
            return True
        a.expect(401, "session_ended")
        return False


_numbers = itertools.count(1)


def fresh_email(stem="person"):
    return f"{stem}.{next(_numbers)}.{threading.get_ident() % 9973}@example.org"


def register(http_client, password=PASSWORD, email=None, source="127.0.0.1", **members):
    remember_secret(password)
    body = {"email": email or fresh_email(), "password": password, **members}
    a = http_client.request("POST", "/api/auth/register", body, source=source).expect(201)
    return User(http_client, a.json, password, source)


def login(http_client, email, password=PASSWORD, source="127.0.0.1", **kw):
    remember_secret(password)
    body = {"email": email, "password": password}
    return http_client.request("POST", "/api/auth/login", body, source=source, **kw)


def another(user, source=None):
    """The same person, in a session of another device."""
    source = source or user.source
    a = login(user.http, user.email, user.password, source).expect(200)
    return User(user.http, a.json, user.password, source)


def refresh(http_client, token, source="127.0.0.1"):
    remember_secret(token)
    a = http_client.request("POST", "/api/auth/refresh", {"refresh_token": token}, source=source)
    if a.status == 200:
        remember_secret(a.json["refresh_token"])
        remember_secret(a.json["access_token"])
    return a


def at_once(n, function):
    """Calls function(0) … function(n - 1) from n threads that begin together."""
    barrier = threading.Barrier(n)

    def one(i):
        barrier.wait()
        return function(i)

    with concurrent.futures.ThreadPoolExecutor(n) as pool:
        return list(pool.map(one, range(n)))


def check_task(task, owner=None):
    """What a task says of itself; its shape is the contract's."""
    assert UUID7.fullmatch(task["id"]), task
    assert owner is None or task["user_id"] == owner.id
    if task["completed"]:
        assert TIME.fullmatch(task["completed_at"])
    else:
        assert task["completed_at"] is None
    return task
