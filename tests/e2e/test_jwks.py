"""The public keys: others verify our tokens with them, and with nothing else. T011, T034."""

import json
import subprocess

import pytest

import fastcgi
from client import b64url, claims_of, login, refresh, register, sign, unb64url
from stack import wait_for

PATH = "/.well-known/jwks.json"
ALGORITHMS = ["HS256", "ES256", "RS256"]
MEMBERS = {"ES256": {"kty", "use", "alg", "kid", "crv", "x", "y"},
           "RS256": {"kty", "use", "alg", "kid", "n", "e"}}

# Another implementation of JWK and JWS, which is given the set and a token.
VERIFY = """
const crypto = require("crypto");
const {jwks, token} = JSON.parse(require("fs").readFileSync(0));
const [head, payload, signature] = token.split(".");
const header = JSON.parse(Buffer.from(head, "base64url"));
const jwk = jwks.keys.find(k => k.kid === header.kid);
if (!jwk || jwk.alg !== header.alg || jwk.use !== "sig")
    throw new Error("no key of the set is the token's");
const key = crypto.createPublicKey({key: jwk, format: "jwk"});
console.log(crypto.verify("sha256", Buffer.from(head + "." + payload),
    {key, dsaEncoding: "ieee-p1363"}, Buffer.from(signature, "base64url")));
"""


def verifies(jwks, token):
    done = subprocess.run(["node", "-e", VERIFY], input=json.dumps({"jwks": jwks, "token": token}),
                          capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip() == "true"


def header_of(token):
    return json.loads(unb64url(token.split(".")[0]))


@pytest.fixture
def keyed(make_stack, build, tmp_path):
    """keyed("ES256", …): a taskcell whose directory has one key, that algorithm's."""
    def make(algorithm, **settings):
        keys = tmp_path / "keys"
        done = subprocess.run([build / "taskcellctl", "key", "generate", "--dir", keys,
                               "--algorithm", algorithm],
                              capture_output=True, text=True, check=True, timeout=60)
        assert done.stdout.split()[1:] == [algorithm, "current"]
        s = make_stack(key_dir=str(keys), **{"jwt_secret": None, **settings})
        s.keys = keys
        return s

    return make


def test_no_public_keys(http):
    """A secret is nobody else's."""
    a = http.request("GET", PATH).expect(200)
    assert a.json == {"keys": []}
    assert a.header("Cache-Control") == "public, max-age=300"
    assert a.header("Content-Type") == "application/json"


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_others_verify_our_tokens(keyed, algorithm):
    s = keyed(algorithm)
    user = register(s.http)
    jwks = s.http.request("GET", PATH).expect(200).json
    assert header_of(user.access)["alg"] == algorithm
    assert user.alive()
    if algorithm == "HS256":
        assert jwks == {"keys": []}
        return
    (key,) = jwks["keys"]
    assert set(key) == MEMBERS[algorithm] and key["use"] == "sig"
    assert key["alg"] == algorithm and key["kid"] == header_of(user.access)["kid"]
    head, payload, signature = user.access.split(".")
    assert verifies(jwks, user.access)
    edited = b64url(json.dumps({**claims_of(user.access), "sub": "x"}).encode())
    assert not verifies(jwks, f"{head}.{edited}.{signature}")
    # only the signature has the letters that atob() does not know
    assert not set(head + payload) & set("-_")


@pytest.mark.parametrize("algorithm", ALGORITHMS[1:])
def test_the_public_key_signs_nothing(keyed, algorithm):
    """Whoever takes it for a secret is refused, whatever the header says."""
    s = keyed(algorithm)
    user = register(s.http)
    head, payload, _ = user.access.split(".")
    (key,) = s.http.request("GET", PATH).json["keys"]
    pem = subprocess.run(
        ["node", "-e", "const c = require('crypto'); process.stdout.write(c.createPublicKey({key: "
         "JSON.parse(process.argv[1]), format: 'jwk'}).export({type: 'spki', format: 'pem'}))",
         json.dumps(key)], capture_output=True, text=True, check=True, timeout=60).stdout
    assert "BEGIN PUBLIC KEY" in pem
    kid = header_of(user.access)["kid"]
    for header in (head, {"alg": "HS256", "kid": kid, "typ": "JWT"}, {"alg": "HS256", "typ": "JWT"},
                   {"alg": "HS256", "kid": f"../{kid}.key", "typ": "JWT"}):
        for secret in (pem, pem.strip(), json.dumps(key), kid):
            token = sign(header, payload, secret)
            user.call("GET", "tasks", token=token).expect(401, "invalid_token")
    for header in ({"alg": "none", "kid": kid, "typ": "JWT"}, {"alg": "none"}):
        token = f"{b64url(json.dumps(header).encode())}.{payload}."
        user.call("GET", "tasks", token=token).expect(401, "invalid_token")
    assert user.alive()


def test_etag(keyed):
    s = keyed("ES256")
    a = s.http.request("GET", PATH).expect(200)
    etag = a.header("ETag")
    assert etag.startswith('"') and etag.endswith('"') and len(etag) > 16
    again = s.http.request("GET", PATH).expect(200)
    assert again.header("ETag") == etag and again.body == a.body

    def asks(value, method="GET"):
        return s.http.request(method, PATH, headers={"If-None-Match": value})

    for value in (etag, f"W/{etag}", f'"x", {etag}', f'{etag[:-1]}-gzip"', "*",
                  f'W/"y" ,{etag},'):
        b = asks(value).expect(304)
        assert b.header("ETag") == etag and b.header("Cache-Control") == "public, max-age=300"
    for value in ('"x"', etag.strip('"'), f'"{etag}"', '"', '""', f'{etag[:-2]}"', "W/", ","):
        asks(value).expect(200)
    asks(etag, "HEAD").expect(304)
    assert asks('"x"', "HEAD").expect(200).header("ETag") == etag
    s.ctl("key", "generate")
    b = asks(etag).expect(200)
    assert len(b.json["keys"]) == 2 and b.header("ETag") != etag
    asks(b.header("ETag")).expect(304)
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        b = s.http.request(method, PATH).expect(405, "method_not_allowed")
        assert b.header("Cache-Control") == "no-store"


def test_a_rotation(keyed):
    """Generate, rotate, retire: what verifies, who signs, what others see and what is kept."""
    s = keyed("RS256")
    user = register(s.http)
    first = header_of(user.access)["kid"]

    def listed():
        rows = [line.split() for line in s.ctl("key", "list").splitlines()[1:]]
        return {r[0]: (r[1], r[2]) for r in rows}

    def published():
        return {k["kid"] for k in s.http.request("GET", PATH).expect(200).json["keys"]}

    second, algorithm, state = s.ctl("key", "generate", "--algorithm", "ES256").split()
    assert (algorithm, state) == ("ES256", "next")
    assert published() == {first, second}  # before the first token that it signs
    assert header_of(login(s.http, user.email).json["access_token"])["kid"] == first
    assert s.ctl("key", "rotate").split() == [second, "ES256", "current"]
    assert listed() == {first: ("RS256", "retired"), second: ("ES256", "current")}

    assert user.alive()
    a = refresh(s.http, user.refresh).expect(200).json  # the first signed it, the second answers
    assert header_of(a["access_token"])["kid"] == second
    jwks = s.http.request("GET", PATH).json
    assert verifies(jwks, user.access) and verifies(jwks, a["access_token"])

    assert s.program("taskcellctl", "key", "retire", second).returncode == 1
    s.ctl("key", "retire", first)
    user.call("GET", "tasks").expect(401, "invalid_token")
    refresh(s.http, user.refresh).expect(401, "invalid_refresh_token")
    assert published() == {second} and listed() == {second: ("ES256", "current")}
    user.call("GET", "tasks", token=a["access_token"]).expect(200)
    refresh(s.http, a["refresh_token"]).expect(200)

    rows = s.sql.run("select detail, ip from taskcell.audit where event = 'key_rotated' "
                     f"and (detail like '%{first}%' or detail like '%{second}%')")
    assert sorted(r[0] for r in rows) == [f"current {second}", f"removed {first}"]
    modes = {p.name: p.stat().st_mode & 0o777 for p in s.keys.iterdir()}
    assert modes == {"keyring": 0o600, f"{second}.key": 0o600}
    assert s.keys.stat().st_mode & 0o777 == 0o700


def test_from_a_secret_to_keys(make_stack, tmp_path):
    """The configuration's secret still verifies beside a directory, so nobody is logged out."""
    s = make_stack(workers=1, auth_workers=1)
    user = register(s.http)
    assert s.stop() == []
    keys = tmp_path / "keys"
    s.settings["key_dir"] = str(keys)
    assert s.ctl("key", "generate", "--algorithm", "ES256").split()[1:] == ["ES256", "current"]
    s.start()
    user.http = s.http
    assert user.alive()
    a = refresh(s.http, user.refresh).expect(200).json
    assert header_of(a["access_token"])["alg"] == "ES256"


def test_keys_that_others_could_read(keyed):
    """Nothing starts with them, and the reason is in the log."""
    s = keyed("ES256", workers=1, auth_workers=1)
    assert s.stop() == []
    (key,) = s.keys.glob("*.key")
    for path, mode in ((key, 0o644), (s.keys, 0o755), (s.keys / "keyring", 0o640)):
        right = path.stat().st_mode & 0o777
        path.chmod(mode)
        mark = s.log_size()
        with s.expecting_errors("."):
            s.start_taskcell()
            assert s.taskcell.wait(20) != 0
        text = s.log_text(mark)
        assert " event=keys " in text and path.name in text, text
        path.chmod(right)
    s.start_taskcell()
    wait_for("the socket", lambda: s.answers(s.settings["listen"]))


def test_commands(make_stack, tmp_path):
    """What is wrong is said, and leaves everything as it was."""
    s = make_stack(with_nginx=False, ready=False, workers=1, auth_workers=1)
    wait_for("the socket", lambda: s.answers(s.settings["listen"]))
    keys = str(tmp_path / "keys")

    def fails(status, says, *args):
        done = s.program("taskcellctl", "key", *args)
        assert done.returncode == status and says in done.stderr, (args, done.stderr)

    for command in (["rotate"], ["list"], ["retire", "00000000"],
                    ["generate", "--algorithm", "ES256"]):
        fails(1, "key_dir", *command)
    fails(64, "HS256, ES256 or RS256", "generate", "--dir", keys, "--algorithm", "none")
    fails(64, "FILE", "generate", str(tmp_path / "file"), "--dir", keys)
    fails(1, "No such file", "rotate", "--dir", keys)
    s.ctl("key", "generate", "--dir", keys)
    kid, algorithm, state = s.ctl("key", "list", "--dir", keys).splitlines()[1].split()[:3]
    assert (algorithm, state) == ("HS256", "current")
    fails(1, "current", "retire", kid, "--dir", keys)
    fails(1, "no key", "retire", "../" + kid, "--dir", keys)
    s.ctl("key", "generate", "--dir", keys)
    fails(1, "next key already", "generate", "--dir", keys)
    assert len(s.ctl("key", "list", "--dir", keys).splitlines()) == 3


def test_mount(keyed):
    s = keyed("ES256", with_nginx=False, mount="/todo", workers=1, auth_workers=1)
    listen = s.settings["listen"]
    wait_for("the socket", lambda: s.answers(listen))
    a = fastcgi.request(listen, "GET", "/todo" + PATH).expect(200)
    assert len(a.json["keys"]) == 1
    fastcgi.request(listen, "GET", PATH, outside=True).expect(404)
