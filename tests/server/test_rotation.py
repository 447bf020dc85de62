"""Keys change while several workers serve: nothing fails, and what is removed is gone at once."""

import itertools
import json
import random
import signal
import subprocess
import threading

import pytest

import client
from rig import Steady, Traffic, descriptors
from stack import wait_for

ALGORITHMS = ["HS256", "ES256", "RS256"]


def kid_of(token):
    return json.loads(client.unb64url(token.split(".")[0]))["kid"]


@pytest.fixture
def new_keys(build, tmp_path):
    """new_keys("ES256"): the path of a directory with one key."""
    numbers = itertools.count()

    def one(algorithm="HS256"):
        path = tmp_path / f"keys{next(numbers)}"
        subprocess.run([build / "taskcellctl", "key", "generate", "--dir", path, "--algorithm",
                        algorithm], stdout=subprocess.DEVNULL, check=True, timeout=60)
        return path

    return one


@pytest.fixture
def keyed(make, new_keys):
    """keyed(workers=3, …): a server with a directory of keys."""
    def one(**settings):
        path = new_keys()
        s = make(**{"jwt_secret": None, "key_dir": str(path), **settings})
        s.keys = path
        return s

    return one


class Everybody:
    """Logs in, refreshes and lists, with tokens of every key there has been; a refresh token is
    used once, as its owner would."""

    def __init__(self, server):
        self.server = server
        self.user = client.register(server.http)
        self.access = {kid_of(self.user.access): [self.user.access]}  # by key
        self.refresh = {}  # by thread
        self.lock = threading.Lock()
        self.random = random.Random(4)

    def take(self, thread, answer):
        if answer.status == 200:
            with self.lock:
                token = answer.json["access_token"]
                self.access.setdefault(kid_of(token), []).append(token)
                self.refresh[thread] = answer.json["refresh_token"]
        return answer

    def __call__(self, thread, number):
        if number % 8 == 1:
            return self.take(thread, client.login(self.server.http, self.user.email))
        if number % 8 == 5:
            return self.take(thread, client.refresh(self.server.http, self.refresh[thread]))
        with self.lock:
            kid = self.random.choice(list(self.access))
            token = self.random.choice(self.access[kid])
        return self.user.call("GET", "tasks", token=token)


def test_no_request_fails(keyed, tell):
    """Each key of another algorithm, announced or not, behind nginx and both pools."""
    s = keyed(with_nginx=True, workers=3, auth_workers=2)
    everybody = Everybody(s)
    with Traffic(everybody, 4) as traffic:
        for i in range(9):
            if i % 3 != 2:  # else `rotate` makes the next one itself
                s.ctl("key", "generate", "--algorithm", ALGORITHMS[i % 3 + 1])
                traffic.wait_more(5)
            kid = s.ctl("key", "rotate").split()[0]
            wait_for("tokens of the new key", lambda: kid in everybody.access)  # noqa: B023
            traffic.wait_more(20)
    traffic.expect_no_failure()
    assert len(everybody.access) == 10
    for kid, tokens in everybody.access.items():
        for token in tokens[:3]:
            everybody.user.call("GET", "tasks", token=token).expect(200)
        assert kid in s.ctl("key", "list")
    tell(f"{traffic.counts()} over {len(everybody.access)} keys")


def test_two_who_rotate_at_once(keyed, tell):
    """taskcellctl from two terminals, under load."""
    s = keyed(workers=2)
    everybody = Everybody(s)

    def operate(i):
        for _ in range(4):
            s.ctl("key", "rotate")
            if i:
                s.program("taskcellctl", "key", "generate")  # there may be a next one

    with Traffic(everybody, 2) as traffic:
        client.at_once(2, operate)
        traffic.wait_more(20)
    traffic.expect_no_failure()
    rows = [line.split()[:3] for line in s.ctl("key", "list").splitlines()[1:]]
    states = [r[2] for r in rows]
    assert states.count("current") == 1 and states.count("next") <= 1
    assert states.count("retired") == 8
    assert {p.name for p in s.keys.iterdir()} == {"keyring", *(r[0] + ".key" for r in rows)}
    tell(traffic.counts())


def test_a_removed_key_is_gone_at_once(keyed):
    """In every worker, with its very next request; those of other keys go on."""
    s = keyed(workers=4)
    user = client.register(s.http)
    first = kid_of(user.access)
    second = s.ctl("key", "rotate").split()[0]
    other = client.another(user)
    assert kid_of(other.access) == second

    def ask(token, n=24):
        return {a.status for a in client.at_once(
            n, lambda _: s.direct.request("GET", "/api/me/tasks", token=token))}

    assert ask(user.access) == ask(other.access) == {200}
    s.ctl("key", "retire", first)
    assert ask(user.access) == {401}
    assert ask(other.access) == {200}
    client.refresh(s.http, user.refresh).expect(401, "invalid_refresh_token")
    client.refresh(s.http, other.refresh).expect(200)


def test_a_keyring_that_cannot_be_read(keyed):
    """The keys stay, each worker says it once, and goes on by itself when it is mended."""
    s = keyed(workers=2)
    user = client.register(s.http)
    ring = s.keys / "keyring"
    right = ring.read_bytes()
    mark = s.log_size()
    with s.expecting_errors("event=keys"):
        for wrong in (b"rubbish\n", b"", None):
            if wrong is None:
                ring.unlink()
            else:
                ring.write_bytes(wrong)
            start = s.log_size()
            for _ in range(3):
                client.at_once(8, lambda _: user.call("GET", "tasks").expect(200))
            client.login(s.http, user.email).expect(200)
            said = [e["pid"] for e in s.events("keys", start) if e["level"] == "error"]
            assert 1 <= len(said) == len(set(said)) <= 2
    ring.write_bytes(right)
    ring.chmod(0o600)
    kid = s.ctl("key", "rotate").split()[0]
    assert kid_of(client.login(s.http, user.email).expect(200).json["access_token"]) == kid
    user.call("GET", "tasks").expect(200)
    assert any(e["level"] == "info" for e in s.events("keys", mark))


def test_nothing_is_left_behind(keyed):
    """However often the keys change, the workers hold as many descriptors as before."""
    s = keyed(workers=2)
    user = client.register(s.http)
    s.wait_settled()
    pids = s.workers()
    before = {pid: descriptors(pid) for pid in pids}
    for _ in range(10):
        s.ctl("key", "rotate")
        client.at_once(8, lambda _: user.call("GET", "tasks").expect(200))
    wait_for("flat descriptors", lambda: {pid: descriptors(pid) for pid in pids} == before, 5)
    with Steady(s):
        user.call("GET", "tasks").expect(200)
    assert s.workers() == pids


def test_from_a_secret_to_a_directory(make, new_keys):
    """By HUP, and then without the secret: its tokens were good as long as it was there."""
    s = make(workers=2)
    user = client.register(s.http)

    def reload(**changes):
        mark = s.log_size()
        s.configure(**changes)
        s.signal(signal.SIGHUP)
        s.wait_event("reloaded", mark)
        wait_for("the old workers are gone", lambda: len(s.workers()) == s.size)
        s.wait_settled()

    with Traffic(lambda *_: user.call("GET", "tasks"), 2) as traffic:
        reload(key_dir=str(new_keys("ES256")))
        traffic.wait_more(10)
    traffic.expect_no_failure()
    fresh = client.another(user)
    assert kid_of(fresh.access) != kid_of(user.access)
    reload(jwt_secret=None)
    user.call("GET", "tasks").expect(401, "invalid_token")
    fresh.call("GET", "tasks").expect(200)


def test_a_reload_to_keys_that_are_not_in_order(make, new_keys):
    """The old generation stays."""
    s = make(workers=1)
    user = client.register(s.http)
    path = new_keys()
    path.chmod(0o755)
    s.configure(key_dir=str(path))
    pids, mark = s.workers(), s.log_size()
    with s.expecting_errors("event=keys|reload_failed"):
        s.signal(signal.SIGHUP)
        s.wait_event("reload_failed", mark)
        assert "0700" in s.log_text(mark)
        wait_for("only the old one", lambda: s.workers() == pids)
    user.call("GET", "tasks").expect(200)
