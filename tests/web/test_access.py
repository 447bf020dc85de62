"""By keyboard, by screen reader, on a phone, in the dark, without motion."""

import datetime
import json

import pytest
from selenium.webdriver.common.keys import Keys

from client import PASSWORD, fresh_email

RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


def furnish(user):
    yesterday = datetime.date.today() - datetime.timedelta(days=1)
    user.create("Due yesterday", due_date=str(yesterday), priority="high", tags=["home"])
    user.create("Low, with notes", priority="low", description="x\ny", tags=["work", "home"])
    done = user.create("Done", priority="medium")
    user.call("PATCH", f"tasks/{done['id']}", {"completed": True}).expect(200)
    user.call("DELETE", f"tasks/{user.create('Gone')['id']}").expect(200)


# --- axe ----------------------------------------------------------------------------------------


def check(page, axe, where):
    if not page.js("return Boolean(self.axe)"):
        page.js(axe)
    page.until("no motion", lambda: page.js("return document.getAnimations().length === 0"))
    page.turn()
    found = page.driver.execute_async_script(
        "axe.run(document, { runOnly: arguments[0], resultTypes: ['violations'] })"
        ".then((r) => arguments[1](r.violations.map(({ id, help, nodes }) => "
        "[id, help, nodes.map((n) => [n.target.join(' '), n.failureSummary])])))", RULES)
    assert not found, f"{where}: {json.dumps(found, indent=1)}"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_violations_for_strangers(page, axe, scheme):
    page.emulate(prefers_color_scheme=scheme, prefers_reduced_motion="reduce")
    page.go("#/login").get("button", "Log in")
    check(page, axe, "log in")
    page.click("button", "Log in")
    page.says("Please enter your e-mail.")
    check(page, axe, "log in with faults")
    page.click("link", "Create an account")
    page.fill("Password", "short")
    check(page, axe, "register")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_violations_on_any_page(mine, user, axe, scheme):
    mine.emulate(prefers_color_scheme=scheme, prefers_reduced_motion="reduce")
    mine.says("Nothing here yet")
    check(mine, axe, "no tasks")
    furnish(user)
    mine.shows("Done", "Low, with notes", "Due yesterday")
    check(mine, axe, "tasks")
    mine.click("check", "Complete: Low, with notes")
    mine.get("button", "Undo")
    check(mine, axe, "a message")
    mine.click("button", "Edit: Due yesterday")
    mine.fill("Title", " ")
    mine.click("button", "Save")
    check(mine, axe, "the editor with a fault")
    mine.click("button", "Cancel")
    mine.size(320, 640, mobile=True)
    mine.gone("field", "Title")
    check(mine, axe, "tasks on a phone")
    mine.size(1280, 800)
    mine.click("link", "Trash")
    mine.get("button", "Restore: Gone")
    check(mine, axe, "trash")
    mine.click("link", "Settings")
    mine.says("This device")
    check(mine, axe, "settings")
    mine.click("button", "Shortcuts")
    mine.get("dialog", "Keyboard shortcuts")
    check(mine, axe, "a dialog")


def test_names_are_those_of_screen_readers(mine, user):
    """What the tests find elements by is what the browser computes, and nothing is nameless."""
    user.create("Bread")
    mine.shows("Bread")
    for kind, name in (
        ("field", "Add a task"), ("button", "Add"), ("field", "Search tasks"), ("field", "Sort by"),
        ("check", "Complete: Bread"), ("button", "Edit: Bread"), ("button", "Delete: Bread"),
        ("link", "All"), ("link", "Active"), ("link", "Completed"), ("link", "Settings"),
        ("link", "Trash"), ("button", "Log out"),
    ):
        assert mine.get(kind, name).accessible_name == name
    assert mine.get("check", "Complete: Bread").aria_role == "checkbox"
    lists = [e for e in mine.driver.find_elements("css selector", "main [role=list]")]
    assert [e.aria_role for e in lists] == ["list"] and lists[0].accessible_name == "Tasks"
    assert mine.driver.title == "All tasks · taskcell"
    mine.click("link", "Settings")
    assert mine.until("the focus", lambda: mine.focused() == "Settings")  # on its heading
    mine.until("the title", lambda: mine.driver.title == "Settings · taskcell")


# --- the keyboard -------------------------------------------------------------------------------

SHOWN = """
const shows = (e, part) => {
	const s = getComputedStyle(e, part);
	const outline = s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) >= 1;
	return outline || s.boxShadow !== 'none';
};
const e = document.activeElement;
const near = [e, e.parentElement, ...(e.parentElement?.children ?? []),
	e.closest('form, label, li')];
const box = e.getBoundingClientRect();
const top = document.elementFromPoint((box.left + box.right) / 2, (box.top + box.bottom) / 2);
return { body: e === document.body, name: e.outerHTML.slice(0, 120),
	seen: near.some((n) => n && shows(n)),
	inside: box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth &&
		Boolean(top) && (near.includes(top) || e.contains(top) || top.contains(e)) };
"""


def tab_to(page, name, back=False):
    """The Tab key until `name` has the focus; on its way each stop can be seen."""
    passed = []
    for _ in range(80):
        if passed and page.focused() == name:
            return
        page.keys(Keys.TAB, held=Keys.SHIFT if back else None)
        stop = page.js(SHOWN)
        assert stop["body"] or stop["seen"] and stop["inside"], stop
        passed.append(page.focused())
    raise AssertionError(f"Tab does not reach {name}: {passed}")


def test_a_whole_session_without_a_mouse(page, site):
    page.go("").at("#/login")
    email = fresh_email()
    tab_to(page, "Create an account")
    page.keys(Keys.ENTER)
    page.at("#/register")
    assert page.until("the focus", lambda: page.focused() == "Name")
    tab_to(page, "E-mail")
    page.keys(email)
    tab_to(page, "Password")
    page.keys(PASSWORD, Keys.ENTER)
    page.at("#/tasks")
    page.get("heading", "All tasks")
    tab_to(page, "Add a task")
    page.keys("Water the plants")
    page.keys(Keys.ENTER, held=Keys.SHIFT)
    page.keys("Call Bob", Keys.ENTER)
    page.shows("Water the plants", "Call Bob")
    tab_to(page, "Complete: Call Bob")
    page.keys(Keys.SPACE)
    page.until("ticked", lambda: page.get("check", "Complete: Call Bob").is_selected())
    assert page.focused() == "Complete: Call Bob"
    tab_to(page, "Edit: Water the plants", back=True)
    page.keys(Keys.ENTER)
    assert page.until("the editor", lambda: page.focused() == "Title")
    page.keys(Keys.END, " and the lawn")
    tab_to(page, "Priority")
    page.keys("High")
    tab_to(page, "Save")
    page.keys(Keys.ENTER)
    page.shows("Water the plants and the lawn", "Call Bob")
    page.until("the focus back", lambda: page.focused() == "Edit: Water the plants and the lawn")
    tab_to(page, "Delete: Water the plants and the lawn")
    page.keys(Keys.ENTER)
    page.shows("Call Bob")
    assert page.until("a neighbour", lambda: page.focused() == "Delete: Call Bob")
    tab_to(page, "Undo")
    page.keys(Keys.ENTER)
    page.shows("Water the plants and the lawn", "Call Bob")
    tab_to(page, "Active", back=True)
    page.keys(Keys.ENTER)
    page.shows("Water the plants and the lawn")
    tab_to(page, "Settings")
    page.keys(Keys.ENTER)
    page.says("This device")
    tab_to(page, "Log out", back=True)
    page.keys(Keys.ENTER)
    page.at("#/login")


def test_nothing_covers_the_focus(page, user):
    """On a phone, where bars lie over the list."""
    for i in range(10):
        user.create(f"task {i:02}")
    page.size(390, 500, mobile=True)
    page.log_in(user)
    page.until("all", lambda: len(page.titles()) == 10)
    page.js("arguments[0].focus()", page.get("field", "Add a task"))
    tab_to(page, "Delete: task 00")
    tab_to(page, "Add a task", back=True)


def test_single_keys(mine, user):
    for title in ("c", "b", "a"):
        user.create(title)
    mine.shows("a", "b", "c")
    mine.js("document.activeElement.blur()")
    mine.keys("j")
    assert mine.focused() == "Complete: a"
    mine.keys("j", "j", "k")
    assert mine.focused() == "Complete: b"
    mine.keys("x")
    mine.until("ticked", lambda: mine.get("check", "Complete: b").is_selected())
    mine.keys("u")
    mine.until("not ticked", lambda: not mine.get("check", "Complete: b").is_selected())
    mine.keys("n")
    assert mine.focused() == "Add a task"
    mine.keys("jxu/?", Keys.ENTER)  # text, while somebody types
    mine.shows("jxu/?", "a", "b", "c")
    mine.keys(Keys.ESCAPE)
    mine.keys("/")
    assert mine.focused() == "Search tasks"
    mine.keys(Keys.ESCAPE)
    mine.keys("4")
    mine.get("heading", "Active")
    mine.keys("?")
    mine.get("dialog", "Keyboard shortcuts")
    mine.keys(Keys.ESCAPE)
    mine.gone("dialog", "Keyboard shortcuts")
    mine.click("link", "Settings")
    mine.click("check", "Single-key shortcuts")
    mine.click("link", "All")
    mine.shows("jxu/?", "a", "b", "c")
    mine.keys("n")
    assert mine.focused() != "Add a task"


# --- looks --------------------------------------------------------------------------------------

LONG = ["W" * 200, "https://example.org/" + "a" * 170, "ordinary words " * 13]


def test_keys_of_the_list_mean_nothing_in_the_editor(mine, user):
    user.create("Stays")
    mine.click("button", "Edit: Stays")
    mine.js("arguments[0].focus()", mine.get("button", "Tomorrow"))
    mine.keys(Keys.BACKSPACE, Keys.DELETE, "x")
    mine.add("After")
    mine.synced()
    assert sorted((t["title"], t["completed"]) for t in user.tasks()) == [
        ("After", False), ("Stays", False)]


def test_the_focus_survives_a_message(mine):
    mine.add("One")
    mine.click("check", "Complete: One")
    mine.click("button", "Dismiss")
    assert mine.js("return document.activeElement.id") == "main"


def wide(page):
    """What reaches over the right edge, when that makes the page scroll."""
    return page.js("""const { scrollWidth, clientWidth } = document.documentElement;
		const over = (e) => e.getBoundingClientRect().right > clientWidth + 1;
		return scrollWidth <= clientWidth ? [] : [...document.querySelectorAll('*')]
			.filter((e) => e.checkVisibility() && over(e))
			.map((e) => e.outerHTML.slice(0, 100))""")


def test_a_narrow_screen(page, user):
    """As wide as WCAG's reflow asks for, without scrolling sideways."""
    page.size(320, 640, mobile=True)
    page.log_in(user)
    for title in LONG:
        user.create(title.strip(), tags=["t" * 40], priority="high", due_date="2031-01-01",
                    description="x")
    page.until("three", lambda: len(page.titles()) == 3)
    assert wide(page) == []
    page.click("button", "Edit: WWW", begins=True)
    page.get("field", "Title")
    assert wide(page) == []
    page.click("button", "Cancel")
    page.click("button", "Delete: WWW", begins=True)
    page.get("button", "Undo")
    assert wide(page) == []
    for route in ("#/trash", "#/settings"):
        page.js("location.hash = arguments[0]", route)
        page.says("30 days" if route == "#/trash" else "This device")
        assert wide(page) == [], route
    page.go("about:blank")
    page.browser.cdp("Network.clearBrowserCookies")
    page.expects(r" 401 ")
    for route in ("#/login", "#/register"):
        page.go(route)
        page.get("field", "E-mail")
        assert wide(page) == [], route


def test_without_motion(mine):
    mine.emulate(prefers_reduced_motion="reduce")
    moving = """return [...document.querySelectorAll('*')].filter((e) => {
		const s = getComputedStyle(e);
		const long = (all) => all.split(',').some((each) => parseFloat(each) > 0.011);
		return long(s.transitionDuration) || s.animationName !== 'none' && long(s.animationDuration);
	}).map((e) => e.outerHTML.slice(0, 80))"""
    mine.add("One")
    mine.shows("One")
    mine.click("button", "Delete: One")
    mine.get("button", "Undo")
    assert mine.js(moving) == []
    mine.click("link", "Settings")
    mine.says("This device")
    assert mine.js(moving) == []


def test_nothing_moves_while_it_loads(mine, user):
    user.call("POST", "tasks/import", b"title,priority\n" + b"".join(
        b"task %03d,%s\n" % (i, b"high" if i % 2 else b"none") for i in range(100)),
        media="text/csv").expect(200)
    for width, height in ((1280, 800), (390, 844)):
        mine.size(width, height, mobile=width < 500)
        mine.go("about:blank").go("#/tasks")
        mine.until("a page of tasks", lambda: len(mine.titles()) >= 50)
        mine.until("the numbers", lambda: any(
            "status" in r for r in mine.js("return tc.sent") if r["path"].endswith("/stats")))
        mine.synced()
        mine.js("return new Promise((done) => requestAnimationFrame(() => setTimeout(done, 100)))")
        assert mine.js("return tc.shift") < 0.01, (width, mine.js("return tc.shift"))


def test_light_and_dark(mine):
    """The system's choice, unless the person has made one, which stays."""
    def dark():
        return mine.js("return getComputedStyle(document.body).backgroundColor.match(/[\\d.]+/g)"
                       ".slice(0, 3).every((c) => c < 80)")
    mine.emulate(prefers_color_scheme="dark")
    assert dark()
    mine.emulate(prefers_color_scheme="light")
    assert not dark()
    mine.click("link", "Settings")
    mine.click("check", "Dark")
    assert dark()
    mine.reload()
    mine.says("This device")
    assert dark()
    mine.click("check", "As the system")
    assert not dark()
