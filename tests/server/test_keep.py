"""Connections that the web server keeps: used again, never in anybody's way."""

import signal
import time

import pytest

import client
import wire
from rig import Person, Steady, Traffic, sockets
from stack import wait_for
from wire import KEEP, message

AT_ONCE = 5  # seconds that what is served at once may take here: much less than an idle time


@pytest.fixture(scope="module")
def keeping(new_server):
    """Two workers, of three connections each."""
    s = new_server(keep_connections=3, request_timeout=2, statement_timeout=1500).start()
    yield s
    from e2e_conftest import finish  # pylint: disable=import-outside-toplevel
    finish(s)


def again(server, connections, i, **kw):
    """A request on connection i as a web server does it: on a new one, if the old was closed."""
    method, uri = kw.get("method", "GET"), kw.get("uri", "/api/health")
    if connections[i] is not None:
        connections[i].send(message(flags=KEEP, **kw))
        a = connections[i].answer(method, uri)
        if a is not None:
            return a
        connections[i].close()
    connections[i] = server.connect()
    connections[i].send(message(flags=KEEP, **kw))
    return connections[i].answer(method, uri)


def kept(server):
    return sum(sockets(pid) - 2 for pid in server.workers())


def test_not_kept(make):
    """keep_connections = 0: closed behind the answer, whatever the web server wishes."""
    s = make(keep_connections=0)
    with Steady(s), s.connect() as c:
        c.send(message(flags=KEEP))
        c.answer().expect(200)
        assert c.is_closed()


def test_kept(keeping):
    """Many requests on one connection; each answer is that of its request."""
    user = client.register(keeping.http)
    with Steady(keeping), keeping.connect() as c:
        for i in range(50):
            body = b'{"title":"%d"}' % i
            c.send(message("POST", "/api/me/tasks", body, user.access, flags=KEEP,
                           number=1 + i % 7))
            a = c.answer("POST", "/api/me/tasks", 1 + i % 7).expect(201)
            assert a.json["title"] == str(i)
            c.send(message("GET", "/api/nope", flags=KEEP))
            c.answer().expect(404)
            c.send(message("HEAD", flags=KEEP))
            assert c.answer("HEAD").expect(200).body == b""
        assert kept(keeping) == 1
        c.send(message())  # without the flag: the last one
        c.answer().expect(200)
        assert c.is_closed()
    assert len(user.tasks()) == 50


def test_kept_and_split_at_every_byte(keeping):
    data = message(flags=KEEP, padding=3, step=40)
    with Steady(keeping), keeping.connect() as c:
        for at in range(1, len(data)):
            c.send_piece(data[:at])
            c.send(data[at:])
            c.answer().expect(200)


def test_what_was_not_read_whole_is_not_kept(keeping):
    """The rest of a refused body never becomes the next request."""
    user = client.register(keeping.http)
    evil = message("POST", "/api/me/tasks", b'{"title":"smuggled"}', user.access)
    with Steady(keeping):
        for body, length in ((evil * 5, "3"), (evil * 2000, None), (evil, str(len(evil) + 5))):
            with keeping.connect() as c:
                c.send(message("POST", "/api/me/tasks", body, user.access, flags=KEEP,
                               CONTENT_LENGTH=length, CONTENT_TYPE="text/plain"))
                a = c.answer("POST")
                assert a is None or a.status in (400, 413), a
                assert c.is_closed()
    assert user.tasks() == []


def test_more_connections_than_places(keeping):
    """Ten connections in turn, six places: some are closed and made anew, all are answered."""
    with Steady(keeping):
        connections = [None] * 10
        for n in range(100):
            again(keeping, connections, (n * 7) % 10).expect(200)
            assert kept(keeping) <= 8  # each of the two may be closing one whose answer is read
        wait_for("no more than there are places", lambda: 1 <= kept(keeping) <= 6)
        for c in connections:
            c.close()


def test_idle_connections_starve_nobody(keeping):
    """Every place of every worker is taken by a connection that says nothing more."""
    with Steady(keeping):
        connections = []

        def one_more():
            connections.append(None)
            again(keeping, connections, -1).expect(200)
            return kept(keeping) == 6

        try:
            wait_for("idle kept connections", one_more, 10, 0)
            for _ in range(20):
                began = time.monotonic()
                keeping.direct.request("GET", "/api/health").expect(200)
                assert time.monotonic() - began < AT_ONCE
        finally:
            for c in connections:
                c.close()


def test_busy_connections_starve_nobody(keeping):
    """Kept connections without a pause, and a fresh one beside them."""
    connections = [None] * 6
    with Steady(keeping):
        with Traffic(lambda i, _: again(keeping, connections, i), 6) as traffic:
            for _ in range(50):
                began = time.monotonic()
                keeping.direct.request("GET", "/api/health").expect(200)
                assert time.monotonic() - began < AT_ONCE
            traffic.wait_more(300)
        traffic.expect_no_failure()
        for c in connections:
            c.close()


def test_closed_by_the_web_server_at_any_point(keeping):
    """Behind an answer, inside a header, the parameters or the body of the next request."""
    user = client.register(keeping.http)
    data = message("POST", "/api/me/tasks", b'{"title":"cut"}', user.access, flags=KEEP, step=150)
    with Steady(keeping):
        for at in range(0, len(data) - 8, 3):
            with keeping.connect() as c:
                c.send(message(flags=KEEP))
                c.answer().expect(200)
                c.send(data[:at])
        wait_for("nothing is kept", lambda: kept(keeping) == 0, 5)
    assert user.tasks() == []


def test_a_kept_connection_that_stalls(keeping):
    """Half of its second request, and then nothing: freed by the deadline like any other."""
    stalled = [keeping.connect() for _ in range(2)]
    mark = keeping.log_size()
    with keeping.expecting_errors("event=worker_stuck"):
        for c in stalled:
            c.send(message(flags=KEEP))
            c.answer().expect(200)
            c.send(message(flags=KEEP)[:20])
        keeping.wait_event("worker_stuck", mark)
        for c in stalled:
            c.close()
    keeping.wait_settled()
    keeping.direct.request("GET", "/api/health").expect(200)


def test_requests_sent_ahead(keeping):
    """A peer that does not wait for an answer before the next request harms itself alone."""
    with Steady(keeping):
        with keeping.connect() as c:
            c.send(message(flags=KEEP) * 5)
            c.answer().expect(200)
            for _ in range(20):
                keeping.direct.request("GET", "/api/health").expect(200)


def test_a_worker_that_leaves_starves_nobody(make):
    """It has served max_requests, and its web server keeps a connection open that says nothing."""
    s = make(workers=1, max_requests=20, keep_connections=2)
    for ended in range(3):
        connection = s.connect()
        connection.send(message(flags=KEEP))
        connection.answer().expect(200)
        for _ in range(30):
            began = time.monotonic()
            s.direct.request("GET", "/api/health").expect(200)
            assert time.monotonic() - began < AT_ONCE
        connection.close()
        s.wait_event("worker_ended", count=ended + 1)


def test_reload_and_kept_connections(make):
    """One that is in use goes on with its worker, so that no request is lost on it, until it has
    idled or the time is over; new connections are for the new workers."""
    s = make(workers=1, keep_connections=2, stop_timeout=2)
    (old,) = s.workers()
    with s.connect() as c:
        c.send(message(flags=KEEP))
        c.answer().expect(200)
        mark = s.log_size()
        s.signal(signal.SIGHUP)
        s.wait_event("reloaded", mark)
        for _ in range(5):
            c.send(message(flags=KEEP))
            c.answer().expect(200)
            s.direct.request("GET", "/api/health").expect(200)
        assert len({e["pid"] for e in s.events("request", mark)} - {str(old)}) == 1
        assert c.is_closed()
    wait_for("the old one is gone", lambda: old not in s.workers(), 3)
    (ended,) = s.events("worker_ended")
    assert ended["level"] == "info" and "signal" not in ended, ended


def test_term_does_not_wait_for_idle_connections(make):
    s = make(keep_connections=3, stop_timeout=20)
    connections = [None] * 5
    for i in range(5):
        again(s, connections, i).expect(200)
    began = time.monotonic()
    s.terminate()
    assert s.taskcell.wait(10) == 0
    assert time.monotonic() - began < 10
    for c in connections:
        assert c.is_closed()
        c.close()


@pytest.mark.parametrize("places", [3, 40])
def test_two_web_servers_that_keep_many(make, new_server, tell, places):
    """Each with a cache of 16 connections, before two workers: nobody waits for the other's idle
    ones. A worker with fewer places closes some behind an answer, which the web server may notice
    too late: 502. With a place for each, nothing fails."""
    cache = {
        "fastcgi_pass unix:@/taskcell.sock;": "fastcgi_pass kept; fastcgi_keep_conn on;",
        "server_tokens off;": "upstream kept { server unix:@/taskcell.sock; keepalive 16; }",
    }

    s = make(keep_connections=places)
    fronts = []
    for _ in range(2):
        front = new_server(with_nginx=True, listen=s.settings["listen"])
        front.nginx_changes = {k.replace("@", str(front.run_dir)): v.replace("@", str(s.run_dir))
                               for k, v in cache.items()}
        front.nginx_changes[f"unix:{front.run_dir}/auth.sock"] = f"unix:{s.settings['listen']}"
        front.start_nginx()
        fronts.append(front)
    try:
        person = Person(fronts[0])
        for front in fronts:  # both caches are filled by a burst
            client.at_once(24, lambda _: front.http.request("GET", "/api/health"))  # noqa: B023
        slow = 0.0
        for n in range(60):
            began = time.monotonic()
            a = fronts[n % 2].http.request("GET", "/api/health")
            assert a.status == 200 or a.status == 502 and places == 3
            slow = max(slow, time.monotonic() - began)
        tell(f"slowest of 60 behind idle caches: {slow * 1000:.1f} ms")
        assert slow < AT_ONCE
        times = []

        def ask(i, _):
            began = time.monotonic()
            a = fronts[i % 2].http.request("GET", "/api/me/tasks", token=person.user.access)
            times.append(time.monotonic() - began)
            return a

        with Traffic(ask, 8) as traffic:
            traffic.wait_more(600)
        times.sort()
        tell(f"{traffic.counts()} by 8 clients: p99 {times[len(times) * 99 // 100] * 1000:.1f}, "
             f"slowest {times[-1] * 1000:.1f} ms")
        if places == 40:
            traffic.expect_no_failure()
        assert set(traffic.counts()) <= {200, 502}
        assert times[-1] < AT_ONCE
    finally:
        for front in fronts:
            assert front.stop() == []
