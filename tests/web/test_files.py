"""The files of web/ as a browser gets them; tests/server/test_web_servers.py has their headers."""

import json
import os
import re

import pytest
from selenium.webdriver.common.keys import Keys

import client
import stack as stacks
from conftest import e2e, new_site


@pytest.fixture(scope="module")
def below(state, postgres, build, site):  # pylint: disable=unused-argument
    """Below the root, as the comment in conf/nginx-web.conf says."""
    changes = {
        "/api": "/todo/api",
        "\nlocation / {": "\nlocation = /todo { return 301 /todo/; }\n\nlocation /todo/ {",
    }
    s = new_site(state, postgres, build, ready=False, nginx=changes, mount="/todo", workers=3,
                 auth_workers=1)
    stacks.wait_for("ready", lambda: s.http.request(
        "GET", "/todo/api/ready", check=False).status == 200)
    yield s
    e2e.finish(s)


def test_below_the_root(worker, below, open_page):
    page = open_page(below, "/todo").go()
    page.click("link", "Create an account")
    page.get("button", "Create account")
    page.fill("E-mail", client.fresh_email())
    page.fill("Password", client.PASSWORD).send_keys(Keys.ENTER)
    page.at("#/tasks").add("Below")
    page.shows("Below")
    page.synced()
    (cookie,) = page.cdp("Network.getAllCookies")["cookies"]
    assert cookie["path"] == "/todo/api/auth"
    page.kept()
    page.reload()
    page.shows("Below")
    sent = page.js("return tc.sent")
    assert sent and all(r["path"].startswith("/todo/api/") for r in sent)
    page.click("button", "Log out")
    page.at("#/login")
    page.go("../todo").at("#/login")


OTHERS = ["mod_fcgid", "lighttpd", *(["proxy_fcgi"] if os.environ.get("TASKCELL_LONG") else [])]


@pytest.mark.parametrize("server", OTHERS)
def test_behind_other_web_servers(server, make_site, open_page):
    page = open_page(make_site(server=server)).go()
    page.click("link", "Create an account")
    page.get("button", "Create account")
    page.fill("E-mail", client.fresh_email())
    page.fill("Password", client.PASSWORD).send_keys(Keys.ENTER)
    page.at("#/tasks").add(f"Behind {server}")
    page.shows(f"Behind {server}")
    page.synced()
    page.reload()
    page.shows(f"Behind {server}")


# --- in the browser -----------------------------------------------------------------------------


def test_a_session_without_a_failed_request(worker, mine):
    """By the browser's own account: every request, of the page and of what it loads."""
    mine.add("One", "Two")
    mine.shows("One", "Two")
    mine.click("check", "Complete: One")
    mine.click("link", "Settings")
    mine.says("This device")
    mine.click("link", "Trash")
    mine.says("The trash is empty")
    mine.click("link", "All")
    mine.synced()
    mine.kept()
    events = [json.loads(e["message"])["message"] for e in mine.driver.get_log("performance")]
    hosts = {re.match(r"(\w+:(?://[^/]*)?)", e["params"]["request"]["url"])[1] for e in events
             if e["method"] == "Network.requestWillBeSent"}
    assert hosts == {mine.url.rstrip("/")}
    failed = [e["params"] for e in events if e["method"] == "Network.loadingFailed"
              and not e["params"].get("canceled")]
    answers = [e["params"]["response"] for e in events
               if e["method"] == "Network.responseReceived"]
    bad = [a["url"] for a in answers if a["status"] >= 400]
    assert not failed and not bad


def test_the_policy_holds(mine):
    """What it forbids does not happen, so an empty list of violations says something."""
    mine.expects(r"Content Security Policy", r"Trusted(HTML|Script|TypePolicy)")
    done = mine.js("""
		const tried = [];
		const script = document.createElement('script');
		script.append('self.tcBroken = 1');
		try { document.body.append(script); } catch { tried.push('text'); }
		try { script.innerHTML = '<b>x</b>'; } catch { tried.push('html'); }
		try { self.trustedTypes.createPolicy('other', {}); } catch { tried.push('policy'); }
		return [tried, self.tcBroken ?? null];""")
    assert done[1] is None and {"html", "policy"} <= set(done[0])
    page = mine.js("const f = document.createElement('img'); f.src = 'http://127.0.0.2:9/x.png';"
                   "document.body.append(f); return null")
    assert page is None
    mine.until("violations", lambda: len(mine.js("return tc.violations")) >= 3)
    mine.js("tc.violations = []")


def test_it_can_be_installed(worker, mine):
    found = mine.cdp("Page.getInstallabilityErrors")["installabilityErrors"]
    assert [e for e in found if e["errorId"] != "in-incognito"] == []
    manifest = mine.cdp("Page.getAppManifest")
    assert not manifest["errors"] and manifest["url"] == mine.url + "manifest.webmanifest"
