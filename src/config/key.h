/* A key of the configuration, its type, and how a value is read and written. Used by settings.c
 * and by the table of keys, table.c. */
#ifndef TASKCELL_CONFIG_KEY_H
#define TASKCELL_CONFIG_KEY_H

#include "config/settings.h"

enum type {
	TYPE_TEXT,   /* printable ASCII */
	TYPE_PATH,   /* absolute */
	TYPE_SOCKET, /* absolute path or address:port */
	TYPE_MOUNT,
	TYPE_URL,     /* http or https, up to the path */
	TYPE_ORIGINS, /* as browsers send them, separated by blanks or commas */
	TYPE_NETS,    /* networks of base/net.h, separated likewise */
	TYPE_SECRET,  /* any bytes; never shown */
	TYPE_INT,
	TYPE_FLAG, /* one of two words */
	TYPE_WORD, /* one of several, by its number */
};

enum key_flags {
	RELOADABLE = 1, /* may change while the server runs */
	SECRET = 2,     /* can be given as <key>_file */
	PRIVATE = 4,    /* that file must be its owner's alone */
};

enum {
	KEYS_MAX = 64,
	SUN_PATH_MAX = 107,
};

struct key {
	const char *name;
	enum type type;
	unsigned flags;
	size_t offset;
	enum settings_need need;  /* who needs a value; then there is no default */
	int64_t min, max;         /* of a number; else of the length in bytes */
	const char *const *words; /* of a flag false comes first; NULL ends them */
	const char *preset;       /* the default */
	const char *help;         /* what it is */
};

/* All of them, in the order in which they are printed. */
extern const struct key config_keys[];
extern const size_t config_keys_count;

/* Reads and checks a value and puts it into its member; false leaves that as it was. */
bool key_set(const struct key *, const char *text, struct settings *) MUST_CHECK;
/* Puts the default, or "" where there is none. */
void key_preset(const struct key *, struct settings *);
/* The values that are allowed, as the object of "use". */
void key_describe(const struct key *, FILE *out);
/* Writes a line `key = value`, for a secret "(set)" or "(not set)". */
void key_print(const struct key *, const struct settings *, FILE *out);
/* Whether both have the same value; for keys of text only, as those that are not reloadable are. */
bool key_equal(const struct key *, const struct settings *, const struct settings *) MUST_CHECK;
/* Wipes and frees the member's value. */
void key_free(const struct key *, struct settings *);

/* A copy on the heap; out of memory ends the process. */
char *text_copy(const char *text) MUST_CHECK;
/* Frees what the member holds and puts a copy of `text`. */
void text_set(const char **member, const char *text);
/* NULL is fine. */
void text_wipe_free(char *text);

#endif
