"""HUP with another program at our path: it comes up beside the old one and takes over the sockets.
A broken one never ends service."""

import datetime
import os
import shutil
import signal
import stat
import time

import pytest

import client
from e2e_conftest import finish
from rig import Person, Steady, Traffic, descriptors
from stack import children_of, members_of_session, wait_for
from test_supervision import ended_within, held_request, row_lock

# Programs that would be no good, and what the log says of them.
BROKEN = {
    "no program": (b"\x00\x01 not a program", "Exec format error"),
    "half a program": (None, "upgrade_failed"),
    "leaves at once": (b"#!/bin/sh\necho 'I cannot' >&2\nexit 3\n", "status 3"),
    "crashes at once": (b"#!/bin/sh\nkill -SEGV $$\n", "signal 11"),
    "not to be run": (b"#!/bin/sh\nexit 0\n", "Permission denied"),
    "not there": (b"", "No such file"),
}
HANGS = b"#!/bin/sh\nexec sleep 1000\n"
DEAF = b"""#!/usr/bin/python3
import signal
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGQUIT, signal.SIGUSR2})
signal.pause()
"""
# Says that it is ready; by then the old workers have been told to leave.
CRASHES_LATER = b"""#!/usr/bin/python3
import os, signal, socket
with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
    s.sendto(b"STATUS=so far so good\\nREADY=1", os.environ["NOTIFY_SOCKET"])
os.kill(os.getpid(), signal.SIGSEGV)
"""


def install(server, content=None, mode=0o755):
    """As make install does it: under another name, then in place."""
    fresh = server.build / "fresh"
    if content is None:
        shutil.copyfile(server.origin / "taskcell", fresh)
    else:
        fresh.write_bytes(content)
    fresh.chmod(mode)
    fresh.rename(server.build / "taskcell")


def install_broken(server, kind):
    content = BROKEN[kind][0]
    if kind == "half a program":
        content = (server.origin / "taskcell").read_bytes()[:30000]
    install(server, content, 0o644 if kind == "not to be run" else 0o755)
    if kind == "not there":
        (server.build / "taskcell").unlink()


def movable(server):
    """It is started from a file of its own, that can be replaced."""
    server.origin, server.build = server.build, server.dir / "bin"
    server.build.mkdir()
    install(server)
    return server


@pytest.fixture(name="new_server", scope="module")
def fixture_new_server(new_server):
    """All servers here, those of `make` too, are movable."""
    return lambda **settings: movable(new_server(**settings))


def hup(server):
    server.signal(signal.SIGHUP)


def successor(server):
    """The process that serves after an upgrade, and its workers."""
    (pid,) = children_of(server.taskcell.pid)
    return pid, children_of(pid)


def upgrade(server):
    mark = server.log_size()
    install(server)
    hup(server)
    (e,) = server.wait_event("upgraded", mark)
    assert e["pid"] == str(server.taskcell.pid)
    settled(server)
    return int(e["message"].split()[1])


def settled(server):
    """Nothing is left of the old one but the first process."""
    wait_for("one of each", lambda: len(members_of_session(server.taskcell.pid))
             == server.size + 2 and len(children_of(server.taskcell.pid)) == 1)


def refused(server, says, mark):
    server.wait_event("upgrade_failed", mark)
    assert says in server.log_text(mark), server.log_text(mark)[-2000:]


def nothing_left(server):
    assert members_of_session(server.taskcell.pid) == []
    assert not list(server.run_dir.glob("notify.*"))


@pytest.fixture(scope="module", autouse=True)
def hanging(new_server):
    """A program that never comes up is given thirty seconds: they pass beside the other tests."""
    s = new_server(workers=1, stop_timeout=1).start()
    s.pids = s.workers()
    install(s, DEAF)
    hup(s)
    s.wait_event("upgrading")
    s.began = time.monotonic()
    (s.ear,) = s.run_dir.glob("notify.*")
    s.ear_mode = stat.S_IMODE(s.ear.stat().st_mode)
    s.expected.append((0, 1 << 60, "upgrade_failed"))
    yield s
    finish(s)


# --- what is meant to be ------------------------------------------------------------------------


def test_many_upgrades_under_traffic(make, tell):
    """Through nginx: no request fails, no write is lost, the first process stays."""
    s = make(with_nginx=True, workers=2, auth_workers=1)
    person = Person(s)
    seen, counts = set(), []
    with Traffic(person, 4) as traffic:
        for _ in range(6):
            pid = upgrade(s)
            assert pid == successor(s)[0] and pid not in seen
            seen.add(pid)
            here = os.stat(s.build / "taskcell").st_ino
            assert os.stat(f"/proc/{pid}/exe").st_ino == here
            assert {os.stat(f"/proc/{w}/exe").st_ino for w in successor(s)[1]} == {here}
            counts.append(descriptors(s.taskcell.pid))
            traffic.wait_more(20)
    tell(f"6 upgrades: {traffic.counts()}")
    traffic.expect_no_failure()
    person.expect_all()
    assert counts[1:] == counts[:-1], counts  # no descriptor is left over
    assert len(s.events("upgrading")) == 6
    # A reload of the successor, which is the same program still, and nothing fails either.
    with Traffic(person, 2) as traffic:
        s.configure(registration="closed")
        mark = s.log_size()
        hup(s)
        (e,) = s.wait_event("reloaded", mark)
        assert e["pid"] == str(pid)
        settled(s)
        traffic.wait_more(20)
    traffic.expect_no_failure()
    s.http.request("POST", "/api/auth/register", {
        "email": client.fresh_email(), "password": client.PASSWORD}).expect(403)
    s.terminate()
    assert s.taskcell.wait(10) == 0
    nothing_left(s)
    assert not (s.run_dir / "taskcell.sock").exists()


def test_kept_connections(make, tell):
    """nginx keeps connections: those of a process that leaves are served until nginx closes them,
    also when it is a successor that leaves."""
    s = make(with_nginx=True, workers=2, stop_timeout=8, nginx={
        "fastcgi_pass unix:": "fastcgi_keep_conn on; fastcgi_pass unix:",
    })
    person = Person(s)
    with Traffic(person, 4) as traffic:
        for _ in range(2):
            upgrade(s)
    tell(traffic.counts())
    traffic.expect_no_failure()
    person.expect_all()


def test_a_request_of_the_old_program_is_finished(make):
    """It holds up nobody; a second HUP meanwhile waits for it."""
    s = make(workers=1)
    user = client.register(s.http)
    with row_lock(s, user) as lock:
        held = held_request(s, user)
        old = s.workers()
        install(s)
        hup(s)
        s.wait_event("upgraded")
        s.direct.request("GET", "/api/ready").expect(200)
        mark = s.log_size()
        install(s)
        hup(s)
        for _ in range(5):
            s.direct.request("GET", "/api/ready").expect(200)
        assert set(old) <= set(s.workers()) and not s.events("upgrading", mark)
        lock.release()
        held.answer("POST").expect(201)
        held.close()
    s.wait_event("upgraded", mark)
    settled(s)


def test_files(new_server):
    """pid_file names the process that stays; USR1 reaches all."""
    s = new_server(workers=1)
    pid_file, s.log = s.dir / "pid", s.dir / "own.log"
    s.configure(pid_file=pid_file, log_file=s.log)
    s.start()

    def written():  # a worker hears of it after the first process, which has made the file
        s.direct.request("GET", "/api/health").expect(200)
        return s.events("request")

    try:
        pid = upgrade(s)
        assert pid_file.read_text(encoding="ascii") == f"{s.taskcell.pid}\n"
        s.log.rename(s.dir / "own.log.1")
        s.signal(signal.SIGUSR1)
        wait_for("a new log", s.log.exists)
        wait_for("the worker writes to it", written)
        hup(s)
        assert s.wait_event("reloaded")[0]["pid"] == str(pid)
        wait_for("the old worker is gone", lambda: len(successor(s)[1]) == 1)
        assert pid_file.read_text(encoding="ascii") == f"{s.taskcell.pid}\n"
        # A program that comes up has opened the file, and cannot hear yet that there is a new one.
        gate = s.run_dir / "hashing.lock"
        gate.chmod(0)
        install(s)
        mark = s.log_size()
        hup(s)
        s.wait_event("worker_ended", mark)
        s.log.rename(s.dir / "own.log.2")
        s.signal(signal.SIGUSR1)
        wait_for("a new log", s.log.exists)
        gate.chmod(0o600)
        s.wait_event("upgraded")
        settled(s)
        wait_for("the new program writes to it", written)
    finally:
        s.terminate()
        assert s.taskcell.wait(10) == 0
    assert not pid_file.exists()
    nothing_left(s)


def test_a_link_that_is_changed(make):
    """Each version in a folder of its own, and a link to one of them."""
    s = make(workers=1)
    s.terminate()
    s.taskcell.wait(10)
    shutil.move(s.build / "taskcell", s.build / "taskcell-1")
    shutil.copy(s.build / "taskcell-1", s.build / "taskcell-2")
    (s.build / "taskcell").symlink_to("taskcell-1")
    s.start()
    (s.build / "link").symlink_to("taskcell-2")
    (s.build / "link").rename(s.build / "taskcell")
    hup(s)
    s.wait_event("upgraded")
    settled(s)
    assert os.readlink(f"/proc/{successor(s)[0]}/exe").endswith("/taskcell-2")


# --- what is broken -----------------------------------------------------------------------------


def test_programs_that_do_not_start(make, tell):
    """The old one serves on, the log says why, and a good one is taken afterwards."""
    s = make(with_nginx=True, workers=2)
    person, pids = Person(s), s.workers()
    with s.expecting_errors("."), Traffic(person, 2) as traffic:
        for kind, (_, says) in BROKEN.items():
            mark = s.log_size()
            install_broken(s, kind)
            hup(s)
            refused(s, says, mark)
            wait_for("only the old ones", lambda: s.workers() == pids)
            traffic.wait_more(5)
    tell(traffic.counts())
    traffic.expect_no_failure()
    person.expect_all()
    upgrade(s)
    # The same when a successor serves.
    pid, workers = successor(s)
    with s.expecting_errors("."):
        mark = s.log_size()
        install_broken(s, "leaves at once")
        hup(s)
        refused(s, "status 3", mark)
        assert successor(s) == (pid, workers)
    person(0, 1000001).expect(201)


def test_a_configuration_that_is_wrong(make):
    """The new program reads it: what is wrong is in the log, and with it mended HUP upgrades."""
    s = make(workers=1)
    pids = s.workers()
    install(s)
    with s.expecting_errors("."):
        for changes, says in (({"workers": "many"}, "workers: "), ({"workers": 1, "key_dir": "/no"},
                                                                   "event=keys")):
            mark = s.log_size()
            s.configure(**changes)
            hup(s)
            refused(s, says, mark)
            wait_for("only the old ones", lambda: s.workers() == pids)
            s.direct.request("GET", "/api/ready").expect(200)
    s.configure(key_dir=None)
    mark = s.log_size()
    hup(s)
    s.wait_event("upgraded", mark)
    settled(s)


def test_the_other_pool_cannot_come_or_go(make):
    """There is no socket for it: that needs a restart, and is refused."""
    s = make(workers=1)
    install(s)
    s.configure(auth_workers=1)
    with s.expecting_errors("."):
        hup(s)
        refused(s, "the socket auth was not given", 0)
    s.configure(auth_workers=0)


def test_programs_that_fail_when_they_serve(make, tell):
    """By then the old workers have left: they come back, and whoever waits in the queue of the
    socket is served."""
    s = make(with_nginx=True, workers=2)
    person = Person(s)
    with s.expecting_errors("upgrade_failed"), Traffic(person, 4) as traffic:
        for _ in range(3):
            mark = s.log_size()
            install(s, CRASHES_LATER)
            hup(s)
            s.wait_event("upgraded", mark)
            refused(s, "the program that served ended with signal 11", mark)
            wait_for("the old program", lambda: len(s.workers()) == 2)
            traffic.wait_more(20)
        # A good one, whose master is killed: its workers leave by themselves.
        for _ in range(2):
            pid = upgrade(s)
            mark = s.log_size()
            os.kill(pid, signal.SIGKILL)
            refused(s, "signal 9", mark)
            wait_for("the old program", lambda: len(s.workers()) == 2 and len(
                members_of_session(s.taskcell.pid)) == 3)
            traffic.wait_more(20)
    tell(traffic.counts())
    traffic.expect_no_failure()
    person.expect_all()
    upgrade(s)


# --- hand-overs that are disturbed --------------------------------------------------------------


def test_many_hups(make, tell):
    """However many come meanwhile: one change at a time, and nothing fails."""
    s = make(with_nginx=True, workers=2)
    person = Person(s)
    with Traffic(person, 2) as traffic:
        for _ in range(3):
            mark = s.log_size()
            install(s)
            while not s.events("upgraded", mark):
                hup(s)
                assert len(members_of_session(s.taskcell.pid)) <= 9
                time.sleep(0.01)
        traffic.wait_more(20)
    tell(f"{len(s.events('upgraded'))} upgrades, {len(s.events('reloaded'))} reloads, "
         f"{traffic.counts()}")
    traffic.expect_no_failure()
    person.expect_all()
    assert len(s.events("upgraded")) == 3
    wait_for("all reloads", lambda: len(s.events("reloading")) == len(s.events("reloaded")))
    settled(s)


@pytest.mark.parametrize("signals,program", [
    ([signal.SIGTERM], HANGS), ([signal.SIGTERM, signal.SIGTERM], DEAF), ([signal.SIGQUIT], DEAF),
])
def test_stopping_while_a_program_comes_up(make, signals, program):
    s = make(workers=1)
    install(s, program)
    hup(s)
    s.wait_event("upgrading")
    with s.expecting_errors("in time"):
        for n, signo in enumerate(signals, 1):
            s.signal(signo)
            if n < len(signals):
                s.wait_event("stopping")
        ended_within(s, 5)
    nothing_left(s)


def test_stopping_at_any_moment(make):
    """TERM, and QUIT, some milliseconds after the HUP of an upgrade."""
    for n, signo in enumerate((signal.SIGTERM, signal.SIGQUIT) * 3):
        s = make(workers=1)
        install(s)
        hup(s)
        time.sleep(n * 0.01)
        s.signal(signo)
        assert s.taskcell.wait(10) == 0
        nothing_left(s)


def test_stopping_when_a_successor_serves(make):
    """What it has is answered. With QUIT it is not."""
    s = make(workers=1)
    upgrade(s)
    user = client.register(s.http)
    with row_lock(s, user) as lock:
        held = held_request(s, user)
        s.terminate()
        s.wait_event("stopping", count=2)
        assert s.taskcell.poll() is None
        lock.release()
        held.answer("POST").expect(201)
        held.close()
    assert s.taskcell.wait(10) == 0
    nothing_left(s)
    s = make(workers=1)
    upgrade(s)
    user = client.register(s.http)
    with s.expecting_errors("."), row_lock(s, user):
        held = held_request(s, user)
        s.signal(signal.SIGQUIT)
        assert s.taskcell.wait(3) == 0
        assert held.answer("POST") is None
        held.close()
    nothing_left(s)


def test_the_first_process_is_killed(make):
    """All that it has started leaves when its request is answered; the next one takes over the
    sockets meanwhile."""
    s = make(workers=2)
    upgrade(s)
    user = client.register(s.http)
    session = s.taskcell.pid
    with row_lock(s, user) as lock:
        held = held_request(s, user)
        s.taskcell.kill()
        s.taskcell.wait(10)
        mark = s.log_size()
        s.start_taskcell()
        s.wait_event("started", mark)
        wait_for("it serves", lambda: s.events("worker_started", mark))
        s.wait_ready()
        lock.release()
        held.answer("POST").expect(201)
        held.close()
    wait_for("all old ones are gone", lambda: members_of_session(session) == [], 10)
    with Steady(s):
        assert len(user.tasks()) == 1
    # And in the middle of a hand-over.
    install(s, HANGS)
    mark = s.log_size()
    hup(s)
    s.wait_event("upgrading", mark)
    session = s.taskcell.pid
    s.taskcell.kill()
    s.taskcell.wait(10)
    wait_for("all old ones are gone", lambda: members_of_session(session) == [], 10)
    install(s)
    s.start_taskcell()
    s.wait_ready()


def test_workers_killed_during_an_upgrade(make):
    """Of either program: in the end there is one, of the right size."""
    s = make(workers=2)
    for _ in range(4):
        mark = s.log_size()
        install(s)
        hup(s)
        s.wait_event("upgrading", mark)
        for pid in members_of_session(s.taskcell.pid):
            if pid in children_of(s.taskcell.pid) or pid == s.taskcell.pid:
                continue
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        with s.expecting_errors("upgrade_failed"):
            wait_for("an outcome", lambda: s.events("upgraded", mark)  # noqa: B023
                     or s.events("upgrade_failed", mark))  # noqa: B023
        s.direct.request("GET", "/api/health").expect(200)
    upgrade(s)


def test_told_to_leave(make):
    """USR2: as TERM, but for what is in the queue: somebody else serves that."""
    s = make(workers=2, keep_connections=1)
    s.signal(signal.SIGUSR2)
    ended_within(s, 5)
    assert not (s.run_dir / "taskcell.sock").exists()


def test_a_program_that_never_comes_up(hanging):
    """It is killed after thirty seconds; the old one serves all the time. Nobody else may say that
    it is ready: its socket is the user's own."""
    s = hanging
    assert s.ear_mode == 0o600
    while not s.events("upgrade_failed"):
        s.direct.request("GET", "/api/ready").expect(200)
        assert time.monotonic() < s.began + 60
        time.sleep(0.1)
    wait_for("it is gone", lambda: s.workers() == s.pids)
    failed = s.wait_event("upgrade_failed", count=2)
    began, ended = (datetime.datetime.fromisoformat(e["time"])
                    for e in (s.events("upgrading")[0], failed[0]))
    assert 30 <= (ended - began).total_seconds() < 60
    texts = [e["message"] for e in failed]
    assert "does not come up in time" in texts[0] and "signal 9" in texts[1]
    assert not s.ear.exists()
    upgrade(s)
