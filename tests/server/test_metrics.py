"""/api/metrics of a running server: numbers that agree with what was asked, whatever happens to
workers and generations, in a form that Prometheus takes; and what goes with them, slow requests."""

import os
import pathlib
import re
import signal
import subprocess

import client
from stack import SOURCE, wait_for
from test_reload import reload
from test_supervision import row_lock, wait_blocked
from test_worker_mode import Alone
from wire import message

TASKS = ("GET", "/api/{user_id}/tasks")
CREATE = ("POST", "/api/{user_id}/tasks")
OTHER = ("other", "other")


def scrape(http):
    a = http.request("GET", "/api/metrics")
    a.expect(200)
    assert a.header("Content-Type") == "text/plain; version=0.0.4; charset=utf-8"
    return a.body.decode()


def numbers(text):
    """Name and labels, sorted, to the value."""
    found = {}
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        name, labels, value = re.fullmatch(r"(\w+)(?:\{(.*)\})? (\S+)", line).groups()
        labels = tuple(sorted(re.findall(r'(\w+)="([^"]*)"', labels or "")))
        assert (name, labels) not in found, line
        found[name, labels] = float(value)
    return found


class Counted:
    def __init__(self, http):
        self.all = numbers(scrape(http))

    def get(self, name, **labels):
        return self.all[name, tuple(sorted(labels.items()))]

    def requests(self, row, status_class):
        return self.get("taskcell_requests_total", method=row[0], route=row[1],
                        **{"class": status_class})

    def total(self, name):
        return sum(v for (n, _), v in self.all.items() if n == name)


def without_series(queries, series):
    """Conditions on labels that nothing meets, such as a value that is misspelt. Prometheus itself
    adds `job`, and `le` is not asked for."""
    for name, conditions in re.findall(r"\b(taskcell_\w+)\{([^}]*)\}", queries):
        for label, op, value in re.findall(r'(\w+)(=~|!~|!=|=)"([^"]*)"', conditions):
            values = {dict(labels).get(label, "") for n, labels in series if n == name}
            pattern = value if op.endswith("~") else re.escape(value)
            if label != "job" and not any(re.fullmatch(pattern, v) for v in values):
                yield name, label, op, value


def kill(server, pid):
    mark = server.log_size()
    os.kill(pid, signal.SIGKILL)
    server.wait_event("worker_started", mark)
    server.wait_settled()


def test_they_agree_with_the_clients(make, tell):
    """Exactly, over workers that are killed and generations that go."""
    s = make(workers=3, auth_workers=1)
    user = client.register(s.http)
    user.create()  # every series that follows is from here on
    before = Counted(s.http)
    made = read = refused = missed = 0
    for _ in range(2):
        for pid in s.workers():
            for n in range(7):
                user.create(f"task {n}")
                made += 1
            for _ in range(11):
                user.call("GET", "tasks?limit=1").expect(200)
                read += 1
            for _ in range(3):
                s.http.request("GET", "/api/me/tasks", token="bad").expect(401)
                s.http.request("GET", "/api/no/where").expect(404)
                refused += 1
                missed += 1
            kill(s, pid)
        reload(s)
    after = Counted(s.http)

    def grown(what, *args, **labels):
        return getattr(after, what)(*args, **labels) - getattr(before, what)(*args, **labels)

    assert grown("requests", CREATE, "2xx") == made
    assert grown("requests", TASKS, "2xx") == read
    assert grown("requests", TASKS, "4xx") == refused
    assert grown("requests", OTHER, "4xx") == missed
    assert grown("get", "taskcell_request_duration_seconds_count", method="GET",
                 route=TASKS[1]) == read + refused
    assert grown("get", "taskcell_tokens_total", result="valid") == made + read
    assert grown("get", "taskcell_tokens_total", result="invalid") == refused
    assert grown("total", "taskcell_token_verification_seconds_count") == made + read + refused
    assert grown("get", "taskcell_problems_total", code="invalid_token") == refused
    # one round trip a request of tasks
    for row, n in ((CREATE, made), (TASKS, read)):
        labels = {"method": row[0], "route": row[1]}
        assert grown("get", "taskcell_database_round_trips_total", **labels) == n
        assert 0 < grown("get", "taskcell_database_seconds_total", **labels) < \
            grown("get", "taskcell_request_duration_seconds_sum", **labels)
    assert grown("get", "taskcell_worker_restarts_total", cause="signal") == 8
    assert grown("total", "taskcell_worker_restarts_total") == 8
    # nothing ever goes back
    counters = {n for (n, _) in before.all if n.endswith(("_total", "_count", "_sum", "_bucket"))}
    for (name, labels), value in before.all.items():
        assert name not in counters or after.all[name, labels] >= value, (name, labels)
    assert after.get("taskcell_start_time_seconds") == before.get("taskcell_start_time_seconds")
    # whoever answers is running
    states = {(dict(k)["pool"], dict(k)["state"]): v for (n, k), v in after.all.items()
              if n == "taskcell_workers"}
    assert sum(states.values()) == 4 and states["api", "running"] == 1
    assert states["auth", "idle"] == 1
    assert after.total("taskcell_workers_proportional_bytes") <= \
        after.total("taskcell_workers_resident_bytes") < 4 << 30
    tell({"created": made, "read": read, "refused": refused, "scrape bytes": len(scrape(s.http))})


def test_prometheus_takes_them(make, tmp_path):
    """promtool of Debian's package; the rules that go with them; one alert as it fires."""
    s = make(workers=2)
    user = client.register(s.http)
    user.create()
    client.refresh(s.http, user.refresh).expect(200)
    s.http.request("POST", "/api/auth/login", {"email": "x@example.org", "password": "x"})
    done = subprocess.run(["promtool", "check", "metrics"], input=scrape(s.http), text=True,
                          capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    rules, board = (SOURCE / "conf" / x for x in ("prometheus/taskcell.rules.yml",
                                                  "grafana/taskcell.json"))
    for query in (rules, board):
        text = query.read_text(encoding="utf-8").replace('\\"', '"')
        assert not list(without_series(text, numbers(scrape(s.http)))), query
    assert list(without_series('taskcell_logins_total{result=~"succes"}', numbers(scrape(s.http))))
    alerts = tmp_path / "alerts.yml"
    text = pathlib.Path(__file__).with_name("alerts.yml").read_text(encoding="utf-8")
    alerts.write_text(text.replace("RULES", str(rules)), encoding="utf-8")
    for command in (["check", "rules", rules], ["test", "rules", alerts]):
        done = subprocess.run(["promtool", *command], text=True, capture_output=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_who_may_read_them(make):
    s = make(metrics_allow="192.0.2.0/24")
    for source, forwarded, status in (
            ("192.0.2.9", None, 200), ("127.0.0.1", None, 404), ("192.0.2.9", "192.0.2.9", 404)):
        headers = {"X-Forwarded-For": forwarded} if forwarded else {}
        s.http.request("GET", "/api/metrics", source=source, headers=headers).expect(status)
    s.configure(metrics_allow="")
    reload(s)
    s.http.request("GET", "/api/metrics", source="192.0.2.9").expect(404)


def test_what_goes_on(make):
    """Right now, and what becomes of it when the worker is killed."""
    s = make(workers=3, request_timeout=4, statement_timeout=3900)
    user = client.register(s.http)
    with s.expecting_errors("worker_stuck"), row_lock(s, user), s.connect() as held, \
            s.connect() as silent:
        mark = s.log_size()
        held.send(message("POST", "/api/me/tasks", b'{"title":"held"}', user.access))
        wait_blocked(s)
        silent.send(message()[:40])
        wait_for("a reading worker", lambda: Counted(s.http).get(
            "taskcell_workers", pool="api", state="reading") == 1)
        assert Counted(s.http).get("taskcell_workers", pool="api", state="running") == 2
        s.wait_event("worker_stuck", mark)
        s.wait_event("worker_started", mark)
    wait_for("all others are idle", lambda: Counted(s.http).get(
        "taskcell_workers", pool="api", state="idle") == 2)
    assert Counted(s.http).get("taskcell_worker_restarts_total", cause="stuck") == 1


def test_a_worker_that_cannot_start_is_missed(make):
    """Its pool has a place for it while the master waits, and only so long."""
    s = make(workers=2, auth_workers=1)

    def auth():
        counted = Counted(s.http)
        return {state: counted.get("taskcell_workers", pool="auth", state=state)
                for state in ("starting", "idle", "reading", "running")}

    gate = s.run_dir / "hashing.lock"
    gate.chmod(0)
    try:
        with s.expecting_errors("hashing.lock"):
            os.kill(s.pool("auth")[0], signal.SIGKILL)
            wait_for("a long wait", lambda: [e for e in s.events("worker_ended")
                                             if int(e.get("restart_ms", 0)) >= 1600])
            assert auth() == {"starting": 1, "idle": 0, "reading": 0, "running": 0}
    finally:
        gate.chmod(0o600)
    reload(s)  # the generation that waits for it goes
    assert auth() == {"starting": 0, "idle": 1, "reading": 0, "running": 0}


def test_alone_it_speaks_for_itself(new_server):
    s = new_server()
    with Alone(s) as one:
        user = client.register(one.http)
        user.create()
        counted = Counted(one.http)
        assert counted.requests(CREATE, "2xx") == 1
        assert counted.get("taskcell_workers", pool="api", state="running") == 1
        (labels,) = [dict(k) for n, k in counted.all if n == "taskcell_info"]
        assert labels["scope"] == "process"
    with Alone(s) as two:
        assert Counted(two.http).requests(CREATE, "2xx") == 0


def test_slow_requests_and_their_queries(make):
    """The log says where the time went, and PostgreSQL whose query it is."""
    s = make(slow_request=200, trace_queries="on")
    user = client.register(s.http)
    mark = s.log_size()
    with row_lock(s, user), s.connect() as c:
        c.send(message("POST", "/api/me/tasks", b'{"title":"held"}', user.access,
                       REQUEST_ID="look-for-me"))
        wait_blocked(s)
        assert s.sql.value("select application_name from pg_stat_activity where wait_event_type"
                           " = 'Lock' and usename = 'taskcell'") == "look-for-me"
        wait_for("200 ms in the transaction", lambda: s.sql.value(
            "select clock_timestamp() - xact_start > interval '300 ms' from pg_stat_activity"
            " where application_name = 'look-for-me'") == "t")
    (slow,) = s.wait_event("slow", mark)
    assert slow["route"] == "/api/{user_id}/tasks" and slow["request_id"] == "look-for-me"
    assert slow["statement"].startswith("session_enter+user_lock+task_create")
    assert slow["round_trips"] == "1" and slow["level"] == "warning"
    assert 200_000 < int(slow["statement_us"]) == int(slow["database_us"]) <= int(slow["us"])
    assert int(slow["token_us"]) < int(slow["us"]) - int(slow["database_us"]) + 1
    # it was for that transaction alone
    assert s.sql.value("select count(*) from pg_stat_activity where application_name ="
                       " 'look-for-me'") == "0"
    # transactions of several calls, and ones that fail, are traced likewise
    user.call("POST", "tasks/batch", {"atomic": True, "operations": [
        {"op": "create", "data": {"title": "a"}}, {"op": "create", "data": {"title": "b"}}]},
        ).expect(200)
    user.call("GET", "tasks?format=csv").expect(200)
    s.http.request("GET", "/api/me/tasks", token=user.access).expect(200)
    s.http.request("POST", "/api/auth/logout", token=user.access).expect(200)
    s.http.request("GET", "/api/me/tasks", token=user.access).expect(401, "session_ended")
    # on a busy machine others may have been slow, too
    assert Counted(s.http).get("taskcell_slow_requests_total") == len(s.events("slow"))
