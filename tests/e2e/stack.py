"""Starts and stops the real programs: PostgreSQL, taskcell and a web server, on the loopback."""

import contextlib
import ctypes
import fcntl
import os
import pathlib
import re
import shlex
import signal
import socket
import subprocess
import time

import client
from frontends import CHOSEN, FRONTENDS
from pooler import Pooler

SOURCE = pathlib.Path(__file__).resolve().parents[2]
SECRET = "e2e-0123456789abcdefghijklmnopqrstuvwxyz-KEY"
SANITIZER = re.compile(
    r"^==\d+== |AddressSanitizer|LeakSanitizer|UndefinedBehaviorSanitizer|runtime error:|"
    r"ERROR: \w+San"
)
WRAPPER = shlex.split(os.environ.get("E2E_WRAPPER", ""))  # such as valgrind
LIBC = ctypes.CDLL(None)
PR_SET_PDEATHSIG = 1


def die_with_parent():
    """Run in a child: nothing may survive a test run that was killed."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def wait_for(what, condition, seconds=20, pause=0.02):
    """Polls until `condition` is true; its value is returned."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds} s in vain: {what}")
        time.sleep(pause)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def socket_of(path):
    s = socket.socket(socket.AF_UNIX)
    s.connect(str(path))
    return s


def children_of(pid):
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as f:
            return [int(p) for p in f.read().split()]
    except FileNotFoundError:
        return []


def members_of_session(sid):
    """Processes whose session leader is (or was) `sid`, zombies left out."""
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/stat", encoding="utf-8", errors="replace") as f:
                fields = f.read().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[3]) == sid and fields[0] != "Z":
            found.append(int(entry))
    return found


def program_of(pid):
    try:
        return os.readlink(f"/proc/{pid}/exe")
    except OSError:
        return None


class Postgres:
    """A private cluster, as long as the child that tests/with-postgres runs."""

    def __init__(self, directory):
        self.log = directory / "with-postgres.log"
        env_file = directory / "env"
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [
                    str(SOURCE / "tests/with-postgres"), "sh", "-c",
                    'env -0 >"$0.tmp" && mv "$0.tmp" "$0" && exec cat >/dev/null', str(env_file),
                ],
                stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True,
            )
        wait_for(
            "a PostgreSQL cluster",
            lambda: env_file.exists() or self.process.poll() is not None, 60,
        )
        if not env_file.exists():
            raise RuntimeError(f"tests/with-postgres failed:\n{self.log.read_text()}")
        env = dict(e.split("=", 1) for e in env_file.read_text().split("\0") if "=" in e)
        self.url = env["DATABASE_URL"]
        self.admin_url = env["DATABASE_ADMIN_URL"]
        self.data = env["TEST_PGDATA"]
        self.bin = env["TEST_PGBIN"]
        self.admin = Database(self, self.admin_url)
        self.pooler = None
        if os.environ.get("TASKCELL_POOLER") == "pgbouncer":
            self.pooler = Pooler(directory / "pooler", self.url)

    def stop(self):
        if self.pooler:
            self.pooler.stop()
        self.process.stdin.close()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGTERM)
            self.process.wait(10)

    def ctl(self, *args):
        subprocess.run(
            [f"{self.bin}/pg_ctl", "-D", self.data, "-s", "-w", *args],
            check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, timeout=60,
        )

    def halt(self):
        """As an outage: nobody is warned."""
        self.ctl("stop", "-m", "immediate")

    def resume(self):
        self.ctl("start", "-l", f"{self.data}/../log")


class Database:
    """SQL by psql, so that no Python driver is needed."""

    def __init__(self, postgres, url):
        self.command = [
            f"{postgres.bin}/psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-F", "\x1f", "-d", url
        ]

    def run(self, sql):
        """The rows, each a list of texts. `sql` is one string of statements."""
        done = subprocess.run(
            self.command, input=sql, capture_output=True, text=True, check=False, timeout=60
        )
        if done.returncode:
            raise AssertionError(f"psql: {done.stderr}\n{sql}")
        return [line.split("\x1f") for line in done.stdout.splitlines()]

    def value(self, sql):
        rows = self.run(sql)
        assert len(rows) == 1 and len(rows[0]) == 1, rows
        return rows[0][0]

    def holding(self, sql):
        return Holding(self.command, sql)


class Holding:
    """A transaction that stays open, with the locks that its statement took."""

    def __init__(self, command, sql):
        self.command = command
        self.sql = sql

    def __enter__(self):
        self.psql = subprocess.Popen(
            self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            preexec_fn=die_with_parent,
        )
        self.psql.stdin.write(f"begin;\n{self.sql};\n\\echo held\n")
        self.psql.stdin.flush()
        for line in self.psql.stdout:
            if line.strip() == "held":
                return self
        raise AssertionError("psql ended before it held its lock")

    def release(self):
        if self.psql.poll() is None:
            self.psql.communicate("rollback;\n\\q\n", timeout=20)

    def __exit__(self, *exc):
        self.release()


class Stack:
    """One taskcell and, unless told otherwise, one web server in front of it: the one that the
    variable TASKCELL_SERVER names, or nginx."""

    def __init__(self, postgres, directory, build, with_nginx=True, nginx=None, apache=None,
                 lighttpd=None, server=CHOSEN, **settings):
        self.postgres = postgres
        self.build = build
        self.dir = directory
        self.dir.mkdir()
        self.run_dir = directory / "run"
        self.run_dir.mkdir()
        self.spool_dir = directory / "spool"
        self.spool_dir.mkdir()
        self.log = directory / "taskcell.log"
        self.server = server
        self.front = FRONTENDS[server](directory)
        self.sql = postgres.admin
        self.secret = settings.get("jwt_secret", SECRET)
        self.settings = {
            "listen": f"{self.run_dir}/taskcell.sock",
            "listen_auth": f"{self.run_dir}/auth.sock",
            "run_dir": str(self.run_dir),
            "spool_dir": str(self.spool_dir),
            "database": postgres.url,
            "jwt_secret": SECRET,
            "workers": 4,
            "auth_workers": 2,
            "scrypt_cost": 10,
            "throttle": "off",
            "prepared_statements": "off" if postgres.pooler else None,
            **settings,
        }
        assert len(self.settings["listen"]) <= 107, "the path of the socket is too long"
        self.expected = []  # (from, to, pattern): errors in the log that a test asked for
        self.taskcell = None
        self.nginx = None
        self.port = None
        self.with_nginx = with_nginx
        # text of the shipped files and what stands there instead, by the kind of server
        self.nginx_changes = {"nginx": nginx, "apache": apache, "lighttpd": lighttpd}[
            self.front.kind] or {}
        self.spawned = with_nginx and self.front.spawns  # there is no master

    # --- starting and stopping

    def environment(self, **changes):
        env = {k: v for k, v in os.environ.items() if not k.startswith(("TASKCELL_", "PG"))}
        for key, value in {**self.settings, **changes}.items():
            if value is not None:  # the program's default
                env["TASKCELL_" + key.upper()] = str(value)
        return env

    def by_pooler(self):
        """What a pooler changes for taskcell alone: all others go to the server itself."""
        pooler = self.postgres.pooler
        return {"database": pooler.through(self.settings["database"])} if pooler else {}

    def program(self, name, *args, **changes):
        return subprocess.run(
            [str(self.build / name), *args], env=self.environment(**changes),
            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=60,
        )

    def ctl(self, *args, **changes):
        """What taskcellctl prints, having done what it was told."""
        done = self.program("taskcellctl", *map(str, args), **changes)
        assert done.returncode == 0, f"taskcellctl {args}: {done.stdout}{done.stderr}"
        return done.stdout

    def migrate(self):
        done = self.program("taskcellctl", "migrate")
        assert done.returncode == 0, f"taskcellctl migrate: {done.stdout}{done.stderr}"

    def start(self, ready=True):
        if not self.spawned:
            self.start_taskcell()
        if self.with_nginx:
            self.start_nginx()
        if self.with_nginx and ready:
            wait_for("GET /api/ready", self.is_ready, 30)
        return self

    def start_taskcell(self):
        with open(self.log, "ab") as log:
            self.taskcell = subprocess.Popen(
                [*WRAPPER, str(self.build / "taskcell")],
                env=self.environment(**self.by_pooler()),
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                preexec_fn=die_with_parent,
            )

    def start_nginx(self):
        if self.spawned:
            self.write_conf()
        for _ in range(5):  # somebody else may take the port first
            self.port = free_port()
            self.render()
            with open(self.front.log, "ab") as log:
                self.nginx = subprocess.Popen(
                    self.front.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                    start_new_session=True, preexec_fn=die_with_parent,
                )
            if wait_for(self.server, lambda: self.nginx.poll() is not None or self.listens(), 20):
                if self.nginx.poll() is None:
                    self.http = client.Http(self.port)
                    return
        raise RuntimeError(f"{self.server} does not start:\n{self.front.log.read_text()}")

    def write_conf(self):
        """For processes that do not have our environment."""
        settings = {"log_file": self.log, **self.settings, **self.by_pooler()}
        (self.dir / "taskcell.conf").write_text(
            "".join(f"{k} = {v}\n" for k, v in settings.items() if v is not None))

    def render(self):
        self.front.render(self.port, {
            "/run/taskcell/": f"{self.run_dir}/", "/etc/taskcell/": f"{self.dir}/",
            "/usr/sbin/taskcell": self.build / "taskcell",
            "/usr/share/taskcell/web": SOURCE / "web",
        }, self.nginx_changes)

    def listens(self):
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
            return True
        except OSError:
            return False

    @staticmethod
    def answers(path):
        try:
            socket_of(path).close()
            return True
        except OSError:
            return False

    def is_ready(self):
        if self.taskcell and self.taskcell.poll() is not None:
            raise RuntimeError(f"taskcell ended:\n{self.log_text()[-4000:]}")
        return self.http.request("GET", "/api/ready", check=False).status == 200

    def terminate(self):
        self.taskcell.send_signal(signal.SIGTERM)

    def stop(self):
        """The web server, then taskcell; what was not in order is returned as a list of
        sentences."""
        wrong = []
        if self.nginx and self.nginx.poll() is None:
            self.nginx.send_signal(signal.SIGTERM)
            self.nginx.wait(20)
        if self.taskcell:
            if self.taskcell.poll() is None:
                self.terminate()
            try:
                status = self.taskcell.wait(40)
                if status != 0:
                    wrong.append(f"taskcell ended with {status}")
            except subprocess.TimeoutExpired:
                wrong.append("taskcell does not end on TERM")
                os.killpg(self.taskcell.pid, signal.SIGKILL)
                self.taskcell.wait(10)
            left = members_of_session(self.taskcell.pid)
            if left:
                wrong.append(f"taskcell left processes {left}")
                os.killpg(self.taskcell.pid, signal.SIGKILL)
        return wrong + self.unexpected_log()

    def workers(self):
        if not self.spawned:
            return children_of(self.taskcell.pid)
        program = str(self.build / "taskcell")
        return [pid for pid in members_of_session(self.nginx.pid) if program_of(pid) == program]

    @contextlib.contextmanager
    def gate_held(self):
        """All places at the hashing gate are taken, by another process of this host."""
        with open(self.run_dir / "hashing.lock", "r+b") as f:
            fcntl.lockf(f, fcntl.LOCK_EX)
            yield

    # --- the log

    def log_text(self, start=0):
        if not self.log.exists():
            return ""
        with open(self.log, "rb") as f:
            f.seek(start)
            return f.read().decode("utf-8", "replace")

    def log_size(self):
        return self.log.stat().st_size if self.log.exists() else 0

    def expecting_errors(self, pattern):
        return Expecting(self, pattern)

    def unexpected_log(self):
        """Lines that no test asked for: errors, and reports of the sanitizers."""
        wrong, at = [], 0
        for line in self.log_text().splitlines(keepends=True):
            if SANITIZER.search(line):
                wrong.append(f"sanitizer: {line.strip()}")
            elif re.search(r"\blevel=error\b", line):
                if not any(a <= at < b and re.search(p, line) for a, b, p in self.expected):
                    wrong.append(f"error in the log: {line.strip()}")
            at += len(line.encode("utf-8", "replace"))
        return wrong

    def lines_of(self, answer):
        """The log lines of the request that was answered with `answer`."""
        needle = answer.request_id
        return [line for line in self.log_text().splitlines() if needle in line]


class Expecting:
    """Errors that match, logged inside this block, are no defect."""

    def __init__(self, stack, pattern):
        self.stack = stack
        self.pattern = pattern

    def __enter__(self):
        self.start = self.stack.log_size()
        return self

    def __exit__(self, *exc):
        self.stack.expected.append((self.start, self.stack.log_size(), self.pattern))
