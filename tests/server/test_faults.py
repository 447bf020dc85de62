"""The database goes away, workers are killed, HUP comes, all under traffic through nginx: what
clients hear, and what they can rely on."""

import contextlib
import itertools
import os
import random
import signal
import threading
import time

import pytest

import client
from rig import BREAKDOWN, Person, Traffic
from stack import wait_for

EXPECTED = {200, 201} | BREAKDOWN


def check(person, traffic, tell):
    """Nothing but what is expected, and nothing acknowledged is missing. (That 502, 503 and 504
    carry Retry-After is looked at in every answer.)"""
    tell(f"{traffic.counts()}, {len(person.made)} writes acknowledged")
    assert set(traffic.counts()) <= EXPECTED, traffic.counts()
    person.expect_all()


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_the_database_is_restarted(make, postgres, tell, mode):
    s = make(with_nginx=True, workers=4, auth_workers=1)
    person = Person(s)
    with s.expecting_errors("."):
        with Traffic(person, 4) as traffic:
            traffic.wait_more(50)
            pids = s.workers()
            postgres.ctl("restart", "-m", mode, "-l", f"{postgres.data}/../log")
            wait_for("ready", s.is_ready)
            traffic.wait_more(50)
        s.wait_settled()
    assert s.workers() == pids  # no worker has to die for it
    check(person, traffic, tell)
    assert any(a.status == 503 for a in traffic.answers) or mode == "fast"


def test_no_database_at_all(make, postgres):
    """503 at once, from workers that stay; and all is well when it is back."""
    s = make(with_nginx=True, workers=2, auth_workers=1)
    user = client.register(s.http)
    with s.expecting_errors("."):
        postgres.halt()
        try:
            for _ in range(10):
                began = time.monotonic()
                user.call("GET", "tasks").expect(503, "unavailable")
                assert time.monotonic() - began < 5
                s.http.request("GET", "/api/health").expect(200)
            assert len(s.workers()) == 3
            s.signal(signal.SIGHUP)  # a reload works all the same: it may come back
            s.wait_event("reloaded")
        finally:
            postgres.resume()
        wait_for("ready", s.is_ready)
    for _ in range(10):
        user.call("GET", "tasks").expect(200)


def test_started_before_the_database(new_server, postgres):
    s = new_server()
    with s.expecting_errors("."):
        postgres.halt()
        try:
            s.start(ready=False)
            wait_for("an answer", lambda: s.answers(s.settings["listen"]))
            s.direct.request("GET", "/api/ready").expect(503)
        finally:
            postgres.resume()
        wait_for("ready", s.is_ready)
        assert not s.events("worker_ended")
    client.register(s.http).create()
    assert s.stop() == []


def test_backends_terminated(make, tell):
    """pg_terminate_backend without a pause. Reads and refreshes that are asked again end well: a
    worker that was cut off while it connected answers 503 until it tries the next time."""
    s = make(with_nginx=True, workers=4, auth_workers=1)
    person = Person(s)
    other = client.register(s.http)
    refused = []

    def again(call):
        a = call()
        if a.status in BREAKDOWN:
            refused.append(a.status)
            with person.calm:
                return wait_for("the end of the back-off", lambda: (
                    a if (a := call()).status not in BREAKDOWN else None), 10)
        return a

    def ask(thread, number):
        if thread == 0:
            return person(thread, number)
        if thread == 1:
            return again(lambda: person.user.call("GET", "tasks?limit=1")).expect(200)
        a = again(lambda: client.refresh(s.http, other.refresh)).expect(200)
        other.take(a.json)
        return a

    ended = 0
    with s.expecting_errors("."), Traffic(ask, 3) as traffic:
        for _ in range(25):
            with person.calm:
                pids = [row[0] for row in s.sql.run(
                    "select pid, pg_terminate_backend(pid) from pg_stat_activity "
                    "where usename = 'taskcell'")]
                wait_for("they are gone", lambda: not any(  # noqa: B023
                    os.path.exists(f"/proc/{pid}") for pid in pids), 10, 0.002)  # noqa: B023
            ended += len(pids)
            traffic.wait_more(20)
    tell(f"{ended} backends ended, {len(refused)} asked again")
    assert ended >= 40
    check(person, traffic, tell)
    s.wait_settled()


def test_refresh_while_workers_are_killed(make, tell):
    """50 rounds: a random worker is killed in the middle; the same token again gives 200."""
    s = make(with_nginx=True, workers=12, auth_workers=1)
    users = [client.register(s.http) for _ in range(4)]
    chance = random.Random(50)
    lost = 0

    def again(user):
        """Retried as the answer says, until no other worker is killed."""
        return client.refresh(s.http, user.refresh).expect(200)

    for _ in range(50):
        victim = chance.choice(wait_for("workers", lambda: s.pool("api")))
        delay = chance.random() * 0.003

        def one(i):
            if i == len(users):
                threading.Event().wait(delay)  # noqa: B023  somewhere inside the requests
                try:
                    os.kill(victim, signal.SIGKILL)  # noqa: B023
                except ProcessLookupError:
                    pass
                return None
            return client.refresh(s.http, users[i].refresh)

        answers = client.at_once(len(users) + 1, one)
        for user, a in zip(users, answers):
            assert a.status == 200 or a.status in BREAKDOWN, a
            lost += a.status != 200
            # Also when it was answered: the client may not have got it.
            user.take(again(user).json)
    tell(f"{lost} of 200 refreshes were lost with their worker, each was answered when retried")
    for user in users:
        user.call("GET", "tasks").expect(200)
        assert s.sql.value("select count(*) from taskcell.sessions "
                           f"where user_id = '{user.id}'") == "1"
    s.wait_settled()


def test_everything_at_once(make, postgres, tell):
    """kill -9 of each worker in turn, a HUP every second and a restart of the database, during a
    steady load. Reads that are asked once more never fail."""
    s = make(with_nginx=True, workers=4, auth_workers=1)
    person = Person(s, retry=True)
    with s.expecting_errors("."):
        with Traffic(person, 6) as traffic:
            began, kills = time.monotonic(), 0
            for second in itertools.count(1):
                for pid in s.pool("api")[:2]:
                    # One that the last HUP has replaced may have left meanwhile.
                    with person.calm, contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                        kills += 1
                    traffic.wait_more(10)
                s.signal(signal.SIGHUP)
                if second == 2:
                    with person.calm:
                        postgres.ctl("restart", "-m", "fast", "-l", f"{postgres.data}/../log")
                        wait_for("ready", s.is_ready)
                wait_for("the next second",
                         lambda: time.monotonic() > began + second)  # noqa: B023
                if second == 5:
                    break
        wait_for("ready", s.is_ready)
    tell(f"{kills} workers killed, {len(s.events('reloaded'))} reloads, "
         f"{len(s.events('reload_failed'))} given up")
    check(person, traffic, tell)
    mark = s.log_size()
    s.signal(signal.SIGHUP)
    s.wait_event("reloaded", mark)
    s.wait_ready()
