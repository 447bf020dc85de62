"""Shared hosting: an Apache that belongs to somebody else, a home directory that is empty, one role
of PostgreSQL, and the binary tarball. What is typed is what docs/operations.md says."""

import concurrent.futures
import ctypes
import json
import os
import pathlib
import re
import shutil
import signal
import stat
import subprocess

import pytest

import client
import pages
from rig import Traffic
from stack import (
    LIBC, SANITIZER, SOURCE, Database, die_with_parent, free_port, wait_for,
)
from test_log import parse

MODULES = ("mpm_event authz_core dir mime alias deflate env fcgid filter headers rewrite userdir "
           "setenvif unique_id").split()
# What a host says for all of its customers. `Options` lacks what a site needs and may add.
HTTPD = """
ServerRoot {srv}
ServerName localhost
Listen 127.0.0.1:{port}
PidFile {srv}/pid
ErrorLog {srv}/log
DefaultRuntimeDir {srv}
Mutex file:{srv} default
DocumentRoot {home}/public_html
{modules}
TypesConfig {srv}/types
ThreadsPerChild 16
MaxRequestWorkers 64
FcgidIPCDir {srv}/fcgid
FcgidProcessTableFile {srv}/shm
<Directory />
	AllowOverride None
	Require all denied
</Directory>
<FilesMatch "^\\.ht">
	Require all denied
</FilesMatch>
UserDir {homes}/*/public_html
<Directory {homes}/*/public_html>
	AllowOverride All
	Options IncludesNoExec
	Require all granted
</Directory>
"""
GUIDE = (SOURCE / "docs/operations.md").read_text(encoding="utf-8")
TARBALL = "taskcell-0.1.0-linux-x86_64"


def guide(section):
    """The commands of a section of the guide."""
    text = GUIDE.split(f"\n### {section}\n")[1].split("\n## ")[0].split("\n### ")[0]
    (commands,) = re.findall(r"^```sh\n(.*?)^```", text, re.S | re.M)
    return commands


# --- what may be written --------------------------------------------------------------------------

WRITING = 0x7FF2  # Landlock, version 3: all that changes a file or a folder


def fenced(places):
    """For a child: from now on it can change nothing but what is below these places. By Landlock;
    False where the kernel has none."""
    class Ruleset(ctypes.Structure):
        _fields_ = [("fs", ctypes.c_uint64)]

    class Below(ctypes.Structure):
        _pack_ = 1
        _fields_ = [("allowed", ctypes.c_uint64), ("fd", ctypes.c_int32)]

    if LIBC.syscall(444, None, 0, 1) < 3:
        return False
    rules = Ruleset(WRITING)
    ruleset = LIBC.syscall(444, ctypes.byref(rules), ctypes.sizeof(rules), 0)
    for place in places:
        fd = os.open(place, os.O_PATH)
        is_dir = stat.S_ISDIR(os.fstat(fd).st_mode)
        below = Below(WRITING if is_dir else 0x4002, fd)
        assert LIBC.syscall(445, ruleset, 1, ctypes.byref(below), 0) == 0
        os.close(fd)
    assert LIBC.prctl(38, 1, 0, 0, 0) == 0  # PR_SET_NO_NEW_PRIVS
    assert LIBC.syscall(446, ruleset, 0) == 0
    os.close(ruleset)
    return True


# --- the host -------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def tarball(build):
    env = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MFLAGS")}
    subprocess.run(["make", "-s", "-C", build, "binary-tarball"], env={**env, "XZ_OPT": "-0"},
                   check=True, stdout=subprocess.DEVNULL, timeout=300)
    (path,) = build.glob("taskcell-*-linux-*.tar.xz")
    return path


class Mounted(client.Http):
    """Below a path of the host."""

    def __init__(self, port, base=""):
        super().__init__(port)
        self.base = base

    def head(self, method, target, headers):  # pylint: disable=arguments-differ
        return super().head(method, self.base + target, headers)


class Host:
    def __init__(self, state, postgres, tarball):
        self.srv = state / "host"
        self.homes = state / "homes"
        self.home = self.homes / "ada"
        (self.srv / "tmp").mkdir(parents=True)
        (self.home / "public_html").mkdir(parents=True)
        self.tarball = tarball
        self.name = tarball.name.removesuffix(".tar.xz")
        self.log = self.srv / "log"
        self.own_log = self.home / "taskcell/var/taskcell.log"
        self.make_database(postgres)
        self.start()

    def make_database(self, postgres):
        postgres.admin.run("create role ada_tasks login")
        postgres.admin.run("create database ada_tasks owner ada_tasks")
        # So that processes can be kept busy for longer than the two seconds of `migrate`.
        self.socket = postgres.url.split("host=")[1]
        self.conninfo = f"host={self.socket} dbname=ada_tasks user=ada_tasks password=secret"
        self.sql = Database(postgres, postgres.admin_url.replace("@/taskcell?", "@/ada_tasks?"))

    def start(self):
        (self.srv / "types").write_text("text/html html\n")
        modules = "\n".join(f"LoadModule {m}_module /usr/lib/apache2/modules/mod_{m}.so"
                            for m in MODULES)
        apache = shutil.which("apache2", path=os.environ.get("PATH", "") + ":/usr/sbin")
        assert apache, "apache2 is not installed"
        places = [self.srv, self.home, "/dev/null", "/dev/shm"]  # the last one is mod_fcgid's
        self.is_fenced = LIBC.syscall(444, None, 0, 1) >= 3

        def prepare():
            die_with_parent()
            fenced(places)

        self.port = free_port()
        conf = self.srv / "httpd.conf"
        conf.write_text(HTTPD.format(srv=self.srv, homes=self.homes, home=self.home,
                                     port=self.port, modules=modules))
        with open(self.log, "ab") as log:
            self.apache = subprocess.Popen(
                [apache, "-DFOREGROUND", "-f", str(conf)], stdin=subprocess.DEVNULL, stdout=log,
                stderr=log, env={**self.environment(), "TMPDIR": str(self.srv / "tmp")},
                start_new_session=True, preexec_fn=prepare)
        self.url = f"http://127.0.0.1:{self.port}"
        self.http = Mounted(self.port)
        wait_for("Apache", lambda: "resuming normal operations" in self.log_text())

    def stop(self):
        self.apache.send_signal(signal.SIGTERM)
        self.apache.wait(30)
        wait_for("the end of all processes", lambda: not self.processes())

    def environment(self):
        return {"HOME": str(self.home), "PATH": "/usr/bin:/bin"}

    def log_text(self):
        return self.log.read_text(encoding="utf-8", errors="replace")

    def shell(self, commands, status=0):
        """A login of the customer, who can change nothing but his own."""
        done = subprocess.run(
            ["sh", "-eu"], input=commands, cwd="/", env=self.environment(), capture_output=True,
            text=True, check=False, timeout=120,
            preexec_fn=lambda: fenced([self.home, "/dev/null"]))
        assert done.returncode == status, f"{commands}\n{done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def upload(self):
        shutil.copy(self.tarball, self.home)

    def ctl(self, args, status=0):
        return self.shell(f"export TASKCELL_CONFIG=~/taskcell/etc/taskcell.conf\n"
                          f"~/taskcell/bin/taskcellctl {args}", status)

    def processes(self):
        """The pids of taskcell's processes."""
        found = []
        for exe in pathlib.Path("/proc").glob("[0-9]*/exe"):
            try:
                path = os.readlink(exe)
            except OSError:
                continue
            if path.startswith(f"{self.home}/"):
                found.append(int(exe.parent.name))
        return sorted(found)

    def pid_of(self, answer):
        """Who has answered."""
        lines = [parse(x) for x in self.own_log.read_text(encoding="utf-8").splitlines()
                 if f"request_id={answer.request_id}" in x]
        return {int(x["pid"]) for x in lines if x["event"] == "request"}.pop()

    def row_held(self, user):
        return self.sql.holding(f"select 1 from taskcell.users where id = '{user.id}' for update")

    def on_each(self, n, busy, ask):
        """The answers of ask() by n processes: Apache takes the one that was idle last, so more and
        more are kept busy by a person whose row is locked."""
        answers = {}
        for k in range(n):
            with self.row_held(busy) as lock, \
                     concurrent.futures.ThreadPoolExecutor(n) as pool:
                done = [pool.submit(busy.call, "POST", "tasks", {"title": "busy"})
                        for _ in range(k)]
                wait_for(f"{k} busy processes", lambda: self.sql.value(
                    "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and "
                    "usename = 'ada_tasks'") == str(k), 10)  # noqa: B023
                answer = ask()
                answers.setdefault(self.pid_of(answer), answer)
                lock.release()
                for d in done:
                    d.result().expect(201)
        assert len(answers) == n, f"answered by {list(answers)}"
        return list(answers.values())


@pytest.fixture(scope="module")
def host(state, postgres, tarball):
    h = Host(state, postgres, tarball)
    yield h
    h.stop()
    text = h.log_text() + h.own_log.read_text(encoding="utf-8")
    assert not SANITIZER.search(text), text[-4000:]
    assert "level=error" not in text, text[-4000:]


@pytest.fixture(scope="module")
def site(host):
    """By the commands of the guide, from an empty home."""
    commands = guide("Install the site")
    replaced = {
        TARBALL: host.name,
        "https://ada.example.org": host.url,
        "host=127.0.0.1 dbname=ada_tasks user=ada_tasks password=secret": host.conninfo,
    }
    for old, new in replaced.items():
        assert old in commands
        commands = commands.replace(old, new)
    host.upload()
    host.transcript = host.shell(commands)
    # Faster logins, and time enough to keep processes busy; read by the processes to come.
    host.shell("printf '%s\n' 'scrypt_cost = 10' 'statement_timeout = 12000' "
               ">>~/taskcell/etc/taskcell.conf")
    host.sql.run("alter role ada_tasks in database ada_tasks set lock_timeout = '11s'")
    host.shell("~/taskcell/bin/taskcellctl install-site ~/public_html")
    return host


def modes_of(folder):
    return {str(p.relative_to(folder)): f"{p.lstat().st_mode & 0o7777:o}"
            for p in folder.rglob("*")}


# --- tests ----------------------------------------------------------------------------------------

def test_the_guide(site, tell):
    """From an empty home to an API that works and a page that is served."""
    assert site.transcript.endswith('{"status":"ready"}')
    assert {p.name for p in site.home.iterdir()} == {"taskcell", "public_html"}
    modes = modes_of(site.home / "taskcell")
    private = {k: v for k, v in modes.items() if re.match(r"(etc|var)\b", k)}
    assert private["etc"] == private["var"] == private["etc/keys"] == "700"
    assert private["etc/taskcell.conf"] == "600"
    assert {v for k, v in private.items() if re.search(r"\.key$|keyring$", k)} == {"600"}
    assert {v for k, v in modes.items() if k not in private} == {"755", "644"}
    conf = (site.home / "taskcell/etc/taskcell.conf").read_text(encoding="utf-8")
    places = dict(re.findall(r"^(\w+_(?:dir|file)) = (.*)$", conf, re.M))
    assert set(places) == {"key_dir", "run_dir", "spool_dir", "log_file"}
    assert all(p.startswith(f"{site.home}/taskcell/") for p in places.values()), places
    modes = modes_of(site.home / "public_html")
    assert modes["taskcell.fcgi"] == "755" and modes[".htaccess"] == "644"
    user = client.register(site.http)
    task = user.create("Water the plants")
    assert user.tasks() == [task]
    site.http.request("GET", "/api/me/tasks").expect(401)
    pages.check_file(site.http, "")
    tell(f"{site.tarball.name}; nothing else was written"
         f"{' (Landlock)' if site.is_fenced else ': not looked at, there is no Landlock'}")


def test_what_is_in_the_tarball(site):
    """Everything but the C library, with its licence, found by a relative RUNPATH; and no trace of
    the machine where it was made."""
    home = site.home / "taskcell"
    libraries = {p.name for p in (home / "lib").iterdir()}
    assert {"libpq.so.5", "libfcgi.so.0"} <= libraries
    assert not [x for x in libraries if re.match(r"(ld-|libc\.|libm\.|libresolv\.|libpthread)", x)]
    for program in ("taskcell", "taskcellctl"):
        dynamic = subprocess.run(["readelf", "-d", home / "bin" / program], check=True,
                                 capture_output=True, text=True).stdout
        assert re.search(r"\(RUNPATH\).*\[\$ORIGIN/\.\./lib\]", dynamic), dynamic
    maps = pathlib.Path(f"/proc/{site.processes()[0]}/maps").read_text(encoding="utf-8")
    loaded = {x.split()[-1] for x in maps.splitlines() if ".so" in x}
    foreign = {pathlib.Path(x).name for x in loaded if not x.startswith(f"{home}/lib/")}
    assert {x.split(".so")[0] for x in foreign} <= {
        "ld-linux-x86-64", "ld-linux-aarch64", "libc", "libm", "libresolv", "libpthread", "libdl",
        "librt"}, foreign
    licences = home / "share/doc/taskcell/libraries"
    assert "GNU" in (licences / "libunistring2").read_text(encoding="utf-8")
    assert len(list(licences.iterdir())) >= len(libraries)
    assert (home / "share/man/man8/taskcellctl.8").exists()


def test_what_apache_answers(site):
    http = site.http
    user = client.register(http)
    # Files: the browser client, and nothing of ours.
    pages.check_client(http)
    assert http.request("GET", "/.htaccess", check=False).status in (403, 404)
    http.request("GET", "/taskcell.fcgi", check=False).expect(404, "not_found")
    for path in ("/../taskcell/etc/taskcell.conf", "/%2e%2e/taskcell/etc/taskcell.conf"):
        answer = http.request("GET", path, check=False)
        assert answer.status in (400, 404) and b"key_dir" not in answer.body
    assert http.request("GET", "/.well-known/jwks.json").expect(200).json == {"keys": []}
    # Lengths: taskcell's own limit, mod_fcgid's, and that an import may have more than 64 KiB.
    for size in (65537, 131072, 131073, 400000):
        user.call("POST", "tasks", b"x" * size).expect(413, "body_too_large")
    rows = [{"title": f"{i} " + "x" * 100} for i in range(700)]
    user.call("POST", "tasks/import", rows).expect(200)
    assert len(user.tasks()) == 700
    # Conditions, ranges and methods pass.
    task = user.create("One")
    user.call("PATCH", f"tasks/{task['id']}", {"title": "Two"}, headers={"If-Match": '"9"'},
              media="application/merge-patch+json").expect(412)
    whole = user.call("GET", "tasks?limit=3", headers={"Range": "bytes=0-9"}).expect(200)
    assert len(whole.body) > 10
    user.call("PUT", f"tasks/{task['id']}", {"title": "Three"}).expect(200)
    user.call("DELETE", f"tasks/{task['id']}").expect(200)
    user.call("DELETE", "/api/health").expect(405)
    http.request("HEAD", "/api/ready").expect(200)
    # The numbers are not for everybody who has an account on the host.
    http.request("GET", "/api/metrics").expect(404, "not_found")


def test_a_process_that_dies(site):
    """What Apache says then has taskcell's form, and the next request is served."""
    user = client.register(site.http)
    with site.row_held(user), concurrent.futures.ThreadPoolExecutor(1) as pool:
        answer = pool.submit(user.call, "POST", "tasks", {"title": "lost"})
        wait_for("a busy process", lambda: site.sql.value(
            "select count(*) from pg_stat_activity where wait_event_type = 'Lock'") == "1")
        for pid in site.processes():
            os.kill(pid, signal.SIGKILL)
        answer = answer.result(30)
    assert answer.status in (500, 503), answer
    assert answer.header("Content-Type") == "application/problem+json"
    user.create("here again")


def test_processes_agree(site):
    """Sessions, keys and the throttle, over four processes that know nothing of each other."""
    http, n = site.http, 4
    busy, user = client.register(http), client.register(http)
    other = client.another(user)

    def ask(who):
        return lambda: who.call("GET", "tasks")

    assert {a.status for a in site.on_each(n, busy, ask(user))} == {200}
    assert len(site.processes()) >= n
    # A logout is seen by all, and only that session's.
    http.request("POST", "/api/auth/logout", token=user.access).expect(200)
    for a in site.on_each(n, busy, ask(user)):
        a.expect(401, "session_ended")
    assert {a.status for a in site.on_each(n, busy, ask(other))} == {200}
    # A new key signs in all of them; one that is gone is refused by all of them.
    fresh = site.ctl("key rotate").split()[0]
    made = [client.User(http, a.expect(200).json, user.password)
            for a in site.on_each(n, busy, lambda: client.login(http, user.email))]
    assert {json.loads(client.unb64url(u.access.split(".")[0]))["kid"] for u in made} == {fresh}
    old = next(x.split()[0] for x in site.ctl("key list").splitlines() if " retired " in x)
    site.ctl(f"key retire {old}")
    for a in site.on_each(n, busy_again(http, busy), ask(other)):
        a.expect(401, "invalid_token")


def busy_again(http, user):
    return client.User(http, client.login(http, user.email).expect(200).json, user.password)


def test_the_throttle_is_one(site):
    """Twenty attempts of an address in a minute, whoever counts them."""
    busy = client.register(site.http)
    site.sql.run("delete from taskcell.throttle")
    statuses = []
    for _ in range(6):
        statuses += [a.status for a in site.on_each(4, busy, lambda: client.login(
            site.http, client.fresh_email("nobody"), source="127.0.0.9"))]
    assert statuses == [401] * 20 + [429] * 4
    site.sql.run("delete from taskcell.throttle")


def test_the_role_is_an_ordinary_one(site):
    assert site.sql.run("select rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, "
                        "(select string_agg(extname, ',') from pg_extension) "
                        "from pg_roles where rolname = 'ada_tasks'") == [["f"] * 4 + ["plpgsql"]]
    assert site.sql.value("select count(*) from pg_class c, pg_roles r where r.oid = c.relowner "
                          "and c.relnamespace = 'taskcell'::regnamespace "
                          "and r.rolname <> 'ada_tasks'") == "0"


def test_upgrade_during_traffic(site):
    """By the guide: no request fails, configuration and keys stay, what somebody has added to
    .htaccess is kept beside, and then the new program serves."""
    user = client.register(site.http)
    etc = site.home / "taskcell/etc"
    before = {p: p.read_bytes() for p in etc.rglob("*") if p.is_file()}
    htaccess = site.home / "public_html/.htaccess"
    shipped = htaccess.read_text(encoding="utf-8")
    htaccess.write_text(shipped + "# mine\n", encoding="utf-8")
    site.upload()
    user.create("before")
    old = site.processes()
    commands = guide("Upgrade the site").replace(TARBALL, site.name)
    with Traffic(lambda *_: user.call("GET", "tasks"), 3) as traffic:
        site.shell(commands)
        traffic.wait_more(50)
        program = (site.home / "taskcell/bin/taskcell").stat().st_ino
        fresh = set(site.processes()) - set(old)
        assert fresh and {os.stat(f"/proc/{p}/exe").st_ino for p in fresh} == {program}
        mark = len(traffic.answers)
        traffic.wait_more(50)
    traffic.expect_no_failure()
    assert {site.pid_of(a) for a in traffic.answers[mark + 10:]}.isdisjoint(old)
    assert {p: p.read_bytes() for p in etc.rglob("*") if p.is_file()} == before
    assert htaccess.read_text(encoding="utf-8") == shipped
    assert (htaccess.parent / ".htaccess.old").read_text(encoding="utf-8").endswith("# mine\n")
    assert {p.name for p in site.home.iterdir()} == {"taskcell", "public_html"}
    assert not list(site.home.rglob("*.new"))


@pytest.mark.parametrize("folder,path,base", [
    ("public_html/todo", "/todo", None),
    ("public_html/based", "/based", "/based/"),
    ("public_html/mine", "/~ada/mine", None),
])
def test_below_the_root(site, folder, path, base):
    """Folders of any depth, reached by DocumentRoot and by UserDir, with RewriteBase or without."""
    home = f"taskcell{path.replace('/', '-')}".replace("~", "")
    site.shell(f"""
        ~/taskcell/bin/taskcellctl install-site ~/{folder} {site.url}{path}/ --home ~/{home}
        echo 'database = {site.conninfo}' >>~/{home}/etc/taskcell.conf
        echo 'scrypt_cost = 10' >>~/{home}/etc/taskcell.conf""")
    if base:
        htaccess = site.home / folder / ".htaccess"
        text = htaccess.read_text(encoding="utf-8")
        htaccess.write_text(text.replace("RewriteEngine On\n",
                                         f"RewriteEngine On\nRewriteBase {base}\n"))
    http = Mounted(site.port, path)
    user = client.register(http)
    made = user.call("POST", "tasks", {"title": "Below"}).expect(201)
    assert made.header("Location").startswith(f"{path}/api/")
    assert len(user.tasks()) == 1
    http.request("GET", "/.well-known/jwks.json").expect(200)
    http.request("GET", "/api/nothing").expect(404, "not_found")
    user.call("POST", "tasks", b"x" * 200000).expect(413, "body_too_large")
    pages.check_file(http, "")
    # The site above has tokens of its own.
    site.http.request("GET", "/api/me/tasks", token=user.access).expect(401, "invalid_token")


def test_a_schema_in_a_database_of_others(site, postgres):
    """Where the role may not even make a schema."""
    postgres.admin.run("create role guest login")
    postgres.admin.run("create database crowd")
    crowd = Database(postgres, postgres.admin_url.replace("@/taskcell?", "@/crowd?"))
    crowd.run("create schema taskcell authorization guest")
    conninfo = f"host={site.socket} dbname=crowd user=guest"
    site.shell(f"""
        ~/taskcell/bin/taskcellctl install-site ~/public_html/guest {site.url}/guest \\
            --home ~/taskcell-guest
        echo 'database = {conninfo}' >>~/taskcell-guest/etc/taskcell.conf
        ~/taskcell/bin/taskcellctl -c ~/taskcell-guest/etc/taskcell.conf migrate""")
    Mounted(site.port, "/guest").request("GET", "/api/ready").expect(200)


def test_what_it_refuses(site, tmp_path):
    """And nothing is changed then."""
    ctl = "~/taskcell/bin/taskcellctl"
    mine = site.home / "public_html/blog"
    mine.mkdir()
    page = mine / "index.html"
    page.write_text("mine")

    def refused(args, why, status=1):
        assert why in site.shell(f"{ctl} install-site {args}", status)

    url = f"{site.url}/new"
    refused(f"~/public_html/blog {url}", "index.html: File exists")
    page.rename(mine / ".htaccess")
    refused(f"~/public_html/blog {url}", ".htaccess: File exists")
    assert (mine / ".htaccess").read_text() == "mine"
    refused("~/public_html/new --home ~/new", "needs URL")
    refused("~/public_html/new ftp://x --home ~/new", "public_url")
    refused(f"~/public_html/new {url}?x --home ~/new", "public_url")
    refused(f"~/public_html/new '{url}/a b' --home ~/new", "mount")
    assert not (site.home / "new/etc/taskcell.conf").exists()
    refused(f"~/public_html/new {url} --home ~/public_html/new/inside", "shows to everybody")
    refused(f"~ {url} --home ~/new", "shows to everybody")
    refused(f"~/public_html/new {url} --home \"$HOME/o'dd\"", "odd characters")
    refused(f"~/public_html {url}", "is kept")
    refused(f"/nowhere/at/all {url}", "No such file")
    refused("", "needs DIR", 64)
    assert not [p for p in (site.home / "public_html/new").iterdir() if p.is_file()]
    # Only the tarball's own program can do it.
    done = subprocess.run([os.environ["TASKCELL_BUILD"] + "/taskcellctl", "install-site",
                           tmp_path / "x", url], env={"HOME": str(tmp_path)}, check=False,
                          capture_output=True, text=True, timeout=20)
    assert done.returncode == 1 and "of a binary tarball" in done.stderr
    assert not list(tmp_path.iterdir())
    # It goes on to work.
    site.http.request("GET", "/api/ready").expect(200)


def test_an_installation_that_was_cut_off(site):
    """What it has left is no obstacle to the next try."""
    new = site.home / "public_html/again"
    (new / ".htaccess.new").mkdir(parents=True)
    install = (f"~/taskcell/bin/taskcellctl install-site ~/public_html/again {site.url}/again "
               "--home ~/taskcell-again")
    assert ".htaccess.new: " in site.shell(install, 1)
    (new / ".htaccess.new").rmdir()
    site.shell(install)
    assert (new / "taskcell.fcgi").exists() and (new / "index.html").exists()


def test_removal(site):
    """By the guide; what is left is the browser client and what was there before."""
    commands = guide("Remove the site")
    site.own_log = site.own_log.rename(site.homes / "taskcell.log")
    site.shell(commands)
    assert not (site.home / "taskcell").exists()
    left = {p.name for p in (site.home / "public_html").iterdir()}
    assert "index.html" in left and not {".htaccess", "taskcell.fcgi", ".htaccess.old"} & left
