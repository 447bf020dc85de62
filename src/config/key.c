#include "base/base.h"
#include "config/key.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <netinet/in.h>

#include "base/codec.h"
#include "base/log.h"
#include "base/net.h"
#include "base/secret.h"

char *text_copy(const char *text)
{
	char *s = strdup(text);

	if (!s)
		fatal("out of memory");
	return s;
}

void text_wipe_free(char *text)
{
	if (text)
		secret_wipe(text, strlen(text));
	free(text);
}

void text_set(const char **member, const char *text)
{
	char *old = (char *)*member;

	*member = text_copy(text);
	text_wipe_free(old);
}

static bool is_text(const struct key *k)
{
	return k->type <= TYPE_SECRET;
}

static bool printable(const char *text)
{
	for (; *text; text++) {
		if (*text < ' ' || *text > '~')
			return false;
	}
	return true;
}

/* libfcgi believes what its peer says of lengths, so a port is for this host only. */
static bool loopback_port(const char *text)
{
	char host[INET6_ADDRSTRLEN + 2];
	const char *colon = strrchr(text, ':');
	size_t len = colon ? (size_t)(colon - text) : 0;
	struct in_addr v4;
	struct in6_addr v6;
	int64_t port;

	if (len == 0 || len >= sizeof(host) ||
	    !decimal_parse(colon + 1, strlen(colon + 1), 65535, &port) || port == 0)
		return false;
	memcpy(host, text, len);
	host[len] = '\0';
	if (host[0] != '[')
		return inet_pton(AF_INET, host, &v4) == 1 && ntohl(v4.s_addr) >> 24 == 127;
	if (host[len - 1] != ']')
		return false;
	host[len - 1] = '\0';
	return inet_pton(AF_INET6, host + 1, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

/* Segments of unreserved characters (RFC 3986, 2.3), none of dots alone. */
static bool mount_valid(const char *text)
{
	while (*text) {
		size_t len;

		if (*text++ != '/')
			return false;
		len = strspn(text,
			     "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~");
		if (len == 0 || strspn(text, ".") == len)
			return false;
		text += len;
	}
	return true;
}

#define LOWER  "abcdefghijklmnopqrstuvwxyz"
#define DIGITS "0123456789"

/* Behind the host at `p`, NULL when there is none. */
static const char *skip_host(const char *p)
{
	size_t len = strspn(p, LOWER DIGITS "-._");
	struct net_address address;

	if (*p != '[')
		return len && ascii_is_alnum(p[0]) && ascii_is_alnum(p[len - 1]) ? p + len : NULL;
	len = strspn(++p, DIGITS "abcdef:.");
	if (p[len] != ']' || !memchr(p, ':', len) || !net_address_parse(p, len, &address))
		return NULL;
	return p + len + 1;
}

/* Behind scheme://host[:port], NULL when there is no such thing. In the form in which browsers
 * write it, since it is compared with what they send: small letters, no port that goes without
 * saying. */
static const char *skip_origin(const char *text)
{
	size_t scheme = strspn(text, LOWER DIGITS "+-."), digits;
	const char *p = text + scheme;
	int64_t port, usual = 0;

	if (text[0] < 'a' || strncmp(p, "://", 3) != 0) /* a scheme begins with a letter */
		return NULL;
	if (strncmp(text, "http:", 5) == 0)
		usual = 80;
	else if (strncmp(text, "https:", 6) == 0)
		usual = 443;
	p = skip_host(p + 3);
	if (!p || *p != ':')
		return p;
	p++;
	digits = strspn(p, DIGITS);
	if (*p == '0' || !decimal_parse(p, digits, 65535, &port) || port == usual)
		return NULL;
	return p + digits;
}

/* No user, no query, no fragment; of a path what stands in one unquoted. */
static bool url_valid(const char *text)
{
	const char *p = skip_origin(text);

	if (!*text)
		return true;
	if (!p || (strncmp(text, "http://", 7) != 0 && strncmp(text, "https://", 8) != 0))
		return false;
	return !*p || (*p == '/' && !p[strspn(p, LOWER DIGITS "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
							      "-._~!$&'()*+,;=:@%/")]);
}

static bool origins_valid(const char *text)
{
	static const char separators[] = " \t,";

	for (text += strspn(text, separators); *text; text += strspn(text, separators)) {
		const char *end = skip_origin(text);

		if (!end || (*end && !strchr(separators, *end)))
			return false;
		text = end;
	}
	return true;
}

static bool nets_valid(const char *text)
{
	struct net_list list;

	return net_list_parse(text, &list);
}

static bool text_valid(const struct key *k, const char *text)
{
	int64_t len = (int64_t)strlen(text);

	if (len < k->min || len > k->max)
		return false;
	switch (k->type) {
	case TYPE_TEXT:
		return printable(text);
	case TYPE_PATH:
		return len == 0 || (text[0] == '/' && printable(text));
	case TYPE_SOCKET:
		return len == 0 || (text[0] == '/' && printable(text)) || loopback_port(text);
	case TYPE_MOUNT:
		return mount_valid(text);
	case TYPE_URL:
		return url_valid(text);
	case TYPE_ORIGINS:
		return origins_valid(text);
	case TYPE_NETS:
		return nets_valid(text);
	case TYPE_SECRET:
		return true;
	case TYPE_INT:
	case TYPE_FLAG:
	case TYPE_WORD:
		break;
	}
	return false;
}

bool key_set(const struct key *k, const char *text, struct settings *s)
{
	void *member = (char *)s + k->offset;
	int64_t n = 0;

	if (is_text(k)) {
		if (!text_valid(k, text))
			return false;
		text_set(member, text);
		return true;
	}
	if (k->type == TYPE_INT) {
		if (!decimal_parse(text, strlen(text), k->max, &n) || n < k->min)
			return false;
	} else {
		while (k->words[n] && strcmp(k->words[n], text) != 0)
			n++;
		if (!k->words[n])
			return false;
	}
	if (k->type == TYPE_FLAG)
		*(bool *)member = n != 0;
	else
		*(int64_t *)member = n;
	return true;
}

void key_preset(const struct key *k, struct settings *s)
{
	if (k->type == TYPE_SECRET)
		text_set((const char **)((char *)s + k->offset), "");
	else if (!key_set(k, k->preset, s))
		fatal("the default of %s is not allowed", k->name);
}

void key_print(const struct key *k, const struct settings *s, FILE *out)
{
	const void *member = (const char *)s + k->offset;

	fprintf(out, "%s = ", k->name);
	if (k->type == TYPE_SECRET)
		fputs(**(const char *const *)member ? "(set)" : "(not set)", out);
	else if (is_text(k))
		fputs(*(const char *const *)member, out);
	else if (k->type == TYPE_FLAG)
		fputs(k->words[*(const bool *)member], out);
	else if (k->type == TYPE_WORD)
		fputs(k->words[*(const int64_t *)member], out);
	else
		fprintf(out, "%" PRId64, *(const int64_t *)member);
	fputc('\n', out);
}

bool key_equal(const struct key *k, const struct settings *a, const struct settings *b)
{
	const char *const *left = (const void *)((const char *)a + k->offset);
	const char *const *right = (const void *)((const char *)b + k->offset);

	return is_text(k) && strcmp(*left, *right) == 0;
}

void key_free(const struct key *k, struct settings *s)
{
	if (is_text(k))
		text_wipe_free(*(char **)(void *)((char *)s + k->offset));
}

void key_describe(const struct key *k, FILE *out)
{
	switch (k->type) {
	case TYPE_TEXT:
		fprintf(out, "%" PRId64 " to %" PRId64 " characters of printable ASCII", k->min,
			k->max);
		break;
	case TYPE_PATH:
		fputs("an absolute path", out);
		break;
	case TYPE_SOCKET:
		fprintf(out,
			"an absolute path of at most %d bytes, or address:port on the loopback "
			"(127.0.0.0/8 or [::1]; libfcgi is not safe towards strangers)",
			SUN_PATH_MAX);
		break;
	case TYPE_MOUNT:
		fputs("nothing or /segments of letters, digits and - . _ ~ without a slash at the "
		      "end",
		      out);
		break;
	case TYPE_URL:
		fputs("nothing or a URL such as https://example.org: http or https, small letters, "
		      "no user, query or fragment, and a port only if it is not the usual one",
		      out);
		break;
	case TYPE_ORIGINS:
		fputs("origins such as https://app.example.org or http://localhost:3000, without a "
		      "slash at the end, separated by blanks or commas",
		      out);
		break;
	case TYPE_NETS:
		fprintf(out,
			"at most %d addresses or networks such as 10.0.0.0/8 and 2001:db8::/32, "
			"separated by blanks or commas, without bits behind the prefix",
			NET_LIST_MAX);
		break;
	case TYPE_SECRET:
		if (k->flags & PRIVATE)
			fprintf(out,
				"at least %" PRId64 " bits (%" PRId64
				" bytes); make one with: taskcellctl key "
				"generate",
				k->min * 8, k->min);
		else
			fputs("for example host=/run/postgresql dbname=taskcell", out);
		break;
	case TYPE_INT:
		fprintf(out, "%" PRId64 " to %" PRId64, k->min, k->max);
		break;
	case TYPE_FLAG:
	case TYPE_WORD:
		for (size_t i = 0; k->words[i]; i++)
			fprintf(out, "%s%s",
				i == 0            ? ""
				: k->words[i + 1] ? ", "
						  : " or ",
				k->words[i]);
		break;
	}
}
