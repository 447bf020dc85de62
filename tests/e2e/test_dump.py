"""A copy of the database alone opens nothing: no token, password or code is in it, and none can be
made from what is."""

import base64
import binascii
import hashlib
import hmac
import re
import subprocess

import pytest

from client import PASSWORD, User, another, b64url, claims_of, fresh_email, login, refresh, register
from client import remember_secret, unb64url

SITE = "https://tasks.example.org"
CODE = re.compile(r"(?<![\w-])[A-Za-z0-9_-]{22}(?![\w-])")


class Dump:
    """A small database of its own in which much has happened, and what an attacker has of it."""

    def __init__(self, s, sql, postgres):
        self.http, self.sql = s.http, sql
        self.secrets = {}
        self.act(s)
        url = sql.command[-1]
        self.text = subprocess.run(
            [f"{postgres.bin}/pg_dump", "-d", url], capture_output=True, text=True, check=True,
            timeout=120).stdout
        self.binary = subprocess.run(
            [f"{postgres.bin}/pg_dump", "-Fc", "-Z0", "-d", url], capture_output=True, check=True,
            timeout=120).stdout

    def keep(self, name, value):
        remember_secret(value)
        self.secrets[f"{name} {len(self.secrets)}"] = value

    def auth(self, name, user):
        self.keep(f"access of {name}", user.access)
        self.keep(f"refresh of {name}", user.refresh)

    def invite(self, s):
        (code,) = CODE.findall(s.ctl("invite", "add"))
        self.keep("code", code)
        return code

    def act(self, s):
        http = s.http
        words = ["an unguessable phrase 1", "an unguessable phrase 2", "an unguessable phrase 3"]
        for w in words:
            self.keep("password", w)
        self.code = self.invite(s)
        user = register(http, words[0], invite=self.invite(s))
        other = register(http, words[1], invite=self.invite(s))
        user.create("a task")
        self.auth("a session", user)
        user.take(refresh(http, user.refresh).expect(200).json)
        self.auth("the same, refreshed", user)
        second = another(user)
        self.auth("another", second)
        login(http, user.email, words[2]).expect(401)
        login(http, words[2] + "@example.org", words[2]).expect(401)  # in the wrong field
        login(http, words[2], words[2])
        user.call("DELETE", f"/api/auth/sessions/{second.sid}").expect(204)
        a = user.call("POST", "/api/auth/password",
                      {"current_password": words[0], "new_password": words[2]}).expect(200)
        user = User(http, a.json, words[2])
        self.auth("the one after the change", user)
        # A password that an administrator sets, as when somebody has forgotten it.
        reset = "an unguessable phrase 4"
        self.keep("password", reset)
        done = subprocess.run([str(s.build / "taskcellctl"), "user", "password", other.email],
                              input=f"{reset}\n", env=s.environment(), capture_output=True,
                              text=True, check=False, timeout=60)
        assert done.returncode == 0, done.stderr
        other = User(http, login(http, other.email, reset).expect(200).json, reset)
        self.auth("a session after a reset", other)
        body = {"email": user.email, "password": words[2], "cookie": True}
        a = http.request("POST", "/api/auth/login", body).expect(200)
        self.cookie = a.header("Set-Cookie").split(";")[0].split("=", 1)[1]
        self.keep("cookie", self.cookie)
        self.user, self.other = user, other

    def candidates(self):
        """Everything in it that could be a key, in whatever coding: values of columns, their parts,
        and these decoded."""
        found = set()
        for line in self.text.splitlines():
            for value in line.split("\t"):
                found.add(value.encode())
                for part in re.split(r"[\s$,;:=()'\"]+", value):
                    found.add(part.encode())
        for value in list(found):
            for decode in (bytes.fromhex, base64.b64decode, unb64url):
                try:
                    found.add(decode(value.decode()))
                    found.add(decode(value.decode().replace("-", "").replace("\\x", "")))
                except (ValueError, binascii.Error):
                    pass
            found.add(value.replace(b"-", b""))
        found.discard(b"")
        return found | {b"", b"\0" * 32}


@pytest.fixture(scope="module")
def dump(module_stack, postgres, stack):
    sql = postgres.admin
    sql.run("create database dumped owner taskcell")
    url, admin_url = (u.replace("@/taskcell?", "@/dumped?")
                      for u in (postgres.url, postgres.admin_url))
    assert stack.program("taskcellctl", "migrate", database=url).returncode == 0
    s = module_stack(database=url, registration="invite", throttle="on", public_url=SITE,
                     throttle_address_per_minute=1000, workers=1, auth_workers=1,
                     jwt_secret="of-this-server-alone-0123456789-abcdefghij")
    yield Dump(s, type(sql)(postgres, admin_url), postgres)


def test_it_is_all_there(dump):
    """The dump is of what happened: else the rest would show nothing."""
    assert dump.user.email in dump.text and dump.user.id in dump.text
    for table in ("sessions", "credentials", "audit", "invites", "throttle", "tasks"):
        block = re.search(rf"COPY taskcell\.{table} .*?FROM stdin;\n(.*?)\n?\\\.", dump.text, re.S)
        assert block and block[1], table
    assert dump.user.sid in dump.text and dump.other.sid in dump.text


def test_no_secret_is_in_it(dump):
    """As it is, decoded, in hex or base64, or as a plain digest of a token."""
    low = dump.text.lower()
    assert len(dump.secrets) >= 15
    for name, secret in dump.secrets.items():
        data = secret.encode()
        forms = {secret, data.hex(), base64.b64encode(data).decode(), b64url(data),
                 secret[len(secret) // 2:], secret[:len(secret) // 2]}
        if name.startswith(("access", "refresh", "cookie")):
            raw = unb64url(secret.split(".")[-1])
            forms |= {raw.hex(), base64.b64encode(raw).decode(), raw[-32:].hex(), b64url(raw[-32:]),
                      hashlib.sha256(data).hexdigest(), hashlib.sha256(raw).hexdigest(),
                      secret.split(".")[-1]}
            assert raw[-32:] not in dump.binary
        if name.startswith("password"):  # an unsalted digest would be as good as the password
            for digest in (hashlib.md5, hashlib.sha1, hashlib.sha256, hashlib.sha512):
                forms |= {digest(data).hexdigest(), b64url(digest(data).digest()),
                          digest(secret.lower().encode()).hexdigest()}
        for form in forms:
            assert form.lower() not in low, f"{name} is in the dump"
            assert form.encode() not in dump.binary, f"{name} is in the dump"


def test_codes_are_kept_as_digests(dump):
    """128 random bits: a digest of them cannot be turned back."""
    (digest,) = [hashlib.sha256(dump.code.encode()).hexdigest()]
    assert digest in dump.text
    for guess in (digest, digest[:22], b64url(bytes.fromhex(digest)),
                  b64url(bytes.fromhex(digest))[:22]):
        dump.http.request("POST", "/api/auth/register", {
            "email": fresh_email(), "password": PASSWORD, "invite": guess}).expect(
            403, "invalid_invite")


def test_no_key_is_in_it(dump):
    """Real tokens are not reproduced by anything in the dump that could be a key."""
    candidates = dump.candidates()
    assert len(candidates) > 300 and dump.user.id.encode() in candidates
    header, payload, mac = dump.user.access.split(".")
    token, raw = f"{header}.{payload}".encode(), unb64url(dump.user.refresh)
    mac, kid = unb64url(mac), unb64url(dump.user.refresh)[1:5].hex()
    for key in candidates:
        for k in (key, hashlib.sha256(key).digest(), hmac.digest(key, kid.encode(), "sha256")):
            assert hmac.digest(k, token, "sha256") != mac
            assert hmac.digest(k, raw[:53], "sha256") != raw[53:]
    # The check is not blind: with the key among them it would have struck.
    key = b"of-this-server-alone-0123456789-abcdefghij"
    assert hmac.digest(key, token, "sha256") == mac


def test_nothing_in_it_is_a_token(dump):
    """Whatever is long enough is tried as an access token, a refresh token and a cookie."""
    words = {c.decode() for c in dump.candidates()
             if 20 <= len(c) <= 500 and re.fullmatch(rb"[\x21-\x7e]+", c)}
    # Rows of sessions, credentials, audit and invitations; not the text of the schema.
    words = {w for w in words if re.search(r"\d", w)}
    assert dump.user.sid in words
    for w in sorted(words)[:400]:
        assert dump.http.request("GET", "/api/auth/session", token=w, check=False).status in (
            400, 401), w
        a = dump.http.request("POST", "/api/auth/refresh", {"refresh_token": w})
        a.expect(401, "invalid_refresh_token")
        headers = {"Sec-Fetch-Site": "same-origin",
                   "Cookie": f"__Secure-taskcell_refresh={w.split(';')[0]}"}
        dump.http.request("POST", "/api/auth/refresh", headers=headers).expect(
            401, "invalid_refresh_token")


def test_tokens_are_not_built_from_rows(dump):
    """The rows have every field of a refresh token but its seal."""
    (row,) = dump.sql.run(
        "select key_id, counter, extract(epoch from least(idle_expires_at, expires_at))::bigint "
        f"from taskcell.sessions where id = '{dump.user.sid}'")
    real = unb64url(dump.user.refresh)
    fields = bytes([1]) + bytes.fromhex(row[0]) + bytes.fromhex(dump.user.id.replace("-", "")) + \
        bytes.fromhex(dump.user.sid.replace("-", "")) + int(row[1]).to_bytes(8, "big")
    assert real[:45] == fields  # all of it is known to whoever has the dump
    hashes = [r[0] for r in dump.sql.run("select password_hash from taskcell.credentials")]
    keys = [b"", row[0].encode(), bytes.fromhex(row[0]), dump.user.id.encode(),
            *(h.encode() for h in hashes), *(h.split("$")[-1].encode() for h in hashes)]
    for key in keys:
        forged = real[:53] + hmac.digest(key, real[:53], "sha256")
        dump.http.request("POST", "/api/auth/refresh", {
            "refresh_token": b64url(forged)}).expect(401, "invalid_refresh_token")
        header, payload, _ = dump.user.access.split(".")
        forged = hmac.digest(key, f"{header}.{payload}".encode(), "sha256")
        dump.http.request("GET", "/api/me/tasks", token=f"{header}.{payload}.{b64url(forged)}"
                          ).expect(401, "invalid_token")
    for seal in (b"\0" * 32, b"", hashlib.sha256(real[:53]).digest()):
        dump.http.request("POST", "/api/auth/refresh", {
            "refresh_token": b64url(real[:53] + seal)}).expect(401, "invalid_refresh_token")


def test_hashes_log_nobody_in(dump):
    """The hash is not the password."""
    for email, kept in dump.sql.run(
            "select e.email, c.password_hash from taskcell.credentials c "
            "join taskcell.user_emails e using (user_id)"):
        for guess in (kept, kept.split("$")[-1], kept[:128]):
            if len(guess) <= 128:
                login(dump.http, email, guess).expect(401, "invalid_credentials")
            dump.sql.run("delete from taskcell.throttle")


def test_and_the_real_ones_work(dump):
    """To the end: what was searched for were tokens that open something."""
    assert dump.user.alive() and dump.other.alive()
    dump.user.take(refresh(dump.http, dump.user.refresh).expect(200).json)
    headers = {"Sec-Fetch-Site": "same-origin",
               "Cookie": f"__Secure-taskcell_refresh={dump.cookie}"}
    a = dump.http.request("POST", "/api/auth/refresh", headers=headers).expect(200)
    remember_secret(a.header("Set-Cookie").split(";")[0].split("=", 1)[1])
    a = dump.http.request("POST", "/api/auth/register", {
        "email": fresh_email(), "password": PASSWORD, "invite": dump.code}).expect(201)
    assert claims_of(a.json["access_token"])["email"]
