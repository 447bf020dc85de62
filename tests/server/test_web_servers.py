"""What depends on the web server, with each of them from its shipped file. The e2e suite as a whole
goes through one of them: TASKCELL_SERVER says through which."""

import concurrent.futures
import os
import re
import signal
import time

import pytest

import client
import pages
from frontends import FRONTENDS
from stack import Stack, wait_for

ALL = list(FRONTENDS)
MOUNTED = {  # as docs/operations.md says
    "nginx": {"/api": "/todo/api", "= /.well-known": "= /todo/.well-known",
              "/+(?:api": "/+todo/(?:api",
              "\nlocation / {": "\nlocation = /todo { return 301 /todo/; }\nlocation /todo/ {"},
    "apache": {'"^/': '"^/todo/'},
    "lighttpd": {'"^/': '"^/todo/', '"/" =>': '"/todo/" =>'},
}


@pytest.fixture
def front(state, postgres, build, new_server):
    made = []
    new_server()  # it makes the tables

    def make(server, changes=None, **settings):
        kind = FRONTENDS[server].kind
        s = Stack(postgres, state / f"w{len(os.listdir(state))}", build, server=server,
                  **{kind: changes, "workers": 2, "auth_workers": 1, **settings})
        made.append(s)
        s.start_nginx() if s.spawned else s.start(ready=False)
        wait_for("health", lambda: s.http.request(
            "GET", settings.get("mount", "") + "/api/health", check=False).status == 200)
        return s

    yield make
    for s in made:
        assert s.stop() == []


def call(s, method, target, body=None, token=None, **headers):
    headers = {k.replace("_", "-"): v for k, v in headers.items()}
    return s.http.request(method, target, body, token=token, headers=headers, check=False)


@pytest.mark.parametrize("server", ALL)
def test_mount(front, server):
    """Below /todo: paths, and the headers that say where something is."""
    s = front(server, MOUNTED[FRONTENDS[server].kind], mount="/todo",
              public_url="https://example.org")
    body = {"email": client.fresh_email(), "password": client.PASSWORD}
    made = call(s, "POST", "/todo/api/auth/register", body).expect(201)
    token = made.json["access_token"]
    for i in range(3):
        a = call(s, "POST", "/todo/api/me/tasks/", {"title": str(i)}, token).expect(201)
        assert a.header("Location").startswith("/todo/api/") and \
            call(s, "GET", a.header("Location"), token=token).expect(200).json == a.json
    a = call(s, "GET", "/todo/api/me/tasks?limit=1", token=token).expect(200)
    assert a.next.startswith("/todo/api/")
    assert call(s, "GET", a.next, token=token).expect(200).json[0]["title"] == "1"
    call(s, "GET", "/todo/%61pi/health").expect(200)
    a = call(s, "POST", "/todo/api/auth/login", {**body, "cookie": True},
             Origin="https://example.org", Sec_Fetch_Site="same-origin")
    assert re.search("; Path=/todo/api/auth", a.expect(200).header("Set-Cookie"))
    for path in ("/api/health", "/todo/health", "/todoapi/health"):
        assert call(s, "GET", path).status == 404
    a = call(s, "GET", "/todo/.well-known/jwks.json")
    assert a.header("Content-Type").startswith("application/"), a
    pages.check_client(s.http, "/todo/")


@pytest.mark.parametrize("server", ALL)
def test_the_browser_client(front, server):
    """Its files, with all that they are to come with."""
    pages.check_client(front(server).http)


@pytest.mark.parametrize("server", ALL)
def test_a_client_cannot_say_who_it_is(front, server):
    """Behind a proxy that is trusted, its header counts and none that only looks like it."""
    s = front(server, trusted_proxies="127.0.0.1")
    lies = [("X_Forwarded_For", "6.6.6.6"), ("X-Forwarded_For", "6.6.6.7"),
            ("X_Forwarded-For", "6.6.6.8"), ("Proxy", "http://6.6.6.9/")]
    true = [("X-Forwarded-For", "203.0.113.7")]
    for headers in (true + lies, lies + true, [*lies, *true, *lies]):
        mark = s.log_size()
        s.http.request("POST", "/api/auth/login",
                       {"email": client.fresh_email(), "password": "not the password"},
                       headers=headers, check=False).expect(401)
        assert "address=203.0.113.7 " in s.log_text(mark) and "6.6.6." not in s.log_text(mark)


@pytest.mark.parametrize("server", ALL)
def test_answers_are_passed_as_they_are(front, server):
    """Lengths, parts, conditions, and a client that asks before it sends."""
    s = front(server)
    user = client.register(s.http)
    user.create("one")
    a = call(s, "GET", "/api/me/tasks", token=user.access, Range="bytes=0-3").expect(200)
    assert a.json and a.header("Accept-Ranges") is None
    for condition in ("If_Match", "If_Unmodified_Since", "If_Modified_Since", "If_Range"):
        value = "Sat, 01 Jan 2000 00:00:00 GMT" if "Since" in condition else '"0"'
        b = call(s, "GET", "/api/me/tasks", token=user.access, **{condition: value})
        assert b.status == 200 and b.body == a.body, condition
    b = call(s, "GET", "/api/me/tasks", token=user.access, If_None_Match=a.header("ETag"))
    assert b.expect(304).body == b"" and b.header("ETag") == a.header("ETag")
    b = call(s, "OPTIONS", "/api/me/tasks").expect(204)
    assert b.body == b"" and b.header("Content-Length") in (None, "0") and b.header("Allow")
    head = s.http.head("POST", "/api/me/tasks", [
        ("Authorization", f"Bearer {user.access}"), ("Content-Type", "application/json"),
        ("Content-Length", "15"), ("Expect", "100-continue")])
    with s.http.connect() as c:
        c.sendall(head)
        assert c.recv(100).startswith(b"HTTP/1.1 100")
        c.sendall(b'{"title":"two"}')
        s.http.read(c, "POST", "/api/me/tasks", check=False).expect(201)
    assert len(user.tasks()) == 2


@pytest.mark.parametrize("server", [x for x in ALL if x != "proxy_fcgi"])
def test_what_comes_slowly_holds_no_worker(front, server):
    """A body is there as a whole before a worker is taken; mod_proxy_fcgi alone passes it as it
    comes."""
    s = front(server, {"FcgidMaxProcessesPerClass 8": "FcgidMaxProcessesPerClass 1"}, workers=1)
    user = client.register(s.http)
    head = s.http.head("POST", "/api/me/tasks", [
        ("Authorization", f"Bearer {user.access}"), ("Content-Type", "application/json"),
        ("Content-Length", "15")])
    with s.http.connect() as c:
        c.sendall(head + b'{"title"')
        began = time.monotonic()
        for _ in range(5):
            user.call("GET", "tasks").expect(200)
        assert time.monotonic() - began < 5
        c.sendall(b':"two"}')
        s.http.read(c, "POST", "/api/me/tasks").expect(201)


@pytest.mark.parametrize("server", ALL)
def test_a_long_poll_is_waited_for(front, server):
    """With the server's patience elsewhere shortened; one that is to wait does not hold others."""
    short = {"fastcgi_read_timeout 20s": "fastcgi_read_timeout 1s", "timeout=20": "timeout=1",
             '"read-timeout" => 20': '"read-timeout" => 1'}
    s = front(server, short, workers=4)
    user = client.register(s.http)
    first = user.call("GET", "changes").expect(200).json
    a = user.call("GET", f"changes?since={first['next']}", headers={"Prefer": "wait=2"})
    assert a.header("Preference-Applied") == "wait=2" and a.json["changes"] == []


# --- mod_fcgid ------------------------------------------------------------------------------------

PASSED = "\tCGIPassAuth On\n"
REWRITTEN = r"""
<Directory "/tmp/*/*/www">
	Options +FollowSymLinks
	RewriteEngine On
	RewriteRule (?:^|/)api(?:/|$) /inner [E=HTTP_AUTHORIZATION:%{HTTP:Authorization},L]
</Directory>
AliasMatch "^/inner$" "/usr/sbin/taskcell"
<LocationMatch "^/inner$">
	SetHandler fcgid-script
	Options +ExecCGI
	Require all granted
</LocationMatch>
"""


@pytest.mark.parametrize("changes,passed", [
    ({}, True),
    ({PASSED: ""}, False),
    ({PASSED: "", "FcgidIOTimeout 300": "FcgidIOTimeout 300\nFcgidPassHeader Authorization"}, True),
])
def test_authorization_reaches_us(front, changes, passed):
    """By each of the two ways alone, and by none: then nobody is logged in."""
    s = front("mod_fcgid", changes)
    user = client.register(s.http)
    a = call(s, "GET", "/api/me/tasks", token=user.access)
    assert (a.status, a.code if a.status != 200 else None) == (
        (200, None) if passed else (401, "missing_token"))


def test_authorization_after_a_rewrite(front, build):
    """It then has another name. The path stays that of the request line."""
    lines = REWRITTEN.replace("/usr/sbin/taskcell", str(build / "taskcell"))
    s = front("mod_fcgid", {
        PASSED: "", 'AliasMatch "^/(?:api': 'AliasMatch "^/never(?:api',
        '<LocationMatch "^/(?:api': '<LocationMatch "^/never(?:api',
        "# All of one host": lines + "# All of one host", 'AliasMatch "^/(?!': "#"})
    text = (s.dir / "apache-mod_fcgid.conf").read_text()
    assert "CGIPassAuth" not in text and "FcgidPassHeader" not in text
    user = client.register(s.http)
    user.create("seen")
    assert [t["title"] for t in user.tasks()] == ["seen"]


HELD = """
	create table public.released (at int);
	grant select on public.released to taskcell;
	create function public.hold() returns trigger language plpgsql as $$
	begin
		while new.title = 'in work' and not exists (select from public.released) loop
			perform pg_sleep(0.05);
		end loop;
		return new;
	end $$;
	create trigger hold before insert on taskcell.tasks for each row execute function public.hold()"""


def test_a_graceful_restart(front):
    """A request in work is answered, though mod_fcgid has killed its process, a second after TERM."""
    s = front("mod_fcgid", statement_timeout=30000, request_timeout=60)
    user = client.register(s.http)
    s.sql.run(HELD)
    try:
        with concurrent.futures.ThreadPoolExecutor(1) as threads:
            answer = threads.submit(user.call, "POST", "tasks", {"title": "in work"})
            wait_for("a request in work", lambda: s.sql.value(
                "select count(*) from pg_stat_activity where wait_event = 'PgSleep'") == "1")
            before = set(s.workers())
            s.nginx.send_signal(signal.SIGUSR1)
            wait_for("the restart", lambda: s.front.log.read_text().count("resuming normal") == 2)
            assert before and not before & set(s.workers()) and not answer.done()
            s.sql.run("insert into public.released values (1)")
            answer.result(20).expect(201)
    finally:
        s.sql.run("drop trigger hold on taskcell.tasks; drop function public.hold();"
                  "drop table public.released")
    assert [t["title"] for t in user.tasks()] == ["in work"]
    for _ in range(5):
        user.call("GET", "tasks").expect(200)


def test_its_end(front):
    """TERM to Apache ends all processes."""
    s = front("mod_fcgid")
    assert set(s.workers())
    assert "event=request" in s.log_text()
    s.nginx.send_signal(signal.SIGTERM)
    s.nginx.wait(20)
    wait_for("all are gone", lambda: not set(s.workers()))


def test_processes_share_the_gates(front):
    """Started one by one, they agree by files in run_dir on how many may hash at a time."""
    s = front("mod_fcgid", scrypt_concurrency=1, scrypt_wait=0)
    user = client.register(s.http)
    with s.gate_held():
        answers = client.at_once(4, lambda _: client.login(s.http, user.email))
        assert {a.status for a in answers} == {503}
        assert {a.code for a in answers} == {"hashing_busy"}
        user.call("GET", "tasks").expect(200)
    client.login(s.http, user.email).expect(200)


def test_a_process_that_is_killed(front):
    """The client hears of it in our form, and the next one is served."""
    s = front("mod_fcgid", {"FcgidMaxProcessesPerClass 8": "FcgidMaxProcessesPerClass 1"})
    user = client.register(s.http)
    with concurrent.futures.ThreadPoolExecutor(1) as threads, s.sql.holding(
            f"select 1 from taskcell.users where id = '{user.id}' for update"):
        answer = threads.submit(call, s, "POST", "/api/me/tasks", {"title": "x"}, user.access)
        wait_for("a request that waits", lambda: s.sql.value(
            "select count(*) from pg_stat_activity where wait_event_type = 'Lock' "
            "and usename = 'taskcell'") != "0", 10, 0.005)
        (pid,) = set(s.workers())
        os.kill(pid, signal.SIGKILL)
        a = answer.result(20).expect(500, "internal_error")
        assert re.fullmatch(r"[\w@-]{24,32}", a.request_id)
        assert a.header("Content-Type") == "application/problem+json"
    wait_for("another", lambda: user.call("GET", "tasks", check=False).status == 200)
