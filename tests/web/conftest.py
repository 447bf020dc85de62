"""The browser client in a real Chromium, in front of the whole application. `make check-web` is the
way to start it."""

import fcntl
import importlib.util
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

HERE = pathlib.Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "e2e")]
_spec = importlib.util.spec_from_file_location("e2e_conftest", HERE.parent / "e2e/conftest.py")
e2e = sys.modules["e2e_conftest"] = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(e2e)

from e2e_conftest import (  # noqa: E402,F401  pylint: disable=unused-import
    build, postgres, pytest_configure, pytest_make_parametrize_id, pytest_runtest_makereport,
    pytest_runtest_setup, state,
)
import client  # noqa: E402
import stack as stacks  # noqa: E402
from browser import Browser, Page  # noqa: E402


def new_site(state, postgres, build, ready=True, **settings):
    s = stacks.Stack(postgres, state / f"w{len(e2e.RUNNING)}", build,
                     **{"public_url": "http://127.0.0.1", "workers": 6, **settings})
    e2e.RUNNING.append(s)
    if len(e2e.RUNNING) == 1:
        s.migrate()
    return s.start(ready)


@pytest.fixture(scope="session")
def site(state, postgres, build):
    """The one that most tests share."""
    s = new_site(state, postgres, build)
    yield s
    e2e.finish(s)


@pytest.fixture
def make_site(state, postgres, build, site):  # pylint: disable=unused-argument
    made = []

    def make(**options):
        made.append(new_site(state, postgres, build, **options))
        return made[-1]

    yield make
    for s in made:
        e2e.finish(s)


@pytest.fixture(scope="session")
def browser(state):
    b = Browser(state / "browser")
    yield b
    b.stop()


def faults(browser, expected):
    """Of the console, what no test has asked for: errors, warnings, requests that failed."""
    return [e["message"] for e in browser.driver.get_log("browser")
            if not any(re.search(p, e["message"]) for p in expected)]


@pytest.fixture
def worker():
    """For tests that need the service worker."""


@pytest.fixture
def open_page(request, browser):
    """open_page(site): a first visit. Afterwards the console has to be empty."""
    opened = []

    def make(s, mount=""):
        origin = f"http://127.0.0.1:{s.port}"
        browser.fresh(origin)
        opened.append(Page(browser, f"{origin}{mount}/",
                           worker="worker" in request.fixturenames))
        return opened[-1]

    yield make
    expected = [p for page in opened for p in page.expected]
    wrong = faults(browser, expected)
    for page in opened:
        if page.handle in browser.driver.window_handles:
            wrong += page.js("return self.tc?.violations ?? []")
            page.close()
    assert not wrong, "\n".join(wrong)


@pytest.fixture
def page(open_page, site):
    return open_page(site)


@pytest.fixture
def user(site):
    """Somebody with an account, who is logged in on another device: the one that we are."""
    return client.register(site.http)


@pytest.fixture
def mine(page, user):
    """The tasks page of that user."""
    return page.log_in(user)


@pytest.fixture(scope="session")
def axe(build):
    """The script of axe-core, as npm installs what package-lock.json pins."""
    folder = build / "tests/web"
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "lock", "w", encoding="ascii") as lock:
        fcntl.lockf(lock, fcntl.LOCK_EX)
        pinned, installed = HERE / "package-lock.json", folder / "installed.json"
        if not installed.exists() or installed.read_bytes() != pinned.read_bytes():
            shutil.copy(HERE / "package.json", folder)
            shutil.copy(pinned, folder)
            done = subprocess.run(
                ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=folder,
                stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=600,
            )
            assert done.returncode == 0, f"npm ci: {done.stdout}{done.stderr}"
            shutil.copyfile(pinned, installed)
    return (folder / "node_modules/axe-core/axe.min.js").read_text(encoding="utf-8")
