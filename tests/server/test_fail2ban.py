"""The shipped filter of fail2ban over a log that the server really wrote: guessing is found, with
the address it came from; what honest clients do is not, and nobody can have somebody else banned."""

import itertools
import os
import re
import shutil
import subprocess
import time

import pytest

import client
import wire
from stack import SECRET, SOURCE

FILTER = SOURCE / "conf/fail2ban/filter.d/taskcell.conf"
JAIL = SOURCE / "conf/fail2ban/jail.d/taskcell.conf"
PROGRAM = shutil.which("fail2ban-regex")
WRONG = "certainly not the password"
VICTIM = "203.0.113.99"
FORGED = (f"level=warning pid=1 event=auth_failed address={VICTIM} "
          "reason=wrong_password route=/api/auth/login")
_numbers = itertools.count(1)

pytestmark = pytest.mark.skipif(not PROGRAM and not os.environ.get("CI"),
                                reason="fail2ban is not installed")


def fresh():
    return f"198.51.100.{next(_numbers)}"


def found_in(text, directory, *options):
    """The addresses that fail2ban would count, in order."""
    log = directory / f"fail2ban-{next(_numbers)}.log"
    log.write_text(text, encoding="utf-8")
    done = subprocess.run([PROGRAM, "-o", "ip", *options, str(log), str(FILTER)],
                          capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.split()
    assert all(re.fullmatch(r"[0-9a-f.:]+", x) for x in lines), done.stdout
    return lines


@pytest.fixture(scope="module")
def watched(new_server):
    s = new_server(workers=1, trusted_proxies="10.0.0.0/8", refresh_grace=0).start()
    yield s
    assert s.stop() == []


class Watch:
    """What is found in the lines that were written in this block."""

    def __init__(self, server):
        self.server = server

    def __enter__(self):
        self.mark = self.server.log_size()
        return self

    def __exit__(self, *exc):
        self.text = self.server.log_text(self.mark)
        self.found = found_in(self.text, self.server.dir)


# --- what honest clients do ---------------------------------------------------------------------


def expired(token):
    """The same token, validly signed, but of an hour ago."""
    claims = client.claims_of(token)
    hour = int(time.time()) - 3600
    claims.update(iat=hour, nbf=hour, exp=hour + 60)
    return client.sign(token.split(".")[0], claims, SECRET)


def test_ordinary_traffic(watched):
    http = watched.direct
    with Watch(watched) as watch:
        user = client.register(http, source=fresh())
        task = user.create()
        user.call("PATCH", f"tasks/{task['id']}", {"title": "other"}).expect(200)
        user.call("GET", f"tasks/{client.NEVER}").expect(404)
        user.call("GET", "/api/nowhere").expect(404)
        user.call("POST", "tasks", {}).expect(422)
        http.request("GET", "/api/me/tasks").expect(401, "missing_token")
        user.call("GET", "tasks", token=expired(user.access)).expect(401, "token_expired")
        user.call("GET", "tasks", token="x.y.z").expect(401, "invalid_token")
        http.request("POST", "/api/auth/refresh", {}).expect(401, "invalid_refresh_token")
        http.request("POST", "/api/auth/refresh").expect(401, "invalid_refresh_token")
        http.request("POST", "/api/auth/refresh", {"refresh_token": None}).expect(401)
        user.take(client.refresh(http, user.refresh).expect(200).json)
        user.call("POST", "/api/auth/logout").expect(200)
        user.call("GET", "tasks").expect(401, "session_ended")
        client.refresh(http, user.refresh).expect(401, "session_ended")
        client.login(http, user.email).expect(200)
        http.request("POST", "/api/auth/register", {"email": user.email,
                     "password": client.PASSWORD}).expect(409, "email_taken")
    assert watch.found == []
    assert watch.text.count("event=auth_failed") >= 8


# --- guessing -----------------------------------------------------------------------------------


def wrong_password(server, user, source):
    client.login(server.direct, user.email, WRONG, source).expect(401, "invalid_credentials")


def unknown_email(server, _, source):
    client.login(server.direct, client.fresh_email("nobody"), WRONG, source).expect(401)


def current_password(server, user, source):
    body = {"current_password": WRONG, "new_password": "another staple of horses"}
    server.direct.request("POST", "/api/auth/password", body, token=user.access,
                          source=source).expect(403, "wrong_password")


def password_of_deletion(server, user, source):
    server.direct.request("DELETE", "/api/auth/account", {"password": WRONG}, token=user.access,
                          source=source).expect(403, "wrong_password")


def invalid_refresh(server, user, source):
    client.refresh(server.direct, user.refresh[:-4] + "AAAA", source).expect(
        401, "invalid_refresh_token")


def garbage_refresh(server, _, source):
    client.refresh(server.direct, "garbage-" * 20, source).expect(401)


def theft(server, user, source):
    old = user.refresh
    user.take(client.refresh(server.direct, old).expect(200).json)
    user.take(client.refresh(server.direct, user.refresh).expect(200).json)
    client.refresh(server.direct, old, source).expect(401, "session_ended")


FAILURES = [wrong_password, unknown_email, current_password, password_of_deletion, invalid_refresh,
            garbage_refresh, theft]


@pytest.mark.parametrize("fail", FAILURES)
def test_each_failure_is_found_once(watched, fail):
    user = client.register(watched.direct)
    source = fresh()
    with Watch(watched) as watch:
        fail(watched, user, source)
    assert watch.found == [source]


@pytest.mark.parametrize("source,says", [
    ("192.0.2.7", "192.0.2.7"), ("::ffff:192.0.2.8", "192.0.2.8"),
    ("2001:DB8:0::9", "2001:db8::9"), ("::1", "::1"),
])
def test_all_forms_of_addresses(watched, source, says):
    with Watch(watched) as watch:
        unknown_email(watched, None, source)
    assert watch.found == [says]


def test_the_client_behind_a_proxy(watched):
    """Never the proxy, and not whom the client says that it is."""
    source = fresh()
    with Watch(watched) as watch:
        client.login(watched.direct, "nobody@example.org", WRONG, "10.0.0.1",
                     headers={"X-Forwarded-For": f"{VICTIM}, {source}, 10.0.0.2"}).expect(401)
    assert watch.found == [source]


def test_lines_of_the_journal(watched):
    """There a line begins with host and program, and the time has been taken off before."""
    source = fresh()
    with Watch(watched) as watch:
        unknown_email(watched, None, source)
    lines = watch.text.splitlines()
    text = "".join(f"Nov 21 04:57:11 host.example taskcell[12]: {x}\n" for x in lines)
    assert found_in(text, watched.dir, "-d", "{^LN-BEG}") == [source]


def test_a_line_that_says_how_many_were_dropped(watched):
    source = fresh()
    with Watch(watched) as watch:
        unknown_email(watched, None, source)
    text = watch.text.replace(" event=auth_failed ", " event=auth_failed dropped=3 ")
    assert text != watch.text
    assert found_in(text, watched.dir) == [source]


# --- forgeries ----------------------------------------------------------------------------------


LINE = f"time=2026-01-31T12:34:56.789Z {FORGED}"
TEXTS = [
    LINE, "\n" + LINE, "\r\n" + LINE + "\n", "\0\n" + LINE, "x\u2028" + LINE, "x\x0b" + LINE,
    '"\n' + LINE, '\\"\n' + LINE, f"<HOST> {VICTIM}", f" address={VICTIM} reason=wrong_password ",
]


def send(server, method="POST", uri="/api/auth/login", body=b"", **more):
    with server.connect() as c:
        c.send(wire.message(method, uri, body, **more))
        return c.answer(method, uri)


@pytest.mark.parametrize("text", TEXTS)
def test_nothing_of_a_client_forges_a_line(watched, text):
    """Whatever it is that a client can choose: one line, or none, and its own address."""
    source = fresh()
    tricks = {
        "HTTP_USER_AGENT": text, "HTTP_ORIGIN": text, "HTTP_COOKIE": "taskcell_refresh=" + text,
        "HTTP_X_FORWARDED_FOR": text, "HTTP_REFERER": text, "REQUEST_ID": text,
        "HTTP_SEC_FETCH_SITE": text, "HTTP_PREFER": text, "HTTP_IF_MATCH": text,
        "HTTP_ACCESS_CONTROL_REQUEST_METHOD": text,
    }
    no_nul = text.replace("\0", "")  # with one it is no JSON
    typed = client.json.dumps({"email": no_nul, "password": no_nul}).encode()
    with Watch(watched) as watch:
        send(watched, body=typed, REMOTE_ADDR=source, **tricks)
        send(watched, uri="/api/auth/refresh", body=client.json.dumps(
            {"refresh_token": no_nul}).encode(), REMOTE_ADDR=source, **tricks)
        send(watched, "GET", "/api/me/tasks", token=text, REMOTE_ADDR=source, **tricks)
        send(watched, "GET", "/api/" + text, REMOTE_ADDR=source, **tricks)
        send(watched, "GET", "/api/auth/session?" + text, REMOTE_ADDR=source, **tricks)
        send(watched, text.split("\n")[0] or "\n", "/api/auth/login", REMOTE_ADDR=source, **tricks)
        send(watched, body=b"{}", REMOTE_ADDR=source, **{**tricks, "CONTENT_TYPE": text})
        send(watched, body=typed, REMOTE_ADDR="10.0.0.1", **tricks)
    assert VICTIM not in watch.found
    assert set(watch.found) <= {source, "10.0.0.1"} and watch.found
    for line in watch.text.splitlines():
        assert line.startswith("time=") and line.count(" event=") >= 1, line


@pytest.mark.parametrize("text", TEXTS)
def test_not_even_an_address_that_is_none(watched, text):
    """REMOTE_ADDR is the web server's; if it is no address, nobody is found."""
    body = b'{"email":"nobody@example.org","password":"certainly not"}'
    with Watch(watched) as watch:
        send(watched, body=body, REMOTE_ADDR=text)
    assert watch.found == []
    assert "reason=unknown_email" in watch.text


def test_the_jail_names_the_filter():
    text = JAIL.read_text(encoding="utf-8")
    assert re.search(r"^filter = taskcell$", text, re.M) and FILTER.stem == "taskcell"
    assert re.search(r"^enabled = true$", text, re.M)
    done = subprocess.run([PROGRAM.replace("-regex", "-client"), "--version"],
                          capture_output=True, check=False, timeout=60)
    assert done.returncode == 0
