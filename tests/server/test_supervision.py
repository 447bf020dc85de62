"""The master: workers that die, crash, leave or hang, and the ways to stop."""

import contextlib
import os
import re
import signal
import subprocess
import time

import pytest

import client
from rig import BREAKDOWN, Person, Steady, Traffic, cpu_seconds, descriptors
from stack import children_of, members_of_session, wait_for
from wire import message

EXIT_UNFIT = 78


def row_lock(server, user):
    return server.sql.holding(f"select 1 from taskcell.users where id = '{user.id}' for update")


def wait_blocked(server, n=1):
    wait_for("requests that wait for a lock", lambda: int(server.sql.value(
        "select count(*) from pg_stat_activity where usename = 'taskcell' "
        "and wait_event_type = 'Lock'")) == n, 10, 0.005)


def held_request(server, user):
    """A write that waits for a lock: the connection that it came on."""
    c = server.connect()
    c.send(message("POST", "/api/me/tasks", b'{"title":"held"}', user.access))
    wait_blocked(server)
    return c


# --- workers that die ---------------------------------------------------------------------------


def test_each_worker_killed_under_traffic(make, tell):
    """Through nginx: 502 with Retry-After for what was lost, nothing else; reads that are asked
    again are answered; no acknowledged write is missing."""
    s = make(with_nginx=True, workers=4, auth_workers=1)
    person = Person(s, retry=True)
    slots = {}
    with Traffic(person, 4) as traffic:
        for e in s.events("worker_started"):
            slots[e["worker"]] = e["slot"]
        for pid in s.workers():
            mark = s.log_size()
            with person.calm:
                os.kill(pid, signal.SIGKILL)
            (ended,) = s.wait_event("worker_ended", mark)
            assert (ended["worker"], ended["signal"]) == (str(pid), "9")
            assert ended["slot"] == slots[str(pid)] and ended["level"] == "warning"
            (started,) = s.wait_event("worker_started", mark)
            assert (started["slot"], started["pool"]) == (ended["slot"], ended["pool"])
            traffic.wait_more(20)
    tell(traffic.counts())
    assert set(traffic.counts()) <= {200, 201} | BREAKDOWN
    person.expect_all()
    s.wait_settled()


def looping(server, seconds, crash):
    """Lets one slot crash for a while: the delays by the log, and the master's processor time."""
    mark, cpu = server.log_size(), cpu_seconds(server.taskcell.pid)
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        crash()
        server.direct.request("GET", "/api/health").expect(200)
    used = cpu_seconds(server.taskcell.pid) - cpu
    ended = server.events("worker_ended", mark)
    return [int(e["restart_ms"]) for e in ended], used


def test_a_slot_that_crashes_again_and_again(make, tell):
    """Later and later; the others serve; the processor is idle."""
    s = make(workers=2)
    healthy = s.workers()[1]

    def crash():
        for pid in s.workers():
            # the one before may be a zombie still, and gone by now
            with contextlib.suppress(ProcessLookupError):
                if pid != healthy:
                    os.kill(pid, signal.SIGKILL)

    delays, cpu = looping(s, 2.5, crash)
    tell(f"delays {delays} ms, {cpu:.2f} s of processor in 2.5 s")
    assert delays == [100 * 2 ** i for i in range(len(delays))] and len(delays) >= 4
    assert cpu < 0.1
    assert healthy in s.workers()
    wait_for("the slot is filled again", lambda: len(s.workers()) == 2, 10)


def test_workers_that_cannot_start(make, tell):
    """What they need in run_dir is out of their reach for a while: the log says what, the master
    waits longer each time, and goes on when it is mended."""
    s = make(workers=2)
    gate = s.run_dir / "hashing.lock"
    first, healthy = s.workers()
    gate.chmod(0)
    try:
        with s.expecting_errors("hashing.lock"):
            mark = s.log_size()
            kill_once = iter([first])
            delays, cpu = looping(s, 2.5, lambda: [os.kill(p, signal.SIGKILL) for p in kill_once])
            told = [x for x in s.log_text(mark).splitlines()
                    if "level=error" in x and str(gate) in x]
    finally:
        gate.chmod(0o600)
    tell(f"delays {delays} ms, {cpu:.2f} s of processor in 2.5 s")
    assert delays == [100 * 2 ** i for i in range(len(delays))] and len(delays) >= 4
    assert len(told) == len(delays) - 1
    assert cpu < 0.1
    assert healthy in s.workers()
    s.wait_settled()


@pytest.fixture
def other_role(postgres):
    """A database and a role that a test may spoil."""
    postgres.admin.run("create role spoilt login")
    postgres.admin.run("create database spoilt owner spoilt")
    yield postgres.url.replace("//taskcell@/taskcell?", "//spoilt@/spoilt?")
    postgres.admin.run("drop database spoilt with (force)")
    postgres.admin.run("drop role spoilt")


def ends_unfit(server, *says):
    """It ends by itself with 78, and the log says what to do."""
    began = time.monotonic()
    with server.expecting_errors("."):
        server.start_taskcell()
        status = server.taskcell.wait(20)
    server.taskcell = None
    log = server.log_text()
    assert status == EXIT_UNFIT, (status, log)
    assert time.monotonic() - began < 5
    errors = [x for x in log.splitlines() if "level=error" in x]
    for text in says:
        assert any(re.search(text, x) for x in errors), (text, errors)
    assert len(server.events("worker_started")) == server.size  # each once


def test_a_wrong_schema(new_server, scratch):
    url, admin = scratch
    s = new_server(database=url)
    admin.run("delete from taskcell.migrations")
    ends_unfit(s, "schema|migrat", "event=unfit")


def test_no_schema(new_server, postgres):
    postgres.admin.run("create database empty owner taskcell")
    try:
        s = new_server()
        s.configure(database=postgres.url.replace("@/taskcell?", "@/empty?"))
        ends_unfit(s, "taskcellctl migrate", "event=unfit")
    finally:
        postgres.admin.run("drop database empty with (force)")


def test_a_role_that_passes_the_fence(new_server, other_role, postgres):
    s = new_server(database=other_role)
    postgres.admin.run("alter role spoilt bypassrls")
    ends_unfit(s, "role|BYPASSRLS", "event=unfit")


def test_a_wrong_secret(new_server):
    """Too short, readable by others, not there: it does not start, and says which key and why."""
    s = new_server()
    secret = s.dir / "secret"
    cases = (("short", 0o600, "32"), ("x" * 40, 0o644, "0644"), (None, 0, "No such"))
    for text, mode, why in cases:
        secret.unlink(missing_ok=True)
        if text is not None:
            secret.write_text(text, encoding="ascii")
            secret.chmod(mode)
        s.configure(jwt_secret=None, jwt_secret_file=secret)
        done = s.program("taskcell")
        assert done.returncode in (1, EXIT_UNFIT)
        line = s.line_of("jwt_secret_file")
        assert re.search(rf"{s.conf}:{line}: jwt_secret_file: .*{why}", done.stderr), done.stderr
        assert "x" * 20 not in done.stderr


def test_a_role_that_becomes_unfit(make, other_role, postgres):
    """The slot waits long, with a line that says so; a reload fails and the rest goes on; when it
    is mended a reload brings back all."""
    s = make(database=other_role, workers=2)
    first, second = s.workers()
    wait_for("both have answered", lambda: client.at_once(
        2, lambda _: s.direct.request("GET", "/api/health")) and
        {e["pid"] for e in s.events("request")} == {str(first), str(second)})
    postgres.admin.run("alter role spoilt superuser")
    with s.expecting_errors("."):
        mark = s.log_size()
        os.kill(first, signal.SIGKILL)
        ended = s.wait_event("worker_ended", mark, 2)
        assert ended[1]["status"] == str(EXIT_UNFIT) and ended[1]["restart_ms"] == "30000"
        assert re.search("level=error.*(SUPERUSER|superuser)", s.log_text(mark))
        s.signal(signal.SIGHUP)
        s.wait_event("reload_failed", mark)
        s.direct.request("GET", "/api/health").expect(200)
        wait_for("only the old one", lambda: s.workers() == [second])
    postgres.admin.run("alter role spoilt nosuperuser")
    mark = s.log_size()
    s.signal(signal.SIGHUP)
    s.wait_event("reloaded", mark)
    s.wait_ready()


def test_workers_that_have_served_enough(make, tell):
    """max_requests: they leave one after the other, at different times, and nothing fails."""
    s = make(workers=4, max_requests=100)
    user = client.register(s.http)
    with Traffic(lambda *_: user.call("GET", "tasks?limit=1"), 3) as traffic:
        wait_for("12 workers have left", lambda: len(s.events("worker_ended")) >= 12, 30)
    traffic.expect_no_failure()
    ended = s.events("worker_ended")
    assert {e.get("status", "0") for e in ended} == {"0"} and all("signal" not in e for e in ended)
    assert all(e.get("restart_ms", "0") == "0" and e["level"] == "info" for e in ended)
    served = {}
    for e in s.events("request"):
        served[e["pid"]] = served.get(e["pid"], 0) + 1
    full = sorted(served[e["worker"]] for e in ended)
    tell(f"{len(ended)} workers left after {full} requests")
    assert 80 <= full[0] and full[-1] <= 100 and len(set(full)) > 1
    s.wait_settled()


# --- the master dies ----------------------------------------------------------------------------


def test_the_master_is_killed(make, tell):
    """Its workers leave when their request is answered; the next one, started at once, takes over
    the sockets."""
    s = make(workers=3, keep_connections=2)
    user = client.register(s.http)
    with row_lock(s, user) as lock:
        held = held_request(s, user)
        old, session = s.workers(), s.taskcell.pid
        s.taskcell.kill()
        s.taskcell.wait(10)
        mark = s.log_size()
        s.start_taskcell()  # while an old worker is still busy
        s.wait_event("worker_started", mark)  # before that a connection would go to the old socket
        s.wait_ready()
        wait_for("the idle ones are gone", lambda: len(members_of_session(session)) == 1, 5)
        lock.release()
        held.answer("POST").expect(201)
        held.close()
    wait_for("all old ones are gone", lambda: members_of_session(session) == [], 5)
    assert not set(old) & set(s.workers())
    with Steady(s):
        assert len(user.tasks()) == 1


def test_a_second_one_is_refused(plain):
    with Steady(plain):
        second = plain.program("taskcell")
        assert second.returncode == 1
        assert f"another taskcell serves {plain.settings['listen']}" in second.stderr


def test_descriptors_of_the_master(make):
    """However many workers come and go."""
    s = make(workers=2, max_requests=5)
    before = descriptors(s.taskcell.pid)
    for _ in range(100):
        s.direct.request("GET", "/api/health").expect(200)
    s.wait_event("worker_ended", 0, 10)
    wait_for("no descriptor is left", lambda: descriptors(s.taskcell.pid) == before)


# --- stopping -----------------------------------------------------------------------------------


def ended_within(server, seconds, status=0):
    began = time.monotonic()
    assert server.taskcell.wait(seconds + 20) == status
    took = time.monotonic() - began
    assert took < seconds, f"{took:.1f} s"
    assert members_of_session(server.taskcell.pid) == []
    (stopped,) = server.events("stopped")
    assert f"status {status}" in stopped["message"]


def test_term_with_traffic_through_nginx(make, tell):
    """What was accepted is answered: each request in the log has reached its client."""
    s = make(with_nginx=True, workers=3, auth_workers=1)
    person = Person(s)
    with Traffic(person, 6) as traffic:
        traffic.wait_more(200)
        s.terminate()
        ended_within(s, 5)
    tell(traffic.counts())
    assert set(traffic.counts()) <= {200, 201, 502}
    answered = {a.request_id: a.status for a in traffic.answers}
    logged = {e["request_id"]: int(e["status"]) for e in s.events("request")
              if e["route"] == "/api/{user_id}/tasks"}
    assert all(answered.get(k) == v for k, v in logged.items())
    assert sum(st < 400 for st in answered.values()) == len(logged)
    person.expect_all()
    assert s.events("stopping") and not (s.run_dir / "taskcell.sock").exists()


@pytest.mark.parametrize("signals,seconds", [
    ([signal.SIGQUIT], 1.5), ([signal.SIGTERM, signal.SIGTERM], 1.5),
    ([signal.SIGINT, signal.SIGTERM], 1.5), ([signal.SIGTERM, signal.SIGQUIT], 1.5),
    ([signal.SIGTERM], 2.5),
])
def test_stopping_with_a_request_that_does_not_end(make, signals, seconds):
    """QUIT and a second TERM: at once. One TERM: when stop_timeout is over."""
    s = make(stop_timeout=1 if len(signals) == 1 else 20)
    user = client.register(s.http)
    with s.expecting_errors("."), row_lock(s, user):
        held = held_request(s, user)
        for n, signo in enumerate(signals):
            s.signal(signo)
            if n == 0 and len(signals) > 1:
                s.wait_event("stopping")
                assert s.taskcell.poll() is None
        ended_within(s, seconds)
        assert held.answer("POST") is None
        held.close()


def test_stopping_with_a_frozen_worker(make):
    s = make(stop_timeout=1)
    os.kill(s.workers()[0], signal.SIGSTOP)
    s.terminate()
    ended_within(s, 2.5)


def test_a_worker_that_ignores_the_end_of_its_master(make):
    """QUIT reaches one that is stopped, too."""
    s = make()
    for pid in s.workers():
        os.kill(pid, signal.SIGSTOP)
    s.signal(signal.SIGQUIT)
    ended_within(s, 1.5)


def test_stopping_while_it_starts(new_server):
    """TERM before the workers have reached their loops."""
    for _ in range(3):
        s = new_server()
        s.start_taskcell()
        s.wait_event("worker_started")
        s.terminate()
        ended_within(s, 3)


def test_stopping_while_slots_wait_for_their_restart(make):
    s = make(workers=2)
    for _ in range(3):
        pids = s.workers()
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        s.wait_event("worker_ended")
    s.terminate()
    ended_within(s, 2)


# --- files --------------------------------------------------------------------------------------


def test_pid_file(new_server):
    s = new_server()
    path = s.dir / "taskcell.pid"
    path.write_text("99999999 of an earlier one\n", encoding="ascii")
    s.configure(pid_file=path)
    s.start()
    assert path.read_text(encoding="ascii") == f"{s.taskcell.pid}\n"
    s.signal(signal.SIGHUP)
    s.wait_event("reloaded")
    assert path.exists()
    s.terminate()
    ended_within(s, 3)
    assert not path.exists()
    s.configure(pid_file=s.dir / "no/such/folder/pid")
    done = s.program("taskcell")
    assert done.returncode == 1 and "pid_file" in done.stderr


def test_usr1_reopens_the_log(new_server):
    """Master and workers write to the new file, also while requests come; no record is lost."""
    s = new_server(log_file="taskcell.log")
    s.log = s.dir / "own.log"
    s.configure(log_file=s.log)
    s.start()
    try:
        user = client.register(s.http)
        with Traffic(lambda *_: user.call("GET", "tasks"), 2) as traffic:
            moved = []
            for n in range(3):
                moved.append(s.dir / f"own.log.{n}")
                os.rename(s.log, moved[-1])
                s.signal(signal.SIGUSR1)
                wait_for("both workers write here", lambda: len(
                    {e["pid"] for e in s.events("request")} & {str(p) for p in s.workers()}) == 2)
                pid = s.workers()[0]
                os.kill(pid, signal.SIGKILL)  # and so does the master, and a new worker
                s.wait_event("worker_ended")
                wait_for("a new worker", lambda: pid not in s.workers()  # noqa: B023
                         and len(s.workers()) == 2)
        text = "".join(p.read_text(encoding="utf-8") for p in moved) + s.log_text()
        for a in traffic.answers:
            assert text.count(a.request_id) == 1
        assert oct(s.log.stat().st_mode & 0o777) == "0o640"
        sizes = [p.stat().st_size for p in moved]
        for _ in range(10):
            user.call("GET", "tasks").expect(200)
        assert sizes == [p.stat().st_size for p in moved]
        # A log that cannot be opened is no reason to go down.
        os.rename(s.log, s.dir / "own.log.last")
        s.log.mkdir()
        s.signal(signal.SIGUSR1)
        for _ in range(10):
            user.call("GET", "tasks").expect(200)
        wait_for("a complaint", lambda: "cannot reopen" in (s.dir / "own.log.last").read_text(
            encoding="utf-8"))
        s.log.rmdir()
        s.signal(signal.SIGUSR1)
        wait_for("the log is back", s.log.exists)
    finally:
        s.terminate()
        ended = s.taskcell.wait(10)
    assert ended == 0 and children_of(s.taskcell.pid) == []


def test_a_log_file_that_cannot_be_opened(new_server):
    s = new_server()
    done = subprocess.run([str(s.build / "taskcell"), "-c", str(s.conf)], check=False, timeout=20,
                          env={**s.environment(), "TASKCELL_LOG_FILE": "/nonexistent/log"},
                          stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert done.returncode == 1 and "/nonexistent/log" in done.stderr
