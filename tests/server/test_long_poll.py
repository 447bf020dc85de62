"""Requests that wait for a change: when they end, and that they stand in nobody's way."""

import concurrent.futures
import contextlib
import fcntl
import re
import signal
import struct
import time

import pytest

import client
from rig import Steady
from stack import SOURCE, wait_for
from test_reload import reload
from test_worker_mode import Alone
from wire import KEEP, message

LONG = "wait=25"
AT_ONCE = 10  # seconds that what comes at once may take here: much less than a wait
FLOCK = "hhqqi4x"


def waiters(server, places):
    """How many of the places to wait at are taken; looking takes none."""
    with open(server.run_dir / "waiting.lock", "r+b") as f:
        found = 0
        for at in range(places):
            lock = struct.pack(FLOCK, fcntl.F_WRLCK, 0, at, 1, 0)
            kind = struct.unpack(FLOCK, fcntl.fcntl(f, fcntl.F_GETLK, lock))[0]
            found += kind != fcntl.F_UNLCK
        return found


def wait_waiting(server, n, places=None):
    wait_for(f"{n} requests that wait",
             lambda: waiters(server, places or max(n, 1)) == n, 10, 0.005)


def changes(user, since=None, prefer=None):
    path = "changes" + (f"?since={since}" if since else "")
    return user.call("GET", path, headers={"Prefer": prefer} if prefer else ())


def latest(user):
    """The place behind everything there is."""
    a = changes(user).expect(200)
    assert not a.json["more"]
    return a.json["next"]


@contextlib.contextmanager
def polls(user, n=1, prefer=LONG):
    """n requests for changes on their way; each gives (answer, when it came)."""
    since = latest(user)

    def one():
        a = changes(user, since, prefer)
        return a, time.monotonic()

    with concurrent.futures.ThreadPoolExecutor(n) as pool:
        yield [pool.submit(one) for _ in range(n)]


def nothing(a):
    return a.status == 200 and a.json["changes"] == [] and a.json["more"] is False


@pytest.fixture(scope="module")
def four(new_server):
    """Four workers, of which one may wait."""
    s = new_server(workers=4).start()
    yield s
    from e2e_conftest import finish  # pylint: disable=import-outside-toplevel
    finish(s)


def test_a_change_by_another_worker_ends_the_wait(four, tell):
    user = client.register(four.http)
    with Steady(four):
        with polls(user, prefer="respond-async, wait=3600") as (poll,):
            wait_waiting(four, 1)
            task = user.create("meanwhile")
            changed = time.monotonic()
            a, came = poll.result()
        assert a.status == 200 and a.json["changes"] == [task], a
        assert a.header("Preference-Applied") == "wait=25"  # more is cut
        tell(f"{came - changed:.2f} s behind the change")
        assert came - changed < AT_ONCE
        wait_waiting(four, 0, 1)
        assert nothing(changes(user, a.json["next"]))


def test_a_wait_ends_by_itself(four):
    user = client.register(four.http)
    since = latest(user)
    began = time.monotonic()
    a = changes(user, since, "wait=2")
    assert 2 <= time.monotonic() - began < 2 + AT_ONCE
    assert nothing(a) and a.header("Preference-Applied") == "wait=2" and a.json["next"] == since
    task = user.create()
    began = time.monotonic()
    a = changes(user, since, LONG)
    assert a.json["changes"] == [task] and time.monotonic() - began < AT_ONCE


def test_what_others_do_ends_no_wait(four):
    user, other = client.register(four.http), client.register(four.http)
    with polls(user, prefer="wait=3") as (poll,):
        wait_waiting(four, 1)
        other.create("not for you")
        a, _ = poll.result()
    assert nothing(a) and a.header("Preference-Applied") == "wait=3"


def test_a_quarter_of_the_workers_wait_and_the_others_answer(make, tell):
    s = make(workers=8)
    user = client.register(s.http)
    with polls(user, 2) as waiting:
        wait_waiting(s, 2)
        since = latest(user)
        began = time.monotonic()
        for _ in range(12):  # more than there are workers: none of them is taken
            a = changes(user, since, LONG)
            assert nothing(a) and a.header("Preference-Applied") is None
            user.call("GET", "tasks").expect(200)
        took = time.monotonic() - began
        assert waiters(s, 8) == 2 and not any(poll.done() for poll in waiting)
        task = user.create()
        for poll in waiting:
            assert poll.result()[0].json["changes"] == [task]
    tell(f"24 requests beside two that wait: {took:.2f} s")
    assert took < AT_ONCE
    wait_waiting(s, 0, 2)


def test_a_single_worker_waits_only_while_nobody_else_asks(make):
    """One of few is more than a quarter."""
    s = make(workers=1)
    user = client.register(s.http)
    with polls(user) as (poll,):
        wait_waiting(s, 1)
        began = time.monotonic()
        user.call("GET", "tasks").expect(200)
        a, _ = poll.result()
        assert time.monotonic() - began < AT_ONCE
    assert nothing(a) and a.header("Preference-Applied") is None


def test_a_kept_connection_is_not_kept_waiting(make):
    """What comes on a connection that this worker holds can be served by no other."""
    s = make(workers=1)
    user = client.register(s.http)
    with s.connect() as kept:
        kept.send(message(flags=KEEP))
        kept.answer("GET", "/api/health").expect(200)
        with polls(user) as (poll,):
            wait_waiting(s, 1)
            began = time.monotonic()
            kept.send(message(flags=KEEP))
            kept.answer("GET", "/api/health").expect(200)
            a, _ = poll.result()
            assert nothing(a) and time.monotonic() - began < AT_ONCE


def test_who_has_gone_waits_no_longer(four):
    user = client.register(four.http)
    since = latest(user)
    with Steady(four):
        with four.connect() as c:
            c.send(message("GET", f"/api/me/changes?since={since}", token=user.access,
                           HTTP_PREFER=LONG))
            wait_waiting(four, 1)
            began = time.monotonic()
        wait_waiting(four, 0, 1)
        assert time.monotonic() - began < AT_ONCE


def test_a_session_that_ends_meanwhile(four):
    user = client.register(four.http)
    second = client.another(user)
    with polls(user) as (poll,):
        wait_waiting(four, 1)
        second.call("DELETE", f"/api/auth/sessions/{user.sid}").expect(204)
        ended = time.monotonic()
        a, came = poll.result()
    a.expect(401, "session_ended")
    assert came - ended < AT_ONCE
    wait_waiting(four, 0, 1)


@pytest.mark.parametrize("signo", [signal.SIGTERM, signal.SIGHUP])
def test_who_waits_is_answered_when_the_server_stops(make, signo):
    s = make(workers=4)
    user = client.register(s.http)
    with polls(user) as (poll,):
        wait_waiting(s, 1)
        began = time.monotonic()
        if signo == signal.SIGTERM:
            s.terminate()
            assert s.taskcell.wait(20) == 0
        else:
            reload(s)
        a, came = poll.result()
    assert nothing(a) and a.header("Preference-Applied") is None
    assert came - began < AT_ONCE
    if signo == signal.SIGHUP:
        task = user.create()
        assert changes(user, a.json["next"], LONG).json["changes"] == [task]


def test_a_wait_is_longer_than_request_timeout(make):
    """That one is about work, and about requests that are stuck."""
    s = make(workers=4, request_timeout=1, statement_timeout=900)
    user = client.register(s.http)
    since = latest(user)
    with Steady(s):  # no worker ends, nothing is logged as an error
        began = time.monotonic()
        a = changes(user, since, "wait=4")
        assert nothing(a) and a.header("Preference-Applied") == "wait=4"
        assert time.monotonic() - began >= 4


def test_a_worker_alone(new_server):
    """Where no master watches, an alarm does; and nobody else is there to serve."""
    s = new_server(request_timeout=1, statement_timeout=900)
    with Alone(s) as w:
        user = client.register(w.http)
        since = latest(user)
        a = changes(user, since, "wait=3")
        assert nothing(a) and a.header("Preference-Applied") == "wait=3"
        with polls(user) as (poll,):
            wait_waiting(s, 1)
            user.call("GET", "tasks").expect(200)
            assert nothing(poll.result()[0])
        with polls(user) as (poll,):
            wait_waiting(s, 1)
            w.process.send_signal(signal.SIGTERM)
            assert nothing(poll.result()[0])
        assert w.process.wait(10) == 0
    assert s.unexpected_log() == []


# --- behind the real web server -------------------------------------------------------------------


def test_nginx_is_patient_with_changes_alone(make):
    """Its patience elsewhere is shortened here, so that the test is short."""
    s = make(with_nginx=True, workers=4,
             nginx={"fastcgi_read_timeout 20s": "fastcgi_read_timeout 1s"})
    user = client.register(s.http)
    since = latest(user)
    for path in (f"/api/{user.id}/changes?", "/api/me/changes/?", "/api/%6de/changes?limit=5&"):
        a = user.call("GET", f"{path}since={since}", headers={"Prefer": "wait=3"})
        assert nothing(a) and a.header("Preference-Applied") == "wait=3", path
    with polls(user) as (poll,):
        wait_waiting(s, 1)
        task = user.create()
        assert poll.result()[0].json["changes"] == [task]


def test_nginx_is_patient_enough():
    """The longest wait, then the longest request."""
    conf = (SOURCE / "conf/nginx-site.conf").read_text(encoding="utf-8")
    (block,) = re.findall(r"location ~ \S*changes\S* \{(.*?)\}", conf, re.S)
    patience = int(re.search(r"fastcgi_read_timeout (\d+)s;", block)[1])
    table = (SOURCE / "docs/configuration.md").read_text(encoding="utf-8")
    request_timeout = int(re.search(r"\| `request_timeout` \| `(\d+)`", table)[1])
    assert patience > 25 + request_timeout


def test_only_an_import_may_be_large(make):
    """nginx lets pass what an import may have, and says itself what is too much."""
    s = make(with_nginx=True)
    user = client.register(s.http)
    large = b"title\r\n" + b"".join(b"task %05d of a file\r\n" % i for i in range(4000))
    assert len(large) > 64 * 1024
    a = user.call("POST", "tasks/import?dry_run=true", large, media="text/csv").expect(200)
    assert a.json["created"] == 4000
    for path in ("tasks", "tasks/batch", "tasks/importx", "import"):
        a = user.call("POST", path, large).expect(413, "body_too_large")
        assert "64 KiB" in a.json["detail"]
    for extra, path in ((0, "tasks/import"), (1, "tasks/import"),
                        (1, "tasks/import/?dry_run=true")):
        head = [("Authorization", f"Bearer {user.access}"), ("Content-Type", "text/csv"),
                ("Content-Length", str(64 * 1024 * 1024 + extra)), ("Expect", "100-continue")]
        with s.http.connect() as c:
            c.sendall(s.http.head("POST", f"/api/me/{path}", head))
            if not extra:  # nginx wants to read it
                assert c.recv(12) == b"HTTP/1.1 100"
                continue
            a = s.http.read(c, "POST", path).expect(413, "body_too_large")
            assert "64 MiB" in a.json["detail"]
    assert user.tasks() == []
