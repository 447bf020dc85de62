#include "base/base.h"

#include "http/problem.h"

/* Whether a token was sent and is the trouble: RFC 6750 (3.1) has an error for that alone. */
static bool is_token_error(enum api_error error)
{
	return error == API_INVALID_TOKEN || error == API_TOKEN_EXPIRED ||
	       error == API_SESSION_ENDED;
}

static void write_headers(struct response *r, enum api_error error,
			  const struct api_error_info *info)
{
	if (info->status == 503)
		response_header(r, "Retry-After", "1");
	if (info->status != 401)
		return;
	if (is_token_error(error))
		response_headerf(r, "WWW-Authenticate",
				 "Bearer realm=\"taskcell\", error=\"invalid_token\", "
				 "error_description=\"%s\"",
				 info->detail);
	else
		response_header(r, "WWW-Authenticate", "Bearer realm=\"taskcell\"");
}

static void write_fields(struct json_writer *w, const struct field_errors *fields)
{
	json_key(w, "errors");
	json_array_open(w);
	for (size_t i = 0; i < fields->n; i++) {
		json_object_open(w);
		json_key(w, "field");
		json_string(w, fields->list[i].field);
		json_key(w, "code");
		json_string(w, fields->list[i].code);
		json_key(w, "detail");
		json_string(w, fields->list[i].detail);
		json_object_close(w);
	}
	json_array_close(w);
}

void problem_json(struct json_writer *w, const struct problem *p)
{
	const struct api_error_info *info = api_error_info(p->error);

	json_object_open(w);
	json_key(w, "type");
	json_string(w, "about:blank");
	json_key(w, "title");
	json_string(w, http_reason(info->status));
	json_key(w, "status");
	json_int(w, info->status);
	json_key(w, "detail");
	json_string(w, p->detail ? p->detail : info->detail);
	json_key(w, "code");
	json_string(w, info->code);
	json_key(w, "request_id");
	json_string(w, p->request_id);
	if (p->fields && p->fields->n)
		write_fields(w, p->fields);
	if (p->extra)
		p->extra(w, p->extra_arg);
	json_object_close(w);
}

void problem_write(struct response *r, const struct problem *p)
{
	const struct api_error_info *info = api_error_info(p->error);
	struct json_writer w;

	r->status = info->status;
	r->content_type = "application/problem+json";
	write_headers(r, p->error, info);
	response_drop_body(r);
	json_begin(&w, &r->body);
	problem_json(&w, p);
}
