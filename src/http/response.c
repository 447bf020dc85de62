#include "base/base.h"

#include "http/response.h"

#include <stdarg.h>
#include <unistd.h>

#include "base/secret.h"
#include "base/spool.h"

void response_init(struct response *r)
{
	*r = (struct response){ .spill_fd = -1 };
	buf_init(&r->headers, RESPONSE_HEADERS_MAX);
	buf_init(&r->body, RESPONSE_BODY_MAX);
}

void response_free(struct response *r)
{
	response_drop_body(r);
	buf_free(&r->headers);
	buf_free(&r->body);
}

void response_drop_body(struct response *r)
{
	secret_wipe(r->body.data, r->body.len); /* may hold tokens */
	buf_reset(&r->body, RESPONSE_BODY_KEEP);
	if (r->spill_fd >= 0)
		(void)close(r->spill_fd);
	r->spill_fd = -1;
	r->spill_len = 0;
}

bool response_spill(struct response *r, const char *dir)
{
	if (r->body.len <= RESPONSE_SPILL)
		return true;
	if (r->spill_fd < 0)
		r->spill_fd = spool_open(dir);
	if (r->spill_fd < 0 || !spool_write(r->spill_fd, r->body.data, r->body.len))
		return false;
	r->spill_len += (int64_t)r->body.len;
	secret_wipe(r->body.data, r->body.len);
	r->body.len = 0;
	return true;
}

int64_t response_length(const struct response *r)
{
	return r->spill_len + (int64_t)r->body.len;
}

void response_reset(struct response *r)
{
	r->status = 0;
	r->content_type = NULL;
	buf_reset(&r->headers, RESPONSE_HEADERS_MAX);
	response_drop_body(r);
}

static bool has_control(const char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			return true;
	return false;
}

void response_header(struct response *r, const char *name, const char *value)
{
	size_t name_len = strlen(name), len = strlen(value);
	char *room = has_control(value) ? NULL : buf_reserve(&r->headers, name_len + len + 4);

	if (!room) {
		r->headers.overflow = true;
		return;
	}
	memcpy(room, name, name_len);
	memcpy(room + name_len, ": ", 2);
	memcpy(room + name_len + 2, value, len);
	memcpy(room + name_len + 2 + len, "\r\n", 2);
	buf_commit(&r->headers, name_len + len + 4);
}

void response_headerf(struct response *r, const char *name, const char *fmt, ...)
{
	char value[RESPONSE_HEADERS_MAX];
	va_list ap;
	int len;

	va_start(ap, fmt);
	len = vsnprintf(value, sizeof(value), fmt, ap);
	va_end(ap);
	if (len < 0 || (size_t)len >= sizeof(value))
		r->headers.overflow = true;
	else
		response_header(r, name, value);
}

const char *http_reason(int status)
{
	static const struct {
		int status;
		const char *reason;
	} reasons[] = {
		{ 200, "OK" },
		{ 201, "Created" },
		{ 204, "No Content" },
		{ 207, "Multi-Status" },
		{ 304, "Not Modified" },
		{ 400, "Bad Request" },
		{ 401, "Unauthorized" },
		{ 403, "Forbidden" },
		{ 404, "Not Found" },
		{ 405, "Method Not Allowed" },
		{ 409, "Conflict" },
		{ 410, "Gone" },
		{ 412, "Precondition Failed" },
		{ 413, "Content Too Large" },
		{ 415, "Unsupported Media Type" },
		{ 422, "Unprocessable Content" },
		{ 429, "Too Many Requests" },
		{ 500, "Internal Server Error" },
		{ 503, "Service Unavailable" },
	};

	for (size_t i = 0; i < ARRAY_LEN(reasons); i++)
		if (reasons[i].status == status)
			return reasons[i].reason;
	return "Unknown";
}
