"""taskcell, the floor and the peers, running side by side on one PostgreSQL."""

import http.client
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import threading
import time

import client
import stack as stacks
from machine import HERE

WORKERS = 8
KEPT_WORKERS = 32  # of the floor: as many as there can be connections, since it holds each
ACCESS_S = 86400
PASSWORD = "correct horse battery staple"

# Half of the tasks have a due date, a third are done.
TASK_ROWS = """
    insert into taskcell.tasks (user_id, id, title, description, completed, completed_at, priority,
                                due_date, due_at, tags, version, created_at, updated_at)
    select u.id, gen_random_uuid(), 'Task number ' || g || ' of many',
           'Of the usual length, and with what is said of it: ' || (g * 7919) %% 5000,
           g %% 3 = 0, case when g %% 3 = 0 then now() end, g %% 4,
           case when g %% 2 = 0 then '2027-01-01' end,
           case when g %% 2 = 0 then '2027-01-01Z'::timestamptz else 'infinity' end,
           array['home', 'tag' || g %% 20], g, now() - g * interval '1 hour', now()
      from taskcell.users u cross join generate_series(1, %d) g
     where %s"""

# The shipped files once more, with connections that are kept, and the floor in both shapes.
SERVERS = """
	upstream kept {
		server unix:%(run)s/taskcell.sock;
		keepalive 16;
	}
	upstream floor_kept {
		server unix:%(run)s/floor-kept.sock;
		keepalive 16;
	}
	server {
		listen 127.0.0.1:%(kept)d;
		include nginx-kept.conf;
	}
	server {
		listen 127.0.0.1:%(floor)d;
		location / {
			fastcgi_pass unix:%(run)s/floor.sock;
			fastcgi_param REQUEST_METHOD $request_method;
			fastcgi_param REQUEST_URI $request_uri;
		}
	}
	server {
		listen 127.0.0.1:%(floor_kept)d;
		location / {
			fastcgi_pass floor_kept;
			fastcgi_keep_conn on;
			fastcgi_param REQUEST_METHOD $request_method;
			fastcgi_param REQUEST_URI $request_uri;
		}
	}
}
"""


def statement(name):
    for path in sorted((stacks.SOURCE / "db/queries").glob("*.sql")):
        m = re.search(rf"^-- name: {name}\n(.*?)(?=^-- name:|\Z)",
                      path.read_text(encoding="utf-8"), re.S | re.M)
        if m:
            return re.sub(r"^--.*\n", "", m[1], flags=re.M).strip().rstrip(";")
    raise KeyError(name)


def listening(path):
    """A socket for descriptor 0 of a program."""
    s = socket.socket(socket.AF_UNIX)
    s.bind(str(path))
    s.listen(1024)
    return s


def spawn(command, log, **kw):
    with open(log, "ab") as f:
        return subprocess.Popen(command, stdout=f, stderr=f, start_new_session=True,
                                preexec_fn=stacks.die_with_parent,
                                **{"stdin": subprocess.DEVNULL, **kw})


def end(process):
    if process and process.poll() is None:
        os.killpg(process.pid, 15)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)
            process.wait()


class Stack(stacks.Stack):
    """The stack of the tests, with the other servers in its nginx."""

    def render(self):
        super().render()
        self.ports = {name: stacks.free_port() for name in ("kept", "floor", "floor_kept")}
        conf = self.dir / "nginx.conf"
        text = conf.read_text(encoding="utf-8").rstrip()
        assert text.endswith("}")
        text = text.replace("worker_connections 1024;", "worker_connections 8192;")
        text = text.replace("daemon off;", "daemon off;\nworker_rlimit_nofile 16384;")
        conf.write_text(text[:-1] + SERVERS % {"run": self.run_dir, **self.ports},
                        encoding="utf-8")
        site = (self.dir / "nginx-site.conf").read_text(encoding="utf-8")
        plain = f"fastcgi_pass unix:{self.settings['listen']};"
        assert plain in site
        (self.dir / "nginx-kept.conf").write_text(
            site.replace(plain, "fastcgi_pass kept; fastcgi_keep_conn on;"), encoding="utf-8")


class Contestant:
    def __init__(self, world, name, port, workers, web):
        self.world, self.name, self.port = world, name, port
        self.workers, self.web = workers, web
        self.start_s = None

    def groups(self):
        web = {"web": self.world.web} if self.web else {}
        return {"worker": self.workers, "postgres": self.world.backends, **web}

    def data(self, kind, connections):
        """The people for load.lua. A refresh token is good once, so each run has its own."""
        return self.world.people_file(self, connections if kind == "refresh" else None)


class Person:
    def __init__(self, answer):
        self.id = answer["user"]["id"]
        self.access = answer["access_token"]
        self.sid = client.claims_of(self.access)["sid"]
        self.refresh = answer["refresh_token"]
        self.tasks = []


class World:
    """The database with its people, and all contestants."""

    def __init__(self, directory, build, users, peers=True):
        self.dir, self.build, self.users = directory, build, users
        self.processes, self.contestants, self.wrong = [], {}, []
        self.postgres = stacks.Postgres(directory)
        self.stack = None
        try:
            self.begin(peers)
        except BaseException:
            self.stop()
            raise

    def begin(self, peers):
        self.postgres.admin.run("alter system set max_connections = 500")
        self.postgres.ctl("restart", "-m", "fast", "-l", f"{self.postgres.data}/../log")
        self.stack = Stack(self.postgres, self.dir / "stack", self.build, workers=WORKERS,
                           auth_workers=2, access_token_lifetime=ACCESS_S)
        self.stack.migrate()
        self.stack.start()
        self.postgres.admin.run("""
            create role peer login bypassrls;
            grant usage on schema taskcell to peer;
            grant select, insert, update on all tables in schema taskcell to peer""")
        self.peer_url = self.postgres.url.replace("taskcell@", "peer@")
        self.people = [Person(a) for a in register(self.stack.port, self.users)]
        self.fill()
        with open(f"{self.postgres.data}/postmaster.pid", encoding="ascii") as f:
            self.postmaster = int(f.readline())
        s = self.stack
        self.add("taskcell", s.port, lambda: [s.taskcell.pid, *s.workers()], True)
        self.add("taskcell, kept", s.ports["kept"], self.contestants["taskcell"].workers, True)
        for name, kind, n in (("floor", "floor", WORKERS), ("floor, kept", "floor_kept",
                                                             KEPT_WORKERS)):
            sock = f"{s.run_dir}/{kind.replace('_', '-')}.sock"
            p = self.floor(sock, n, self.dir / f"{kind}.log")
            self.processes.append(p)
            self.add(name, s.ports[kind], lambda pid=p.pid: stacks.children_of(pid), True)
        if peers:
            self.start_peers()
        self.check_alike()

    def floor(self, path, workers, log, prefix=()):
        with listening(path) as s:
            return spawn([*prefix, str(self.build / "tests/bench/floor"), str(workers),
                          statement("task_list_newest"), statement("task_get")], log, stdin=s,
                         env={**os.environ, "DATABASE_URL": self.peer_url})

    def start_peers(self):
        cores = str(os.cpu_count())
        common = {k: v for k, v in os.environ.items() if not k.startswith(("TASKCELL_", "PG"))}
        common |= {"PEER_SECRET": stacks.SECRET, "PEER_POOL": str(WORKERS),
                   "PEER_PROCESSES": cores, "PYTHONDONTWRITEBYTECODE": "1"}
        port = stacks.free_port()
        self.peer("FastAPI", port,
                  ["/usr/bin/python3", "-m", "uvicorn", "--host", "127.0.0.1", "--port", str(port),
                   "--workers", cores, "--loop", "uvloop", "--no-access-log", "--backlog", "4096",
                   "--log-level", "warning", "fastapi_peer:app"],
                  HERE / "peers", {**common, "PEER_DATABASE": self.peer_url})
        port = stacks.free_port()
        package = node_package(self.build)
        self.peer("Fastify", port, ["node", "fastify_peer.mjs"], package,
                  {**common, "PEER_DATABASE": str(pathlib.Path(self.postgres.data).parent),
                   "PEER_PORT": str(port)})

    def peer(self, name, port, command, cwd, env):
        begun = time.perf_counter()
        p = spawn(command, self.dir / f"{name}.log", cwd=cwd, env=env)
        self.processes.append(p)
        self.add(name, port, lambda: stacks.members_of_session(p.pid), False)

        def answers():
            if p.poll() is not None:
                raise RuntimeError((self.dir / f"{name}.log").read_text())
            return self.ask(name, "list")[0] == 200

        stacks.wait_for(name, lambda: quiet(answers), 60, 0.001)
        self.contestants[name].start_s = time.perf_counter() - begun

    def add(self, name, *args):
        self.contestants[name] = Contestant(self, name, *args)

    def stop(self):
        for p in self.processes:
            end(p)
        if self.stack:
            self.wrong += self.stack.stop()
        self.postgres.stop()
        return self.wrong

    # --- processes

    def web(self):
        return stacks.children_of(self.stack.nginx.pid)

    def backends(self):
        return [self.postmaster, *stacks.children_of(self.postmaster)]

    # --- people

    def fill(self):
        self.postgres.admin.run(TASK_ROWS % (50, "true")
                                + "; update taskcell.users set revision = 50; analyze")
        by_id = {p.id: p for p in self.people}
        rows = self.postgres.admin.run("""
            select user_id, id from (select user_id, id, row_number() over
                (partition by user_id order by created_at desc) as n from taskcell.tasks) t
             where n <= 20""")
        for user, task in rows:
            by_id[user].tasks.append(task)

    def people_file(self, contestant, connections=None):
        """For a run of refresh half of the people, and what their tokens are at that moment."""
        people = self.people
        if connections:
            half = len(people) // 2
            people = people[:half] if connections < 100 else people[half:]
        if connections and contestant.name not in ("taskcell", "taskcell, kept"):
            refresh = self.peer_tokens(people)
        else:
            refresh = [p.refresh for p in people]
        path = self.dir / "people.lua"
        with open(path, "w", encoding="ascii") as f:
            f.write("return {\n")
            for p, r in zip(people, refresh):
                tasks = ",".join(f'"{t}"' for t in p.tasks)
                f.write(f'{{"{p.id}","{p.access}",{{{tasks}}},"{r}"}},\n')
            f.write("}\n")
        path.chmod(0o644)
        return path

    def peer_tokens(self, people):
        """Of new sessions, since a token that was used is none of taskcell's any more."""
        ids = ",".join(f"'{p.id}'" for p in people)
        rows = dict(self.postgres.admin.run(f"""
            insert into taskcell.sessions (user_id, id, epoch, key_id, idle_expires_at, expires_at,
                                           ip)
            select u.id, gen_random_uuid(), 0, 'peer', now() + '1 day', now() + '1 day', ''
              from taskcell.users u where u.id in ({ids}) returning user_id, id"""))
        now = int(time.time())
        return [client.sign({"alg": "HS256", "typ": "JWT"},
                            {"sub": p.id, "sid": rows[p.id], "n": 0, "iss": "taskcell",
                             "aud": "taskcell", "iat": now, "exp": now + ACCESS_S},
                            stacks.SECRET) for p in people]

    # --- requests

    def ask(self, name, kind, person=None, body=None, method="GET"):
        person = person or self.people[0]
        path = f"/api/{person.id}/tasks" + ("?limit=20" if kind == "list" else "")
        if kind == "get":
            path += "/" + person.tasks[0]
        c = http.client.HTTPConnection("127.0.0.1", self.contestants[name].port, timeout=20)
        try:
            c.request(method, path, body, {"Authorization": f"Bearer {person.access}",
                                           "Content-Type": "application/json"})
            r = c.getresponse()
            data = r.read()
            return r.status, json.loads(data) if data else None
        finally:
            c.close()

    def check_alike(self):
        """All answer with the same tasks."""
        for person in self.people[:5]:
            seen = {}
            for name in self.contestants:
                status, tasks = self.ask(name, "list", person)
                assert status == 200 and len(tasks) == 20, (name, status, tasks)
                seen[name] = [(t["id"], t["title"], t["due_date"] or None) for t in tasks]
                status, task = self.ask(name, "get", person)
                one = task[0] if isinstance(task, list) else task
                assert status == 200 and one["id"] == person.tasks[0], (name, status, task)
            assert len({json.dumps(s) for s in seen.values()}) == 1, seen
        for name in self.contestants:
            if not name.startswith("floor"):
                status, task = self.ask(name, "list", body='{"title":"x","due_date":"2027-03-01"}',
                                        method="POST")
                assert status == 201 and task["due_date"], (name, status, task)


def quiet(function):
    try:
        return function()
    except (OSError, http.client.HTTPException):
        return False


def register(port, n):
    """The answers to n registrations, four at a time."""
    found = [None] * n

    def some(first):
        c = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        for i in range(first, n, 4):
            body = json.dumps({"email": f"person{i}@example.org", "password": PASSWORD})
            c.request("POST", "/api/auth/register", body, {"Content-Type": "application/json"})
            r = c.getresponse()
            data = r.read()
            if r.status != 201:
                print(f"registration: {r.status} {data}", file=sys.stderr)
                return
            found[i] = json.loads(data)
        c.close()

    threads = [threading.Thread(target=some, args=(i,)) for i in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    if None in found:
        raise RuntimeError("registrations failed")
    return found


def node_package(build):
    """The folder in which node finds the packages, as package-lock.json pins them."""
    source, folder = HERE / "peers", build / "tests/bench/peers"
    folder.mkdir(parents=True, exist_ok=True)
    lock = (source / "package-lock.json").read_bytes()
    pinned = folder / "installed.json"
    for name in ("package.json", "package-lock.json", "fastify_peer.mjs"):
        shutil.copyfile(source / name, folder / name)
    if not pinned.exists() or pinned.read_bytes() != lock:
        done = subprocess.run(
            ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=folder,
            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=600)
        if done.returncode:
            raise RuntimeError(f"npm ci: {done.stdout}{done.stderr}")
        pinned.write_bytes(lock)
    return folder
