#include "base/base.h"

#include "look.h"

#include <json-c/json.h>

struct json_object *look_parse(const char *bytes, size_t len)
{
	struct json_tokener *parser = json_tokener_new();
	struct json_object *document;

	json_tokener_set_flags(parser, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	document = json_tokener_parse_ex(parser, bytes, (int)len);
	if (json_tokener_get_error(parser) != json_tokener_success ||
	    json_tokener_get_parse_end(parser) != len) {
		json_object_put(document);
		document = NULL;
	}
	json_tokener_free(parser);
	return document;
}

void look_free(void *document)
{
	json_object_put(document);
}

/* True when every name of the path is there; `out` is NULL for null. */
static bool follow(struct json_object *at, const char *path, struct json_object **out)
{
	for (const char *p = path; *p;) {
		size_t len = strcspn(p, "."), i;
		char name[64] = "";

		if (!at || len >= sizeof(name))
			return false;
		memcpy(name, p, len);
		i = strtoul(name, NULL, 10);
		if (json_object_is_type(at, json_type_array)) {
			if (i >= json_object_array_length(at))
				return false;
			at = json_object_array_get_idx(at, i);
		} else if (!json_object_is_type(at, json_type_object) ||
			   !json_object_object_get_ex(at, name, &at)) {
			return false;
		}
		p += len + (p[len] == '.');
	}
	*out = at;
	return true;
}

/* The value at the path, NULL when it is absent or null. */
static struct json_object *value(struct json_object *document, const char *path)
{
	struct json_object *found = NULL;

	return follow(document, path, &found) ? found : NULL;
}

bool look_has(struct json_object *document, const char *path)
{
	struct json_object *found;

	return follow(document, path, &found);
}

bool look_is_null(struct json_object *document, const char *path)
{
	struct json_object *found;

	return follow(document, path, &found) && !found;
}

const char *look_text(struct json_object *document, const char *path)
{
	struct json_object *found = value(document, path);

	return json_object_is_type(found, json_type_string) ? json_object_get_string(found) : "";
}

int64_t look_number(struct json_object *document, const char *path)
{
	struct json_object *found = value(document, path);

	return json_object_is_type(found, json_type_int) ? json_object_get_int64(found) : INT64_MIN;
}

int look_flag(struct json_object *document, const char *path)
{
	struct json_object *found = value(document, path);

	return json_object_is_type(found, json_type_boolean) ? json_object_get_boolean(found) : -1;
}

int look_length(struct json_object *document, const char *path)
{
	struct json_object *found = value(document, path);

	if (json_object_is_type(found, json_type_array))
		return (int)json_object_array_length(found);
	return json_object_is_type(found, json_type_object) ? json_object_object_length(found) : -1;
}
