#include "base/base.h"

#include "ctl/doctor_fetch.h"

#include <curl/curl.h>
#include <strings.h>

enum { CONNECT_TIMEOUT_MS = 5000, TIMEOUT_MS = 20000, HEADERS = 4 };

/* --- requests -------------------------------------------------------------------------------- */

struct body {
	size_t len;
	char text[ANSWER_MAX + 1];
};

/* What is too long is cut: nothing of ours is. */
static size_t take(char *bytes, size_t size, size_t n, void *arg)
{
	struct body *b = arg;
	size_t len = size * n, room = ANSWER_MAX - b->len;

	memcpy(b->text + b->len, bytes, len < room ? len : room);
	b->len += len < room ? len : room;
	return len <= room ? len : 0;
}

static void release(void *handle)
{
	curl_easy_cleanup(handle);
}

static void release_list(void *list)
{
	curl_slist_free_all(list);
}

static void set_headers(struct arena *arena, CURL *curl, const struct fetch *f)
{
	struct curl_slist *list = NULL;

	for (size_t i = 0; i < HEADERS && f->headers[i]; i++)
		list = curl_slist_append(list, f->headers[i]);
	arena_defer(arena, release_list, list);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, list);
}

static void set_bounds(CURL *curl)
{
	const char *authorities = getenv("SSL_CERT_FILE");

	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_TIMEOUT_MS);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)TIMEOUT_MS);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(curl, CURLOPT_PROXY, "");
	curl_easy_setopt(curl, CURLOPT_CERTINFO, 1L);
	/* libcurl has a place of its own for them, and does not look at OpenSSL's variable. */
	if (authorities)
		curl_easy_setopt(curl, CURLOPT_CAINFO, authorities);
}

/* The first certificate of the chain is the server's own. */
static int64_t expiry(CURL *curl)
{
	static const char name[] = "Expire date:";
	struct curl_certinfo *info = NULL;
	const struct curl_slist *line;

	if (curl_easy_getinfo(curl, CURLINFO_CERTINFO, &info) != CURLE_OK || !info ||
	    info->num_of_certs < 1)
		return 0;
	for (line = info->certinfo[0]; line; line = line->next)
		if (strncmp(line->data, name, sizeof(name) - 1) == 0)
			return curl_getdate(line->data + sizeof(name) - 1, NULL);
	return 0;
}

void fetch(struct arena *arena, const struct fetch *f, struct answer *a)
{
	struct body *body = arena_alloc(arena, sizeof(*body));
	char *why = arena_alloc(arena, CURL_ERROR_SIZE);
	CURL *curl = curl_easy_init();
	CURLcode code;

	*a = (struct answer){ .error = "out of memory", .body = body->text, .local = "" };
	if (!curl)
		return;
	a->handle = curl;
	arena_defer(arena, release, curl);
	set_bounds(curl);
	set_headers(arena, curl, f);
	curl_easy_setopt(curl, CURLOPT_URL, f->url);
	curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, why);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, body);
	curl_easy_setopt(curl, CURLOPT_USERAGENT, "taskcellctl-doctor/" PACKAGE_VERSION);
	if (f->body) {
		curl_easy_setopt(curl, CURLOPT_POSTFIELDS, f->body);
		curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)f->body_len);
	}
	curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, f->method);
	code = curl_easy_perform(curl);
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &a->status);
	curl_easy_getinfo(curl, CURLINFO_LOCAL_IP, &a->local);
	a->untrusted = code == CURLE_PEER_FAILED_VERIFICATION;
	a->expires = expiry(curl);
	/* A refusal of a long body may come before its end, and then nothing may take the rest. */
	a->error = code == CURLE_OK || (a->status != 0 && body->len > 0) ? NULL
		   : *why                                                ? why
									 : curl_easy_strerror(code);
}

const char *answer_header(const struct answer *a, const char *name)
{
	struct curl_header *header;

	if (!a->handle ||
	    curl_easy_header(a->handle, name, 0, CURLH_HEADER, -1, &header) != CURLHE_OK)
		return "";
	return header->value;
}

/* --- URLs ------------------------------------------------------------------------------------ */

static const char *part(struct arena *arena, CURLU *url, CURLUPart which)
{
	char *text = NULL;
	const char *out = "";

	if (curl_url_get(url, which, &text, 0) == CURLUE_OK)
		out = arena_strndup(arena, text, strlen(text));
	curl_free(text);
	return out;
}

bool url_split(struct arena *arena, const char *text, struct url_parts *out)
{
	CURLU *url = curl_url();
	bool ok = url && curl_url_set(url, CURLUPART_URL, text, 0) == CURLUE_OK;

	*out = (struct url_parts){ .scheme = "" };
	if (ok) {
		*out = (struct url_parts){
			.scheme = part(arena, url, CURLUPART_SCHEME),
			.host = part(arena, url, CURLUPART_HOST),
			.port = part(arena, url, CURLUPART_PORT),
			.path = part(arena, url, CURLUPART_PATH),
		};
		ok = !*part(arena, url, CURLUPART_USER) && !*part(arena, url, CURLUPART_QUERY) &&
		     !*part(arena, url, CURLUPART_FRAGMENT);
	}
	curl_url_cleanup(url);
	return ok && (strcmp(out->scheme, "http") == 0 || strcmp(out->scheme, "https") == 0);
}
