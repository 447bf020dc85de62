"""Signs as the server's keys do, and as somebody else's would: by the openssl program, so that no
Python library is needed."""

import hashlib
import hmac
import pathlib
import subprocess

from client import b64url, remember_secret

ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551  # of P-256


def openssl(*args, data=None):
    done = subprocess.run(["openssl", *map(str, args)], input=data, capture_output=True,
                          check=False, timeout=60)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def der_numbers(der):
    """The two integers of an ECDSA signature."""
    assert der[0] == 0x30 and der[1] == len(der) - 2 and der[2] == 2
    n = der[3]
    r, rest = der[4:4 + n], der[4 + n:]
    assert rest[0] == 2 and rest[1] == len(rest) - 2
    return int.from_bytes(r, "big"), int.from_bytes(rest[2:], "big")


def raw_signature(r, s):
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


class Secret:
    """HS256."""

    algorithm = "HS256"
    forms = ()

    def __init__(self, text):
        self.key = text if isinstance(text, bytes) else text.encode()

    def sign(self, data):
        return hmac.new(self.key, data, hashlib.sha256).digest()


class PrivateKey:
    """ES256 or RS256, in a file."""

    def __init__(self, path, algorithm):
        self.path = path
        self.algorithm = algorithm
        self.pem = openssl("pkey", "-in", path, "-pubout")
        self.der = openssl("pkey", "-in", path, "-pubout", "-outform", "DER")

    @classmethod
    def make(cls, path, algorithm):
        how = {"ES256": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
               "RS256": ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:3072"]}[algorithm]
        openssl("genpkey", *how, "-out", path)
        return cls(path, algorithm)

    @property
    def forms(self):
        """What a verifier that takes its public key for a secret might hash with."""
        body = b"".join(self.pem.splitlines()[1:-1])
        return (self.pem, self.pem.rstrip(b"\n"), self.pem.replace(b"\n", b"\r\n"), self.der, body,
                self.der[-65:], self.der[-64:], self.der[24:])

    def sign_der(self, data):
        return openssl("dgst", "-sha256", "-sign", self.path, "-binary", data=data)

    def sign(self, data):
        signature = self.sign_der(data)
        return signature if self.algorithm == "RS256" else raw_signature(*der_numbers(signature))

    def jwk(self):
        """For tokens that bring their own key along."""
        if self.algorithm == "ES256":
            return {"kty": "EC", "crv": "P-256", "x": b64url(self.der[-64:-32]),
                    "y": b64url(self.der[-32:])}
        text = openssl("rsa", "-in", self.path, "-noout", "-modulus").decode()
        return {"kty": "RSA", "e": "AQAB", "n": b64url(bytes.fromhex(text.strip().split("=")[1]))}


def ring(directory):
    """The keys of a key directory, in order: (kid, algorithm, state)."""
    lines = (pathlib.Path(directory) / "keyring").read_text(encoding="ascii").splitlines()
    return [tuple(line.split()[:3]) for line in lines if line.strip()]


def key_of(directory, kid):
    (algorithm,) = [a for k, a, _ in ring(directory) if k == kid]
    path = pathlib.Path(directory) / f"{kid}.key"
    if algorithm != "HS256":
        return PrivateKey(path, algorithm)
    text = path.read_text(encoding="ascii").rstrip("\n")
    remember_secret(text)
    return Secret(text)


def current(directory):
    (kid,) = [k for k, _, state in ring(directory) if state == "current"]
    return kid, key_of(directory, kid)


def token(key, header, payload):
    """`header`, `payload`: bytes to be encoded, or text that is."""
    parts = [p if isinstance(p, str) else b64url(p) for p in (header, payload)]
    text = ".".join(parts)
    made = f"{text}.{b64url(key.sign(text.encode()))}"
    remember_secret(made)
    return made
