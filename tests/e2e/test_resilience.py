"""What breaks, and what must hold all the same."""

import os
import re
import signal
import subprocess
import threading
import time

import pytest

import fastcgi
from client import at_once, login, register
from frontends import FRONT
from stack import children_of, members_of_session, wait_for

of_a_master = pytest.mark.skipif(FRONT.spawns, reason="taskcell has no master here")


def waiting_for_locks(stack):
    return int(stack.sql.value(
        "select count(*) from pg_stat_activity where usename = 'taskcell' "
        "and wait_event_type = 'Lock'"))


def row_lock(stack, user):
    return stack.sql.holding(f"select 1 from taskcell.users where id = '{user.id}' for update")


def in_background(function):
    box = []
    thread = threading.Thread(target=lambda: box.append(function()))
    thread.start()

    def result():
        thread.join(60)
        assert box, "no answer came"
        return box[0]

    return result


def pool(stack, name):
    """The pids of a pool's workers, by the log."""
    alive = set(stack.workers())
    started = re.findall(rf"event=worker_started pool={name} slot=\d+ worker=(\d+)",
                         stack.log_text())
    return [int(p) for p in started if int(p) in alive]


# --- the database -------------------------------------------------------------------------------


def test_backends_terminated_during_creates(stack, user):
    """Only 201 and 503, and every 201 is in the list afterwards."""
    stop = threading.Event()
    ended = []

    def storm():
        while not stop.is_set():
            ended.append(int(stack.sql.value(
                "select count(pg_terminate_backend(pid)) from pg_stat_activity "
                "where usename = 'taskcell'")))

    def work(i):
        answers = []
        until = time.monotonic() + 2
        while time.monotonic() < until:
            answers.append(user.call("POST", "tasks", {"title": f"{i}-{len(answers)}"}))
            if len(answers) % 5 == 0:
                assert user.call("GET", "tasks?limit=1").status in (200, 503)
        return answers

    with stack.expecting_errors("."):
        thread = threading.Thread(target=storm)
        thread.start()
        try:
            answers = [a for part in at_once(5, work) for a in part]
        finally:
            stop.set()
            thread.join()
        # a worker whose last attempt took long rests for as long before the next
        wait_for("all workers", lambda: {a.status for a in at_once(
            12, lambda _: user.call("GET", "tasks?limit=1"))} == {200})
    assert {a.status for a in answers} <= {201, 503}, {a.status for a in answers}
    assert all(a.code == "unavailable" for a in answers if a.status == 503)
    made = {a.json["id"] for a in answers if a.status == 201}
    assert sum(ended) >= 10 and len(made) >= 20
    listed = user.tasks()
    assert made <= {t["id"] for t in listed}
    assert len(listed) == len({t["title"] for t in listed})  # nothing was sent twice


def test_a_constraint_that_fails_at_commit_is_no_success(stack, user):
    """A row comes back before the transaction is committed: it must not be believed."""
    stack.sql.run("""
        create function public.refuse_late() returns trigger language plpgsql as $$
        begin
            if new.title = 'refused at commit' then
                raise unique_violation using message = 'refused at commit';
            end if;
            return null;
        end $$;
        create constraint trigger refuse_late after insert or update on taskcell.tasks
            deferrable initially deferred for each row execute function public.refuse_late()""")
    try:
        kept = user.create("kept")
        with stack.expecting_errors("."):
            a = user.call("POST", "tasks", {"title": "refused at commit"})
            b = user.call("PATCH", f"tasks/{kept['id']}", {"title": "refused at commit"})
        assert a.status in (409, 500, 503) and b.status in (409, 500, 503), (a, b)
        assert user.tasks() == [kept]
        user.create("the next one is not disturbed")
    finally:
        stack.sql.run("drop trigger refuse_late on taskcell.tasks; "
                      "drop function public.refuse_late()")


def test_a_row_that_stays_locked(stack, user, other):
    """The lock's time runs out before the statement's: 503 and nothing was written; nobody else is
    concerned, and reading goes on."""
    kept = user.create("kept")
    calls = [lambda: user.call("POST", "tasks", {"title": "x"}),
             lambda: user.call("DELETE", f"tasks/{kept['id']}")]
    with stack.expecting_errors("."), row_lock(stack, user):
        answers = [in_background(call) for call in calls]
        wait_for("requests that wait", lambda: waiting_for_locks(stack) == 2, 10, 0.005)
        other.create("not concerned")
        assert user.tasks() == [kept]
        for answer in answers:
            answer().expect(503, "unavailable")
    assert user.tasks() == [kept]
    user.create("now it works")


def test_a_statement_past_its_deadline(make_stack):
    """503 in time, whatever the database does; what was given up does not stay there for ever."""
    s = make_stack(statement_timeout=300, request_timeout=5, workers=1, auth_workers=1)
    user = register(s.http)
    with s.expecting_errors("."), row_lock(s, user):
        began = time.monotonic()
        user.call("POST", "tasks", {"title": "x"}).expect(503, "unavailable")
        assert time.monotonic() - began < 4
        assert user.tasks() == []  # the one worker is free again, with a connection that works
        wait_for("no statement is left", lambda: not waiting_for_locks(s))
    assert user.tasks() == []


# --- workers ------------------------------------------------------------------------------------


@of_a_master
def test_killed_workers_are_replaced(stack, user, http):
    """kill -9 of each worker in turn; the others serve."""
    for pid in stack.workers():
        before = set(stack.workers())
        os.kill(pid, signal.SIGKILL)
        for _ in range(10):
            user.call("GET", "tasks").expect(200)
        login(http, user.email).expect(200)
        wait_for("a new worker", lambda: len(set(stack.workers()) - before) == 1  # noqa: B023
                 and len(stack.workers()) == len(before))  # noqa: B023
    assert stack.taskcell.poll() is None
    log = stack.log_text()
    assert log.count("event=worker_ended") >= 6 and "signal=9" in log


@of_a_master
def test_a_worker_past_its_deadline_is_killed_and_replaced(make_stack):
    """Frozen in the middle of a request: the client hears 502 in our form, the log says whose."""
    s = make_stack(workers=1, auth_workers=1, request_timeout=1, statement_timeout=900)
    user = register(s.http)
    (worker,) = pool(s, "api")
    with s.expecting_errors("worker_stuck|connection|database"):
        with row_lock(s, user):
            answer = in_background(lambda: user.call("POST", "tasks", {"title": "stuck"}))
            wait_for("a request that waits", lambda: waiting_for_locks(s), 10, 0.005)
            os.kill(worker, signal.SIGSTOP)
            a = answer()
        a.expect(*FRONT.lost)
        assert FRONT.says_when_to_retry == (a.header("Retry-After") == "1")
        wait_for("a new worker", lambda: pool(s, "api") not in ([], [worker]))
    (line,) = [l for l in s.log_text().splitlines() if "event=worker_stuck" in l]
    assert a.request_id is None or a.request_id in line
    assert "/api/{user_id}/tasks" in line
    wait_for("no statement is left", lambda: not waiting_for_locks(s))
    user.create("after")


@of_a_master
def test_a_peer_that_stalls(make_stack):
    """Half a FastCGI request and then nothing: the worker is freed, nobody waits for ever."""
    s = make_stack(workers=1, auth_workers=1, request_timeout=1, statement_timeout=900)
    half = fastcgi.begin() + fastcgi.record(
        fastcgi.PARAMS, fastcgi.pair("REQUEST_METHOD", "GET"))[:-3]
    for data in (half, fastcgi.begin()):
        with s.expecting_errors("worker_stuck"):
            with fastcgi.connect(s.settings["listen"]) as stalled:
                stalled.sendall(data)
                began = time.monotonic()
                wait_for("an answer", lambda: s.http.request("GET", "/api/health").status == 200)
                assert time.monotonic() - began < 6


@of_a_master
def test_peers_that_come_and_go(stack, user):
    """Connections that say nothing, or rubbish, disturb no other."""
    for data in (b"", b"\0" * 100, b"GET / HTTP/1.0\r\n\r\n", b"\xff" * 5000,
                 fastcgi.record(9, b""), fastcgi.begin() + fastcgi.record(2),
                 fastcgi.begin() + fastcgi.record(fastcgi.PARAMS, b"\x05"),
                 fastcgi.begin() + fastcgi.record(fastcgi.PARAMS)):
        with fastcgi.connect(stack.settings["listen"]) as s:
            s.sendall(data)
        user.call("GET", "tasks").expect(200)
    wait_for("all workers", lambda: len(stack.workers()) == 6)


@of_a_master
def test_504_of_the_web_server(make_stack):
    """Every worker is busy for longer than the web server waits."""
    s = make_stack(workers=1, auth_workers=1,
                   nginx={"fastcgi_read_timeout 20s": "fastcgi_read_timeout 1s"},
                   apache={"timeout=20": "timeout=1"},
                   lighttpd={'"read-timeout" => 20': '"read-timeout" => 1'})
    user = register(s.http)
    (worker,) = pool(s, "api")
    os.kill(worker, signal.SIGSTOP)
    try:
        a = user.call("GET", "tasks").expect(504, "gateway_timeout")
        assert FRONT.says_when_to_retry == (a.header("Retry-After") == "1")
    finally:
        os.kill(worker, signal.SIGCONT)
    user.call("GET", "tasks").expect(200)


# --- stopping -----------------------------------------------------------------------------------


@of_a_master
def test_term_drains(make_stack):
    """A request in flight is answered; then taskcell is gone, with status 0 and no child; the
    web server says so meanwhile."""
    s = make_stack(workers=2, auth_workers=1)
    user = register(s.http)
    with row_lock(s, user) as lock:
        answer = in_background(lambda: user.call("POST", "tasks", {"title": "in flight"}))
        wait_for("a request that waits", lambda: waiting_for_locks(s), 10, 0.005)
        s.terminate()
        wait_for("the others have ended", lambda: len(s.workers()) == 1)
        assert s.taskcell.poll() is None
        lock.release()
    answer().expect(201)
    assert s.taskcell.wait(10) == 0
    assert members_of_session(s.taskcell.pid) == []
    for path in ("/api/health", "/api/me/tasks", "/api/auth/login"):
        a = s.http.request("GET", path).expect(*FRONT.gone)
        assert FRONT.says_when_to_retry == (a.header("Retry-After") == "1")
    # And it can start again where it was.
    s.start_taskcell()
    wait_for("ready", s.is_ready)
    assert len(user.tasks()) == 1


@of_a_master
def test_term_under_load(make_stack):
    """Whoever got 201 finds the task; the others hear that nobody is there, nothing else."""
    s = make_stack(workers=2, auth_workers=1)
    user = register(s.http)
    threading.Timer(0.3, s.terminate).start()

    def work(i):
        answers = []
        while not answers or answers[-1].status == 201:
            answers.append(user.call("POST", "tasks", {"title": f"{i}-{len(answers)}"}))
        return answers

    answers = [a for part in at_once(4, work) for a in part]
    assert {a.status for a in answers} == {201, FRONT.gone[0]}
    assert s.taskcell.wait(10) == 0
    s.start_taskcell()
    wait_for("ready", s.is_ready)
    made = {a.json["id"] for a in answers if a.status == 201}
    assert made <= {t["id"] for t in user.tasks()}


@of_a_master
def test_a_request_that_outlives_the_stop_timeout(make_stack):
    s = make_stack(workers=1, auth_workers=1, stop_timeout=1)
    user = register(s.http)
    with row_lock(s, user):
        answer = in_background(lambda: user.call("POST", "tasks", {"title": "too slow"}))
        wait_for("a request that waits", lambda: waiting_for_locks(s), 10, 0.005)
        with s.expecting_errors("."):
            s.terminate()
            began = time.monotonic()
            s.taskcell.wait(20)
            assert time.monotonic() - began < 15
        answer().expect(FRONT.lost[0])
    assert members_of_session(s.taskcell.pid) == []


@of_a_master
@pytest.mark.parametrize("signo", [signal.SIGINT, signal.SIGQUIT])
def test_other_ways_to_stop(make_stack, signo):
    s = make_stack(workers=1, auth_workers=1)
    s.taskcell.send_signal(signo)
    assert s.taskcell.wait(10) == 0
    assert members_of_session(s.taskcell.pid) == []


@of_a_master
def test_workers_do_not_outlive_their_master(make_stack):
    """After kill -9 of the master they go, and a new one takes over the stale sockets."""
    s = make_stack(workers=2, auth_workers=1)
    user = register(s.http)
    workers = children_of(s.taskcell.pid)
    s.taskcell.kill()
    s.taskcell.wait(10)
    wait_for("the workers are gone", lambda: not any(
        p in members_of_session(s.taskcell.pid) for p in workers))
    s.start_taskcell()
    wait_for("ready", s.is_ready)
    user.create("as before")


@of_a_master
def test_a_second_server_on_the_same_sockets(stack, user):
    """It refuses, and the first does not notice."""
    second = subprocess.run([str(stack.build / "taskcell")], env=stack.environment(),
                            capture_output=True, text=True, timeout=20, check=False)
    assert second.returncode != 0
    assert stack.settings["listen"] in second.stderr
    user.call("GET", "tasks").expect(200)


@of_a_master
def test_sockets_are_not_for_everybody(stack):
    for name in ("listen", "listen_auth"):
        mode = os.stat(stack.settings[name]).st_mode & 0o777
        assert mode & 0o007 == 0, oct(mode)
