"""Everything at once, for a while: readers and writers, clients that hang up half-way, storms of
logins, a worker killed each second, HUP, and PostgreSQL restarted. In the end nothing may be lost:
no acknowledged write, no descriptor, no connection, no memory."""

import collections
import json
import random
import re
import signal
import socket
import threading
import time

import client
import machine
import rig
from stack import wait_for

WRITERS, READERS = 3, 2
LOGINS_AT_ONCE = 20
NAME = "storm"  # of the server's connections
# What a client may hear while something breaks; 500 is never right.
BREAKDOWN = {"502", "503", "504", "lost", "cut"}


def database(postgres):
    """With a name by which they are told from those of other servers."""
    return f"{postgres.url}&application_name={NAME}"


class Storm:
    """`kill` and the others: seconds between two of them. The server has nginx in front, and its
    connections are those of database()."""

    def __init__(self, server, seconds, kill=1, hup=20, restart=60, logins=15, refresh=10,
                 sample=None):
        self.server, self.seconds = server, seconds
        self.every = {self.kill: kill, self.hup: hup, self.restart: restart, self.logins: logins,
                      self.refresh: refresh,
                      self.sample: sample or max(2, seconds / 15)}
        self.answers = collections.Counter()  # (kind, status)
        self.done = collections.Counter()     # kills and the like
        self.lock = threading.Lock()
        self.over = threading.Event()
        self.defects = []
        self.lines = []
        self.made = {}                        # id -> title, of acknowledged writes
        self.users = [client.register(server.http) for _ in range(WRITERS)]

    # --- clients

    def count(self, kind, status):
        with self.lock:
            self.answers[kind, str(status)] += 1

    def ask(self, kind, user, method, path, body=None, **kw):
        try:
            a = user.call(method, path, body, check=False, **kw)
            a.json if a.body and a.status < 500 else None  # is whole  pylint: disable=W0106
        except (OSError, ValueError) as e:
            self.count(kind, "lost" if isinstance(e, OSError) else "cut")
            return None
        except Exception:  # of http.client, pylint: disable=broad-except
            self.count(kind, "cut")
            return None
        self.count(kind, a.status)
        return a

    def writer(self, i):
        user, number = self.users[i], 0
        while not self.over.is_set():
            number += 1
            title = f"writer {i} number {number}"
            a = self.ask("create", user, "POST", "tasks", {"title": title})
            if not a or a.status != 201:
                continue
            task = a.json["id"]
            self.made[task] = title
            title += " changed"
            a = self.ask("patch", user, "PATCH", f"tasks/{task}", {"title": title})
            if a and a.status == 200:
                self.made[task] = title
            else:
                self.made[task] = None  # either of the two

    def reader(self, i):
        while not self.over.is_set():
            user = random.choice(self.users)
            a = self.ask("list", user, "GET", "tasks?limit=20")
            if a and a.status == 200 and any(t["user_id"] != user.id for t in a.json):
                self.defects.append("a foreign task")

    def quitter(self, _):
        """Hangs up before the request is whole, or before the answer is read."""
        number = 0
        while not self.over.is_set():
            number += 1
            user = self.users[number % WRITERS]
            body = json.dumps({"title": f"hung up {number}"}).encode()
            head = client.Http.head("POST", "/api/me/tasks", [
                ("Authorization", f"Bearer {user.access}"), ("Content-Type", "application/json"),
                ("Content-Length", str(len(body)))])
            data = head + body
            try:
                with socket.create_connection(("127.0.0.1", self.server.port), 10) as s:
                    s.sendall(data[:random.randrange(1, len(data) + 1)])
                self.count("hung up", "-")
            except OSError:
                self.count("hung up", "lost")
            self.over.wait(0.02)

    # --- what breaks

    def kill(self):
        workers = self.server.workers()
        if workers:
            try:
                rig.os.kill(random.choice(workers), signal.SIGKILL)
            except ProcessLookupError:
                return
            self.done["workers killed"] += 1

    def hup(self):
        self.server.signal(signal.SIGHUP)
        self.done["HUP"] += 1

    def restart(self):
        self.server.postgres.ctl("restart", "-m", "fast", "-l",
                                 f"{self.server.postgres.data}/../log")
        self.done["PostgreSQL restarted"] += 1

    def logins(self):
        def one(i):
            try:
                a = client.login(self.server.http, self.users[i % WRITERS].email, check=False)
                self.count("login", a.status)
            except Exception as e:  # pylint: disable=broad-except
                self.count("login", "lost" if isinstance(e, OSError) else "cut")

        client.at_once(LOGINS_AT_ONCE, one)
        self.done["storms of logins"] += 1

    def refresh(self):
        """As clients do before their access token is over. An answer that was lost is had by asking
        once more with the same token, within refresh_grace."""
        for user in self.users:
            a = self.ask("refresh", user, "POST", "/api/auth/refresh",
                         {"refresh_token": user.refresh}, token=None)
            if a and a.status == 200:
                user.access, user.refresh = a.json["access_token"], a.json["refresh_token"]

    # --- flat lines

    def sample(self):
        s = self.server
        workers = s.workers()
        fds = []
        for pid in workers:
            try:
                fds.append(rig.descriptors(pid))
            except OSError:
                pass  # killed just now
        try:
            backends = s.sql.value("select count(*) from pg_stat_activity"
                                   f" where application_name = '{NAME}'")
        except AssertionError:
            backends = "-"  # being restarted
        with self.lock:
            total = sum(self.answers.values())
        self.lines.append(
            f"{time.monotonic() - self.begun:7.0f}{total:10}{len(workers):9}"
            f"{rig.descriptors(s.taskcell.pid):8}{max(fds, default=0):8}"
            f"{machine.memory_kib(s.taskcell.pid, 'Rss'):10}"
            f"{sum(machine.memory_kib(p) for p in workers):10}{backends:>9}")

    def state(self):
        """When all is calm: (descriptors of the master, of the workers, connections), kibibytes."""
        s = self.server

        def ask():
            # in both pools, who came while PostgreSQL was away connects when asked
            client.at_once(s.size, lambda _: s.http.request("GET", "/api/ready", check=False))
            client.at_once(s.size, lambda i: client.login(
                s.http, self.users[i % WRITERS].email, check=False))

        ask()
        # where it listens and the database's; a request's may be open a moment longer
        wait_for("all workers", lambda: [rig.sockets(p) for p in s.workers()] == [2] * s.size
                 or ask(), 60)
        backends = wait_for("connections to go", lambda: (n := s.sql.value(
            f"select count(*) from pg_stat_activity where application_name = '{NAME}'"))
            == str(s.size) and n, 30)
        workers = s.workers()
        counts = (rig.descriptors(s.taskcell.pid), [rig.descriptors(p) for p in workers],
                  int(backends))
        return counts, machine.memory_kib(s.taskcell.pid, "Rss")

    # --- the run

    def _each(self, action, seconds):
        while not self.over.wait(seconds):
            try:
                action()
            except Exception as e:  # pylint: disable=broad-except
                self.defects.append(f"{action.__name__}: {e!r}")
                return

    def run(self):
        before = self.state()
        self.begun = time.monotonic()
        threads = [threading.Thread(target=self._each, args=x) for x in self.every.items()]
        threads += [threading.Thread(target=self.writer, args=(i,)) for i in range(WRITERS)]
        threads += [threading.Thread(target=self.reader, args=(i,)) for i in range(READERS)]
        threads.append(threading.Thread(target=self.quitter, args=(0,)))
        for t in threads:
            t.start()
        self.over.wait(self.seconds)
        self.over.set()
        for t in threads:
            t.join(90)
        self.sample()
        # A reload may still be going on, and slots wait longer the more often their worker died.
        after = self.state()
        return self.defects + self.judge(before, after)

    def judge(self, before, after):
        wrong = []
        if before[0] != after[0]:
            wrong.append(f"master's and workers' descriptors and connections: "
                         f"{before[0]} before, {after[0]} after")
        if after[1] > before[1] * 1.25 + 1024:
            wrong.append(f"the master has grown from {before[1]} to {after[1]} KiB")
        ids = ",".join(f"'{u.id}'" for u in self.users)
        rows = dict(self.server.sql.run(
            f"select id, title from taskcell.tasks where user_id in ({ids})"))
        lost = [i for i, t in self.made.items()
                if i not in rows or (t and rows[i] != t)]
        if lost:
            wrong.append(f"{len(lost)} acknowledged writes are missing, such as {lost[:3]}")
        titles = collections.Counter(re.sub(" changed$", "", t) for t in rows.values()
                                     if t.startswith("writer"))
        twice = [t for t, n in titles.items() if n > 1]
        if twice:
            wrong.append(f"carried out twice: {twice[:3]}")
        bad = {k: n for k, n in self.answers.items()
               if k[1] not in BREAKDOWN | {"200", "201", "-"}}
        if bad:
            wrong.append(f"wrong answers: {bad}")
        return wrong

    def report(self):
        out = [", ".join(f"{n} {what}" for what, n in sorted(self.done.items())),
               f"{len(self.made):,} acknowledged new tasks", "",
               f"{'':10}{'answered':>10}" + "".join(f"{s:>8}" for s in sorted(BREAKDOWN)) +
               f"{'failed %':>10}"]
        for kind in sorted({k for k, _ in self.answers}):
            good = sum(n for (k, s), n in self.answers.items()
                       if k == kind and s not in BREAKDOWN)
            bad = [self.answers[kind, s] for s in sorted(BREAKDOWN)]
            share = 100 * sum(bad) / max(1, good + sum(bad))
            out.append(f"{kind:10}{good:10}" + "".join(f"{n:8}" for n in bad) + f"{share:10.2f}")
        out += ["", f"{'seconds':>7}{'requests':>10}{'workers':>9}{'master':>8}{'worker':>8}"
                    f"{'master':>10}{'workers':>10}{'connec-':>9}",
                f"{'':7}{'':10}{'':9}{'fds':>8}{'fds':>8}{'KiB':>10}{'KiB':>10}{'tions':>9}"]
        return "\n".join(out + self.lines)
