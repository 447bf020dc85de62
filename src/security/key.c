#include "base/base.h"

#include "security/keys_private.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "base/codec.h"
#include "base/secret.h"

enum {
	EC_NUMBER_LEN = 32,        /* of P-256: a coordinate, or half a signature */
	EC_SIGNATURE_DER_MAX = 72, /* two integers of 33 bytes and what says so */
	EXPONENT_BITS_MIN = 17,    /* 65537 */
	JWK_MAX = 4096,
	HEADER_MAX = 64,
};

static const char id_label[] = "taskcell kid v1";
static const char refresh_label[] = "taskcell refresh token v1";

bool hmac_sha256(const void *key, size_t key_len, const void *bytes, size_t len,
		 uint8_t out[DIGEST_LEN])
{
	return HMAC(EVP_sha256(), key, (int)key_len, bytes, len, out, NULL) != NULL;
}

/* --- signatures ------------------------------------------------------------------------------ */

static bool pair_sign(EVP_PKEY *pair, const void *bytes, size_t len, uint8_t *out, size_t *out_len)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool ok = ctx && EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, pair) == 1 &&
		  EVP_DigestSign(ctx, out, out_len, bytes, len) == 1;

	EVP_MD_CTX_free(ctx);
	return ok;
}

/* Prepared once: this is what most requests wait for. */
static bool make_verifier(struct key *key)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, key->pair, NULL);

	key->verifier = ctx;
	return ctx && EVP_PKEY_verify_init(ctx) == 1 &&
	       EVP_PKEY_CTX_set_signature_md(ctx, EVP_sha256()) == 1 &&
	       (key->algorithm != KEY_RS256 ||
		EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) == 1);
}

static bool pair_verify(const struct key *key, const void *bytes, size_t len,
			const uint8_t *signature, size_t signature_len)
{
	uint8_t digest[DIGEST_LEN];

	digest_sha256(bytes, len, digest);
	return EVP_PKEY_verify(key->verifier, signature, signature_len, digest, sizeof(digest)) ==
	       1;
}

/* JWS has the two numbers of ECDSA side by side, the library has them in DER. */
static bool ec_sign(EVP_PKEY *pair, const void *bytes, size_t len, uint8_t *out)
{
	uint8_t der[EC_SIGNATURE_DER_MAX];
	const uint8_t *p = der;
	size_t der_len = sizeof(der);
	ECDSA_SIG *sig = NULL;
	bool ok;

	if (pair_sign(pair, bytes, len, der, &der_len))
		sig = d2i_ECDSA_SIG(NULL, &p, (long)der_len);
	ok = sig && BN_bn2binpad(ECDSA_SIG_get0_r(sig), out, EC_NUMBER_LEN) == EC_NUMBER_LEN &&
	     BN_bn2binpad(ECDSA_SIG_get0_s(sig), out + EC_NUMBER_LEN, EC_NUMBER_LEN) ==
		     EC_NUMBER_LEN;
	ECDSA_SIG_free(sig);
	return ok;
}

static bool ec_verify(const struct key *key, const void *bytes, size_t len,
		      const uint8_t *signature)
{
	uint8_t der[EC_SIGNATURE_DER_MAX], *p = der;
	BIGNUM *r = BN_bin2bn(signature, EC_NUMBER_LEN, NULL);
	BIGNUM *s = BN_bin2bn(signature + EC_NUMBER_LEN, EC_NUMBER_LEN, NULL);
	ECDSA_SIG *sig = ECDSA_SIG_new();
	int der_len = -1;

	if (r && s && sig && ECDSA_SIG_set0(sig, r, s) == 1) {
		r = s = NULL; /* they are its own now */
		der_len = i2d_ECDSA_SIG(sig, &p);
	}
	BN_free(r);
	BN_free(s);
	ECDSA_SIG_free(sig);
	return der_len > 0 && pair_verify(key, bytes, len, der, (size_t)der_len);
}

bool key_sign(const struct key *key, const void *bytes, size_t len, uint8_t out[KEY_SIGNATURE_MAX])
{
	size_t n = KEY_SIGNATURE_MAX;

	switch (key->algorithm) {
	case KEY_HS256:
		return hmac_sha256(key->secret, key->secret_len, bytes, len, out);
	case KEY_ES256:
		return ec_sign(key->pair, bytes, len, out);
	case KEY_RS256:
		return pair_sign(key->pair, bytes, len, out, &n) && n == key->signature_len;
	}
	return false;
}

static bool mac_verify(const struct key *key, const void *bytes, size_t len,
		       const uint8_t *signature)
{
	uint8_t mac[DIGEST_LEN];
	bool ok = hmac_sha256(key->secret, key->secret_len, bytes, len, mac) &&
		  secret_equal(mac, signature, sizeof(mac));

	secret_wipe(mac, sizeof(mac));
	return ok;
}

bool key_verify(const struct key *key, const void *bytes, size_t len, const uint8_t *signature,
		size_t signature_len)
{
	bool ok = false;

	if (signature_len != key->signature_len)
		return false;
	switch (key->algorithm) {
	case KEY_HS256:
		return mac_verify(key, bytes, len, signature);
	case KEY_ES256:
		ok = ec_verify(key, bytes, len, signature);
		break;
	case KEY_RS256:
		ok = pair_verify(key, bytes, len, signature, signature_len);
		break;
	}
	if (!ok)
		ERR_clear_error(); /* what others have forged does not pile up */
	return ok;
}

/* --- the parts of a key ---------------------------------------------------------------------- */

static bool put_number(struct buf *out, EVP_PKEY *pair, const char *param, const char *name,
		       size_t least)
{
	uint8_t bytes[KEY_SIGNATURE_MAX];
	char text[BASE64_LEN(sizeof(bytes)) + 1];
	BIGNUM *n = NULL;
	size_t len = 0;
	bool ok = EVP_PKEY_get_bn_param(pair, param, &n) == 1;

	if (ok) {
		len = (size_t)BN_num_bytes(n) < least ? least : (size_t)BN_num_bytes(n);
		ok = len <= sizeof(bytes) && BN_bn2binpad(n, bytes, (int)len) == (int)len;
	}
	if (ok) {
		base64url_encode(bytes, len, text);
		buf_printf(out, ",\"%s\":\"%s\"", name, text);
	}
	BN_free(n);
	return ok;
}

static bool make_jwk(struct key *key)
{
	struct buf *out = &key->jwk;
	bool ec = key->algorithm == KEY_ES256;

	buf_init(out, JWK_MAX);
	if (!key->pair)
		return true;
	buf_printf(out, "{\"kty\":\"%s\",\"use\":\"sig\",\"alg\":\"%s\",\"kid\":\"%s\"%s",
		   ec ? "EC" : "RSA", key_algorithm_name(key->algorithm), key->id_text,
		   ec ? ",\"crv\":\"P-256\"" : "");
	if (ec && (!put_number(out, key->pair, OSSL_PKEY_PARAM_EC_PUB_X, "x", EC_NUMBER_LEN) ||
		   !put_number(out, key->pair, OSSL_PKEY_PARAM_EC_PUB_Y, "y", EC_NUMBER_LEN)))
		return false;
	if (!ec && (!put_number(out, key->pair, OSSL_PKEY_PARAM_RSA_N, "n", 1) ||
		    !put_number(out, key->pair, OSSL_PKEY_PARAM_RSA_E, "e", 1)))
		return false;
	buf_putc(out, '}');
	return !out->overflow;
}

/* As libjwt writes it, in this order, whatever the key. */
static bool make_header(struct key *key)
{
	char json[HEADER_MAX];
	int len = snprintf(json, sizeof(json), "{\"alg\":\"%s\",\"kid\":\"%s\",\"typ\":\"JWT\"}",
			   key_algorithm_name(key->algorithm), key->id_text);

	key->header_len = BASE64_LEN((size_t)len);
	key->header = malloc(key->header_len + 1);
	if (!key->header)
		return false;
	base64url_encode(json, (size_t)len, key->header);
	return true;
}

/* A file may hold two halves that do not belong together. */
static bool signs_what_it_verifies(const struct key *key)
{
	uint8_t signature[KEY_SIGNATURE_MAX];

	return key_sign(key, id_label, strlen(id_label), signature) &&
	       key_verify(key, id_label, strlen(id_label), signature, key->signature_len);
}

/* `material`: the secret, or PKCS #8 in DER. */
static bool complete(struct key *key, const void *material, size_t len)
{
	uint8_t digest[DIGEST_LEN];

	if (!hmac_sha256(material, len, refresh_label, strlen(refresh_label), key->refresh) ||
	    !hmac_sha256(material, len, id_label, strlen(id_label), digest))
		return false;
	memcpy(key->id, digest, KEY_ID_BYTES);
	secret_wipe(digest, sizeof(digest));
	hex_encode(key->id, KEY_ID_BYTES, key->id_text);
	key->ends_at = INT64_MAX;
	return make_header(key) && make_jwk(key) && signs_what_it_verifies(key);
}

void key_wipe(struct key *key)
{
	EVP_PKEY_CTX_free(key->verifier);
	EVP_PKEY_free(key->pair);
	free(key->header);
	buf_free(&key->jwk);
	secret_wipe(key, sizeof(*key));
}

/* --- making ---------------------------------------------------------------------------------- */

bool key_of_secret(struct key *key, const char *secret, size_t len)
{
	if (len < SECRET_MIN || len > SECRET_MAX)
		return false;
	key->algorithm = KEY_HS256;
	memcpy(key->secret, secret, len);
	key->secret_len = len;
	key->signature_len = DIGEST_LEN;
	return complete(key, secret, len);
}

static bool is_p256(const EVP_PKEY *pair)
{
	char group[32];
	int spelled_out = 1; /* parameters in place of a curve's name */

	return EVP_PKEY_is_a(pair, "EC") &&
	       EVP_PKEY_get_group_name(pair, group, sizeof(group), NULL) == 1 &&
	       strcmp(group, SN_X9_62_prime256v1) == 0 &&
	       EVP_PKEY_get_int_param(pair, OSSL_PKEY_PARAM_EC_DECODED_FROM_EXPLICIT_PARAMS,
				      &spelled_out) == 1 &&
	       !spelled_out;
}

static bool is_good_rsa(const EVP_PKEY *pair)
{
	BIGNUM *e = NULL;
	bool ok = EVP_PKEY_is_a(pair, "RSA") && EVP_PKEY_get_bits(pair) >= KEY_RSA_BITS &&
		  EVP_PKEY_get_bits(pair) <= KEY_RSA_BITS_MAX &&
		  EVP_PKEY_get_bn_param(pair, OSSL_PKEY_PARAM_RSA_E, &e) == 1 &&
		  BN_num_bits(e) >= EXPONENT_BITS_MIN;

	BN_free(e);
	return ok;
}

static bool key_of_der(struct key *key, const uint8_t *der, size_t len, const char **why)
{
	const uint8_t *p = der;
	PKCS8_PRIV_KEY_INFO *info = d2i_PKCS8_PRIV_KEY_INFO(NULL, &p, (long)len);

	if (info && p == der + len)
		key->pair = EVP_PKCS82PKEY(info);
	PKCS8_PRIV_KEY_INFO_free(info);
	*why = "holds no PKCS #8 key";
	if (!key->pair)
		return false;
	if (key->algorithm == KEY_ES256 && !is_p256(key->pair)) {
		*why = "holds no EC key on the curve P-256";
		return false;
	}
	if (key->algorithm == KEY_RS256 && !is_good_rsa(key->pair)) {
		*why = "holds no RSA key of 3072 to 8192 bits with an exponent of 65537 or more";
		return false;
	}
	key->signature_len = key->algorithm == KEY_ES256 ? (size_t)2 * EC_NUMBER_LEN
							 : (size_t)EVP_PKEY_get_size(key->pair);
	*why = "holds a key that does not verify what it signs";
	return make_verifier(key) && complete(key, der, len);
}

/* The bytes behind the armour are taken as they are, so nothing here could ask for a passphrase. */
static bool key_of_pem(struct key *key, const char *text, size_t len, const char **why)
{
	BIO *in = BIO_new_mem_buf(text, (int)len);
	char *name = NULL, *header = NULL;
	unsigned char *der = NULL;
	long der_len = 0;
	bool ok = false;

	*why = "is not PEM";
	if (in && PEM_read_bio_ex(in, &name, &header, &der, &der_len, PEM_FLAG_SECURE) == 1) {
		if (strcmp(name, PEM_STRING_PKCS8) == 0 || *header)
			*why = "is encrypted; a server has nobody to ask for the passphrase";
		else if (strcmp(name, PEM_STRING_PKCS8INF) != 0)
			*why = "is not a PKCS #8 key (BEGIN PRIVATE KEY)";
		else
			ok = key_of_der(key, der, (size_t)der_len, why);
	}
	OPENSSL_secure_clear_free(der, (size_t)der_len);
	OPENSSL_secure_free(name);
	OPENSSL_secure_free(header);
	BIO_free(in);
	ERR_clear_error();
	return ok;
}

bool key_of_text(struct key *key, enum key_algorithm algorithm, const char *text, size_t len,
		 const char **why)
{
	key->algorithm = algorithm;
	if (algorithm != KEY_HS256)
		return key_of_pem(key, text, len, why);
	/* as jwt_secret_file is read, so that a secret keeps its id when it moves */
	if (len > 0 && text[len - 1] == '\n')
		len--;
	*why = "is not a secret of 32 to 512 bytes";
	return !memchr(text, '\0', len) && key_of_secret(key, text, len);
}

static bool pem_of_pair(EVP_PKEY *pair, char text[KEY_TEXT_MAX], size_t *len)
{
	BIO *out = BIO_new(BIO_s_secmem());
	char *data = NULL;
	long n = 0;
	bool ok;

	if (out && PEM_write_bio_PKCS8PrivateKey(out, pair, NULL, NULL, 0, NULL, NULL) == 1)
		n = BIO_get_mem_data(out, &data);
	ok = n > 0 && n <= KEY_TEXT_MAX;
	if (ok) {
		memcpy(text, data, (size_t)n);
		*len = (size_t)n;
	}
	BIO_free(out);
	return ok;
}

bool key_generate(enum key_algorithm algorithm, char text[KEY_TEXT_MAX], size_t *len)
{
	EVP_PKEY *pair = NULL;
	bool ok;

	switch (algorithm) {
	case KEY_HS256:
		secret_generate(text);
		text[SECRET_TEXT_LEN] = '\n';
		*len = SECRET_TEXT_LEN + 1;
		return true;
	case KEY_ES256:
		pair = EVP_EC_gen(SN_X9_62_prime256v1);
		break;
	case KEY_RS256:
		pair = EVP_RSA_gen(KEY_RSA_BITS);
		break;
	}
	ok = pair && pem_of_pair(pair, text, len);
	EVP_PKEY_free(pair);
	return ok;
}
