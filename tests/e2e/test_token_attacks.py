"""Attacks on access tokens, against servers that sign with a secret and with keys of each kind.
RFC 8725 has most of them; the rest is from the errors of other libraries. None may open anything,
and no worker may die of one."""

import base64
import hashlib
import hmac
import json
import time

import pytest

import signing
from client import NEVER, at_once, b64url, claims_of, register, remember_secret, unb64url

KINDS = ["secret", "HS256", "ES256", "RS256"]
ALGORITHMS = ["HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "ES256", "ES384",
              "ES512", "ES256K", "EdDSA"]


class Server:
    def __init__(self, stack, key):
        self.stack = stack
        self.http = stack.http
        self.key = key
        self.user = register(stack.http)
        self.header, self.payload, self.signature = self.user.access.split(".")
        self.head = json.loads(unb64url(self.header))
        self.claims = claims_of(self.user.access)
        self.workers = stack.workers()

    def token(self, header=None, payload=None, key=None, **changes):
        """Signed with the server's own key, unless another is given. `header`: members that differ,
        or bytes; `payload`: bytes; `changes`: claims that differ."""
        if isinstance(header, dict):
            header = compact({k: v for k, v in {**self.head, **header}.items() if v is not None})
        if payload is None and changes:
            payload = compact({**self.claims, **changes})
        return signing.token(key or self.key, self.header if header is None else header,
                             self.payload if payload is None else payload)

    def ask(self, token):
        return self.http.request("GET", "/api/me/tasks", token=token)

    def works(self, token):
        assert self.ask(token).expect(200).json == []

    def refuses(self, token, code="invalid_token"):
        """Everywhere, also where a token is only looked at on the way."""
        a = self.ask(token).expect(401, code)
        assert 'error="invalid_token"' in a.header("WWW-Authenticate")
        return a

    def unharmed(self):
        self.works(self.user.access)
        assert set(self.workers) <= set(self.stack.workers())


def compact(value):
    return json.dumps(value, separators=(",", ":")).encode()


@pytest.fixture(scope="module", params=KINDS)
def server(request, module_stack, state):
    kind = request.param
    settings = {"workers": 2, "auth_workers": 1}
    if kind == "secret":
        s = module_stack(**settings)
        return Server(s, signing.Secret(s.secret))
    directory = state / f"keys-{kind}"
    module_stack.ctl("key", "generate", "--dir", directory, "--algorithm", kind)
    s = module_stack(key_dir=directory, jwt_secret=None, **settings)
    kid, key = signing.current(directory)
    made = Server(s, key)
    assert made.head == {"alg": kind, "typ": "JWT", "kid": kid}
    return made


@pytest.fixture(autouse=True)
def afterwards(request):
    yield
    if "server" in request.fixturenames:
        request.getfixturevalue("server").unharmed()


@pytest.fixture(scope="module")
def attackers(state):
    return [signing.PrivateKey.make(state / f"attacker-{a}.pem", a) for a in ("ES256", "RS256")] \
        + [signing.Secret("attacker" * 8)]


def test_what_is_signed_here_is_accepted(server):
    """So that each refusal below is one of the attack and not of the way tokens are made."""
    server.works(server.token())
    server.works(server.token(jti="another"))
    server.works(server.token(payload=compact({**server.claims, "more": [1, {"a": None}]})))


# --- none, and confused algorithms --------------------------------------------------------------


@pytest.mark.parametrize("alg", ["none", "None", "NONE", "nOnE", "", " none", "none\u0000", None, 0,
                                 [], ["none"], {}, False])
def test_none(server, alg):
    for header in (compact({**server.head, "alg": alg}), compact({"alg": alg, "typ": "JWT"}),
                   compact({"typ": "JWT", "kid": server.head["kid"]})):
        unsigned = b64url(header) + "." + server.payload
        for token in (unsigned + ".", unsigned, unsigned + ".AA", f"{unsigned}.{server.signature}",
                      server.token(header=header)):
            server.refuses(token)


@pytest.mark.parametrize("alg", ALGORITHMS)
def test_another_algorithm(server, alg):
    """Signed with the right key, but under another name."""
    if alg == server.head["alg"]:
        return
    server.refuses(server.token(header={"alg": alg}))
    server.refuses(server.token(header={"alg": alg.lower()}))


@pytest.mark.parametrize("digest", [hashlib.sha256, hashlib.sha384, hashlib.sha512])
def test_the_public_key_is_no_secret(server, digest):
    """An HMAC keyed with what everybody can read: PEM, DER, the JWK, the kid, nothing at all."""
    alg = {32: "HS256", 48: "HS384", 64: "HS512"}[digest().digest_size]
    jwks = server.http.request("GET", "/.well-known/jwks.json").expect(200)
    public = [*server.key.forms, jwks.body, b"", b"\0", b"\0" * 32, server.head["kid"].encode(),
              bytes.fromhex(server.head["kid"]), server.header.encode()]
    for jwk in jwks.json["keys"]:
        public += [compact(jwk), json.dumps(jwk).encode()]
        for v in jwk.values():
            if isinstance(v, str):
                public += [v.encode(), unb64url(v)] if len(v) > 20 else [v.encode()]
    for header in ({"alg": alg}, {}, {"alg": alg, "kid": None}):
        for key in public:
            head = {k: v for k, v in {**server.head, **header}.items() if v is not None}
            text = b64url(compact(head)) + "." + server.payload
            mac = hmac.new(key, text.encode(), digest).digest()
            server.refuses(f"{text}.{b64url(mac)}")


def test_other_peoples_keys(server, attackers):
    """A key that is not ours, under our header and under its own."""
    for key in attackers:
        server.refuses(server.token(key=key))
        server.refuses(server.token(key=key, header={"alg": key.algorithm}))
        server.refuses(server.token(key=key, header={"alg": key.algorithm, "kid": None}))


# --- the key id ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kid", [
    "00000000", "ffffffff", "", " ", "../../../../../../dev/null", "/dev/null", "/etc/passwd",
    "keyring", "../keyring", "./{}", "{}.key", "../keys/{}", "{}/../{}", "{}\u0000", "{}\u0000x",
    "{} ", " {}", "{}0", "' or '1'='1", "{}' --", "$(id)", "%s%s%n", "{}\n", "A" * 2000, "\u00e9",
    5, 0, -1, 1.5, True, None, [], ["{}"], {}, {"kid": "{}"},
])
def test_kid(server, attackers, kid):
    """Foreign, path-like and odd ones; signed with the right key, with an attacker's, and with what
    such a path might lead to."""
    if isinstance(kid, str):
        kid = kid.replace("{}", server.head["kid"])
    elif kid == ["{}"]:
        kid = [server.head["kid"]]
    header = compact({**server.head, "kid": kid})
    nothing = [signing.Secret(""), signing.Secret(b"\0" * 32)]
    for key in [server.key, attackers[2], *nothing]:
        server.refuses(server.token(header=header, key=key))
    if server.head["alg"] != "HS256":
        for key in nothing:
            server.refuses(server.token(
                header=compact({**server.head, "alg": "HS256", "kid": kid}), key=key))


def test_letter_case_of_the_kid(server):
    upper = server.head["kid"].upper()
    if upper != server.head["kid"]:
        server.refuses(server.token(header={"kid": upper}))


def test_many_unknown_kids(server):
    """Each looks for a new key at most once in a while: no way to make work, none to an error."""
    tokens = [server.token(header={"kid": f"{i:08x}"}) for i in range(48)]
    answers = at_once(48, lambda i: server.ask(tokens[i]))
    assert {(a.status, a.code) for a in answers} == {(401, "invalid_token")}


# --- keys that the token brings along -----------------------------------------------------------


def test_embedded_keys(server, attackers):
    for key in attackers:
        jwk = key.jwk() if hasattr(key, "jwk") else {"kty": "oct", "k": b64url(key.key)}
        jwk["kid"] = server.head["kid"]
        for extra in ({"jwk": jwk}, {"jku": f"http://127.0.0.1:{server.http.port}/jwks"},
                      {"jku": "file:///dev/null"}, {"x5u": "http://127.0.0.1/x"},
                      {"x5c": [base64.b64encode(getattr(key, "der", b"x")).decode()]},
                      {"jwk": jwk, "kid": "attacker"}, {"crit": ["jwk"], "jwk": jwk}):
            server.refuses(server.token(key=key, header={"alg": key.algorithm, **extra}))
            server.refuses(server.token(header=extra))  # not even with the right signature


@pytest.mark.parametrize("extra", [
    {"crit": ["exp"]}, {"crit": []}, {"b64": False, "crit": ["b64"]}, {"cty": "JWT"},
    {"zip": "DEF"}, {"enc": "A128GCM"}, {"typ": "at+jwt"}, {"typ": "jwt"}, {"typ": "JWE"},
    {"typ": None},
    {"nonce": "x"}, {"x": "y"},
])
def test_headers_that_are_not_ours(server, extra):
    server.refuses(server.token(header=extra))


# --- hostile JSON in the header -----------------------------------------------------------------


def test_header_is_compared_byte_for_byte(server):
    """The same header, written in another way, and what parsers disagree about."""
    head = server.head
    own = unb64url(server.header)
    others = [
        json.dumps(head).encode(), compact(dict(reversed(head.items()))), own + b" ", b" " + own,
        own + b"\n", own + b"\0", b"\xef\xbb\xbf" + own, own[:-1], own + own,
        own[:-1] + b',"alg":"none"}', b'{"alg":"none",' + own[1:], own[:-1] + b',"kid":"x"}',
        own.replace(b'"alg"', b'"\\u0061lg"'), own.replace(b"JWT", b"\\u004aWT"),
        own.replace(b'"', b"'"), own[:-1] + b",}", own[:-1] + b',"x":' + b"[" * 500 + b"]" * 500 +
        b"}", own[:-1] + b',"x":1e999}', own[:-1] + b',"x":' + b"9" * 400 + b"}",
        own[:-1] + b',"x":"\xff\xfe"}', own[:-1] + b',"x":"\\ud800"}',
        own[:-1] + b',"x":"\\u0000"}', own[:-1] + b',"x":NaN}', b"null", b"[]", b'"x"', b"{}", b"1",
        b"\xff\xfe", b"\0" * 40, own.decode().encode("utf-16-le"), b"{" * 1000,
    ]
    for header in others:
        assert header != own
        server.refuses(server.token(header=header))
        text = b64url(header) + "." + server.payload
        server.refuses(f"{text}.{server.signature}")


def test_other_base64_of_the_same_header(server):
    padded = server.header + "=" * (-len(server.header) % 4)
    for header in {padded, server.header + "=", server.header + "A", server.header + " ",
                   server.header + "\t", server.header.replace("-", "+").replace("_", "/") + "+"}:
        if header != server.header:
            server.refuses(server.token(header=header))


# --- swapped types ------------------------------------------------------------------------------


def test_swapped_types(server):
    user = server.user
    server.refuses(user.refresh)
    server.refuses(b64url(user.refresh.encode()) + f".{server.payload}.{server.signature}")
    for token in (user.access, server.payload, server.signature):
        server.http.request("POST", "/api/auth/refresh", {"refresh_token": token}).expect(
            401, "invalid_refresh_token")
    for use in ("refresh", "id", "", None, 1, ["access"], "ACCESS", "access "):
        server.refuses(server.token(token_use=use))
    # A refresh token signed as an access token is, or the other way round.
    raw = unb64url(user.refresh)
    mac = server.key.sign(raw[:53])[:32]
    server.http.request("POST", "/api/auth/refresh", {
        "refresh_token": b64url(raw[:53] + mac)}).expect(401, "invalid_refresh_token")
    server.refuses(f"{server.header}.{server.payload}.{b64url(raw[53:])}")


def test_nested(server):
    """A token as the payload of a token, a JWE's five parts, a JWS in JSON."""
    for payload in (server.user.access.encode(), compact(server.user.access),
                    compact({"jwt": server.user.access})):
        server.refuses(server.token(payload=payload))
    server.refuses(".".join([server.header, server.payload, server.signature, "AA", "AA"]))
    server.refuses(b64url(compact({"protected": server.header, "payload": server.payload,
                                   "signature": server.signature})))


def test_of_another_server(server, user, stack):
    """The token of a server with another key, for the very same user."""
    if server.stack.secret == stack.secret and server.head["alg"] == "HS256" and \
            user.access.split(".")[0] == server.header:
        assert server.ask(user.access).status == 200  # the same key: the same server
        return
    server.refuses(user.access)
    server.http.request("POST", "/api/auth/refresh", {"refresh_token": user.refresh}).expect(
        401, "invalid_refresh_token")
    assert user.alive()


# --- edited claims ------------------------------------------------------------------------------


@pytest.mark.parametrize("claim", ["iss", "aud", "sub", "user_id", "email", "sid", "token_use",
                                   "iat", "nbf", "exp", "jti"])
def test_edited_claims(server, claim):
    """Each claim is signed."""
    value = server.claims[claim]
    edited = {**server.claims, claim: value + 1 if isinstance(value, int) else value + "x"}
    dropped = {k: v for k, v in server.claims.items() if k != claim}
    for payload in (edited, dropped, {**server.claims, claim: None}):
        server.refuses(f"{server.header}.{b64url(compact(payload))}.{server.signature}")


def test_another_users_claims(server):
    """What an attacker wants: one's own signature over somebody else's name."""
    victim = register(server.http)
    theirs = victim.access.split(".")
    server.refuses(f"{server.header}.{theirs[1]}.{server.signature}")
    server.refuses(f"{theirs[0]}.{server.payload}.{theirs[2]}")
    server.refuses(f"{theirs[0]}.{theirs[1]}.{server.signature}")
    server.refuses(server.token(sub=victim.id), "invalid_token")
    server.refuses(server.token(user_id=victim.id), "invalid_token")
    # Even with our own signature a session is its user's.
    server.refuses(server.token(sub=victim.id, user_id=victim.id), "session_ended")
    server.refuses(server.token(sid=victim.sid), "session_ended")
    server.refuses(server.token(sid=NEVER), "session_ended")
    assert victim.alive()


@pytest.mark.parametrize("claim", ["iss", "aud", "sub", "user_id", "sid", "token_use", "nbf",
                                   "exp"])
def test_claims_of_another_type(server, claim):
    own = server.claims[claim]
    for value in ([own], {"": own}, True, False, None, [], {}, 1.5, str(own) + "\u0000",
                  str(own) + " ", "\u0000" + str(own), "", -1, 0, "x" * 1500):
        a = server.ask(server.token(**{claim: value})).expect(401)
        assert a.code in ("invalid_token", "token_expired"), (value, a)


@pytest.mark.parametrize("value", [
    "1e300", "-1e300", "1e400", "9999999999.0", "9999999999.5", "9.999999999e9", "1E10",
    "9223372036854775807", "9223372036854775808", "-9223372036854775808", "-9223372036854775809",
    "18446744073709551615", "18446744073709551616", "9" * 400, "-" + "9" * 400, "1e-400", "-0",
    "-0.0", "0", "0x7fffffff", "017777777777", "+9999999999", "9999999999 ", ".5", "5.", "Infinity",
    "NaN", "nan", '"9999999999"', '"9999999999\\u0000"', "true", "null", "[]", "[9999999999]", "{}",
    '{"a":9999999999}', "'9999999999'", "9999999999,", "9_999_999_999", "\uff19",
])
@pytest.mark.parametrize("claim", ["exp", "nbf"])
def test_times(server, claim, value):
    """Numbers that other readers round, wrap or take for text. What is no whole number that fits
    is refused; a time that is whole and far away means what it says."""
    claims = {k: v for k, v in server.claims.items() if k != claim}
    payload = compact(claims)[:-1] + f',"{claim}":{value}}}'.encode()
    a = server.ask(server.token(payload=payload))
    whole = value.strip().isdecimal() and value.isascii() and not value.startswith("0")
    if claim == "exp" and whole and int(value) < 2**63:
        # Never as long as the token says, but as long as the session lives.
        assert a.status in (200, 401), a
    else:
        a.expect(401)
        assert a.code in ("invalid_token", "token_expired"), a


def test_leeway(server):
    now = int(time.time())
    server.works(server.token(exp=now - 20))
    server.refuses(server.token(exp=now - 40), "token_expired")
    server.works(server.token(nbf=now + 20))
    server.refuses(server.token(nbf=now + 40))


# --- hostile JSON in the payload ----------------------------------------------------------------


def test_duplicate_claims(server):
    """RFC 7519, 4: refused, so that no two readers can see two tokens."""
    victim = register(server.http)
    own = compact(server.claims)
    for claim, other in (("sub", victim.id), ("user_id", victim.id), ("sid", victim.sid),
                         ("exp", 9999999999), ("aud", "others"), ("token_use", "refresh"),
                         ("iss", "others"), ("nbf", 1)):
        pair = compact({claim: other})[1:-1]
        for payload in (own[:-1] + b"," + pair + b"}", b"{" + pair + b"," + own[1:]):
            server.refuses(server.token(payload=payload))
    for claim in ("sub", "exp"):  # also when both say the same, and when one is spelt in escapes
        pair = compact({claim: server.claims[claim]})[1:-1]
        escaped = pair.replace(b'"' + claim.encode(), b'"\\u%04x' % ord(claim[0]) +
                               claim[1:].encode(), 1)
        for p in (pair, escaped):
            server.refuses(server.token(payload=own[:-1] + b"," + p + b"}"))
    assert victim.alive()


def test_broken_payloads(server):
    own = compact(server.claims)
    broken = [
        b"", b"null", b"[]", b'"x"', b"1", b"true", b"{", b"}", b"{}", own[:-1], own + b"x",
        own + own, own + b"\0", b"\0" + own, b"\xef\xbb\xbf" + own, own[:-1] + b",}",
        own.replace(b'"', b"'"), own.replace(b":", b"=", 1), own.replace(b",", b",,", 1),
        own[:-1] + b',"x":NaN}', own[:-1] + b',"x":Infinity}', own[:-1] + b',"x":tru}',
        own[:-1] + b',"x":"\xff"}', own[:-1] + b',"x":"\xc0\x80"}',
        own[:-1] + b',"x":"\xed\xa0\x80"}',
        own[:-1] + b',"x":"\\ud800"}', own[:-1] + b',"x":"\\udc00\\ud800"}', own[:-1] +
        b',"x":"\\u0000"}', own[:-1] + b',"\\u0000":1}', own[:-1] + b',"x":"\n"}',
        own[:-1] + b',"x":"\\x41"}', own[:-1] + b',"x":"\\u00"}', own[:-1] + b',"x":"a}',
        own[:-1] + b',"x":01}', own[:-1] + b',x:1}', own[:-1] + b',"x":1 /* y */}',
        own.decode().encode("utf-16-le"), own.decode().encode("utf-16"), b"{" * 1400, b"[" * 2500,
        b'{"a":' * 400, b"\xff" * 400,
    ]
    for payload in broken:
        text = b64url(payload) or ""
        server.refuses(server.token(payload=text) if text else
                       f"{server.header}..{b64url(server.key.sign(f'{server.header}.'.encode()))}")


@pytest.mark.parametrize("depth", [8, 9, 100, 700])
@pytest.mark.parametrize("pair", ["[]", "{}"])
def test_deep_nesting(server, depth, pair):
    """At most a refusal: never a crash, and never another meaning."""
    deep = ('{"":' if pair == "{}" else "[") * depth + "1" + pair[1] * depth
    payload = compact(server.claims)[:-1] + f',"x":{deep}}}'.encode()
    a = server.ask(server.token(payload=payload))
    assert a.status in (200, 401)
    a = server.ask(server.token(payload=payload.replace(b'"exp"', b'"expo"')))
    a.expect(401, "invalid_token")


@pytest.mark.parametrize("name", ["sub", "exp", "sid", "user_id", "aud", "iss", "token_use"])
def test_names_that_look_alike(server, name):
    """A claim is the one of that very name."""
    own = {k: v for k, v in server.claims.items() if k != name}
    value = server.claims[name]
    for like in (name.upper(), name + " ", " " + name, name + "\u200b", name[:-1], name + name,
                 name.replace("s", "\u017f"), "x." + name):
        if like != name:
            server.refuses(server.token(payload=compact({**own, like: value})))
    server.refuses(server.token(payload=compact({**own, "x": {name: value}})))


def sized(server, n):
    """A valid token of n characters, or as near below as there is one."""
    filler = n
    while True:
        token = server.token(payload=compact({**server.claims, "x": "a" * filler}))
        if len(token) <= n:
            return token
        filler -= max(1, (len(token) - n) * 3 // 4)


def test_size(server):
    """4096 characters at most, whatever is in them."""
    token = sized(server, 4096)
    assert len(token) >= 4094
    server.works(token)
    for n in (4099, 4500, 6000, 7500):
        token = sized(server, n)
        assert 4096 < len(token) <= n
        server.refuses(token)
    for text in ("a" * 4096, "a" * 7000, "." * 4096, ".." + "a" * 4000, "a.b." + "c" * 4000,
                 "a" * 4000 + ".b.c", server.user.access + "." * 3000, server.user.access * 8):
        server.refuses(text)


# --- signatures ---------------------------------------------------------------------------------


def test_truncated_signatures(server):
    mac = server.signature
    for n in {*range(1, 12), len(mac) // 2, len(mac) - 4, len(mac) - 1, len(mac)}:
        server.refuses(f"{server.header}.{server.payload}.{mac[:-n]}")
        server.refuses(f"{server.header}.{server.payload}.{mac[n:]}")


def test_padded_signatures(server):
    text, raw = f"{server.header}.{server.payload}", unb64url(server.signature)
    for mac in (server.signature + "=", server.signature + "==", server.signature + "A",
                server.signature + "AAAA", "A" + server.signature, server.signature + "%00",
                server.signature + server.signature, f"{server.signature}.{server.signature}",
                f".{server.signature}", server.signature + ".", b64url(raw + b"\0"),
                b64url(b"\0" + raw), b64url(raw + raw), b64url(raw[:-1]), b64url(raw[:-1] + b"\0"),
                b64url(b"\0" * len(raw)), b64url(b"\xff" * len(raw)), "A", "AA", "AAAA", "-", "_",
                base64.b64encode(raw).decode(), server.signature[::-1]):
        if mac not in (server.signature,):
            server.refuses(f"{text}.{mac}")


def test_every_bit_of_the_signature(server):
    raw = unb64url(server.signature)
    for i in range(0, len(raw), 1 + len(raw) // 40):
        changed = bytearray(raw)
        changed[i] ^= 1 << i % 8
        server.refuses(f"{server.header}.{server.payload}.{b64url(bytes(changed))}")


def test_other_spellings_of_the_last_character(server):
    """Base64 leaves bits unused at the end: one signature has one spelling."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    for part in (0, 1, 2):
        parts = server.user.access.split(".")
        if len(parts[part]) % 4 == 0:
            continue
        for c in alphabet:
            other = parts[part][:-1] + c
            if other != parts[part] and unb64url(other) == unb64url(parts[part]):
                server.refuses(".".join([*parts[:part], other, *parts[part + 1:]]))


def test_signatures_of_elliptic_curves(server):
    """Zeros ("psychic" signatures), the order, DER instead of raw, numbers out of range."""
    if server.head["alg"] != "ES256":
        return
    text = f"{server.header}.{server.payload}"
    raw = unb64url(server.signature)
    r, s = (int.from_bytes(x, "big") for x in (raw[:32], raw[32:]))
    n = signing.ORDER
    for a, b in ((0, 0), (0, s), (r, 0), (1, 0), (0, 1), (1, 1), (n, n), (r, n), (n, s), (n - 1, 1),
                 (2**256 - 1, 2**256 - 1), (s, r), (n - r, s)):
        server.refuses(f"{text}.{b64url(signing.raw_signature(a, b))}")
    server.refuses(f"{text}.{b64url(server.key.sign_der(text.encode()))}")
    for form in (raw[:63], raw + b"\0", b"\0" + raw, b"\0" * 32 + raw, raw[:32], b"\4" + raw,
                 r.to_bytes(48, "big") + s.to_bytes(48, "big")):
        server.refuses(f"{text}.{b64url(form)}")
    # (r, n - s) is the same signature in mathematics: it says nothing that was not signed.
    a = server.ask(f"{text}.{b64url(signing.raw_signature(r, n - s))}")
    assert a.status in (200, 401)


def test_signatures_of_rsa(server):
    """The numbers that are their own signature, and lengths that are not the modulus's."""
    if server.head["alg"] != "RS256":
        return
    text = f"{server.header}.{server.payload}"
    raw = unb64url(server.signature)
    assert len(raw) >= 384  # 3072 bits
    size = len(raw)
    modulus = unb64url(server.key.jwk()["n"])
    for form in (b"\0" * size, b"\0" * (size - 1) + b"\1", modulus, b"\xff" * size, b"\0" + raw,
                 raw[1:], raw + b"\0", b"", hashlib.sha256(text.encode()).digest(),
                 hashlib.sha256(text.encode()).digest().rjust(size, b"\0")):
        server.refuses(f"{text}.{b64url(form)}" if form else f"{text}.")
    pss = signing.openssl("dgst", "-sha256", "-sign", server.key.path, "-binary", "-sigopt",
                          "rsa_padding_mode:pss", data=text.encode())
    server.refuses(f"{text}.{b64url(pss)}")
    for digest in ("-sha1", "-sha512"):
        other = signing.openssl("dgst", digest, "-sign", server.key.path, "-binary",
                                data=text.encode())
        server.refuses(f"{text}.{b64url(other)}")


# --- where a token is only looked at ------------------------------------------------------------


def test_forged_tokens_end_no_session(server, attackers):
    """Logout takes expired tokens, but no forged ones."""
    victim = register(server.http)
    forged = [signing.token(key, server.header, compact(claims_of(victim.access)))
              for key in attackers]
    forged.append(b64url(compact({**server.head, "alg": "none"})) +
                  f".{victim.access.split('.')[1]}.")
    for token in forged:
        server.http.request("POST", "/api/auth/logout", token=token).expect(200)
        assert victim.alive()
    now = int(time.time())
    expired = server.token(**{**claims_of(victim.access), "exp": now - 90000})
    server.http.request("POST", "/api/auth/logout", token=expired).expect(200)
    assert not victim.alive()


def test_the_secret_verifies_beside_a_directory(module_stack, state, user):
    """Moving from one secret to keys: its tokens go on, new ones are signed with a key."""
    directory = state / "keys-both"
    module_stack.ctl("key", "generate", "--dir", directory, "--algorithm", "ES256")
    s = module_stack(key_dir=directory, workers=1, auth_workers=1)
    s.http.request("GET", "/api/me/tasks", token=user.access).expect(200)
    a = s.http.request("POST", "/api/auth/refresh", {"refresh_token": user.refresh}).expect(200)
    remember_secret(a.json["refresh_token"])
    head = json.loads(unb64url(a.json["access_token"].split(".")[0]))
    assert head["alg"] == "ES256"
    # The secret does not sign for a key, and a key's public half is no secret.
    _, key = signing.current(directory)
    for secret in (s.secret.encode(), key.pem):
        for header in (head, {**head, "alg": "HS256"}):
            token = signing.token(signing.Secret(secret), compact(header),
                                  compact(claims_of(a.json["access_token"])))
            s.http.request("GET", "/api/me/tasks", token=token).expect(401, "invalid_token")
