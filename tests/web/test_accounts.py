"""Making an account, logging in and out, and the ways there and back."""

import pytest
from selenium.webdriver.common.keys import Keys

from client import PASSWORD, another, fresh_email, login, remember_secret


def sign_up(page, email, password=PASSWORD, name=None):
    remember_secret(password)
    if name:
        page.fill("Name", name)
    page.fill("E-mail", email)
    page.fill("Password", password)
    page.click("button", "Create account")


def test_a_stranger_makes_an_account_and_keeps_tasks(page, site):
    page.go().at("#/login")
    page.click("link", "Create an account")
    email = fresh_email()
    sign_up(page.at("#/register"), email, name="Ada Lovelace")
    page.at("#/tasks")
    page.says("Ada Lovelace")
    page.says("Nothing here yet")
    page.add("Water the plants")
    page.shows("Water the plants")
    page.synced()
    me = login(site.http, email).expect(200).json
    tasks = site.http.request("GET", "/api/me/tasks", token=me["access_token"]).json
    assert [t["title"] for t in tasks] == ["Water the plants"]
    assert me["user"]["name"] == "Ada Lovelace"


def test_a_taken_e_mail(page, user):
    page.go("#/register")
    page.expects(r"auth/register .* 409")
    sign_up(page, user.email.upper())
    page.says("There is already an account with this e-mail.")
    assert page.route == "#/register"
    page.click("link", "Log in")
    page.at("#/login")


@pytest.mark.parametrize("email,password,hint", [
    ("ada", PASSWORD, "An e-mail has an @ in it."),
    ("ada@example", PASSWORD, "needs a dot"),
    ("", PASSWORD, "Please enter your e-mail."),
    ("ada@example.org", "", "Please choose a password."),
    ("ada@example.org", "seven77", "1 more character to go."),
    ("ada@example.org", "password1", "the first that anybody would try"),
    ("ada.lovelace@example.org", "ada.lovelace1", "too much like your e-mail"),
])
def test_hints_before_anything_is_sent(page, email, password, hint):
    page.go("#/register")
    sign_up(page, email, password)
    page.says(hint)
    assert page.sent("/register") == []
    assert page.focused() == ("E-mail" if password == PASSWORD else "Password")


@pytest.mark.parametrize("password,sentence", [
    ("trustno1trustno1", None), ("passw0rd123", "Too many people use this password"),
])
def test_the_server_has_the_last_word(page, password, sentence):
    """The list of common passwords is the server's; what it says stands beside the field."""
    page.go("#/register")
    if sentence:
        page.expects(r"auth/register .* 422")
    sign_up(page, fresh_email(), password)
    if sentence:
        page.says(sentence)
        assert page.focused() == "Password"
        assert page.js("return document.activeElement.getAttribute('aria-invalid')") == "true"
    else:
        page.at("#/tasks")


def test_a_wrong_password_and_then_the_right_one(page, user):
    page.go("#/login")
    page.expects(r"auth/login .* 401")
    page.fill("E-mail", user.email)
    page.fill("Password", "not this one at all")
    page.click("button", "Log in")
    page.says("E-mail and password do not match.")
    assert page.get("field", "E-mail").get_attribute("value") == user.email
    page.fill("Password", user.password).send_keys(Keys.ENTER)
    page.at("#/tasks")


def test_too_many_attempts(make_site, open_page):
    """The button waits as long as the server says."""
    s = make_site(throttle="on", throttle_address_per_minute=2, workers=2, auth_workers=1)
    page = open_page(s).go("#/login")
    page.expects(r"auth/login .* (401|429)")
    page.fill("E-mail", fresh_email())
    for i in range(3):
        page.fill("Password", "nobody has this one").send_keys(Keys.ENTER)
        page.until("an answer", lambda n=i + 1: [
            "status" in r for r in page.sent("/login")] == [True] * n)
    page.says("Too many attempts. Please wait ")
    assert not page.get("button", "Log in").is_enabled()


def test_invitations(make_site, open_page):
    s = make_site(registration="invite", workers=2, auth_workers=1)
    code = s.ctl("invite", "add").split()[0]
    page = open_page(s).go("#/register")
    page.expects(r"auth/register .* 403")
    sign_up(page, fresh_email())
    page.says("A new account needs an invitation code")
    page.fill("Invitation code", code)
    page.click("button", "Create account")
    page.at("#/tasks")


@pytest.mark.parametrize("asked", [
    "#/settings", "#/trash", "#/tasks?filter=active&q=milk&sort=due",
    "#/tasks/01890000-0000-7000-8000-000000000000",
])
def test_a_deep_link_is_kept_through_the_login(page, user, asked):
    if asked.count("/") == 2:
        asked = f"#/tasks/{user.create('Deep')['id']}"
    page.go(asked)
    page.until("the login", lambda: page.route.startswith("#/login?next="))
    page.fill("E-mail", user.email)
    page.fill("Password", user.password).send_keys(Keys.ENTER)
    page.until(f"being at {asked}", lambda: page.js(
        "const sorted = (h) => h.split(/[?&]/).sort().join();"
        "return sorted(location.hash) === sorted(arguments[0])", asked))
    if asked.count("/") == 2:
        assert page.get("field", "Title").get_attribute("value") == "Deep"
    if "q=milk" in asked:
        assert page.get("field", "Search tasks").get_attribute("value") == "milk"


@pytest.mark.parametrize("following", [
    "https://example.org/", "//example.org/", "javascript:alert(1)", "#/login", "#/../../x",
    "#/tasks\nhttps://example.org",
])
def test_a_link_leads_nowhere_else(page, user, following):
    page.go("#/login?next=" + page.js("return encodeURIComponent(arguments[0])", following))
    page.fill("E-mail", user.email)
    page.fill("Password", user.password).send_keys(Keys.ENTER)
    page.get("heading", "All tasks")
    assert page.js("return location.href").startswith(page.url + "#/tasks")


@pytest.mark.parametrize("route", ["", "#/tasks", "#/trash", "#/settings", "#/nothing"])
def test_strangers_see_the_login_alone(page, route):
    page.go(route)
    page.get("button", "Log in")
    assert page.route.startswith("#/login")
    assert not page.all("field", "Add a task") and not page.all("button", "Log out")
    assert page.js("return tc.sent") == []  # a stranger has nothing to ask


def test_who_is_logged_in_is_sent_on(mine):
    mine.go("#/login").at("#/tasks")
    mine.js("location.hash = '#/register'")
    mine.at("#/tasks")


def test_logging_out(mine, site, user):
    mine.add("Mine alone")
    mine.shows("Mine alone")
    mine.synced()
    start = site.log_size()
    mine.click("button", "Log out")
    mine.at("#/login")
    assert "Mine alone" not in mine.js("return document.documentElement.textContent")
    mine.until("the server to know", lambda: "/api/auth/logout" in site.log_text(start))
    mine.until("no cookie", lambda: not mine.cdp("Network.getAllCookies")["cookies"])
    assert len(user.call("GET", "/api/auth/sessions").json) == 1
    mine.reload()
    mine.get("button", "Log in")


# --- settings -----------------------------------------------------------------------------------


def test_name_and_e_mail(mine, user, site):
    mine.click("link", "Settings")
    mine.fill("Name", "Grace")
    mine.click("button", "Save")
    mine.says("Account saved")
    email = fresh_email()
    mine.fill("E-mail", email)
    mine.expects(r"auth/account .* 403")
    mine.fill("Your password, to confirm", "this is not mine")
    mine.click("button", "Save")
    mine.says("That is not your current password.")
    mine.fill("Your password, to confirm", user.password)
    mine.click("button", "Save")
    mine.gone("field", "Your password, to confirm")
    me = login(site.http, email).expect(200).json["user"]
    assert me["name"] == "Grace" and me["id"] == user.id


def test_a_new_password(mine, user, site):
    mine.click("link", "Settings")
    new = "eight green trains"
    remember_secret(new)
    mine.expects(r"auth/password .* (403|422)")
    mine.fill("Current password", "this is not mine")
    mine.fill("New password", new)
    mine.click("button", "Change password")
    mine.says("That is not your current password.")
    mine.fill("Current password", user.password)
    mine.click("button", "Change password")
    mine.says("Password changed")
    assert not user.alive()  # the other device is out, this one goes on
    mine.click("link", "All")
    mine.add("Still here")
    mine.shows("Still here")
    mine.synced()
    login(site.http, user.email, new).expect(200)


def test_sessions_are_seen_and_ended(mine, user):
    third = another(user)
    mine.click("link", "Settings")
    mine.says("This device")
    buttons = mine.until("two others", lambda: (
        lambda b: b if len(b) == 2 else None)(mine.all("button", "End session ", True)))
    buttons[0].click()
    mine.until("one is left", lambda: len(mine.all("button", "End session ", True)) == 1)
    assert user.alive() + third.alive() == 1
    mine.click("button", "End all other sessions")
    mine.gone("button", "End all other sessions")
    assert not user.alive() and not third.alive()
    mine.says("This device")


def test_export_and_import(mine, user, tmp_path):
    user.create("Bread", tags=["shop"])
    mine.click("link", "Settings")
    for name, kind in (("JSON", "application/json"), ("CSV", "text/csv"),
                       ("iCalendar", "text/calendar")):
        mine.js("""const { createObjectURL } = URL;
			URL.createObjectURL = (b) => (tc.blob = b, createObjectURL.call(URL, b))""")
        mine.js("tc.blob = null")
        mine.click("button", name)
        mine.until(f"{name}", lambda: mine.js("return tc.blob !== null"))
        text = mine.driver.execute_async_script("tc.blob.text().then(arguments[0])")
        assert "Bread" in text and kind in mine.js("return tc.blob.type")
    file = tmp_path / "tasks.csv"
    file.write_text("title,priority\nMilk,high\nCheese,low\n", encoding="utf-8")
    mine.get("field", "Import a file").send_keys(str(file))
    mine.says("2 new")
    assert len(user.tasks()) == 1  # first it says what would happen
    mine.click("button", "Import", begins=True)
    mine.until("the import", lambda: len(user.tasks()) == 3)
    mine.click("link", "All")
    mine.until("all three", lambda: sorted(mine.titles()) == ["Bread", "Cheese", "Milk"])


def test_deleting_the_account(mine, user, site):
    mine.click("link", "Settings")
    mine.expects(r"auth/account .* 403")
    mine.fill("Your password", "this is not mine")
    mine.click("button", "Delete account")
    mine.says("That is not your current password.")
    mine.fill("Your password", user.password)
    mine.click("button", "Delete account")
    mine.at("#/login").says("Your account is gone")
    login(site.http, user.email).expect(401, "invalid_credentials")
