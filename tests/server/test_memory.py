"""A worker does not grow. TASKCELL_LONG=1 asks for 100,000 requests rather than 6,000."""

import os

import client
import wire
from rig import descriptors, resident_kib, sanitized

WARM = 1000
REQUESTS = 100_000 if os.environ.get("TASKCELL_LONG") else 6000
ALLOWED_KIB = 256


def test_a_worker_does_not_grow(make, tell):
    """A mix of what works and what is refused, on a kept connection and on fresh ones, the same
    again and again."""
    s = make(workers=1)
    user = client.register(s.http)
    kept = user.create("kept")
    for i in range(20):
        user.create(f"task {i}", description="d" * 100)
    connection = None

    def ask(method, uri, body=b"", token=None, flags=wire.KEEP, **more):
        nonlocal connection
        connection = connection or s.connect()
        connection.send(wire.message(method, uri, body, token, flags=flags, **more))
        a = connection.answer(method, uri)
        if a is None or not flags or a.status in (400, 413):
            hang_up()
        return a

    def hang_up():
        nonlocal connection
        if connection:
            connection.close()
        connection = None

    def cut(data):
        with s.connect() as c:
            c.send(data)

    token, tasks = user.access, "/api/me/tasks"
    one = f"{tasks}/{kept['id']}"
    mix = [
        lambda: ask("GET", tasks, token=token).expect(200),
        lambda: ask("POST", one + "/complete", token=token).expect(200),
        lambda: ask("PATCH", one, b'{"description":"%s"}' % (b"x" * 5000), token).expect(200),
        lambda: ask("GET", one, token=token).expect(200),
        lambda: ask("PATCH", one, b'{"title":"","description":5}', token).expect(422),
        lambda: ask("POST", tasks, b'{"title":', token).expect(400),
        lambda: ask("POST", tasks, b"x" * 70000, token).expect(413),
        lambda: ask("GET", tasks, token="x.y.z").expect(401),
        lambda: ask("GET", "/api/nope").expect(404),
        lambda: ask("GET", "/api/health", HTTP_X="y" * 20000).expect(200),
        lambda: ask("GET", tasks + "?limit=5&completed=false", token=token, flags=0).expect(200),
        # the access token is left alone: those that are seen fill a cache, which has its own limit
        lambda: setattr(user, "refresh", client.refresh(s.http, user.refresh).expect(200)
                        .json["refresh_token"]),
        lambda: cut(wire.message("POST", tasks, b'{"title":"x"}', token)[:-20]),
        lambda: client.login(s.http, user.email, "not the password").expect(401),
        lambda: ask("DELETE", f"{tasks}/{user.create()['id']}", token=token).expect(200),
    ]
    (worker,) = s.workers()
    figures = []
    for n in range(REQUESTS):
        mix[n % len(mix)]()
        if n + 1 in (WARM, REQUESTS):
            hang_up()
            s.wait_settled()
            figures.append((resident_kib(worker), descriptors(worker)))
    assert s.workers() == [worker]
    (before, files), (after, files_after) = figures
    tell(f"{before} KiB after {WARM} requests, {after} KiB after {REQUESTS}; {files} descriptors")
    assert files_after == files
    if not sanitized(s):  # which keeps what was freed, to find who uses it
        assert after - before < ALLOWED_KIB
