"""Behind pgbouncer in transaction mode, the version of the reference platform: what works there and
what refuses to. `make check-pgbouncer` runs all of tests/e2e behind it."""

import os
import signal
import time

import pytest

import client
from pooler import Pooler
from rig import Person, Traffic
from stack import Database, wait_for

EXIT_UNFIT = 78


@pytest.fixture
def behind(new_server, state, postgres):
    """behind(pool=1, …): a pooler of so many connections, and a server behind it, not started."""
    from e2e_conftest import finish  # pylint: disable=import-outside-toplevel
    made = []

    def make(pool=1, wait=4, prepared="off", **settings):
        s = new_server(prepared_statements=prepared, **settings)
        p = Pooler(s.dir / "pooler", postgres.url, default_pool_size=pool, query_wait_timeout=wait)
        s.configure(database=p.url)
        made.append((p, s))
        return p, s

    yield make
    for p, s in made:
        try:
            finish(s)
        finally:
            p.stop()


def backends(s):
    return {row[0] for row in s.sql.run(
        "select pid from pg_stat_activity where usename = 'taskcell'")}


def test_one_connection_for_all(behind):
    """Workers take turns on it, and nothing of one person is left on it for the next."""
    _, s = behind(pool=1, workers=4, auth_workers=1, trace_queries="on")
    others = backends(s)  # of servers that other tests share
    s.start()
    people = [client.register(s.http) for _ in range(6)]

    def work(i):
        mine = set()
        for n in range(15):
            mine.add(people[i].create(f"task {n} of {i}")["id"])
            assert {t["id"] for t in people[i].tasks()} == mine
            people[i].call("GET", "/api/auth/session").expect(200)
        return mine

    made = client.at_once(len(people), work)
    for person, mine in zip(people, made):
        assert {t["id"] for t in person.tasks()} == mine
        assert person.call("GET", "tasks?format=json").expect(200).body.count(b'"id"') == len(mine)
    (only,) = backends(s) - others
    assert s.sql.value(
        f"select application_name from pg_stat_activity where pid = {only}") == "taskcell"


def test_prepared_statements_are_refused(behind):
    """Every worker sees it before it serves, whoever was first; with `off`, the same pooler and
    the connection that has them by now will do."""
    _, s = behind(pool=1, prepared="on", workers=3)
    with s.expecting_errors("prepared_statements = off|event=unfit"):
        s.start_taskcell()
        assert s.taskcell.wait(20) == EXIT_UNFIT
    told = s.events("database_unfit")
    assert len(told) == 3 and all("set prepared_statements = off" in e["message"] for e in told)
    s.configure(prepared_statements="off")
    s.start()
    client.register(s.http).create()


def test_the_pooler_is_killed_and_started_again(behind, tell):
    p, s = behind(pool=2, with_nginx=True, workers=4, auth_workers=1)
    s.start()
    person = Person(s)
    pids = s.workers()
    with Traffic(person, 4) as traffic:
        for signo in (signal.SIGKILL, signal.SIGTERM):
            traffic.wait_more(50)
            os.kill(p.process.pid, signo)
            p.process.wait(20)
            wait_for("503", lambda: s.http.request("GET", "/api/ready").status == 503)
            p.start()
            wait_for("ready", s.is_ready)
        traffic.wait_more(50)
    tell(f"{traffic.counts()}")
    assert s.workers() == pids
    assert set(traffic.counts()) <= {200, 201, 503}
    person.expect_all()


def test_no_connection_is_free(behind, postgres):
    """Somebody else keeps the only one: 503 in time, and all is well when he has gone."""
    p, s = behind(pool=1, wait=1, workers=2, statement_timeout=3000)
    s.start()
    user = client.register(s.http)
    with Database(postgres, p.url).holding("select 1"):
        began = time.monotonic()
        user.call("GET", "tasks").expect(503, "unavailable")
        s.http.request("GET", "/api/ready").expect(503, "unavailable")
        s.http.request("GET", "/api/health").expect(200)
        assert time.monotonic() - began < 9  # idle_in_transaction_session_timeout would end it
    # A worker that has just failed waits a moment before it connects again.
    for _ in range(4):
        wait_for("201", lambda: user.call("POST", "tasks", {"title": "x"}).status == 201)
