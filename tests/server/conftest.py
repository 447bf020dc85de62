"""The real taskcell against a FastCGI client of our own and behind nginx. `make check-server` is
the way to start it. Fixtures and reports are those of tests/e2e."""

import importlib.util
import pathlib
import sys

import pytest

HERE = pathlib.Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "e2e")]
_spec = importlib.util.spec_from_file_location("e2e_conftest", HERE.parent / "e2e/conftest.py")
e2e = sys.modules["e2e_conftest"] = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(e2e)

from e2e_conftest import (  # noqa: E402,F401  pylint: disable=unused-import
    build, postgres, pytest_configure, pytest_make_parametrize_id, pytest_runtest_makereport,
    pytest_runtest_setup, scratch, state,
)
import client  # noqa: E402
from rig import Server  # noqa: E402

TOLD = []


def pytest_terminal_summary(terminalreporter):
    for line in TOLD:
        terminalreporter.write_line(line)


@pytest.fixture
def tell(request):
    """Puts a figure into the summary of the run."""
    return lambda text: TOLD.append(f"{request.node.name}: {text}")


@pytest.fixture(scope="session")
def new_server(state, postgres, build):  # pylint: disable=redefined-outer-name
    """Makes a Server, not started, on the one database, whose tables the first one makes."""
    with_tables = []

    def make(with_nginx=False, nginx=None, database=None, **settings):
        if database:
            settings["database"] = database
        settings = {"workers": 2, "auth_workers": 0, **settings}
        if with_nginx and not settings["auth_workers"]:
            nginx = {"auth.sock": "taskcell.sock", **(nginx or {})}
        s = Server(postgres, state / f"s{len(e2e.RUNNING)}", build, with_nginx, nginx, **settings)
        e2e.RUNNING.append(s)
        if database or not with_tables:
            s.migrate()
        if not database:
            with_tables.append(s)
        return s

    return make


@pytest.fixture
def make(new_server):  # pylint: disable=redefined-outer-name
    """make(workers=1, …): a server of the test's own, running."""
    made = []

    def one(ready=True, **settings):
        made.append(new_server(**settings))
        return made[-1].start(ready)

    yield one
    for s in made:
        e2e.finish(s)


@pytest.fixture(scope="session")
def plain(new_server):  # pylint: disable=redefined-outer-name
    """Two workers, no nginx, for tests that leave a server as they found it."""
    s = new_server().start()
    yield s
    e2e.finish(s)


@pytest.fixture
def user(plain):  # pylint: disable=redefined-outer-name
    return client.register(plain.http)
