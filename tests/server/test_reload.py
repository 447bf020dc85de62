"""HUP: the new settings are read, a new generation comes up, then the old one drains."""

import os
import signal
import threading
import time

import pytest

import client
from rig import Person, Steady, Traffic, cpu_seconds, descriptors
from stack import wait_for
from test_supervision import held_request, row_lock


def hup(server):
    server.signal(signal.SIGHUP)


def reload(server):
    mark = server.log_size()
    hup(server)
    server.wait_event("reloaded", mark)
    wait_for("the old workers are gone", lambda: len(server.workers()) == server.size)
    server.wait_settled()


def refused(server, *says):
    """This HUP fails, for these reasons, and the same workers serve on."""
    with server.expecting_errors("reload_failed"):
        pids, mark = server.workers(), server.log_size()
        hup(server)
        (first, *rest) = server.wait_event("reload_failed", mark)
        assert first["level"] == "error"
        text = server.log_text(mark)
        for what in says:
            assert what in text, (what, text)
        assert server.workers() == pids and not server.events("worker_started", mark)
    return [first, *rest]


def test_changed_settings_take_effect_and_nothing_fails(make, tell):
    s = make(workers=3)
    person = Person(s)
    with Traffic(person, 3) as traffic:
        for registration, status in (("closed", 403), ("open", 201)):
            s.configure(registration=registration)
            before = set(s.workers())
            reload(s)
            assert not before & set(s.workers())
            a = s.http.request("POST", "/api/auth/register", {
                "email": client.fresh_email(), "password": client.PASSWORD})
            a.expect(status)
            traffic.wait_more(20)
    tell(traffic.counts())
    traffic.expect_no_failure()
    person.expect_all()
    assert len(s.events("reloading")) == len(s.events("reloaded")) == 2
    generations = {e["generation"] for e in s.events("worker_started")}
    assert generations == {"1", "2", "3"}
    assert {e.get("status", "0") for e in s.events("worker_ended")} == {"0"}


def test_reload_through_nginx(make, tell):
    s = make(with_nginx=True, workers=2, auth_workers=1)
    person = Person(s)
    with Traffic(person, 4) as traffic:
        for _ in range(5):
            reload(s)
    tell(traffic.counts())
    traffic.expect_no_failure()
    person.expect_all()


def test_a_request_of_the_old_generation_is_finished(make):
    """It holds up nobody: the new one serves with the new settings meanwhile."""
    s = make(workers=1)
    user = client.register(s.http)
    with row_lock(s, user) as lock:
        held = held_request(s, user)
        (old,) = s.workers()
        s.configure(registration="closed")
        mark = s.log_size()
        hup(s)
        s.wait_event("reloaded", mark)
        s.http.request("POST", "/api/auth/register", {"email": "x@example.org", "password": "x" * 9}
                       ).expect(403)
        assert old in s.workers()
        lock.release()
        held.answer("POST").expect(201)
        held.close()
    wait_for("the old one is gone", lambda: old not in s.workers())


def test_an_old_worker_that_is_stuck(make):
    """It is killed when stop_timeout is over, and nobody else notices."""
    s = make(workers=2, stop_timeout=1)
    frozen = s.workers()[0]
    os.kill(frozen, signal.SIGSTOP)
    mark = s.log_size()
    hup(s)
    s.wait_event("reloaded", mark)
    for _ in range(10):
        s.direct.request("GET", "/api/health").expect(200)
    began = time.monotonic()
    wait_for("the frozen one is gone", lambda: frozen not in s.workers())
    assert time.monotonic() - began < 10
    s.wait_settled()


@pytest.mark.parametrize("changes,says", [
    ({"workers": "many"}, ["workers", "many", "1 to 256"]),
    ({"wrokers": "3"}, ["wrokers", "unknown key"]),
    ({"statement_timeout": "60000"}, ["statement_timeout", "shorter than request_timeout"]),
    ({"jwt_secret": "short"}, ["jwt_secret", "too short"]),
    ({"jwt_secret": None, "jwt_secret_file": "/nonexistent"}, ["jwt_secret_file", "No such file"]),
    ({"trusted_proxies": "10.0.0.1/8"}, ["trusted_proxies", "bits behind the prefix"]),
    ({"cors_origins": "*"}, ["cors_origins", "without a slash"]),
    ({"public_url": "https://me@example.org"}, ["public_url", "no user"]),
])
def test_a_bad_file_changes_nothing(make, changes, says):
    """File, line, key and what is wrong are in the log."""
    s = make(workers=1)
    kept = {k: s.settings.get(k) for k in changes}
    s.configure(**changes)
    key = next(k for k, v in changes.items() if v is not None)
    refused(s, f"{s.conf}:{s.line_of(key)}: {key}", *says)
    s.configure(**kept)
    with Steady(s):
        client.register(s.http)
    reload(s)


def test_a_file_that_is_gone(make):
    s = make(workers=1)
    os.rename(s.conf, s.conf.with_suffix(".away"))
    refused(s, str(s.conf), "No such file")
    s.conf.mkdir()
    refused(s, str(s.conf))
    s.conf.rmdir()
    os.rename(s.conf.with_suffix(".away"), s.conf)
    reload(s)


@pytest.mark.parametrize("key,value", [
    ("listen", "/tmp/elsewhere.sock"), ("run_dir", "/tmp"), ("log_file", "/tmp/elsewhere.log"),
    ("pid_file", "/tmp/elsewhere.pid"), ("user", "nobody"), ("group", "nogroup"),
    ("listen_group", "nogroup"),
])
def test_what_cannot_change(make, key, value):
    s = make(workers=1)
    old = s.settings.get(key)
    s.configure(**{key: value, "registration": "closed"})
    refused(s, f"{key}: cannot change while the server runs; restart it")
    client.register(s.http)  # not half of the new settings either
    s.configure(**{key: old, "registration": "open"})


def test_the_number_of_workers(make):
    s = make(workers=1)
    user = client.register(s.http)
    with Traffic(lambda *_: user.call("GET", "tasks"), 2) as traffic:
        for n in (4, 2, 1, 3):
            s.configure(workers=n)
            reload(s)
            assert len(s.workers()) == n
    traffic.expect_no_failure()


def test_new_secrets(make):
    """A new jwt_secret: the old tokens are no longer good."""
    s = make(workers=1)
    user = client.register(s.http)
    s.configure(jwt_secret="another-0123456789abcdefghijklmnopqrstuvwxyz")
    reload(s)
    user.call("GET", "tasks").expect(401, "invalid_token")
    client.login(s.http, user.email).expect(200)


def test_keys_that_cannot_be_used(make):
    """A key_dir that is not there is found by the new workers: the old ones stay."""
    s = make(workers=1)
    user = client.register(s.http)
    old = s.workers()
    s.configure(key_dir=s.dir / "nowhere")
    mark = s.log_size()
    with s.expecting_errors("event=(keys|reload_failed) "):
        hup(s)
        s.wait_event("reload_failed", mark)
        assert s.events("keys", mark)
        wait_for("only the old ones", lambda: s.workers() == old)
    user.call("GET", "tasks").expect(200)
    s.configure(key_dir=None)
    reload(s)
    user.call("GET", "tasks").expect(200)


def test_a_generation_that_cannot_come_up(make, scratch):
    """The database it is to use has no schema: the old one stays."""
    s = make()
    user = client.register(s.http)
    old = s.workers()
    database = s.settings["database"]
    scratch[1].run("drop schema if exists taskcell cascade")
    s.configure(database=scratch[0])
    with s.expecting_errors("."), Traffic(lambda *_: user.call("GET", "tasks"), 2) as traffic:
        for _ in range(2):
            mark = s.log_size()
            hup(s)
            s.wait_event("reload_failed", mark)
            assert "taskcellctl migrate" in s.log_text(mark)
            wait_for("only the old ones", lambda: s.workers() == old)
    traffic.expect_no_failure()
    s.configure(database=database)
    with Traffic(lambda *_: user.call("GET", "tasks"), 2) as traffic:
        reload(s)
    traffic.expect_no_failure()


def test_a_storm_of_reloads(make, tell):
    """HUP every 20 ms: one reload at a time, at most two generations, one at the end."""
    s = make(workers=2)
    person = Person(s)
    before = descriptors(s.taskcell.pid)
    over, most = threading.Event(), []

    def storm():
        while not over.wait(0.02):
            hup(s)
            most.append(len(s.workers()))

    thread = threading.Thread(target=storm)
    with Traffic(person, 2) as traffic:
        thread.start()
        wait_for("many reloads", lambda: len(s.events("reloaded")) >= 10 and len(most) >= 100, 30)
        over.set()
        thread.join()
        traffic.wait_more(20)
    tell(f"{len(most)} HUP, {len(s.events('reloaded'))} reloads, at most {max(most)} workers, "
         f"{traffic.counts()}")
    traffic.expect_no_failure()
    person.expect_all()
    assert max(most) <= 4
    s.wait_settled()
    assert len(s.events("reloading")) == len(s.events("reloaded"))
    last = s.events("worker_started")[-1]["generation"]
    assert int(last) == 1 + len(s.events("reloaded"))
    wait_for("no descriptor is left", lambda: descriptors(s.taskcell.pid) == before)
    with Steady(s):
        cpu = cpu_seconds(s.taskcell.pid)
    assert cpu_seconds(s.taskcell.pid) - cpu < 0.05


def test_term_during_a_reload(make):
    """And the other way round: a HUP while it stops is not heard."""
    s = make()
    hup(s)
    s.terminate()
    hup(s)
    assert s.taskcell.wait(10) == 0
    assert s.events("stopped")


def test_a_reload_while_workers_are_killed(make):
    """Neither stops the other; in the end there is one generation of the right size."""
    s = make(workers=2)
    for n in range(6):
        s.configure(workers=2 + n % 2)
        mark = s.log_size()
        hup(s)
        for pid in s.workers()[-2:]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        with s.expecting_errors("reload_failed"):
            wait_for("an outcome", lambda: s.events("reloaded", mark)  # noqa: B023
                     or s.events("reload_failed", mark))  # noqa: B023
    mark = s.log_size()
    hup(s)
    s.wait_event("reloaded", mark)
    s.wait_ready()
