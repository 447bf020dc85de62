"""Under systemd: sockets that it gives, what it is told, and the units. It does not run here: the
tests are the service manager."""

import contextlib
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import time

import pytest

import wire
from e2e_conftest import finish
from rig import Person, Traffic
from stack import SOURCE, die_with_parent, wait_for
from test_upgrade import CRASHES_LATER, install, movable, settled, successor, upgrade

UNITS = ("taskcell.service", "taskcell.socket", "taskcell-auth.socket")
EXPOSURE_MAX = 2.0


def launch(server, *command, sockets=(), names=None, **env):
    """Starts taskcell, by another program if one is named. The sockets become descriptors 3 and
    4."""
    names = ":".join(n for n, _ in sockets) if names is None else names
    inner = [*command, str(server.build / "taskcell")]
    if sockets:
        env["LISTEN_FDS"] = env.get("LISTEN_FDS", len(sockets))
        env["LISTEN_FDNAMES"] = names
        if "LISTEN_PID" not in env:
            inner = ["/bin/sh", "-c", 'LISTEN_PID=$$ exec "$@"', "sh", *inner]

    def give():
        die_with_parent()
        high = [os.dup(s.fileno()) for _, s in sockets for _ in range(20)][19::20]
        for i, fd in enumerate(high):
            os.dup2(fd, 3 + i)

    with open(server.log, "ab") as log:
        server.taskcell = subprocess.Popen(
            inner, env={**server.environment(), **{k: str(v) for k, v in env.items()}},
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            close_fds=not sockets, preexec_fn=give)
    return server


def listening(server, name):
    """As the unit makes it; the file stays when the socket is closed."""
    s = socket.socket(socket.AF_UNIX)
    path = server.settings[name]
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    s.bind(path)
    s.listen(64)
    return s


class Manager:
    """The socket that NOTIFY_SOCKET names. What comes must come from the first process alone."""

    def __init__(self, server, abstract=False):
        self.server = server
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self.name = f"@taskcell-{os.getpid()}-{id(self)}" if abstract else f"{server.dir}/notify"
        self.socket.bind(self.name.replace("@", "\0"))

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.socket.close()

    def next(self, seconds=20):
        """A message as a dictionary, or None."""
        self.socket.settimeout(seconds)
        try:
            text, extra, _, _ = self.socket.recvmsg(4096, socket.CMSG_SPACE(12))
        except (socket.timeout, BlockingIOError):
            return None
        ((_, _, credentials),) = extra
        assert struct.unpack("3i", credentials)[0] == self.server.taskcell.pid, text
        return dict(line.split("=", 1) for line in text.decode().splitlines())

    def wait(self, key, seconds=20):
        """The next message that is no heartbeat; it has this key."""
        until = time.monotonic() + seconds
        while (m := self.next(max(0, until - time.monotonic()))) == {"WATCHDOG": "1"}:
            pass
        assert m and key in m, (key, m)
        assert "MAINPID" not in m
        return m

    def drain(self):
        """What has come so far."""
        found = []
        while (m := self.next(0)) is not None:
            found.append(m)
        return found


@pytest.fixture
def make_under(new_server):
    """make_under(workers=1, …): a server of the test's own, not started."""
    made = []

    def one(**settings):
        made.append(new_server(**settings))
        return made[-1]

    yield one
    for s in made:
        finish(s)


# --- sockets ------------------------------------------------------------------------------------


def test_by_systemd_socket_activate(make_under):
    """It starts with the first connection, which is served; both pools serve theirs; nothing of its
    own is made or removed."""
    s = make_under(auth_workers=1)
    env = {k: v for k, v in s.environment().items() if k.startswith(("TASKCELL_", "ASAN", "LSAN"))}
    launch(s, "systemd-socket-activate", *(f"-E{k}={v}" for k, v in env.items()),
           "-l", s.settings["listen"], "-l", s.settings["listen_auth"], "--fdname=api:auth")
    paths = [s.settings["listen"], s.settings["listen_auth"]]
    wait_for("the sockets", lambda: all(map(s.answers, paths[1:])) and os.path.exists(paths[0]))
    for path in paths * 3:
        wire.Direct(path).request("GET", "/api/health").expect(200)
    s.wait_event("worker_started", count=3)
    for pool, path in zip(("api", "auth"), paths):
        answer = wire.Direct(path).request("GET", "/api/ready")
        (e,) = [e for e in s.events("request") if e["request_id"] == answer.request_id]
        assert int(e["pid"]) in s.pool(pool)
    s.terminate()
    assert s.taskcell.wait(10) == 0
    assert all(map(os.path.exists, paths))
    assert not list(s.run_dir.glob("*.sock.lock"))


def test_a_restart_loses_nothing(make_under, tell):
    """Whoever comes meanwhile waits in the queue of a socket that stays."""
    s = make_under(with_nginx=True, workers=2)
    with listening(s, "listen") as api:
        launch(s, sockets=[("api", api)])
        s.wait_ready()
        s.start_nginx()
        person = Person(s)
        with Traffic(person, 4) as traffic:
            for _ in range(3):
                s.terminate()
                assert s.taskcell.wait(10) == 0
                launch(s, sockets=[("api", api)])
                traffic.wait_more(20)
        tell(traffic.counts())
        traffic.expect_no_failure()
        person.expect_all()


def test_an_upgrade_of_given_sockets(make_under):
    """The successor gets the same ones, in whatever order they came."""
    s = movable(make_under(workers=1, auth_workers=1))
    with listening(s, "listen") as api, listening(s, "listen_auth") as auth:
        launch(s, sockets=[("auth", auth), ("api", api)])
        s.wait_ready()
        upgrade(s)
        upgrade(s)
        mark = s.log_size()
        for name, pool in (("listen", "api"), ("listen_auth", "auth")):
            a = wire.Direct(s.settings[name]).request("GET", "/api/health")
            (e,) = [e for e in s.events("request", mark) if e["request_id"] == a.request_id]
            (w,) = [w for w in s.events("worker_started") if w["worker"] == e["pid"]]
            assert w["pool"] == pool
        s.terminate()
        assert s.taskcell.wait(10) == 0
    assert os.path.exists(s.settings["listen"])


def test_on_the_loopback(make_under):
    s = make_under()
    with socket.create_server(("127.0.0.1", 0)) as tcp:
        launch(s, sockets=[("api", tcp)])
        with socket.create_connection(tcp.getsockname()) as c:
            c.sendall(wire.message("GET", "/api/health"))
            c.settimeout(20)
            assert b"Status: 200" in c.recv(4096)
        s.terminate()
        assert s.taskcell.wait(10) == 0


def wrong_sockets(server, case):
    """The names and sockets of a start that is refused, and what the log says."""
    unix, other = listening(server, "listen"), listening(server, "listen_auth")
    if case == "datagram":
        bad = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        return [("api", bad)], "is no listening stream socket"
    if case == "not listening":
        return [("api", socket.socket(socket.AF_UNIX))], "is no listening stream socket"
    if case == "a file":
        return [("api", open(server.conf, "rb"))], "is no listening stream socket"
    if case == "on all addresses":
        return [("api", socket.create_server(("0.0.0.0", 0)))], "nor on the loopback"
    if case == "on all addresses by IPv6":
        return [("api", socket.create_server(("::", 0), family=socket.AF_INET6))], \
            "nor on the loopback"
    if case == "twice":
        return [("api", unix), ("api", other)], "is there twice"
    if case == "unknown":
        return [("api", unix), ("web", other)], "the socket web that was given has to have the name"
    if case == "without a name":
        return [("", unix)], "FileDescriptorName"
    if case == "auth alone":
        return [("auth", unix)], "but not api"
    if case == "auth without workers":
        return [("api", unix), ("auth", other)], "auth_workers is 0"
    assert case == "more than names"
    return [("api", unix)], "is not all that there are"


@pytest.mark.parametrize("case", [
    "datagram", "not listening", "a file", "on all addresses", "on all addresses by IPv6", "twice",
    "unknown", "without a name", "auth alone", "auth without workers", "more than names",
])
def test_sockets_that_are_not_for_us(plain, case):
    """It says what is wrong, and does not serve with half of them."""
    class Try:  # with the log of its own, beside the server that runs
        build, log = plain.build, plain.dir / "refused"
        conf = plain.conf
        environment = plain.environment
        settings = {"listen": f"{plain.run_dir}/x.sock", "listen_auth": f"{plain.run_dir}/y.sock"}

    Try.log.unlink(missing_ok=True)
    try:
        given, says = wrong_sockets(Try, case)
    except OSError as e:
        pytest.skip(f"no such address here: {e}")
    launch(Try, sockets=given, **({"LISTEN_FDS": 2} if case == "more than names" else {}))
    assert Try.taskcell.wait(20) == 1
    text = Try.log.read_text(encoding="utf-8")
    assert says in text and "level=error" in text and "worker_started" not in text, text
    for _, s in given:
        s.close()


def test_sockets_for_another_process(make_under):
    """They are not touched: it listens by itself."""
    s = make_under(workers=1)
    with open(os.devnull, "rb") as null:
        launch(s, sockets=[("api", null)], LISTEN_PID=os.getpid())
        s.wait_ready()
    assert (s.run_dir / "taskcell.sock.lock").exists()


# --- what the manager is told -------------------------------------------------------------------


@pytest.mark.parametrize("abstract", [False, True])
def test_the_course_of_a_life(make_under, abstract):
    s = make_under(workers=2, auth_workers=1)
    with Manager(s, abstract) as manager:
        launch(s, NOTIFY_SOCKET=manager.name)
        m = manager.wait("READY")
        assert m["READY"] == "1" and "3 workers" in m["STATUS"]
        assert len(s.workers()) == 3
        s.wait_settled()  # the sockets of a worker are two still
        for registration in ("open", "perhaps", "closed"):
            s.configure(registration=registration)
            with s.expecting_errors("reload_failed"):
                before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
                s.signal(signal.SIGHUP)
                m = manager.wait("RELOADING")
                after = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
                assert m["RELOADING"] == "1" and before <= int(m["MONOTONIC_USEC"]) <= after
                m = manager.wait("READY")
                assert ("old one stays" in m["STATUS"]) == (registration == "perhaps")
        wait_for("the old workers are gone", lambda: len(s.workers()) == 3)
        s.terminate()
        assert manager.wait("STOPPING")["STOPPING"] == "1"
        assert s.taskcell.wait(10) == 0
        assert manager.drain() == []


def test_not_ready_before_all_are_there(make_under):
    s = make_under(workers=2)
    gate = s.run_dir / "hashing.lock"
    gate.touch(0)
    with Manager(s) as manager, s.expecting_errors("hashing.lock|reload_failed"):
        launch(s, NOTIFY_SOCKET=manager.name)
        s.wait_event("worker_ended", count=4)
        assert manager.drain() == []
        # A reload that fails makes nothing ready that was not.
        mark = s.log_size()
        s.signal(signal.SIGHUP)
        manager.wait("RELOADING")
        s.wait_event("reload_failed", mark)
        assert manager.drain() == []
        gate.chmod(0o600)
        manager.wait("READY")


def test_managers_that_do_not_listen(make_under):
    """Nor one whose queue is full: the server does not wait for it."""
    for name in ("nonsense", "@", "/nowhere/notify", "/" + "x" * 200):
        s = make_under(workers=1)
        launch(s, NOTIFY_SOCKET=name, WATCHDOG_USEC="many")
        s.wait_ready()
    s = make_under(workers=1)
    with Manager(s) as manager:
        full = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        full.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                full.sendto(b"X=1", manager.name)
        launch(s, NOTIFY_SOCKET=manager.name)
        s.wait_ready()
        s.terminate()
        assert s.taskcell.wait(10) == 0
        full.close()


def test_an_upgrade(make_under):
    """It is the first process that speaks, whoever serves."""
    s = movable(make_under(workers=1))
    with Manager(s) as manager, s.expecting_errors("."):
        launch(s, NOTIFY_SOCKET=manager.name)
        manager.wait("READY")
        for _ in range(2):
            upgrade(s)
            manager.wait("RELOADING")
            manager.wait("READY")
        install(s, b"#!/bin/sh\nexit 1\n")  # refused
        s.signal(signal.SIGHUP)
        manager.wait("RELOADING")
        assert "old one stays" in manager.wait("READY")["STATUS"]
        install(s, CRASHES_LATER)
        s.signal(signal.SIGHUP)
        manager.wait("RELOADING")
        assert manager.wait("READY")["STATUS"] == "so far so good"
        assert "has failed" in manager.wait("STATUS")["STATUS"]
        pid = upgrade(s)
        manager.wait("RELOADING")
        manager.wait("READY")
        os.kill(pid, signal.SIGTERM)  # that one alone: the service does not stop
        assert "has failed" in manager.wait("STATUS")["STATUS"]
        upgrade(s)
        manager.wait("RELOADING")
        manager.wait("READY")
        s.signal(signal.SIGHUP)  # a reload of the successor
        manager.wait("RELOADING")
        manager.wait("READY")
        s.terminate()
        manager.wait("STOPPING")
        assert s.taskcell.wait(10) == 0
        assert manager.drain() == []


def beats(manager, count):
    """Waits for so many and returns how long they took."""
    began = time.monotonic()
    while count:
        m = manager.next()
        assert m is not None
        count -= m == {"WATCHDOG": "1"}
    return time.monotonic() - began


def silent(manager, seconds=0.7):
    """Whether nothing comes any more, after what is on its way."""
    time.sleep(0.1)
    manager.drain()
    return manager.next(seconds) is None


def test_the_watchdog(make_under):
    """It hears of us twice in its time, and not when nobody can serve, nor when one of those is
    frozen who have to be well."""
    s = movable(make_under(workers=1))
    gate = s.run_dir / "hashing.lock"
    with Manager(s) as manager, s.expecting_errors("."):
        launch(s, NOTIFY_SOCKET=manager.name, WATCHDOG_USEC=200000)
        manager.wait("READY")
        assert beats(manager, 6) > 0.3  # the first of them at once
        gate.chmod(0)
        os.kill(s.workers()[0], signal.SIGKILL)
        wait_for("nobody serves", lambda: int(s.events("worker_ended")[-1]["restart_ms"]) >= 1600
                 if s.events("worker_ended") else False)
        assert silent(manager)
        gate.chmod(0o600)
        beats(manager, 2)
        upgrade(s)
        beats(manager, 6)
        first, (second, _) = s.taskcell.pid, successor(s)
        for pid in (first, second):
            os.kill(pid, signal.SIGSTOP)
            try:
                assert silent(manager)
            finally:
                os.kill(pid, signal.SIGCONT)
            beats(manager, 2)
        settled(s)


def test_a_watchdog_of_another_process(make_under):
    s = make_under(workers=1)
    with Manager(s) as manager:
        launch(s, NOTIFY_SOCKET=manager.name, WATCHDOG_USEC=100000, WATCHDOG_PID=os.getpid())
        manager.wait("READY")
        assert silent(manager, 0.3)


# --- the journal --------------------------------------------------------------------------------


def test_levels_for_the_journal(make_under):
    """Only when it is the journal that standard error leads to."""
    s = make_under(workers=1, log_file=None)
    s.log.touch()
    st = s.log.stat()
    lines = re.compile(r"(<\d>)?time=\S+ level=(\w+) ")
    launch(s, JOURNAL_STREAM=f"{st.st_dev}:{st.st_ino}")
    wait_for("it serves", s.is_ready)
    s.direct.request("GET", "/api/me/tasks").expect(401)
    s.terminate()
    assert s.taskcell.wait(10) == 0
    found = set(lines.match(line).groups() for line in s.log_text().splitlines())
    assert {("<6>", "info"), ("<4>", "warning")} <= found
    assert found <= {("<3>", "error"), ("<4>", "warning"), ("<6>", "info")}
    s.log.write_bytes(b"")
    for stream in (f"{st.st_dev}:{st.st_ino + 1}", "nonsense", ""):
        launch(s, JOURNAL_STREAM=stream)
        wait_for("it serves", s.is_ready)
        s.terminate()
        assert s.taskcell.wait(10) == 0
    assert {lines.match(line)[1] for line in s.log_text().splitlines()} == {None}
    # A file of its own is none either.
    own = s.dir / "own.log"
    s.configure(log_file=own)
    launch(s, JOURNAL_STREAM=f"{st.st_dev}:{st.st_ino}")
    wait_for("it serves", s.is_ready)
    s.terminate()
    assert s.taskcell.wait(10) == 0
    assert "event=started" in own.read_text() and "<6>" not in own.read_text()


# --- the units ----------------------------------------------------------------------------------


def run(*command, **options):
    return subprocess.run(list(map(str, command)), check=False, capture_output=True, text=True,
                          timeout=60, stdin=subprocess.DEVNULL, **options)


@pytest.fixture(name="analyze", scope="module")
def fixture_analyze():
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze is not installed")
    return lambda *args: run("systemd-analyze", *args, env={**os.environ, "LC_ALL": "C.UTF-8"})


def test_units_are_right(plain, analyze, tmp_path):
    for name in UNITS:
        text = (SOURCE / "conf" / name).read_text(encoding="utf-8")
        (tmp_path / name).write_text(text.replace("/usr/sbin", str(plain.build)))
    done = analyze("verify", "--man=no", *(tmp_path / n for n in UNITS))
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    # And a mistake would have been found.
    with open(tmp_path / UNITS[0], "a", encoding="utf-8") as f:
        f.write("\n[Service]\nWatchdogSecs=1\n")
    assert "WatchdogSecs" in analyze("verify", "--man=no", tmp_path / UNITS[0]).stderr


def test_exposure(analyze, tell):
    done = analyze("security", "--offline=true", SOURCE / "conf/taskcell.service")
    (level,) = re.findall(r"exposure level for taskcell\.service: ([0-9.]+)", done.stdout)
    tell(f"exposure level {level}")
    assert float(level) < EXPOSURE_MAX, done.stdout


def test_user_and_folder(plain, tmp_path):
    """What systemd-sysusers and systemd-tmpfiles make of their files, in a root of the test's."""
    if not shutil.which("systemd-sysusers"):
        pytest.skip("systemd is not installed")
    done = run("systemd-sysusers", f"--root={tmp_path}", "--dry-run",
               SOURCE / "conf/sysusers/taskcell.conf")
    assert done.returncode == 0 and "Creating user 'taskcell'" in done.stdout + done.stderr, done
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").write_text(f"taskcell:x:{os.getuid()}:{os.getgid()}::/:/bin/false\n")
    (tmp_path / "etc/group").write_text(f"taskcell:x:{os.getgid()}:\n")
    (tmp_path / "run").mkdir()
    done = run("systemd-tmpfiles", f"--root={tmp_path}", "--create",
               SOURCE / "conf/tmpfiles/taskcell.conf")
    assert done.returncode == 0, done
    st = (tmp_path / "run/taskcell").stat()
    assert (st.st_uid, st.st_gid, st.st_mode & 0o7777) == (os.getuid(), os.getgid(), 0o755)


def test_what_is_installed(plain, tmp_path):
    """Units that name the program where it is installed, below DESTDIR."""
    if not os.access(plain.build, os.W_OK):
        pytest.skip("the folder of the build belongs to somebody else")
    done = run("make", "-s", "-C", plain.build, f"DESTDIR={tmp_path}",
               "install-nodist_systemdsystemunitDATA", "install-dist_sysusersDATA",
               "install-dist_tmpfilesDATA", "install-sbinPROGRAMS")
    assert done.returncode == 0, done
    found = {p.name: p for p in tmp_path.rglob("*") if p.is_file()}
    assert set(found) == {*UNITS, "taskcell", "taskcell.conf"}
    program = re.search(r"^ExecStart=(\S+)", found[UNITS[0]].read_text(), re.M)[1]
    assert found["taskcell"] == tmp_path / program.lstrip("/")
    assert {p.parent.name for p in tmp_path.rglob("taskcell.conf")} == {"sysusers.d", "tmpfiles.d"}
    assert found[UNITS[0]].parent.parts[-3:] == ("lib", "systemd", "system")
    for name in UNITS[1:]:
        assert found[name].read_text() == (SOURCE / "conf" / name).read_text()
