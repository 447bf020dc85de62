"""Settings, and the programs' other duties: T001-T004, T069."""

import itertools
import os
import re
import stat
import subprocess

import pytest

from stack import SECRET

_numbers = itertools.count(1)
GOOD = f"""
database = postgresql://nobody@127.0.0.1/x
jwt_secret = {SECRET}
"""


@pytest.fixture
def run(build, state):
    """Runs a program with a configuration file and nothing else."""
    folder = state / f"conf{next(_numbers)}"
    folder.mkdir()

    def run_it(program, text, *args, **env):
        path = folder / "taskcell.conf"
        path.write_text(text, encoding="utf-8")
        path.chmod(0o600)
        command = [str(build / program), "-c", str(path), *args]
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("TASKCELL_", "PG"))}
        return subprocess.run(command, env={**clean, **env}, capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, timeout=30, check=False)

    run_it.path = str(folder / "taskcell.conf")
    run_it.dir = folder
    return run_it


def test_check(run):
    done = run("taskcell", GOOD, "--check")
    assert done.returncode == 0, done.stderr
    assert SECRET not in done.stdout + done.stderr


@pytest.mark.parametrize("line,key,words", [
    ("workers = 0", "workers", ["1", "256"]),
    ("workers = 257", "workers", ["1", "256"]),
    ("workers = many", "workers", ["1", "256"]),
    ("workers =", "workers", ["1", "256"]),
    ("workers = 4x", "workers", ["1", "256"]),
    ("workers = 0x4", "workers", ["1", "256"]),
    ("workers = 99999999999999999999", "workers", ["1", "256"]),
    ("scrypt_cost = 9", "scrypt_cost", ["10", "20"]),
    ("scrypt_cost = 21", "scrypt_cost", ["10", "20"]),
    ("refresh_grace = -1", "refresh_grace", ["0"]),
    ("throttle = maybe", "throttle", ["on", "off"]),
    ("log_level = loud", "log_level", ["error", "warning", "info", "debug"]),
    ("mount = x/", "mount", ["/"]),
    ("listen = relative.sock", "listen", []),
    ("listen = /" + "x" * 120, "listen", ["107"]),
    ("listen = 0.0.0.0:9000", "listen", []),
    ("statement_timeout = 20000", "statement_timeout", ["request_timeout"]),
    ("wrokers = 3", "wrokers", ["unknown"]),
    ("nonsense_key = 3", "nonsense_key", ["unknown"]),
])
def test_a_bad_value_is_named(run, line, key, words):
    """File, line, key and what is allowed; the status is not 0."""
    for program, args in (("taskcell", ["--check"]), ("taskcell", []), ("taskcellctl", ["config"])):
        done = run(program, GOOD + "# a comment\n" + line + "\n", *args)
        assert done.returncode != 0
        (message,) = [l for l in done.stderr.splitlines() if f"{run.path}:5:" in l]
        assert key in message and all(w in message for w in words), message


def test_all_mistakes_at_once(run):
    done = run("taskcell", GOOD + "workers = 0\nthrottle = x\nfoo = 1\n", "--check")
    lines = [m[1] for m in re.finditer(r"taskcell\.conf:(\d+):", done.stderr)]
    assert sorted(lines) == ["4", "5", "6"] and done.returncode != 0


def test_secret_under_256_bits(run):
    """T069."""
    for secret in ("abc123", "x" * 31):
        text = f"database = postgresql://x@127.0.0.1/x\njwt_secret = {secret}\n"
        done = run("taskcell", text, "--check")
        assert done.returncode != 0 and "jwt_secret" in done.stderr and "32" in done.stderr
        assert secret not in done.stderr + done.stdout
    done = run("taskcell", "database = postgresql://x@127.0.0.1/x\n", "--check")
    assert done.returncode != 0 and "jwt_secret" in done.stderr
    text = f"database = postgresql://x@127.0.0.1/x\njwt_secret = {'x' * 32}\n"
    assert run("taskcell", text, "--check").returncode == 0


def test_environment_wins(run):
    done = run("taskcellctl", GOOD + "workers = 3\n", "config", TASKCELL_WORKERS="5")
    assert re.search(r"^workers = 5$", done.stdout, re.M)
    done = run("taskcellctl", GOOD + "workers = 3\n", "config")
    assert re.search(r"^workers = 3$", done.stdout, re.M)
    done = run("taskcell", GOOD, "--check", TASKCELL_WORKERS="0")
    assert done.returncode != 0 and "TASKCELL_WORKERS" in done.stderr and "256" in done.stderr
    done = run("taskcell", GOOD, "--check", TASKCELL_WROKERS="1")
    assert done.returncode != 0 and "TASKCELL_WROKERS" in done.stderr


def test_config_shows_no_secret(run):
    done = run("taskcellctl", GOOD, "config")
    assert done.returncode == 0
    assert SECRET not in done.stdout and "nobody@" not in done.stdout
    assert re.search(r"^jwt_secret = \(set\)$", done.stdout, re.M)
    assert re.search(r"^scrypt_cost = 15$", done.stdout, re.M)
    assert re.search(r"^throttle = on$", done.stdout, re.M)


def test_secrets_in_files(run):
    key = run.dir / "key"
    done = run("taskcellctl", GOOD, "key", "generate", str(key))
    assert done.returncode == 0 and stat.S_IMODE(key.stat().st_mode) == 0o600
    text = key.read_text(encoding="ascii")
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}\n", text) and text.strip() not in done.stdout
    conf = f"database = postgresql://x@127.0.0.1/x\njwt_secret_file = {key}\n"
    assert run("taskcell", conf, "--check").returncode == 0
    done = run("taskcellctl", GOOD, "key", "generate", str(key))
    assert done.returncode != 0 and key.read_text(encoding="ascii") == text
    key.chmod(0o644)
    done = run("taskcell", conf, "--check")
    assert done.returncode != 0 and str(key) in done.stderr
    done = run("taskcell", conf.replace(str(key), str(key) + ".none"), "--check")
    assert done.returncode != 0 and "taskcell.conf:2:" in done.stderr


def test_key_generate(run):
    """T002."""
    one = run("taskcellctl", "", "key", "generate").stdout
    two = run("taskcellctl", "", "key", "generate").stdout
    assert one != two and re.fullmatch(r"[A-Za-z0-9_-]{43}\n", one)


def test_options(build):
    for program in ("taskcell", "taskcellctl"):
        done = subprocess.run([str(build / program), "-h"], capture_output=True, text=True,
                              check=False, timeout=20)
        assert done.returncode == 0 and "sage" in done.stdout
        done = subprocess.run([str(build / program), "--nonsense"], capture_output=True, text=True,
                              check=False, timeout=20)
        assert done.returncode not in (0, 1) and done.stderr
    done = subprocess.run([str(build / "taskcell"), "--version"], capture_output=True, text=True,
                          check=False, timeout=20)
    assert re.match(r"taskcell \d+\.\d+", done.stdout)


# --- the database -------------------------------------------------------------------------------


def test_migrate_again(stack):
    """T006: nothing is left to do, and the server does not notice."""
    done = stack.program("taskcellctl", "migrate")
    assert done.returncode == 0, done.stderr


def test_migrate_refuses_what_it_does_not_know(stack, scratch):
    url, sql = scratch
    assert stack.program("taskcellctl", "migrate", database=url).returncode == 0
    changes = [
        ("update taskcell.migrations set checksum = 'x' || checksum where version = 1",
         "update taskcell.migrations set checksum = substr(checksum, 2) where version = 1"),
        ("insert into taskcell.migrations (version, name, checksum) values (99, '0099_x', 'x')",
         "delete from taskcell.migrations where version = 99"),
    ]
    for break_it, mend_it in changes:
        sql.run(break_it)
        done = stack.program("taskcellctl", "migrate", database=url)
        assert done.returncode != 0 and done.stderr
        sql.run(mend_it)
        assert stack.program("taskcellctl", "migrate", database=url).returncode == 0


def start_alone(stack, run_dir, **changes):
    """Starts taskcell with sockets of its own and waits for its end."""
    run_dir.mkdir()
    return stack.program(
        "taskcell", **{"listen": f"{run_dir}/a", "listen_auth": f"{run_dir}/b",
                       "run_dir": run_dir, "workers": 1, "auth_workers": 1, **changes})


def test_a_superuser_is_refused(stack, state, postgres):
    """The fence would be void without a sign."""
    done = start_alone(stack, state / "s1", database=postgres.admin_url)
    assert done.returncode != 0
    assert re.search("superuser|SUPERUSER", done.stderr), done.stderr


def test_a_role_that_bypasses_the_fence_is_refused(stack, state, postgres):
    stack.sql.run("create role sneaky login bypassrls; grant taskcell to sneaky")
    try:
        url = postgres.url.replace("//taskcell@", "//sneaky@")
        assert url != postgres.url
        done = start_alone(stack, state / "s2", database=url)
        assert done.returncode != 0
        assert re.search("bypassrls", done.stderr, re.I), done.stderr
    finally:
        stack.sql.run("drop role sneaky")


def test_an_empty_database_is_refused(stack, state, scratch):
    """And migrate makes it fit."""
    url, sql = scratch
    done = start_alone(stack, state / "s3", database=url)
    assert done.returncode != 0
    assert re.search("migrat|schema", done.stderr), done.stderr
    done = stack.program("taskcellctl", "migrate", database=url)
    assert done.returncode == 0, done.stderr
    assert sql.value("select count(*) from taskcell.tasks") == "0"


def test_schema_is_documented(stack):
    """T008: every table and column carries a comment."""
    rows = stack.sql.run("""
        select c.relname, a.attname from pg_class c join pg_attribute a on a.attrelid = c.oid
         where c.relnamespace = 'taskcell'::regnamespace and c.relkind = 'r' and a.attnum > 0
           and not a.attisdropped and col_description(c.oid, a.attnum) is null""")
    assert rows == []
    assert stack.sql.run("""
        select relname from pg_class where relnamespace = 'taskcell'::regnamespace
           and relkind = 'r' and obj_description(oid) is null""") == []
