"""The whole application for the length of a test run. `make check-e2e` is the way to start it."""

import os
import pathlib
import shutil
import sys
import tempfile

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

import client  # noqa: E402
import pgproxy  # noqa: E402
import stack as stacks  # noqa: E402

RUNNING = []  # every stack of this run, for the logs of a failure
FAILED = []


def pytest_configure(config):
    if os.geteuid() == 0:
        pytest.exit("tests/e2e must not run as root: PostgreSQL and taskcell refuse to", 1)
    build = os.environ.get("TASKCELL_BUILD")
    if not build or not os.access(os.path.join(build, "taskcell"), os.X_OK):
        pytest.exit("TASKCELL_BUILD must name the build folder that holds taskcell", 1)


def pytest_make_parametrize_id(val):
    """Short names, also for the longest and oddest input."""
    text = ascii(val)
    return text if len(text) <= 40 else f"{text[:32]}...{len(text)}"


def pytest_runtest_setup(item):
    item.log_marks = {s: s.log_size() for s in RUNNING}


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    report = (yield).get_result()
    if report.failed:
        FAILED.append(item.nodeid)
        for s in RUNNING:
            text = s.log_text(getattr(item, "log_marks", {}).get(s, 0))
            if text:
                report.sections.append((f"log of {s.dir.name}", text[-8000:]))
            if s.front.log.exists() and report.when != "call":
                text = s.front.log.read_text(encoding="utf-8", errors="replace")
                report.sections.append((f"{s.server} of {s.dir.name}", text[-4000:]))


@pytest.fixture(scope="session")
def state():
    """A short path, since those of sockets hold 107 bytes. Kept when a test has failed."""
    directory = pathlib.Path(tempfile.mkdtemp(prefix="tc-e2e-", dir="/tmp"))
    yield directory
    if FAILED:
        print(f"\nlogs are kept in {directory}", file=sys.stderr)
    else:
        shutil.rmtree(directory)


@pytest.fixture(scope="session")
def build():
    return pathlib.Path(os.environ["TASKCELL_BUILD"])


@pytest.fixture(scope="session")
def postgres(state):
    cluster = stacks.Postgres(state)
    yield cluster
    cluster.stop()


@pytest.fixture
def scratch(postgres):
    """An empty database for tests that break a schema, which others must not meet: its name for
    the server's role, and a superuser's way in."""
    url, admin_url = (u.replace("@/taskcell?", "@/scratch?")
                      for u in (postgres.url, postgres.admin_url))
    assert url != postgres.url and admin_url != postgres.admin_url
    postgres.admin.run("create database scratch owner taskcell")
    yield url, stacks.Database(postgres, admin_url)
    postgres.admin.run("drop database scratch with (force)")


def finish(s):
    """Stops a stack; what was not in order fails the run."""
    wrong = s.stop()
    if client.secrets_used:
        log = s.log_text()
        wrong += [f"a secret is in the log: {x[:12]}…" for x in client.secrets_used if x in log]
    if wrong:
        FAILED.append(s.dir.name)
        pytest.fail(f"{s.dir.name}: " + "\n".join(wrong), pytrace=False)


@pytest.fixture(scope="session")
def stack(state, postgres, build):
    """The one that most tests share: no throttle, cheap hashes."""
    s = stacks.Stack(postgres, state / "main", build)
    RUNNING.append(s)
    s.migrate()
    s.start()
    yield s
    finish(s)


@pytest.fixture(scope="session")
def throttled(state, postgres, build, stack):
    """The same database behind a taskcell whose throttle is on."""
    s = stacks.Stack(postgres, state / "throttled", build, throttle="on", workers=2)
    RUNNING.append(s)
    s.start()
    yield s
    finish(s)


def stack_maker(state, postgres, build, shared):
    made = []

    def make(with_nginx=True, ready=True, **settings):
        name = f"x{len(RUNNING)}"
        s = stacks.Stack(postgres, state / name, build, with_nginx, **settings)
        RUNNING.append(s)
        made.append(s)
        return s.start(ready)

    make.ctl = shared.ctl  # what a stack needs before it starts
    yield make
    for s in made:
        finish(s)


@pytest.fixture
def make_stack(state, postgres, build, stack):
    """For tests that need other settings, or that break things: make_stack(workers=1, …)."""
    yield from stack_maker(state, postgres, build, stack)


@pytest.fixture(scope="module")
def module_stack(state, postgres, build, stack):
    """The same, for a stack that the tests of one file share."""
    yield from stack_maker(state, postgres, build, stack)


@pytest.fixture(scope="module")
def counted(module_stack, postgres, state):
    proxy = pgproxy.Proxy(state / f"pgproxy{len(RUNNING)}",
                          (postgres.pooler or postgres).url)
    s = module_stack(with_nginx=False, database=proxy.url, workers=1, auth_workers=0,
                     listen_auth=None)
    stacks.wait_for("the socket", lambda: s.answers(s.settings["listen"]))
    made = pgproxy.Counted(s, proxy)
    stacks.wait_for("ready", lambda: made.send("GET", "/api/ready").status == 200)
    yield made
    # The stack ends after this fixture; until then its connections are carried on.


@pytest.fixture
def http(stack):
    return stack.http


@pytest.fixture
def user(http):
    return client.register(http)


@pytest.fixture
def other(http):
    return client.register(http)
