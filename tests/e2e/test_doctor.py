"""taskcellctl doctor: each thing that it looks at is broken by itself, and it names that thing."""

import contextlib
import glob
import grp
import os
import shutil
import signal
import subprocess
import uuid

import pytest

import ctl
import stack as stacks
from pooler import Pooler
from stack import SOURCE, die_with_parent, free_port, wait_for

PASSWORD = "in-no-line-of-it"
NGINX = """
daemon off;
worker_processes 1;
pid {dir}/nginx.pid;
error_log {dir}/nginx.log;
events {{ worker_connections 256; }}
http {{
	access_log off;
	client_body_temp_path {dir}/body;
	fastcgi_temp_path {dir}/fastcgi;
	proxy_temp_path {dir}/proxy;
	scgi_temp_path {dir}/scgi;
	uwsgi_temp_path {dir}/uwsgi;
{servers}
}}
"""
SERVER = """
server {{
	listen 127.0.0.1:{port}{ssl};
	server_name {name};
	{own}
{site}
}}
"""
PAGE = """location = / {{ default_type text/html; {headers} return 200 "<!doctype html>"; }}"""
HEADERS = "".join(f'add_header {name} "{value}";' for name, value in (
    ("Content-Security-Policy", "default-src 'self'"), ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer")))
HSTS = "add_header Strict-Transport-Security max-age=31536000 always;"
FIRST = "fastcgi_param REQUEST_METHOD"  # of the parameters of the sample
ADDRESS = "fastcgi_param REMOTE_ADDR $remote_addr;"
RETURNS = "fastcgi_intercept_errors off;"
OWN_413 = "408 411 413 414"


class Front:
    """One nginx, a port for each way to set it up."""

    def __init__(self, directory, sockets):
        self.dir = directory
        directory.mkdir()
        self.sample = (SOURCE / "conf/nginx-site.conf").read_text(encoding="utf-8")
        self.sample = self.sample.replace("/run/taskcell/", f"{sockets}/")
        self.ports, self.servers = {}, []

    def add(self, name, *changes, own="", ssl=None, sample=True):
        """A server; `changes` are pairs of a text of the sample and what stands there instead."""
        self.ports[name] = port = free_port()
        text = self.sample if sample else ""
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        if ssl:
            own += f"ssl_certificate {ssl}.pem; ssl_certificate_key {ssl}.key;"
        self.servers.append(SERVER.format(
            port=port, ssl=" ssl" if ssl else "", name=name, own=own, site=text))

    def certificate(self, name, days, address="127.0.0.1"):
        path = self.dir / name
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
             "-nodes", "-keyout", f"{path}.key", "-out", f"{path}.pem", "-days", str(days),
             "-subj", "/CN=doctor", "-addext", f"subjectAltName=IP:{address}"],
            check=True, capture_output=True)
        return path

    def start(self):
        conf = NGINX.format(dir=self.dir, servers="".join(self.servers))
        (self.dir / "nginx.conf").write_text(conf, encoding="utf-8")
        nginx = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
        with open(self.dir / "out", "ab") as out:
            self.process = subprocess.Popen(
                [nginx, "-e", str(self.dir / "nginx.log"), "-p", str(self.dir), "-c",
                 str(self.dir / "nginx.conf")], stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                start_new_session=True, preexec_fn=die_with_parent)
        wait_for("nginx", lambda: (self.dir / "nginx.pid").exists()
                 or self.process.poll() is not None)
        assert self.process.poll() is None, (self.dir / "out").read_text()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(20)

    def url(self, name, scheme="http", host="127.0.0.1"):
        return f"{scheme}://{host}:{self.ports[name]}"


class Site:
    """A taskcell, a database and a web server with which nothing is wrong."""

    def __init__(self, s, front):
        self.stack = s
        self.front = front
        self.run_dir = s.run_dir
        self.trusted = {"SSL_CERT_FILE": str(front.dir / "good.pem")}

    def doctor(self, *args, env=None, **changes):
        """What it found to be wrong or worth a warning, with the whole output."""
        changes = {"scrypt_cost": 14, **changes}
        environment = {**self.stack.environment(**changes), **(env or {})}
        done = subprocess.run(
            [str(self.stack.build / "taskcellctl"), *args], env=environment, text=True,
            stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=60)
        assert not done.stderr, done.stderr
        assert PASSWORD not in done.stdout and stacks.SECRET not in done.stdout
        lines = [line.split(None, 2) for line in done.stdout.split("\n\n")[0].splitlines()]
        assert all(len(line) == 3 for line in lines), done.stdout
        found = {name: (verdict, says) for verdict, name, says in lines}
        assert len(found) == len(lines) == 32, done.stdout
        wrong = any(verdict == "wrong" for verdict, _ in found.values())
        assert done.returncode == wrong, done.stdout
        return found

    def bad(self, *args, **kw):
        found = self.doctor("doctor", *args, **kw)
        return {name: verdict for name, (verdict, _) in found.items()
                if verdict in ("wrong", "warning")}, found

    def finds(self, *args, names, says="", **kw):
        """That it finds these names and no other; their verdicts are `names`."""
        bad, found = self.bad(*args, **kw)
        assert bad == names, found
        assert any(says in found[name][1] for name in names), found
        return found

    def through(self, name, scheme="http", host="127.0.0.1", **kw):
        return self.finds(self.front.url(name, scheme, host), **kw)


@pytest.fixture(scope="module")
def site(module_stack, state):
    s = module_stack(with_nginx=False, workers=2, auth_workers=1)
    front = Front(state / "doctor", s.run_dir)
    good = front.certificate("good", 90)
    old = front.certificate("old", 5)
    foreign = front.certificate("foreign", 90, address="127.0.0.9")
    page = PAGE.format(headers=HEADERS)
    front.add("good", own=page)
    front.add("no_page")
    front.add("bare_page", own=PAGE.format(headers=""))
    front.add("no_authorization", (FIRST, f'fastcgi_param HTTP_AUTHORIZATION ""; {FIRST}'))
    front.add("own_login", own="location = /api/auth/session { return 401; }")
    front.add("no_address", (ADDRESS, ""))
    front.add("one_address", (ADDRESS, "fastcgi_param REMOTE_ADDR 10.9.8.7;"))
    front.add("any_address",
              own="set_real_ip_from 0.0.0.0/0; real_ip_header X-Forwarded-For;")
    front.add("proxied", own="location / { proxy_bind 127.0.0.2; "
              f"proxy_pass http://127.0.0.1:{front.ports['no_page']}; }}", sample=False)
    front.add("own_404", (RETURNS, "fastcgi_intercept_errors on; error_page 404 /none;"))
    front.add("own_405", (RETURNS, "fastcgi_intercept_errors on; error_page 405 /none;"),
              ("error_page 400 405 408", "error_page 400 408"))
    front.add("own_413", (OWN_413, OWN_413.replace(" 413", "")))
    front.add("tls", own=page + HSTS, ssl=good)
    front.add("tls_no_hsts", own=page, ssl=good)
    front.add("tls_old", own=page + HSTS, ssl=old)
    front.add("tls_foreign", own=page + HSTS, ssl=foreign)
    to = front.ports["tls"]
    front.add("redirect", own=f"return 308 https://$host:{to}$request_uri;", sample=False)
    front.add("elsewhere", own="return 302 https://example.invalid/api/health;", sample=False)
    front.add("not_ours", own="location / { default_type text/html; return 200 hello; }",
              sample=False)
    front.add("dead", (f"{s.run_dir}/taskcell.sock", f"{s.run_dir}/none.sock"))
    front.add("not_ready", own="location = /api/ready { return 503; }")
    front.start()
    wait_for("taskcell", lambda: s.answers(s.settings["listen"]))
    yield Site(s, front)
    front.stop()


@pytest.fixture
def folder(site):
    made = site.stack.dir / f"f{uuid.uuid4().hex[:8]}"
    made.mkdir(0o700)
    return made


def private(path, text, mode=0o600):
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
    return path


@contextlib.contextmanager
def mode_of(path, mode):
    before = path.stat().st_mode & 0o7777
    path.chmod(mode)
    yield
    path.chmod(before)


# --- nothing is wrong


def test_nothing_is_wrong(site):
    found = site.doctor("doctor", site.front.url("good"))
    assert {v for v, _ in found.values()} == {"ok"}, found


def test_over_https_too(site):
    url = site.front.url("tls", "https")
    found = site.doctor("doctor", url, env=site.trusted, public_url=url)
    assert {v for v, _ in found.values()} == {"ok"}, found
    assert found["cookies"][1] == "Secure" and "is good for" in found["certificate"][1]
    # The URL may be left out, and http that leads to https is as it should be.
    found = site.doctor("doctor", env=site.trusted, public_url=site.front.url("redirect"))
    assert found["https"] == ("ok", "on; http leads there"), found


def test_without_a_url_the_site_is_skipped(site):
    found = site.doctor("doctor")
    assert {v for v, _ in found.values()} == {"ok", "skipped"}
    assert "no URL" in found["health"][1] and found["socket"][0] == "ok"


# --- configuration and keys


def test_configuration(site, folder):
    found = site.finds(workers=0, names={"configuration": "wrong"}, says="TASKCELL_WORKERS")
    assert found["database"][0] == "skipped" and found["scrypt"][0] == "skipped"
    bad = private(folder / "bad.conf", "wrokers = 4\n")
    found = site.doctor("-c", str(bad), "doctor")
    verdict, says = found["configuration"]
    assert verdict == "wrong" and "bad.conf:1: wrokers" in says
    assert site.doctor("-c", f"{folder}/none", "doctor")["configuration"][0] == "wrong"
    site.finds(database=None, names={"configuration": "wrong"}, says="TASKCELL_DATABASE")


@pytest.mark.parametrize("text, mode, wrong", [
    (f"jwt_secret = {stacks.SECRET}\n", 0o640, False),
    (f"jwt_secret = {stacks.SECRET}\n", 0o644, True),
    (f"database = host=/nowhere password={PASSWORD}\n", 0o644, True),
    (f"database = postgresql://taskcell:{PASSWORD}@/x\n", 0o644, True),
    ("workers = 2\n", 0o644, False), ("workers = 2\n", 0o666, True),
])
def test_configuration_mode(site, folder, text, mode, wrong):
    conf = private(folder / "taskcell.conf", text, mode)
    found = site.doctor("-c", str(conf), "doctor")
    assert {n for n, (v, _) in found.items() if v == "wrong"} == (
        {"configuration_mode"} if wrong else set()), found
    assert not wrong or f"chmod o= {conf}" in found["configuration_mode"][1]


def test_mode_of_the_file_with_the_password_of_the_database(site, folder):
    url = site.stack.settings["database"]
    path = private(folder / "database", f"{url}&password={PASSWORD}", 0o644)
    site.finds(database=None, database_file=path, names={"configuration_mode": "wrong"})
    path.chmod(0o640)
    assert site.bad(database=None, database_file=path)[0] == {}


def test_user(site):
    site.finds(user="nobody", names={"user": "warning"}, says="runuser -u nobody")


def test_secret_length(site):
    site.finds(jwt_secret="short", names={"secret_length": "wrong"}, says="key generate FILE")
    site.finds(jwt_secret=None, names={"secret_length": "wrong"}, says="is not set")
    site.finds(jwt_secret="0123456789abcdef" * 2, names={"secret_length": "warning"},
               says="128 bits")


def test_key_mode_of_the_secret(site, folder):
    path = private(folder / "jwt.key", stacks.SECRET, 0o644)
    found = site.finds(jwt_secret=None, jwt_secret_file=path, names={"key_mode": "wrong"},
                       says=f"chmod 600 {path}")
    assert found["secret_length"][0] == "skipped"


@pytest.fixture
def key_dir(site, folder):
    ctl.done(site.stack, "key", "generate", "--dir", folder / "keys")
    return folder / "keys"


def test_key_mode_of_the_folder(site, key_dir):
    assert site.bad(key_dir=key_dir, jwt_secret=None)[0] == {}
    (key,) = key_dir.glob("*.key")
    for path, mode, mended in (key_dir, 0o755, "0700"), (key, 0o640, "0600"):
        with mode_of(path, mode):
            site.finds(key_dir=key_dir, names={"key_mode": "wrong"}, says=f"chmod {mended} {path}")
    site.finds(key_dir=key_dir / "none", names={"key_mode": "wrong"}, says="key generate")


def test_keys(site, key_dir):
    (key,) = key_dir.glob("*.key")
    key.write_text("no key")
    site.finds(key_dir=key_dir, names={"keys": "wrong"}, says=key.name)
    (key_dir / "keyring").unlink()
    site.finds(key_dir=key_dir, names={"keys": "wrong"}, says="key generate")


# --- database


@pytest.fixture
def broken(site, scratch):
    """A database of its own, migrated, to be broken: its URL and a superuser's way in."""
    url, sql = scratch
    ctl.done(site.stack, "migrate", database=url)
    return url, sql


def test_database(site):
    found = site.finds(database=f"host=/nowhere dbname=tasks user=ann password={PASSWORD}",
                       names={"database": "wrong"}, says="user=ann dbname=tasks host=/nowhere")
    assert found["role"][0] == found["schema"][0] == found["row_security"][0] == "skipped"
    site.finds(database=f"%%% {PASSWORD}", names={"database": "wrong"})


def test_role(site, postgres, broken):
    url, sql = broken
    for attribute in "superuser", "bypassrls":
        sql.run(f"create role doctors_boss login {attribute}")
        try:
            found = site.finds(database=url.replace("taskcell@", "doctors_boss@"),
                               names={"role": "wrong"}, says="ALTER ROLE doctors_boss NOSUPERUSER")
            assert found["schema"][0] == "skipped"
        finally:
            sql.run("drop role doctors_boss")


def test_encoding(site, postgres, scratch):
    url, _ = scratch
    postgres.admin.run("drop database scratch")
    postgres.admin.run("create database scratch owner taskcell encoding 'LATIN1' locale 'C'"
                       " template template0")
    ctl.done(site.stack, "migrate", database=url)
    site.finds(database=url, names={"encoding": "wrong"}, says="LATIN1")


def test_clock(site):
    libraries = glob.glob("/usr/lib/*/faketime/libfaketime.so.1")
    assert libraries, "libfaketime is not installed"
    for offset, says in ("+60s", "60 s ahead of"), ("-60s", "60 s behind"):
        env = {"LD_PRELOAD": libraries[0], "FAKETIME": offset, "DONT_FAKE_MONOTONIC": "1",
               "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"}
        site.finds(env=env, names={"clock": "warning"}, says=says)


def test_connections(site, broken):
    url, sql = broken
    # More than its own, of which some may still be on their way out.
    for limit, verdict in (9, "wrong"), (19, "warning"):
        sql.run(f"alter database scratch connection limit {limit}")
        site.finds(database=url, workers=8, auth_workers=2, names={"connections": verdict},
                   says=f"have {limit}")


def test_schema(site, scratch):
    url, sql = scratch
    site.finds(database=url, names={"schema": "wrong", "role_settings": "wrong"},
               says="taskcellctl migrate")
    ctl.done(site.stack, "migrate", database=url)
    sql.run("insert into taskcell.migrations (version, name, checksum) values (99, '0099_x', 'x')")
    site.finds(database=url, names={"schema": "wrong"}, says="unknown here")
    sql.run("delete from taskcell.migrations where version >="
            " (select max(version) from taskcell.migrations where version < 99)")
    site.finds(database=url, names={"schema": "wrong"}, says="older than this program")


def test_role_settings(site, broken):
    url, sql = broken
    sql.run("alter role taskcell in database scratch reset lock_timeout")
    site.finds(database=url, names={"role_settings": "wrong"}, says="lock_timeout")


def test_row_security(site, broken):
    url, sql = broken
    sql.run("alter table taskcell.tasks no force row level security")
    site.finds(database=url, names={"row_security": "wrong"}, says="not forced")
    sql.run("alter table taskcell.tasks force row level security;"
            " alter role taskcell in database scratch set row_security = off")
    site.finds(database=url, names={"row_security": "wrong"}, says="row_security is off")


def test_prepared_statements(site, postgres, state):
    pooler = Pooler(state / "doctors-pooler", postgres.url)
    try:
        site.finds(database=pooler.url, prepared_statements="on",
                   names={"prepared_statements": "wrong"}, says="prepared_statements = off")
        assert site.bad(database=pooler.url, prepared_statements="off")[0] == {}
    finally:
        pooler.stop()


# --- host


def test_run_dir(site, folder):
    site.finds(run_dir=folder / "none", names={"run_dir": "wrong"}, says="install -d")
    site.finds(run_dir=private(folder / "file", ""), names={"run_dir": "wrong"}, says="no folder")
    for mode, says in (0o500, "cannot be written"), (0o777, "chmod 755"):
        with mode_of(folder, mode):
            site.finds(run_dir=folder, names={"run_dir": "wrong"}, says=says)


def test_spool_dir(site, folder):
    site.finds(spool_dir=folder / "none", names={"spool_dir": "wrong"}, says="No such file")
    with mode_of(folder, 0o500):
        site.finds(spool_dir=folder, names={"spool_dir": "wrong"}, says=str(folder))
    assert str(folder) in site.doctor("doctor", spool_dir=folder)["spool_dir"][1]


def test_log_file(site, folder):
    log = folder / "log"
    assert site.bad(log_file=log)[0] == {}
    with mode_of(folder, 0o500):
        site.finds(log_file=log, names={"log_file": "wrong"}, says=str(folder))
    site.finds(log_file=private(log, "", 0o440), names={"log_file": "wrong"}, says=str(log))
    log.chmod(0o644)
    site.finds(log_file=log, names={"log_file": "warning"}, says=f"chmod o= {log}")


def test_scrypt(site):
    site.finds(scrypt_cost=10, names={"scrypt": "warning"}, says="hash calibrate")
    found = site.finds(scrypt_cost=20, scrypt_concurrency=64, says="people wait",
                       names={"scrypt": "warning", "memory": "warning"})
    assert "65536" in found["memory"][1]


def test_socket(site):
    gone = f"{site.run_dir}/none.sock"
    for key in "listen", "listen_auth":
        found = site.finds(**{key: gone}, names={"socket": "wrong"}, says=gone)
        assert found["socket_mode"][0] == "skipped"
    site.finds(listen=f"127.0.0.1:{free_port()}", names={"socket": "wrong"}, says="refused")
    # Where the web server starts the processes there is none.
    assert site.bad(site.front.url("good"), listen=gone)[0] == {}


def test_socket_mode(site):
    path = site.run_dir / "auth.sock"
    for mode, says in (0o666, "everybody may connect"), (0o600, "chmod 660"):
        with mode_of(path, mode):
            site.finds(names={"socket_mode": "wrong"}, says=says)
    own = grp.getgrgid(os.getegid()).gr_name
    assert site.bad(listen_group=own)[0] == {}
    with mode_of(site.run_dir, 0o700):
        site.finds(listen_group=own, names={"socket_mode": "wrong"}, says="cannot enter")
    other = next(g.gr_name for g in grp.getgrall() if g.gr_gid != path.stat().st_gid)
    site.finds(listen_group=other, names={"socket_mode": "wrong"}, says=f"of the group {other}")
    site.finds(listen_group="no-such-group", names={"socket_mode": "wrong"}, says="no group")


# --- site


@pytest.mark.parametrize("name, found, says", [
    ("bare_page", {"page_headers": "warning"}, "Content-Security-Policy"),
    ("no_authorization", {"authorization": "wrong"}, "CGIPassAuth"),
    ("own_login", {"authorization": "wrong"}, "itself asks"),
    ("no_address", {"client_address": "wrong"}, "REMOTE_ADDR"),
    ("one_address", {"client_address": "wrong"}, "10.9.8.7"),
    ("any_address", {"client_address": "wrong"}, "believed of anybody"),
    ("proxied", {"client_address": "wrong"}, "127.0.0.2"),
    ("own_404", {"problem_documents": "wrong"}, "GET /api/doctor"),
    ("own_405", {"problem_documents": "wrong"}, "DELETE /api/health"),
    ("own_413", {"problem_documents": "wrong"}, "POST /api/auth/login"),
    ("elsewhere", {"health": "wrong"}, "not followed"),
    ("not_ours", {"health": "wrong"}, "not of taskcell"),
    ("dead", {"health": "wrong"}, "502"),
    ("not_ready", {"ready": "wrong"}, "503"),
])
def test_site(site, name, found, says):
    site.through(name, names=found, says=says)


def test_nobody_answers(site):
    site.finds(f"http://127.0.0.1:{free_port()}", names={"health": "wrong"},
               says="is the web server up")
    for url in "ftp://127.0.0.1", "http://a:b@127.0.0.1/":
        site.finds(url, names={"health": "wrong"}, says="no URL")


def test_the_own_address_may_say_anything(site):
    """Whoever is trusted can claim an address rightly, and nothing is shown by it."""
    _, found = site.bad(site.front.url("any_address"), trusted_proxies="127.0.0.0/8")
    assert found["client_address"][0] == "skipped" and "another host" in found["client_address"][1]


def test_https(site):
    # A name that is not plainly the loopback.
    site.through("good", host="tasks.localhost", names={"https": "wrong"}, says="in the clear")


@pytest.mark.parametrize("name, found, says", [
    ("tls_no_hsts", {"hsts": "warning"}, "Strict-Transport-Security"),
    ("tls_old", {"certificate": "warning"}, "renew"),
    ("tls_foreign", {"certificate": "wrong"}, "browsers trust"),
])
def test_certificate(site, name, found, says):
    pem = name.removeprefix("tls_") + ".pem"
    env = {"SSL_CERT_FILE": str(site.front.dir / pem)} if name != "tls_no_hsts" else site.trusted
    site.through(name, "https", names=found, says=says, env=env)


def test_a_stranger_certificate(site):
    site.through("tls", "https", names={"certificate": "wrong"}, says="browsers trust")


def test_cookies(site):
    site.through("good", public_url="http://tasks.example.org", names={"cookies": "wrong"},
                 says="not Secure")
    site.through("good", public_url="https://tasks.example.org", names={"cookies": "warning"},
                 says="is public_url right?")


def test_it_leaves_one_failed_login_of_nobody(site):
    rows = "select id, event, ip, user_agent from taskcell.audit"
    before = {row[0] for row in site.stack.sql.run(rows)}
    site.doctor("doctor", site.front.url("good"))
    # Old rows of others may have gone meanwhile.
    ((event, ip, agent),) = [r[1:] for r in site.stack.sql.run(rows) if r[0] not in before]
    assert (event, ip) == ("login_failed", "127.0.0.1") and agent.startswith("taskcellctl-doctor/")
