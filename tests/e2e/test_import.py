"""taskcellctl import better-auth, from databases that the real package has made (tests/better-auth,
which npm installs into the build folder)."""

import fcntl
import json
import os
import re
import shutil
import subprocess
import unicodedata

import pytest

import client
import stack as stacks

SOURCES = stacks.SOURCE / "tests/better-auth"
PASSWORD = "Passwo\u0308rt \ufb01sch \u212bngstro\u0308m"  # nothing of it is NFKC
THEIRS = r"\$scrypt\$ln=14,r=16,p=1\$[^$]{43}\$[^$]{86}"
OURS = r"\$scrypt\$ln=15,r=8,p=3\$[^$]{22}\$[^$]{43}"


@pytest.fixture(scope="session")
def package(build):
    """The folder in which node finds the package, as pinned by package-lock.json."""
    folder = build / "tests/better-auth"
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "lock", "w", encoding="ascii") as lock:
        fcntl.lockf(lock, fcntl.LOCK_EX)
        files = {f.name: f.read_bytes() for f in SOURCES.iterdir() if f.is_file()}
        pinned = folder / "installed.json"
        fresh = pinned.exists() and pinned.read_bytes() == files["package-lock.json"]
        for name, data in files.items():
            (folder / name).write_bytes(data)
        if not fresh:
            done = subprocess.run(
                ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=folder,
                stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=600,
            )
            assert done.returncode == 0, f"npm ci: {done.stdout}{done.stderr}"
            shutil.copyfile(folder / "package-lock.json", pinned)
    return folder


class Theirs:
    """A database of Better Auth."""

    def __init__(self, postgres, package, name):
        self.package = package
        self.url, admin_url = (u.replace("@/taskcell?", f"@/{name}?")
                               for u in (postgres.url, postgres.admin_url))
        assert self.url != postgres.url
        postgres.admin.run(f"create database {name} owner taskcell")
        self.sql = stacks.Database(postgres, admin_url)

    def sign_up(self, *people, **options):
        """Each with name, email and password; their ids there."""
        for p in people:
            client.remember_secret(p["password"])
        done = subprocess.run(
            ["node", "make.mjs"], cwd=self.package, capture_output=True, text=True, check=False,
            input=json.dumps({"options": options, "users": people}), timeout=120,
            env={**os.environ, "BETTER_AUTH_DATABASE_URL": self.url},
        )
        assert done.returncode == 0, f"make.mjs: {done.stdout}{done.stderr}"
        return done.stdout.split()


@pytest.fixture
def theirs(postgres, package):
    yield Theirs(postgres, package, "better_auth")
    postgres.admin.run("drop database better_auth with (force)")


def person(email, name="Anna", password=PASSWORD):
    return {"name": name, "email": email, "password": password}


def run(stack, *args, url=None, status=0):
    """What the import prints. The stack's environment has no URL but this one."""
    env = stack.environment()
    env.pop("BETTER_AUTH_DATABASE_URL", None)
    if url is not None:
        env["BETTER_AUTH_DATABASE_URL"] = url
    done = subprocess.run(
        [str(stack.build / "taskcellctl"), "import", "better-auth", *args], env=env,
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=120,
    )
    assert done.returncode == status, f"{done.stdout}{done.stderr}"
    assert not stacks.SANITIZER.search(done.stderr), done.stderr
    return done.stdout if status == 0 else done.stderr


def ours(stack, email):
    """The row here: id, e-mail as given, name, creation in ms, hash, whether it is disabled."""
    rows = stack.sql.run(
        "select u.id, u.email, coalesce(u.name, '<none>'),"
        " floor(extract(epoch from u.created_at) * 1000)::bigint, c.password_hash,"
        " c.disabled_at is not null"
        " from taskcell.user_emails e join taskcell.users u on u.id = e.user_id"
        f" join taskcell.credentials c on c.user_id = u.id where e.email = '{email}'"
    )
    return rows[0] if rows else None


def test_the_old_password_logs_in_and_is_rehashed(make_stack, theirs):
    stack = make_stack(scrypt_cost=15, workers=2)
    email = "old.password@example.org"
    [their_id] = theirs.sign_up(person("Old.Password@Example.org", "  Anna Ö  "))
    out = run(stack, url=theirs.url)
    assert re.fullmatch(
        f"imported +{email}\n"
        "1 imported, 0 there already, 0 without a password, 0 not importable\n", out
    )

    user_id, given, name, created, stored, disabled = ours(stack, email)
    assert client.UUID7.fullmatch(user_id) and user_id != their_id
    assert (given, name, disabled) == (email, "Anna Ö", "f")
    assert re.fullmatch(THEIRS, stored)
    assert created == theirs.sql.value(
        'select floor(extract(epoch from "createdAt") * 1000)::bigint from "user"'
    )
    assert stack.sql.run(
        f"select event, detail from taskcell.audit where user_id = '{user_id}'"
    ) == [["registered", "imported from Better Auth"]]

    client.login(stack.http, email, PASSWORD + "!").expect(401, "invalid_credentials")
    client.login(stack.http, email, PASSWORD[:-1]).expect(401, "invalid_credentials")
    assert ours(stack, email)[4] == stored
    first = client.login(stack.http, email, PASSWORD).expect(200)
    assert first.json["user"]["id"] == user_id
    rehashed = ours(stack, email)[4]
    assert re.fullmatch(OURS, rehashed)

    # the same password however it is typed, and no second rehash
    for form in ("NFC", "NFD", "NFKC", "NFKD"):
        client.login(stack.http, email, unicodedata.normalize(form, PASSWORD)).expect(200)
    client.login(stack.http, email, PASSWORD.upper()).expect(401)
    assert ours(stack, email)[4] == rehashed
    user = client.User(stack.http, first.json, PASSWORD)
    user.create("after the move")


def test_the_real_package_and_we_agree_on_many_passwords(stack, theirs):
    passwords = ["plain old password", "sunshine", "  two blanks  ",
                 "\u00e9\u00df\u4f60\u597d\u043f\u0440\u0418\u0306", "\U0001f600" * 8,
                 "\u1112\u1161\u11ab" * 8, "q\u0307\u0323 order of marks",
                 "\uff21\uff22\uff23\uff24\uff25\uff26\uff27\uff11", "\ufdfa" * 8, "x" * 128]
    people = [person(f"agree.{i}@example.org", password=p) for i, p in enumerate(passwords)]
    theirs.sign_up(*people)
    run(stack, url=theirs.url)
    for p in people:
        client.login(stack.http, p["email"], p["password"]).expect(200)
        client.login(stack.http, p["email"], p["password"][:-1] + "?").expect(401)


def test_ids_that_are_uuids_stay(stack, theirs):
    [their_id] = theirs.sign_up(
        person("uuid@example.org"), advanced={"database": {"generateId": "uuid"}}
    )
    assert theirs.sql.value("select data_type from information_schema.columns"
                            " where table_name = 'user' and column_name = 'id'") == "uuid"
    run(stack, theirs.url)  # the URL as an argument
    assert ours(stack, "uuid@example.org")[0] == their_id


def test_again_brings_only_what_is_new(stack, theirs):
    theirs.sign_up(person("again.1@example.org"))
    run(stack, url=theirs.url)
    user = client.User(
        stack.http, client.login(stack.http, "again.1@example.org", PASSWORD).expect(200).json,
        PASSWORD,
    )
    user.call("PATCH", "/api/auth/account", {"name": "Changed here"}).expect(200)
    before = ours(stack, "again.1@example.org")
    theirs.sign_up(person("again.2@example.org"))
    out = run(stack, url=theirs.url)
    assert re.search(r"(?m)^there already +again\.1@example\.org$", out)
    assert re.search(r"(?m)^imported +again\.2@example\.org$", out)
    assert out.endswith("1 imported, 1 there already, 0 without a password, 0 not importable\n")
    assert ours(stack, "again.1@example.org") == before
    assert user.alive()


def test_an_account_of_ours_is_not_touched(stack, theirs):
    own = client.register(stack.http, email="Taken.Here@example.org")
    theirs.sign_up(person("taken.here@example.org"))
    before = ours(stack, "taken.here@example.org")
    assert "there already" in run(stack, url=theirs.url)
    assert ours(stack, "taken.here@example.org") == before
    assert own.alive()
    client.login(stack.http, "taken.here@example.org", PASSWORD).expect(401)


def test_dry_run_writes_nothing(stack, theirs):
    theirs.sign_up(person("dry@example.org"), person("dry.2@example.org"))
    out = run(stack, "--dry-run", url=theirs.url)
    assert out.endswith(
        "2 would be imported, 0 there already, 0 without a password, 0 not importable\n"
    )
    assert ours(stack, "dry@example.org") is None
    run(stack, url=theirs.url)
    assert ours(stack, "dry@example.org") is not None


def test_each_fate_is_told(stack, theirs):
    names = ("social", "bcrypt", "short", "salt", "mail", "banned", "name", "twice", "good")
    theirs.sign_up(*(person(f"fate.{n}@example.org") for n in names))
    of = "(select id from \"user\" where email = 'fate.{}@example.org')"

    def account(name, change):
        theirs.sql.run(f'update "account" set {change} where "userId" = ' + of.format(name))

    account("social", "\"providerId\" = 'google', password = null")
    account("bcrypt", "password = '$2b$10$abcdefghijklmnopqrstuuO3Jv7Vd2d8xk8Uo0zU3mK9yq6Q5uX1e'")
    account("short", "password = left(password, -2)")
    account("salt", "password = 'abc' || substr(password, strpos(password, ':'))")
    theirs.sql.run(
        "update \"user\" set email = E'fate.\\u009b\\nmail@localhost' where id = "
        + of.format("mail")
        + '; alter table "user" add column banned boolean;'
        'update "user" set banned = true where id = ' + of.format("banned")
        + ";update \"user\" set name = repeat('\u00e4', 150) where id = " + of.format("name")
        # an older password, which must not count
        + ';insert into "account" (id, "accountId", "providerId", "userId", password, "createdAt",'
        ' "updatedAt") select id || \'-\', "accountId", "providerId", "userId", \'old\','
        ' "createdAt", "updatedAt" - interval \'1 day\' from "account" where "userId" = '
        + of.format("twice")
    )
    out = run(stack, url=theirs.url)
    fates = {line[15:]: line[:15].strip() for line in out.splitlines()[:-1]}
    hash_kind = ": its password hash is not of Better Auth's own kind"
    assert fates == {
        "fate.social@example.org": "no password",
        f"fate.bcrypt@example.org{hash_kind}": "not importable",
        f"fate.short@example.org{hash_kind}": "not importable",
        f"fate.salt@example.org{hash_kind}": "not importable",
        "fate.??mail@localhost: not an e-mail address that can be registered here":
            "not importable",
        "fate.banned@example.org: disabled, as it is banned there": "imported",
        "fate.name@example.org": "imported",
        "fate.twice@example.org": "imported",
        "fate.good@example.org": "imported",
    }
    assert out.endswith("4 imported, 0 there already, 1 without a password, 4 not importable\n")
    assert ours(stack, "fate.bcrypt@example.org") is None
    assert ours(stack, "fate.name@example.org")[2] == "\u00e4" * 100
    assert ours(stack, "fate.banned@example.org")[5] == "t"
    client.login(stack.http, "fate.banned@example.org", PASSWORD).expect(401)
    client.login(stack.http, "fate.twice@example.org", PASSWORD).expect(200)
    client.login(stack.http, "fate.good@example.org", PASSWORD).expect(200)


def test_more_than_a_page(stack, theirs):
    theirs.sign_up(person("page@example.org"))
    theirs.sql.run(
        'insert into "user" (id, name, email, "emailVerified")'
        " select i, '', 'page.' || i || '@example.org', false from generate_series(1, 449) i;"
        'insert into "account" (id, "accountId", "providerId", "userId", password, "updatedAt")'
        " select u.id, u.id, 'credential', u.id, a.password, now() from \"user\" u, \"account\" a"
        " where u.id <> a.\"userId\""
    )
    out = run(stack, url=theirs.url)
    assert out.endswith("450 imported, 0 there already, 0 without a password, 0 not importable\n")
    assert ours(stack, "page.449@example.org")[2] == "<none>"
    client.login(stack.http, "page.449@example.org", PASSWORD).expect(200)


def test_what_cannot_be_read_is_said(stack, scratch):
    url, _ = scratch
    assert "no database of Better Auth" in run(stack, url=url, status=1)
    assert "no connection" in run(
        stack, url="postgresql://somebody:geheimnis@/nowhere?host=/nonexistent", status=1
    )
    assert "BETTER_AUTH_DATABASE_URL" in run(stack, status=64)
    assert "BETTER_AUTH_DATABASE_URL" in run(stack, url="", status=64)
    for bad in ("postgresql://somebody:geheimnis@[::1/x", "postgresql://a:geheimnis@127.0.0.1:1/x"):
        assert "geheimnis" not in run(stack, url=bad, status=1)
