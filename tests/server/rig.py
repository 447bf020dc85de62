"""A taskcell that can be told new settings, looked at, and kept busy."""

import collections
import os
import re
import threading

import client
import wire
from stack import Stack, wait_for
from test_log import parse

# What a client may hear while something breaks, besides what it hopes for.
BREAKDOWN = {502, 503, 504}


class Server(Stack):
    """Its settings come from a file. Without nginx it is asked over FastCGI."""

    def __init__(self, postgres, directory, build, with_nginx=False, nginx=None, **settings):
        super().__init__(postgres, directory, build, with_nginx, nginx, **settings)
        self.conf = directory / "taskcell.conf"
        self.http = self.direct = wire.Direct(self.settings["listen"])
        if self.settings.get("log_file"):
            self.log = self.dir / self.settings["log_file"]
        self.configure()

    def configure(self, **changes):
        """A value None removes the key."""
        self.settings.update(changes)
        lines = [f"{k} = {v}\n" for k, v in self.settings.items() if v is not None]
        fresh = self.conf.with_suffix(".new")
        fresh.write_text("".join(lines), encoding="utf-8")
        fresh.rename(self.conf)

    def line_of(self, key):
        """The number of the line that gives the key."""
        for number, line in enumerate(self.conf.read_text(encoding="utf-8").splitlines(), 1):
            if line.startswith(f"{key} ="):
                return number
        raise KeyError(key)

    def environment(self, **changes):
        env = {k: v for k, v in os.environ.items() if not k.startswith(("TASKCELL_", "PG"))}
        env["TASKCELL_CONFIG"] = str(self.conf)
        return {**env, **{"TASKCELL_" + k.upper(): str(v) for k, v in changes.items()}}

    def start(self, ready=True):
        self.start_taskcell()
        if ready:
            self.wait_ready()
        if self.with_nginx:
            self.start_nginx()  # from now on self.http goes through it
        return self

    def wait_ready(self):
        """All workers have reached their loop, and the database answers."""
        wait_for("GET /api/ready", self.is_ready, 30)
        self.wait_settled()

    def wait_settled(self):
        """All workers are there, connected to the database and idle. nginx may keep connections."""
        wait_for("all workers", lambda: len(w := self.workers()) == self.size and
                 all((n := sockets(pid)) == 2 or n > 2 and self.nginx for pid in w), 30)

    @property
    def size(self):
        return int(self.settings["workers"]) + int(self.settings["auth_workers"])

    def is_ready(self):
        if self.taskcell.poll() is not None:
            raise RuntimeError(f"taskcell ended:\n{self.log_text()[-4000:]}")
        try:
            return self.direct.request("GET", "/api/ready").status == 200
        except (OSError, wire.Cut):
            return False

    def signal(self, signo):
        self.taskcell.send_signal(signo)

    def connect(self):
        return wire.Connection(self.settings["listen"])

    # --- the log

    def events(self, name, start=0):
        """Whole records of this event."""
        lines = self.log_text(start).splitlines(keepends=True)
        return [r for r in (parse(line.rstrip("\n")) for line in lines
                            if f" event={name} " in line and line.endswith("\n"))
                if r["event"] == name]

    def wait_event(self, name, start=0, count=1, seconds=20):
        return wait_for(f"{count} of event={name}",
                        lambda: (e := self.events(name, start)) and len(e) >= count and e, seconds)

    def pool(self, name, start=0):
        """The pids of a pool's living workers."""
        alive = set(self.workers())
        return [pid for e in self.events("worker_started", start)
                if e["pool"] == name and (pid := int(e["worker"])) in alive]


def sanitized(server):
    return b"__asan_init" in (server.build / "taskcell").read_bytes()


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def sockets(pid):
    """An idle worker has two: where it listens and the database's; kept connections are more."""
    found = 0
    try:
        for fd in os.listdir(f"/proc/{pid}/fd"):
            found += os.readlink(f"/proc/{pid}/fd/{fd}").startswith("socket:")
    except OSError:
        return 0  # one of them was closed meanwhile, or the process is about to end
    return found


def resident_kib(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return int(re.search(r"VmRSS:\s+(\d+) kB", f.read())[1])


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="utf-8") as f:
        fields = f.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Steady:
    """Nothing is lost in this block: the same workers with the same number of descriptors, no
    error in the log, and the next requests are answered."""

    def __init__(self, server):
        self.server = server

    def __enter__(self):
        self.server.wait_settled()
        self.pids = self.server.workers()
        self.descriptors = self.count()
        self.mark = self.server.log_size()
        return self

    def count(self):
        return {pid: descriptors(pid) for pid in self.pids}

    def __exit__(self, kind, *exc):
        if kind:
            return
        for _ in range(2 * len(self.pids)):
            self.server.direct.request("GET", "/api/ready").expect(200)
        assert self.server.workers() == self.pids, "a worker has ended"
        wait_for("flat descriptors", lambda: self.count() == self.descriptors, 5)
        errors = [x for x in self.server.log_text(self.mark).splitlines() if " level=error" in x]
        assert not errors, errors


class Traffic:
    """Asks from several threads without a pause, until the block ends. `ask(thread, number)`
    gives an Answer; a connection without an answer counts as "lost"."""

    def __init__(self, ask, threads=2):
        self.ask = ask
        self.answers = []
        self.lost = []
        self.defects = []
        self.over = threading.Event()
        self.threads = [threading.Thread(target=self._run, args=(i,)) for i in range(threads)]

    def _run(self, i):
        number = 0
        while not self.over.is_set():
            number += 1
            try:
                self.answers.append(self.ask(i, number))
            except (OSError, wire.Cut) as e:
                self.lost.append(repr(e))
            except Exception as e:  # pylint: disable=broad-except
                self.defects.append(e)
                return

    def __enter__(self):
        for t in self.threads:
            t.start()
        self.wait_more(1)
        return self

    def wait_more(self, n):
        """Until n more requests have been answered."""
        wanted = len(self.answers) + n
        wait_for("traffic", lambda: len(self.answers) >= wanted or self.defects, 30, 0.005)

    def __exit__(self, kind, *exc):
        self.over.set()
        for t in self.threads:
            t.join(60)
        if not kind and self.defects:
            raise self.defects[0]

    def counts(self):
        found = collections.Counter(a.status for a in self.answers)
        if self.lost:
            found["lost"] = len(self.lost)
        return dict(sorted(found.items(), key=str))

    def expect_no_failure(self):
        assert not self.lost, self.lost[:5]
        failed = [a for a in self.answers if a.status >= 400]
        assert not failed, (self.counts(), failed[:5])


class Person:
    """Reads and writes tasks, and remembers every write that was acknowledged. With `retry`, a read
    that met a breakdown is asked once more. Who breaks things holds `calm`, so that this second
    time does not meet the next breakdown."""

    def __init__(self, server, retry=False):
        self.server = server
        self.user = client.register(server.http)
        self.retry = retry
        self.calm = threading.Lock()
        self.made = set()

    def __call__(self, thread, number):
        if number % 2:
            a = self.user.call("POST", "tasks", {"title": f"{thread}-{number}"})
            if a.status == 201:
                self.made.add(a.json["id"])
            return a
        a = self.user.call("GET", "tasks?limit=1")
        if self.retry and a.status in BREAKDOWN:
            with self.calm:
                again = self.user.call("GET", "tasks?limit=1")
            assert again.status == 200, (a, again)
        return a

    def expect_all(self):
        """No acknowledged write is missing, none was carried out twice."""
        rows = self.server.sql.run(
            f"select id, title from taskcell.tasks where user_id = '{self.user.id}'")
        missing = self.made - {r[0] for r in rows}
        assert not missing, f"{len(missing)} acknowledged tasks are missing"
        titles = [r[1] for r in rows]
        assert len(titles) == len(set(titles)), "a write was carried out twice"
