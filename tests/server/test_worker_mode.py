"""One worker without a master, on a listening socket that it finds as descriptor 0: as mod_fcgid,
spawn-fcgi and lighttpd start it."""

import os
import signal
import socket
import subprocess
import time

import pytest

import client
import wire
from rig import cpu_seconds, descriptors, sockets
from stack import children_of, die_with_parent, wait_for
from wire import begin, message


class Alone:
    def __init__(self, server, *options, given=True):
        self.path = server.run_dir / "fd0.sock"
        self.path.unlink(missing_ok=True)
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(self.path))
        if given:
            self.listener.listen(64)
        with open(server.log, "ab") as log:
            self.process = subprocess.Popen(
                [str(server.build / "taskcell"), *options], env=server.environment(),
                stdin=self.listener, stdout=log, stderr=log, preexec_fn=die_with_parent)
        self.pid = self.process.pid
        self.http = wire.Direct(self.path)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.listener.close()
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)

    def connect(self):
        return wire.Connection(self.path)


@pytest.fixture
def server(new_server):
    """Not started: its settings and its log. The shared PostgreSQL."""
    s = new_server(request_timeout=1, statement_timeout=900, keep_connections=2)
    yield s
    assert s.unexpected_log() == []


def test_it_serves(server):
    with Alone(server) as w:
        user = client.register(w.http)
        for _ in range(20):
            user.create()
        assert len(user.tasks()) == 20
        assert children_of(w.pid) == []  # no master, no pool
        assert not os.path.exists(server.settings["listen"])
        with w.connect() as c:
            for _ in range(5):
                c.send(message(flags=wire.KEEP))
                c.answer().expect(200)
        wait_for("nothing is kept", lambda: sockets(w.pid) == 2)
        before = descriptors(w.pid)
        for _ in range(20):
            w.http.request("GET", "/api/ready").expect(200)
        # The last answer is read a moment before its connection is closed.
        wait_for("no descriptor is left", lambda: descriptors(w.pid) == before)
        cpu = cpu_seconds(w.pid)
        w.process.send_signal(signal.SIGHUP)  # nothing to reload
        w.http.request("GET", "/api/health").expect(200)
        assert cpu_seconds(w.pid) - cpu < 0.05


@pytest.mark.parametrize("signo,status", [(signal.SIGTERM, 0), (signal.SIGUSR2, 0)])
def test_it_ends_when_told(server, signo, status):
    """With its request answered."""
    with Alone(server) as w:
        user = client.register(w.http)
        with server.sql.holding(
                f"select 1 from taskcell.users where id = '{user.id}' for update") as lock, \
                w.connect() as c:
            c.send(message("POST", "/api/me/tasks", b'{"title":"held"}', user.access))
            wait_for("a request that waits", lambda: server.sql.value(
                "select count(*) from pg_stat_activity where wait_event_type = 'Lock'") == "1",
                     10, 0.005)
            w.process.send_signal(signo)
            lock.release()
            c.answer("POST").expect(201)
        assert w.process.wait(5) == status


def test_several_on_one_socket(server):
    """The web server starts as many as it likes; each is told by itself when to go."""
    with Alone(server) as first:
        second = subprocess.Popen([str(server.build / "taskcell")], env=server.environment(),
                                  stdin=first.listener, stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL, preexec_fn=die_with_parent)
        try:
            wait_for("its database", lambda: sockets(second.pid) == 2)
            for _ in range(50):
                first.http.request("GET", "/api/ready").expect(200)
            first.process.terminate()
            assert first.process.wait(5) == 0
            for _ in range(20):
                first.http.request("GET", "/api/ready").expect(200)
        finally:
            second.terminate()
            assert second.wait(5) == 0


def test_the_deadline_ends_it(server):
    """Nobody else can: a peer that stalls does not hold it for ever."""
    with Alone(server) as w:
        w.http.request("GET", "/api/ready").expect(200)
        with server.expecting_errors("worker_stuck"), w.connect() as c:
            c.send(begin())
            began = time.monotonic()
            assert w.process.wait(10) != 0
            assert time.monotonic() - began > 0.5
            assert c.is_closed()
        (line,) = [x for x in server.log_text().splitlines() if "event=worker_stuck" in x]
        assert "level=error" in line and line.startswith("time=")


def test_it_ends_unfit(server, scratch):
    scratch[1].run("drop schema if exists taskcell cascade")
    server.configure(database=scratch[0])
    with server.expecting_errors("."), Alone(server) as w:
        assert w.process.wait(10) == 78
    assert "taskcellctl migrate" in server.log_text()


def test_enough_requests(server):
    server.configure(max_requests=20)
    with Alone(server) as w:
        for _ in range(17):
            w.http.request("GET", "/api/health").expect(200)
        with w.connect() as c:  # it may end between two, so nothing is asked beyond its number
            del c
        for _ in range(3):
            try:
                w.http.request("GET", "/api/health")
            except (wire.Cut, OSError):
                break
            if w.process.poll() is not None:
                break
            w.listener.settimeout(0)
        assert w.process.wait(10) == 0


def test_the_guess_can_be_overridden(server):
    with Alone(server, "--master") as w:
        wait_for("a socket of its own", lambda: server.answers(server.settings["listen"]))
        server.direct.request("GET", "/api/health").expect(200)
        wait_for("a pool", lambda: len(children_of(w.pid)) == server.size)
        w.process.terminate()
        assert w.process.wait(10) == 0
    for stdin in (subprocess.DEVNULL, subprocess.PIPE):
        done = subprocess.run([str(server.build / "taskcell"), "--worker"], check=False, timeout=20,
                              env=server.environment(), stdin=stdin, capture_output=True, text=True)
        assert done.returncode == 1 and "not a listening socket" in done.stderr
    with server.expecting_errors("listening socket"), Alone(server, "--worker", given=False) as w:
        assert w.process.wait(10) == 1
    done = server.program("taskcell", "--worker", "--nonsense")
    assert done.returncode == 64
