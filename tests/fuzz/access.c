/* Access tokens: token_verify() on raw text and behind a right signature, and token_issue(). */
#include "base/base.h"

#include "fuzz.h"

#include <jwt.h>
#include <openssl/hmac.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/codec.h"
#include "reference.h"
#include "security/token.h"

/* Input: the mode's digit, and ... */
enum mode {
	RAW,     /* the text of a token */
	PAYLOAD, /* its payload, which then gets our header and the right signature */
	SEGMENT, /* the same, but the payload is already in base64url, or is not */
	HEADER,  /* a header and a payload, a line each, signed */
	EMAIL,   /* an e-mail, to be issued a token for */
	ECDSA,   /* the bytes of a signature, behind a token of the second key */
	MODES,
};

enum { NOW = 1800000000, LIFE = 900 };

static const char secret[] = "0123456789abcdef0123456789abcdef";
static const char issuer[] = "https://tasks.example", audience[] = "taskcell";
/* Two keys, as a directory has them: the first signs, the second is of ES256 and of nobody. */
static const char keyring[] = "deaa11aa HS256 current 1\n30c0e730 ES256 next 1\n";
static const char second_key[] =
	"-----BEGIN PRIVATE KEY-----\n"
	"MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgGHqaaXsZ1vG8JAFS\n"
	"exuffX6VL10Swb5YTggyrapo1W2hRANCAAQ6TlZP8NwY1+SMRlDCp2Ga6+9Om1fB\n"
	"t2Fmu91eVIi82v1wDE+DOxUcZc2RchaAuhBmkGCNGUpnQyDu3P+ANv8F\n"
	"-----END PRIVATE KEY-----\n";
static const char second_public[] =
	"-----BEGIN PUBLIC KEY-----\n"
	"MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEOk5WT/DcGNfkjEZQwqdhmuvvTptX\n"
	"wbdhZrvdXlSIvNr9cAxPgzsVHGXNkXIWgLoQZpBgjRlKZ0Mg7tz/gDb/BQ==\n"
	"-----END PUBLIC KEY-----\n";
static const char second_header[] = "{\"alg\":\"ES256\",\"kid\":\"30c0e730\",\"typ\":\"JWT\"}";
static const char second_payload[] =
	"{\"iss\":\"https://tasks.example\",\"aud\":\"taskcell\",\"token_use\":\"access\","
	"\"sub\":\"10111213-1415-1617-1819-1a1b1c1d1e1f\","
	"\"user_id\":\"10111213-1415-1617-1819-1a1b1c1d1e1f\","
	"\"sid\":\"20212223-2425-2627-2829-2a2b2c2d2e2f\","
	"\"iat\":1800000000,\"nbf\":1800000000,\"exp\":1800000900}";
static const char our_header[] = "{\"alg\":\"HS256\",\"kid\":\"deaa11aa\",\"typ\":\"JWT\"}";
static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static char *encoded(struct arena *a, const void *bytes, size_t len)
{
	char *out = arena_alloc(a, BASE64_LEN(len) + 1);

	base64url_encode(bytes, len, out);
	return out;
}

/* The signature, terminated, that belongs behind `len` bytes of text. */
static char *signature(struct arena *a, const char *text, size_t len)
{
	uint8_t mac[DIGEST_LEN];

	CHECK(HMAC(EVP_sha256(), secret, (int)strlen(secret), (const uint8_t *)text, len, mac,
		   NULL));
	return encoded(a, mac, sizeof(mac));
}

static const char *text_of(const struct reading *payload, const char *name)
{
	const struct member *m = reference_find(&payload->body, name);

	CHECK(m && m->value.kind == VALUE_TEXT && strlen(m->value.text) == m->value.len);
	return m->value.text;
}

static int64_t time_of(const struct reading *payload, const char *name)
{
	const struct member *m = reference_find(&payload->body, name);
	int64_t n;

	CHECK(m && m->value.kind == VALUE_NUMBER);
	CHECK(decimal_parse(m->value.text, m->value.len, INT64_MAX, &n) && n > 0);
	return n;
}

static void check_uuid(const struct reading *payload, const char *name, const struct uuid *is)
{
	char text[UUID_TEXT_LEN + 1];

	uuid_format(is, text);
	CHECK(!strcasecmp(text_of(payload, name), text));
}

/* What the contract says about the claims of a token that was taken. */
static void check_claims(const struct reading *payload, const struct token_claims *claims,
			 enum token_result result)
{
	CHECK(!strcmp(text_of(payload, "iss"), issuer));
	CHECK(!strcmp(text_of(payload, "aud"), audience));
	CHECK(!strcmp(text_of(payload, "token_use"), "access"));
	check_uuid(payload, "sub", &claims->user_id);
	check_uuid(payload, "user_id", &claims->user_id);
	check_uuid(payload, "sid", &claims->session_id);
	CHECK(time_of(payload, "iat") == claims->issued_at);
	CHECK(time_of(payload, "exp") == claims->expires_at);
	CHECK(time_of(payload, "nbf") <= NOW + TOKEN_LEEWAY_S);
	CHECK((result == TOKEN_OK) == (claims->expires_at > NOW - TOKEN_LEEWAY_S));
}

static bool is_refused(struct keys *keys, const char *text, size_t len)
{
	struct token_claims out;

	return token_verify(keys, text, len, NOW, &out) == TOKEN_INVALID;
}

/* No other text is this token: in some places, as all of them would take too long. */
static void check_changes(struct arena *a, struct keys *keys, const char *text, size_t len)
{
	char *other = arena_strndup(a, text, len);
	const unsigned char *mac = (const unsigned char *)text + len - 40;

	for (size_t i = 0; i < 8; i++) {
		size_t at = (mac[2 * i] * 251u + mac[2 * i + 1]) * 31u % len;

		other[at] = alphabet[mac[i] % 64];
		CHECK(other[at] == text[at] || is_refused(keys, other, len));
		other[at] = text[at];
	}
	/* the last character has two bits to spare */
	for (size_t i = 1; i < 4; i++) {
		other[len - 1] = alphabet[(size_t)(strchr(alphabet, text[len - 1]) - alphabet) ^ i];
		CHECK(is_refused(keys, other, len));
	}
	memcpy(other, text, len);
	other[len] = 'A';
	CHECK(is_refused(keys, other, len + 1));
	CHECK(is_refused(keys, other, len - 1));
}

static enum token_result check_text(struct arena *a, struct keys *keys, const char *text,
				    size_t len)
{
	struct token_claims claims;
	enum token_result result = token_verify(keys, text, len, NOW, &claims);
	const char *first, *last, *header = encoded(a, our_header, strlen(our_header));
	struct reading payload;
	size_t n;
	char *plain;

	if (result == TOKEN_INVALID)
		return result;
	CHECK(len <= TOKEN_MAX);
	first = memchr(text, '.', len);
	last = memrchr(text, '.', len);
	CHECK(first && first < last && !memchr(first + 1, '.', (size_t)(last - first - 1)));
	CHECK((size_t)(first - text) == strlen(header) && !memcmp(text, header, strlen(header)));
	n = len - (size_t)(last + 1 - text);
	CHECK(n == BASE64_LEN(DIGEST_LEN) &&
	      !memcmp(last + 1, signature(a, text, (size_t)(last - text)), n));

	plain = arena_alloc(a, len + 1);
	/* the library also decodes a last character with bits to spare, and reads to the first
	 * NUL */
	if (base64url_decode(first + 1, (size_t)(last - first - 1), plain, len, &n)) {
		CHECK(reference_read(a, plain, strlen(plain), &payload));
		CHECK(!payload.has_nul);
		check_claims(&payload, &claims, result);
	}
	check_changes(a, keys, text, len);
	return result;
}

/* Signs, and looks at it in an allocation of exactly its length. */
static enum token_result check_signed(struct arena *a, struct keys *keys, const char *header,
				      const char *payload)
{
	char *text = arena_printf(a, "%s.%s", header, payload);

	text = arena_printf(a, "%s.%s", text, signature(a, text, strlen(text)));
	return check_text(a, keys, fuzz_copy(a, text, strlen(text)), strlen(text));
}

static void check_email(struct arena *a, struct keys *keys, const char *email)
{
	struct token_claims claims = { .user_id.bytes = { 0x10, 0x11, 0x12 },
				       .session_id.bytes = { 0x20, 0x21, 0x22 },
				       .issued_at = NOW,
				       .expires_at = NOW + LIFE },
			    out;
	char *token = token_issue(keys, a, &claims, email), *payload, *plain;
	bool valid = fuzz_utf8(email, strlen(email), NULL);
	struct reading reading;
	size_t n;

	CHECK(token ? valid : !valid || strlen(email) > 254);
	if (!token)
		return;
	CHECK(check_text(a, keys, token, strlen(token)) == TOKEN_OK);
	CHECK(token_verify(keys, token, strlen(token), NOW, &out) == TOKEN_OK);
	CHECK(uuid_equal(&out.user_id, &claims.user_id));
	CHECK(uuid_equal(&out.session_id, &claims.session_id));
	CHECK(out.issued_at == NOW && out.expires_at == NOW + LIFE);

	payload = strchr(token, '.') + 1;
	plain = arena_alloc(a, strlen(payload));
	/* the alphabet of atob() */
	CHECK(base64_decode(payload, strcspn(payload, "."), plain, strlen(payload), &n));
	CHECK(reference_read(a, plain, n, &reading));
	for (size_t i = 0; i < n; i++)
		CHECK(plain[i] >= 0x20 && plain[i] < 0x7f);
	CHECK(!strcmp(text_of(&reading, "email"), email));
}

/* The library, which has the public key, is of the same opinion. */
static void check_signature(struct arena *a, struct keys *keys, const char *bytes, size_t len)
{
	char *text = arena_printf(a, "%s.%s.%s", encoded(a, second_header, strlen(second_header)),
				  encoded(a, second_payload, strlen(second_payload)),
				  encoded(a, bytes, len));
	bool ok = token_verify(keys, text, strlen(text), NOW, &(struct token_claims){ 0 }) ==
		  TOKEN_OK;
	jwt_t *jwt = NULL;

	if (strlen(text) > TOKEN_MAX || !len) {
		CHECK(!ok);
		return;
	}
	CHECK(ok ==
	      !jwt_decode(&jwt, text, (const uint8_t *)second_public, (int)strlen(second_public)));
	jwt_free(jwt);
}

static void run(struct arena *a, struct keys *keys, enum mode mode, const char *text, size_t len)
{
	const char *header = encoded(a, our_header, strlen(our_header));
	const char *line = memchr(text, '\n', len);
	size_t n = line ? (size_t)(line - text) : 0;

	switch (mode) {
	case RAW:
		(void)check_text(a, keys, text, len);
		break;
	case PAYLOAD:
		(void)check_signed(a, keys, header, encoded(a, text, len));
		break;
	case SEGMENT:
		(void)check_signed(a, keys, header, arena_strndup(a, text, len));
		break;
	case HEADER:
		if (line)
			(void)check_signed(a, keys, encoded(a, text, n),
					   encoded(a, line + 1, len - n - 1));
		break;
	case EMAIL:
		check_email(a, keys, arena_strndup(a, text, len));
		break;
	case ECDSA:
		check_signature(a, keys, text, len);
		break;
	case MODES:
		break;
	}
}

static char dir[] = "/tmp/taskcell-fuzz-XXXXXX";
static const struct {
	const char *name, *text;
} files[] = {
	{ "keyring", keyring },
	{ "deaa11aa.key", secret },
	{ "30c0e730.key", second_key },
};

static void path_of(size_t i, char out[64])
{
	(void)snprintf(out, 64, "%s/%s", dir, files[i].name);
}

static void remove_dir(void)
{
	char path[64];

	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		path_of(i, path);
		(void)unlink(path);
	}
	(void)rmdir(dir);
}

static struct keys *make_keys(void)
{
	char path[64];

	(void)umask(077);
	CHECK(mkdtemp(dir) && !atexit(remove_dir));
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		FILE *f;

		path_of(i, path);
		f = fopen(path, "w");
		CHECK(f && fputs(files[i].text, f) >= 0 && !fclose(f));
	}
	return keys_open(&(struct keys_options){
		.dir = dir, .issuer = issuer, .audience = audience, .verify_s = LIFE });
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct arena *arena;
	static struct keys *keys;

	if (!size)
		return 0;
	if (!arena) {
		arena = arena_new(16 << 20);
		keys = make_keys();
		CHECK(keys && !strcmp(keys_active_id(keys), "deaa11aa"));
	}
	run(arena, keys, (enum mode)((uint8_t)(data[0] - '0') % MODES),
	    fuzz_copy(arena, data + 1, size - 1), size - 1);
	arena_reset(arena);
	return 0;
}
