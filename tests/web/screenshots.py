"""Pictures of each page, light and dark, on a desk and a phone: `make screenshots`."""

import datetime
import os
import pathlib

import pytest

from client import fresh_email, register

FOLDER = os.environ.get("TASKCELL_SCREENSHOTS")
SIZES = {"desktop": (1280, 800, 1, False), "phone": (390, 844, 2, True)}


def day(n):
    return str(datetime.date.today() + datetime.timedelta(days=n))


def furnish(user):
    for title, members in (
        ("Renew the library card", {"due_date": day(12)}),
        ("Send Grandma the photos from the lake", {"tags": ["family"]}),
        ("Fix the dripping tap", {"priority": "low", "tags": ["home"],
                                  "description": "The washer is 12 mm."}),
        ("Book the train to Porto", {"priority": "medium", "due_date": day(3), "tags": ["travel"]}),
        ("Water the tomatoes", {"due_date": day(0), "tags": ["garden"]}),
        ("Pay the electricity bill", {"priority": "high", "due_date": day(-1), "tags": ["home"]}),
        ("Read two chapters", {"completed": True}),
        ("Buy oat milk, bread and lemons", {"completed": True, "tags": ["shopping"]}),
    ):
        task = user.create(title, **{k: v for k, v in members.items() if k != "completed"})
        if "completed" in members:
            user.call("PATCH", f"tasks/{task['id']}", {"completed": True}).expect(200)
    user.call("DELETE", f"tasks/{user.create('Sell the old bicycle')['id']}").expect(200)
    user.call("DELETE", f"tasks/{user.create('Call the dentist')['id']}").expect(200)
    return user


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_pages(page, site, size, scheme):
    user = register(site.http, email=fresh_email("ada"), name="Ada Lovelace")
    folder = pathlib.Path(FOLDER)
    folder.mkdir(parents=True, exist_ok=True)
    width, height, scale, mobile = SIZES[size]
    page.cdp("Emulation.setDeviceMetricsOverride", width=width, height=height,
             deviceScaleFactor=scale, mobile=mobile)
    page.emulate(prefers_color_scheme=scheme, prefers_reduced_motion="reduce")

    def shoot(name):
        page.until("stillness", lambda: page.js("return document.getAnimations().length === 0"))
        page.driver.save_screenshot(str(folder / f"{name}-{size}-{scheme}.png"))

    page.go("#/login").get("button", "Log in")
    shoot("login")
    page.go("#/register").get("button", "Create account")
    page.fill("E-mail", "ada@example.org")
    page.fill("Password", "seven red bicycles")
    shoot("register")
    page.log_in(user)
    page.says("Nothing here yet")
    shoot("empty")
    furnish(user)
    page.until("all", lambda: len(page.titles()) == 8)
    page.reload()
    page.until("all", lambda: len(page.titles()) == 8)
    page.until("the numbers", lambda: any(
        "status" in r for r in page.js("return tc.sent") if r["path"].endswith("/stats")))
    page.synced()
    shoot("tasks")
    page.click("button", "Edit: Fix the dripping tap")
    page.get("field", "Title")
    shoot("editor")
    page.click("button", "Cancel")
    page.click("check", "Complete: Water the tomatoes")
    page.get("button", "Undo")
    shoot("undo")
    page.click("button", "Dismiss")
    page.js("location.hash = '#/trash'")
    page.get("button", "Restore: Call the dentist")
    shoot("trash")
    page.js("location.hash = '#/settings'")
    page.says("This device")
    shoot("settings")
    page.js("location.hash = '#/tasks?q=nothing'")
    page.says("No task matches")
    shoot("nothing-found")
    page.js("location.hash = '#/tasks'")
    page.until("all", lambda: len(page.titles()) == 8)
    page.expects("ERR_INTERNET_DISCONNECTED", " 412 ")
    page.offline()
    page.click("button", "Edit: Book the train to Porto")
    page.fill("Title", "Book the night train to Porto")
    page.click("button", "Save")
    page.synced("offline")
    shoot("offline")
    task = next(t for t in user.tasks() if t["title"].startswith("Book"))
    user.call("PATCH", f"tasks/{task['id']}", {"title": "Book the bus to Porto"}).expect(200)
    page.offline(False)
    page.get("dialog", "This task was changed elsewhere")
    shoot("conflict")
    page.click("button", "Keep mine")
    page.synced()
