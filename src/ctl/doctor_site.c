#include "base/base.h"

#include "ctl/doctor.h"

#include <strings.h>

#include "base/clock.h"
#include "base/codec.h"
#include "base/net.h"
#include "base/random.h"
#include "ctl/doctor_fetch.h"
#include "http/request.h"
#include "store/admin.h"

enum { CERTIFICATE_DAYS = 14, AUDIT_ROWS = 1000 };

/* An address of a network that is nobody's (RFC 5737): a client that lies about its own. */
#define LIE "203.0.113.77"

static void get(struct doctor *d, const char *path, const char *header, struct answer *a)
{
	const struct fetch f = {
		.url = arena_printf(d->arena, "%s%s", d->url, path),
		.method = "GET",
		.headers = { header },
	};

	fetch(d->arena, &f, a);
}

static bool is_problem(const struct answer *a, const char *code)
{
	const char *type = answer_header(a, "Content-Type");
	char member[64];

	(void)snprintf(member, sizeof(member), "\"code\":\"%s\"", code);
	return strncasecmp(type, "application/problem+json", 24) == 0 && strstr(a->body, member);
}

static enum verdict no_site(struct doctor *d)
{
	return doctor_say(d, DOCTOR_SKIPPED,
			  d->url ? "the site does not answer, see health"
				 : "no URL: taskcellctl doctor https://…");
}

static bool is_loopback(const char *host)
{
	struct net_address address;
	struct net_list loopback;
	size_t len = strlen(host);

	if (strcmp(host, "localhost") == 0)
		return true;
	if (*host == '[' && len > 2) {
		host++;
		len -= 2;
	}
	return net_list_parse("127.0.0.0/8 ::1", &loopback) &&
	       net_address_parse(host, len, &address) && net_list_has(&loopback, &address);
}

/* --- does it answer -------------------------------------------------------------------------- */

/* From http to https of the same host: the one redirect that is as it should be. */
static bool take_redirect(struct doctor *d, const struct answer *a)
{
	const char *to = answer_header(a, "Location");
	struct url_parts from, there;
	size_t len = strlen(to), tail = strlen("/api/health");

	if (a->status < 301 || a->status > 308 || !url_split(d->arena, d->url, &from) ||
	    !url_split(d->arena, to, &there) || strcmp(from.scheme, "http") != 0 ||
	    strcmp(there.scheme, "https") != 0 || strcasecmp(from.host, there.host) != 0 ||
	    len < tail || strcmp(to + len - tail, "/api/health") != 0)
		return false;
	d->url = arena_strndup(d->arena, to, len - tail);
	d->redirected = true;
	return true;
}

/* Without a slash at the end, and with the mount where no path is given. */
static bool read_url(struct doctor *d)
{
	struct url_parts parts;
	size_t len = strlen(d->url);

	if (!url_split(d->arena, d->url, &parts))
		return false;
	while (len > 0 && d->url[len - 1] == '/')
		len--;
	d->url =
		arena_printf(d->arena, "%.*s%s", (int)len, d->url,
			     d->settings && strcmp(parts.path, "/") == 0 ? d->settings->mount : "");
	return true;
}

enum verdict check_health(struct doctor *d)
{
	struct answer a;

	if (!d->url)
		return no_site(d);
	if (!read_url(d))
		return doctor_say(d, DOCTOR_WRONG,
				  "%s is no URL such as https://example.org, without user, query "
				  "and fragment",
				  d->url);
	get(d, "/api/health", NULL, &a);
	if (!a.error && take_redirect(d, &a))
		get(d, "/api/health", NULL, &a);
	d->untrusted = a.untrusted ? a.error : NULL;
	d->expires = a.expires;
	d->hsts = answer_header(&a, "Strict-Transport-Security");
	if (a.untrusted)
		return doctor_say(d, DOCTOR_SKIPPED, "see certificate");
	if (a.error)
		return doctor_say(d, DOCTOR_WRONG,
				  "GET %s/api/health: %s: is the web server up, and the URL right?",
				  d->url, a.error);
	if (a.status >= 300 && a.status < 400)
		return doctor_say(
			d, DOCTOR_WRONG,
			"GET %s/api/health is answered by a redirect to %s, which was not "
			"followed: give the URL that people use",
			d->url, answer_header(&a, "Location"));
	d->answers = a.status == 200 && strstr(a.body, "\"status\":\"ok\"");
	if (!d->answers)
		return doctor_say(
			d, DOCTOR_WRONG,
			"GET %s/api/health: status %ld%s: is /api passed to taskcell (and "
			"`mount` right)?",
			d->url, a.status,
			a.status == 502   ? ", the web server does not reach taskcell (see "
					    "socket)"
			: a.status == 200 ? ", but not of taskcell"
					  : "");
	return doctor_say(d, DOCTOR_OK, "%s/api/health answers", d->url);
}

enum verdict check_ready(struct doctor *d)
{
	struct answer a;

	if (!d->answers)
		return no_site(d);
	get(d, "/api/ready", NULL, &a);
	if (a.error || a.status != 200)
		return doctor_say(d, DOCTOR_WRONG,
				  "GET /api/ready: %s: the server's log says what it lacks of the "
				  "database (journalctl -u taskcell)",
				  a.error ? a.error
					  : arena_printf(d->arena, "status %ld", a.status));
	return doctor_say(d, DOCTOR_OK, "taskcell has its database");
}

/* --- what reaches taskcell ------------------------------------------------------------------- */

/* The code tells: a token of nobody is refused as such only by who has seen it. */
enum verdict check_authorization(struct doctor *d)
{
	struct answer a;

	if (!d->answers)
		return no_site(d);
	get(d, "/api/auth/session", "Authorization: Bearer doctor.doctor.doctor", &a);
	if (is_problem(&a, "invalid_token"))
		return doctor_say(d, DOCTOR_OK, "it reaches taskcell");
	if (is_problem(&a, "missing_token"))
		return doctor_say(
			d, DOCTOR_WRONG,
			"the web server keeps the header Authorization for itself: Apache "
			"needs CGIPassAuth On, and nginx no fastcgi_param "
			"HTTP_AUTHORIZATION");
	if (!a.error && a.status == 401)
		return doctor_say(d, DOCTOR_WRONG,
				  "the web server itself asks for a login: take its own "
				  "authentication away from /api");
	return doctor_say(d, DOCTOR_SKIPPED, "GET /api/auth/session: %s",
			  a.error ? a.error : arena_printf(d->arena, "status %ld", a.status));
}

/* A login that fails, as somebody that there is not, with a lie in X-Forwarded-For. */
static void fail_to_log_in(struct doctor *d, struct answer *a)
{
	uint8_t random[8];
	char id[2 * sizeof(random) + 1];
	struct fetch f = {
		.url = arena_printf(d->arena, "%s/api/auth/login", d->url),
		.method = "POST",
		.headers = { "Content-Type: application/json", "X-Forwarded-For: " LIE },
	};

	random_bytes(random, sizeof(random));
	hex_encode(random, sizeof(random), id);
	f.body = arena_printf(d->arena,
			      "{\"email\":\"doctor-%s@example.invalid\","
			      "\"password\":\"nobody's %s\"}",
			      id, id);
	f.body_len = strlen(f.body);
	fetch(d->arena, &f, a);
}

/* The address that taskcell has written down for a request; NULL: there is none of that id. */
static const char *recorded(struct doctor *d, const char *request_id)
{
	struct audit_query query = {
		.event = "login_failed",
		.since = clock_now_us() - d->database.ahead_us - 60 * US_PER_SECOND,
		.limit = AUDIT_ROWS,
	};
	struct store_options options = ctl_store_options(d->ctl);
	struct admin_events events = { 0 };
	const char *address = NULL;

	d->ctl->store = store_open(&options); /* main() closes it */
	if (!*request_id || admin_audit_list(d->ctl->store, d->arena, &query, &events) != STORE_OK)
		return NULL;
	for (size_t i = 0; i < events.n && !address; i++)
		if (events.events[i].request_id &&
		    strcmp(events.events[i].request_id, request_id) == 0)
			address = events.events[i].event.ip ? events.events[i].event.ip : "";
	return address;
}

static bool same_address(const char *a, const char *b)
{
	struct net_address x, y;

	return net_address_parse(a, strlen(a), &x) && net_address_parse(b, strlen(b), &y) &&
	       memcmp(&x, &y, sizeof(x)) == 0;
}

static bool is_trusted(struct doctor *d, const char *text)
{
	struct net_address address;
	struct net_list proxies;

	return net_list_parse(d->settings->trusted_proxies, &proxies) &&
	       net_address_parse(text, strlen(text), &address) && net_list_has(&proxies, &address);
}

static enum verdict judge_address(struct doctor *d, const char *seen, const char *mine)
{
	if (!*seen)
		return doctor_say(
			d, DOCTOR_WRONG,
			"the web server tells taskcell no address of the client: it has to "
			"pass REMOTE_ADDR");
	if (same_address(seen, LIE) && is_trusted(d, mine))
		return doctor_say(d, DOCTOR_SKIPPED,
				  "this host (%s) is itself one of trusted_proxies and may say "
				  "anything: run the doctor on another host",
				  mine);
	if (same_address(seen, LIE))
		return doctor_say(
			d, DOCTOR_WRONG,
			"X-Forwarded-For is believed of anybody, so everybody chooses an "
			"address: name in trusted_proxies (or nginx's set_real_ip_from) the "
			"proxies alone");
	if (same_address(seen, mine))
		return doctor_say(d, DOCTOR_OK, "taskcell sees this host as %s", seen);
	if (is_loopback(seen) || is_loopback(mine))
		return doctor_say(d, DOCTOR_WRONG,
				  "taskcell sees %s and not this host, %s: if a proxy stands in "
				  "front of the web server, name it in trusted_proxies; else pass "
				  "$remote_addr as REMOTE_ADDR",
				  seen, mine);
	return doctor_say(d, DOCTOR_WARNING,
			  "taskcell sees %s, and this host's end of the connection is %s: as it "
			  "should be if %s is this host behind its router, else name that proxy in "
			  "trusted_proxies",
			  seen, mine, seen);
}

/* Nothing of a request comes back to who sends it, so that no answer has to tell addresses: the
 * audit, which only administrators read, has the address of a failed login. The least such login
 * that changes nothing is that of an unknown e-mail. It counts as one attempt of this host. */
enum verdict check_client_address(struct doctor *d)
{
	const char *seen;
	struct answer a;

	if (!d->answers || !d->database_fits)
		return d->answers ? doctor_say(d, DOCTOR_SKIPPED,
					       "the audit cannot be read, see "
					       "row_security")
				  : no_site(d);
	fail_to_log_in(d, &a);
	if (a.error || a.status != 401)
		return doctor_say(d, DOCTOR_SKIPPED, "POST /api/auth/login: %s",
				  a.error ? a.error
				  : a.status == 429
					  ? "too many attempts from here: try again in a "
					    "minute"
					  : arena_printf(d->arena, "status %ld", a.status));
	seen = recorded(d, answer_header(&a, "X-Request-Id"));
	if (!seen)
		return doctor_say(d, DOCTOR_SKIPPED,
				  "this database has no record of the login that was just tried: "
				  "has the server another one?");
	return judge_address(d, seen, a.local);
}

/* --- what comes back ------------------------------------------------------------------------- */

enum verdict check_problem_documents(struct doctor *d)
{
	static const struct {
		const char *method, *path, *code;
		long status;
		size_t body_len;
	} tries[] = {
		{ "GET", "/api/doctor", "not_found", 404, 0 },
		{ "DELETE", "/api/health", "method_not_allowed", 405, 0 },
		{ "POST", "/api/auth/login", "body_too_large", 413, REQUEST_BODY_MAX + 1 },
	};
	char *body = arena_alloc(d->arena, REQUEST_BODY_MAX + 1);

	if (!d->answers)
		return no_site(d);
	memset(body, ' ', REQUEST_BODY_MAX + 1);
	for (size_t i = 0; i < ARRAY_LEN(tries); i++) {
		struct fetch f = {
			.url = arena_printf(d->arena, "%s%s", d->url, tries[i].path),
			.method = tries[i].method,
			.headers = { tries[i].body_len ? "Content-Type: application/json" : NULL },
			.body = tries[i].body_len ? body : NULL,
			.body_len = tries[i].body_len,
		};
		struct answer a;

		fetch(d->arena, &f, &a);
		if (!a.error && a.status == tries[i].status && is_problem(&a, tries[i].code))
			continue;
		return doctor_say(
			d, DOCTOR_WRONG,
			"%s %s is not answered by %ld %s but by %s: let the web server pass "
			"taskcell's errors (fastcgi_intercept_errors off, ProxyErrorOverride "
			"Off) and take its own from the sample in conf/",
			tries[i].method, tries[i].path, tries[i].status, tries[i].code,
			a.error ? a.error
				: arena_printf(d->arena, "%ld, %s", a.status,
					       answer_header(&a, "Content-Type")));
	}
	return doctor_say(d, DOCTOR_OK, "404, 405 and 413 are problem documents");
}

/* --- https ----------------------------------------------------------------------------------- */

static bool is_https(const char *url)
{
	return strncasecmp(url, "https:", 6) == 0;
}

/* What http says on its usual port; with another port of https it is not known where that is. */
static enum verdict judge_http(struct doctor *d, const struct url_parts *site)
{
	struct fetch f = {
		.url = arena_printf(d->arena, "http://%s/api/health", site->host),
		.method = "GET",
	};
	struct answer a;

	fetch(d->arena, &f, &a);
	if (!a.error &&
	    !(a.status >= 300 && a.status < 400 && is_https(answer_header(&a, "Location"))))
		return doctor_say(d, DOCTOR_WARNING,
				  "http://%s answers too (status %ld): let the web server redirect "
				  "it to https",
				  site->host, a.status);
	return doctor_say(d, DOCTOR_OK, "on; http %s", a.error ? "is closed" : "leads to https");
}

enum verdict check_https(struct doctor *d)
{
	struct url_parts site;

	if (!d->answers || !url_split(d->arena, d->url, &site))
		return no_site(d);
	if (is_https(d->url))
		return d->redirected || *site.port
			       ? doctor_say(d, DOCTOR_OK, "on%s",
					    d->redirected ? "; http leads there" : "")
			       : judge_http(d, &site);
	if (is_loopback(site.host))
		return doctor_say(d, DOCTOR_OK, "off, on the loopback, where nobody else listens");
	return doctor_say(d, DOCTOR_WRONG,
			  "passwords and tokens travel in the clear: give the web server a "
			  "certificate and redirect http to https");
}

enum verdict check_certificate(struct doctor *d)
{
	int64_t left = (d->expires - clock_now_us() / US_PER_SECOND) / 86400;

	if (d->untrusted)
		return doctor_say(d, DOCTOR_WRONG,
				  "%s: get one that browsers trust, for this name, with its chain",
				  d->untrusted);
	if (!d->answers || !is_https(d->url))
		return d->answers ? doctor_say(d, DOCTOR_OK, "there is no https") : no_site(d);
	if (!d->expires)
		return doctor_say(d, DOCTOR_SKIPPED, "its last day is not known");
	if (left < CERTIFICATE_DAYS)
		return doctor_say(d, DOCTOR_WARNING,
				  "it ends in %lld days: renew it, and let that happen by itself",
				  (long long)left);
	return doctor_say(d, DOCTOR_OK, "it is good for %lld days", (long long)left);
}

enum verdict check_hsts(struct doctor *d)
{
	if (!d->answers)
		return no_site(d);
	if (!is_https(d->url))
		return doctor_say(d, DOCTOR_OK, "there is no https");
	if (!*d->hsts)
		return doctor_say(d, DOCTOR_WARNING,
				  "nothing tells browsers to stay with https: nginx: add_header "
				  "Strict-Transport-Security max-age=31536000 always");
	return doctor_say(d, DOCTOR_OK, "%s", d->hsts);
}

/* A session's cookie comes only with a login that succeeds. But its attributes follow from
 * public_url alone, and so does from where it is taken. */
enum verdict check_cookies(struct doctor *d)
{
	const char *url = d->settings ? d->settings->public_url : "";
	struct url_parts at, site;

	if (!d->settings)
		return doctor_say(d, DOCTOR_SKIPPED, "mend the configuration first");
	if (!*url)
		return doctor_say(d, DOCTOR_OK, "not offered: public_url is not set");
	if (!url_split(d->arena, url, &site) || strcmp(site.path, "/") != 0)
		return doctor_say(d, DOCTOR_OK, "not offered: public_url has a path");
	if (!is_https(url) && !is_loopback(site.host))
		return doctor_say(d, DOCTOR_WRONG,
				  "they are not Secure, since public_url is %s: serve the site by "
				  "https and set public_url = https://%s",
				  url, site.host);
	if (d->answers && url_split(d->arena, d->url, &at) &&
	    (strcmp(at.scheme, site.scheme) != 0 || strcasecmp(at.host, site.host) != 0 ||
	     strcmp(at.port, site.port) != 0))
		return doctor_say(d, DOCTOR_WARNING,
				  "they are taken from pages of %s only, and this is %s: is "
				  "public_url right?",
				  url, d->url);
	return doctor_say(d, DOCTOR_OK, "%s", is_https(url) ? "Secure" : "on the loopback");
}

enum verdict check_page_headers(struct doctor *d)
{
	static const char *const wanted[] = { "Content-Security-Policy", "X-Content-Type-Options",
					      "Referrer-Policy" };
	const char *missing = "";
	struct answer a;

	if (!d->answers)
		return no_site(d);
	get(d, "/", NULL, &a);
	if (a.error || a.status != 200 ||
	    strncasecmp(answer_header(&a, "Content-Type"), "text/html", 9) != 0)
		return doctor_say(d, DOCTOR_OK, "there is no page at %s/", d->url);
	for (size_t i = 0; i < ARRAY_LEN(wanted); i++)
		if (!*answer_header(&a, wanted[i]))
			missing = arena_printf(d->arena, "%s%s%s", missing, *missing ? ", " : "",
					       wanted[i]);
	if (!*missing)
		return doctor_say(d, DOCTOR_OK, "the page at %s/ has them", d->url);
	return doctor_say(
		d, DOCTOR_WARNING,
		"the page at %s/ lacks %s: take them from the sample of the web server in "
		"conf/",
		d->url, missing);
}
