#include "base/base.h"

#include "base/codec.h"

static const char base64_plain[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char base64_url[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static void encode64(const char *alphabet, const void *bytes, size_t len, char *out)
{
	const uint8_t *in = bytes;
	unsigned bits = 0, have = 0;

	for (size_t i = 0; i < len; i++) {
		bits = (bits << 8 | in[i]) & 0xffff;
		have += 8;
		while (have >= 6) {
			have -= 6;
			*out++ = alphabet[bits >> have & 63];
		}
	}
	if (have)
		*out++ = alphabet[bits << (6 - have) & 63];
	*out = '\0';
}

static int value64(const char *alphabet, char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == alphabet[62])
		return 62;
	if (c == alphabet[63])
		return 63;
	return -1;
}

static bool decode64(const char *alphabet, const char *text, size_t len, void *out, size_t cap,
		     size_t *out_len)
{
	unsigned bits = 0, have = 0;
	uint8_t *to = out;
	size_t n = 0;

	if (len % 4 == 1)
		return false;
	for (size_t i = 0; i < len; i++) {
		int v = value64(alphabet, text[i]);

		if (v < 0)
			return false;
		bits = (bits << 6 | (unsigned)v) & 0xffff;
		have += 6;
		if (have >= 8) {
			have -= 8;
			if (n == cap)
				return false;
			to[n++] = (uint8_t)(bits >> have);
		}
	}
	if (bits & ((1u << have) - 1))
		return false;
	*out_len = n;
	return true;
}

void base64url_encode(const void *bytes, size_t len, char *out)
{
	encode64(base64_url, bytes, len, out);
}

void base64_encode(const void *bytes, size_t len, char *out)
{
	encode64(base64_plain, bytes, len, out);
}

bool base64url_decode(const char *text, size_t len, void *out, size_t cap, size_t *out_len)
{
	return decode64(base64_url, text, len, out, cap, out_len);
}

bool base64_decode(const char *text, size_t len, void *out, size_t cap, size_t *out_len)
{
	return decode64(base64_plain, text, len, out, cap, out_len);
}

void put_int64(void *out, int64_t value)
{
	uint8_t *to = out;

	for (int i = 0; i < 8; i++)
		to[i] = (uint8_t)((uint64_t)value >> (56 - 8 * i));
}

int64_t get_int64(const void *in)
{
	const uint8_t *from = in;
	uint64_t value = 0;

	for (int i = 0; i < 8; i++)
		value = value << 8 | from[i];
	return (int64_t)value;
}

char ascii_lower(char c)
{
	return (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
}

bool ascii_is_alnum(char c)
{
	return (c >= '0' && c <= '9') || (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z');
}

void hex_encode(const void *bytes, size_t len, char *out)
{
	static const char digits[] = "0123456789abcdef";
	const uint8_t *in = bytes;

	for (size_t i = 0; i < len; i++) {
		*out++ = digits[in[i] >> 4];
		*out++ = digits[in[i] & 15];
	}
	*out = '\0';
}

int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

bool percent_decode(const char *text, size_t len, bool plus, char *out, size_t *out_len)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		char c = text[i];

		if (c == '%') {
			int high, low;

			if (len - i < 3)
				return false;
			high = hex_value(text[i + 1]);
			low = hex_value(text[i + 2]);
			if (high < 0 || low < 0)
				return false;
			c = (char)(high << 4 | low);
			i += 2;
		} else if (plus && c == '+') {
			c = ' ';
		}
		if (!c)
			return false;
		out[n++] = c;
	}
	*out_len = n;
	return true;
}

bool decimal_parse(const char *text, size_t len, int64_t max, int64_t *out)
{
	int64_t value = 0;

	if (!len)
		return false;
	for (size_t i = 0; i < len; i++) {
		int digit = text[i] - '0';

		if (digit < 0 || digit > 9 || value > max / 10 || digit > max - value * 10)
			return false;
		value = value * 10 + digit;
	}
	*out = value;
	return true;
}

size_t decimal_format(int64_t value, char out[DECIMAL_LEN + 1])
{
	char text[DECIMAL_LEN + 1] = { 0 }, *p = text + DECIMAL_LEN;
	uint64_t rest = value < 0 ? -(uint64_t)value : (uint64_t)value;
	size_t len;

	do {
		*--p = (char)('0' + rest % 10);
		rest /= 10;
	} while (rest);
	if (value < 0)
		*--p = '-';
	len = (size_t)(text + DECIMAL_LEN - p);
	memcpy(out, p, len + 1);
	return len;
}

/* Days since 1970 to a date of the proleptic Gregorian calendar: years counted from March, in eras
 * of 400 years, so that the leap day is the last day of its year. */
static void date_of_days(int64_t days, int *year, int *month, int *day)
{
	int64_t z = days + 719468;
	int64_t era = (z >= 0 ? z : z - 146096) / 146097;
	int64_t doe = z - era * 146097;
	int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	int64_t mp = (5 * doy + 2) / 153;

	*day = (int)(doy - (153 * mp + 2) / 5 + 1);
	*month = (int)(mp < 10 ? mp + 3 : mp - 9);
	*year = (int)(yoe + era * 400 + (*month <= 2));
}

/* The reverse. */
static int64_t days_of_date(int year, int month, int day)
{
	int64_t y = year - (month <= 2);
	int64_t era = y / 400; /* no year is negative */
	int64_t yoe = y - era * 400;
	int64_t doy = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;

	return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

static void put_digits(char *out, int n, int value)
{
	while (n--) {
		out[n] = (char)('0' + value % 10);
		value /= 10;
	}
}

#define FIRST_US (INT64_C(-62135596800) * US_PER_SECOND)     /* 0001-01-01 */
#define LAST_US  (INT64_C(253402300800) * US_PER_SECOND - 1) /* end of 9999 */

void rfc3339_format(int64_t us, char out[RFC3339_LEN + 1])
{
	const int64_t us_per_day = 86400 * US_PER_SECOND;
	int64_t days, ms;
	int year, month, day;

	us = us < FIRST_US ? FIRST_US : us > LAST_US ? LAST_US : us;
	days = us / us_per_day;
	if (us % us_per_day < 0)
		days--;
	ms = (us - days * us_per_day) / 1000;
	date_of_days(days, &year, &month, &day);
	memcpy(out, "0000-00-00T00:00:00.000Z", RFC3339_LEN + 1);
	put_digits(out, 4, year);
	put_digits(out + 5, 2, month);
	put_digits(out + 8, 2, day);
	put_digits(out + 11, 2, (int)(ms / 3600000));
	put_digits(out + 14, 2, (int)(ms / 60000 % 60));
	put_digits(out + 17, 2, (int)(ms / 1000 % 60));
	put_digits(out + 20, 3, (int)(ms % 1000));
}

/* Exactly two digits, from `least` to `most`. */
static bool two_digits(const char *text, int least, int most, int *out)
{
	int64_t value;

	if (!decimal_parse(text, 2, most, &value) || value < least)
		return false;
	*out = (int)value;
	return true;
}

bool date_parse(const char *text, size_t len, int64_t *us)
{
	int y, m, d, y_after, m_after, d_after;
	int64_t year, days;

	if (len != 10 || text[4] != '-' || text[7] != '-' || !decimal_parse(text, 4, 9999, &year) ||
	    year < 1 || !two_digits(text + 5, 1, 12, &m) || !two_digits(text + 8, 1, 31, &d))
		return false;
	y = (int)year;
	days = days_of_date(y, m, d);
	date_of_days(days, &y_after, &m_after, &d_after);
	if (d != d_after) /* that month is shorter */
		return false;
	*us = days * 86400 * US_PER_SECOND;
	return true;
}

/* `.` and digits at `*p`, if they are there. */
static bool fraction(const char **p, const char *end, int64_t *us)
{
	const char *start = *p;

	*us = 0;
	if (*p == end || **p != '.')
		return true;
	for (int64_t unit = US_PER_SECOND / 10; ++*p < end && **p >= '0' && **p <= '9'; unit /= 10)
		*us += (**p - '0') * unit;
	return *p > start + 1;
}

/* `Z`, or hours and minutes with a sign, up to the end. */
static bool offset(const char *p, const char *end, int64_t *us)
{
	int hours, minutes;

	*us = 0;
	if (end - p == 1)
		return *p == 'Z' || *p == 'z';
	if (end - p != 6 || (*p != '+' && *p != '-') || p[3] != ':' ||
	    !two_digits(p + 1, 0, 23, &hours) || !two_digits(p + 4, 0, 59, &minutes))
		return false;
	*us = (hours * 60 + minutes) * 60 * US_PER_SECOND * (*p == '-' ? -1 : 1);
	return true;
}

bool rfc3339_parse(const char *text, size_t len, int64_t *us)
{
	const char *p = text + 19, *end = text + len;
	int64_t day, part, ahead, time;
	int hour, minute, second;

	if (len < 20 || !date_parse(text, 10, &day) || (text[10] != 'T' && text[10] != 't') ||
	    !two_digits(text + 11, 0, 23, &hour) || text[13] != ':' ||
	    !two_digits(text + 14, 0, 59, &minute) || text[16] != ':' ||
	    !two_digits(text + 17, 0, 60, &second) || !fraction(&p, end, &part) ||
	    !offset(p, end, &ahead))
		return false;
	time = (hour * 60 + minute) * 60 + (second == 60 ? 59 : second);
	time = day + time * US_PER_SECOND + part - ahead;
	if (time < FIRST_US || time > LAST_US)
		return false;
	*us = time;
	return true;
}
