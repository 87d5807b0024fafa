#include "common/parse.h"

#include "common/show.h"

#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define NUMBER_MAX 400 /* characters of a decimal number */

static bool is_digit(int character)
{
    return character >= '0' && character <= '9';
}

/* ---- integers ------------------------------------------------------------------------------- */

/* Read digits, with single underscores between them when `grouped`. Returns what they took, 0 when
 * there are none; `*over` when they do not fit. */
static size_t read_digits(const char *text, size_t size, bool grouped, uint64_t *out, bool *over)
{
    uint64_t value = 0;
    size_t at = 0;

    while (at < size) {
        if (grouped && text[at] == '_' && at > 0 && text[at - 1] != '_' && at + 1 < size
            && is_digit(text[at + 1])) {
            at++;
            continue;
        }
        if (!is_digit(text[at]))
            break;
        if (__builtin_mul_overflow(value, (uint64_t)10, &value)
            || __builtin_add_overflow(value, (uint64_t)(text[at] - '0'), &value))
            *over = true;
        at++;
    }
    *out = value;
    return at;
}

/* Read a signed integer. Returns what it took, 0 when there is none. */
static size_t read_signed(const char *text, size_t size, bool grouped, int64_t *out, bool *over)
{
    bool negative = size > 0 && text[0] == '-';
    size_t sign = size > 0 && (text[0] == '-' || text[0] == '+') ? 1 : 0;
    uint64_t value;
    size_t digits = read_digits(text + sign, size - sign, grouped, &value, over);

    if (digits == 0)
        return 0;
    if (value > (uint64_t)INT64_MAX + negative)
        *over = true;
    else
        *out = negative ? (int64_t)-value : (int64_t)value;
    return sign + digits;
}

enum tri_status tri_parse_u64(
    const char *text, uint64_t min, uint64_t max, uint64_t *out, struct tri_error *error)
{
    size_t size = strlen(text);
    uint64_t value;
    bool over = false;

    if (size == 0 || read_digits(text, size, true, &value, &over) != size)
        return tri_fail(error, TRI_INVALID, "%s is not a whole number", TRI_SHOW_TEXT(text));
    if (over || value < min || value > max)
        return tri_fail(error, TRI_INVALID, "%s is not between %llu and %llu", TRI_SHOW_TEXT(text),
                        (unsigned long long)min, (unsigned long long)max);
    *out = value;
    return TRI_OK;
}

enum tri_status tri_parse_i64(
    const char *text, int64_t min, int64_t max, int64_t *out, struct tri_error *error)
{
    size_t size = strlen(text);
    int64_t value = 0;
    bool over = false;

    if (size == 0 || read_signed(text, size, true, &value, &over) != size)
        return tri_fail(error, TRI_INVALID, "%s is not a whole number", TRI_SHOW_TEXT(text));
    if (over || value < min || value > max)
        return tri_fail(error, TRI_INVALID, "%s is not between %lld and %lld", TRI_SHOW_TEXT(text),
                        (long long)min, (long long)max);
    *out = value;
    return TRI_OK;
}

enum tri_status tri_parse_bytes_i64(struct tri_bytes text, int64_t *out, struct tri_error *error)
{
    int64_t value = 0;
    bool over = false;

    if (text.size == 0
        || read_signed((const char *)text.data, text.size, false, &value, &over) != text.size)
        return tri_fail(error, TRI_INVALID, "%s is not an integer", TRI_SHOW(text));
    if (over)
        return tri_fail(error, TRI_INVALID, "%s does not fit 64 bits", TRI_SHOW(text));
    *out = value;
    return TRI_OK;
}

/* ---- decimal numbers ------------------------------------------------------------------------ */

/* Copy digits without their underscores. Returns how many characters were read. */
static size_t copy_digits(const char *text, size_t size, bool grouped, char *out, size_t *length)
{
    uint64_t ignored;
    bool over;
    size_t used = read_digits(text, size, grouped, &ignored, &over);

    for (size_t i = 0; i < used; i++) {
        if (text[i] != '_')
            out[(*length)++] = text[i];
    }
    return used;
}

/* Check the form and copy it for strtod: [+-] digits [. digits] [e [+-] digits], one of the first
 * two groups of digits may be missing. Returns false when it is not of that form. */
static bool decimal_copy(const char *text, size_t size, bool grouped, char out[NUMBER_MAX + 1])
{
    size_t at = 0;
    size_t length = 0;
    size_t mantissa;

    if (size == 0 || size > NUMBER_MAX)
        return false;
    if (text[0] == '-' || text[0] == '+')
        out[length++] = text[at++];
    mantissa = copy_digits(text + at, size - at, grouped, out, &length);
    at += mantissa;
    if (at < size && text[at] == '.') {
        size_t fraction;

        out[length++] = text[at++];
        fraction = copy_digits(text + at, size - at, grouped, out, &length);
        mantissa += fraction;
        at += fraction;
    }
    if (mantissa == 0)
        return false;
    if (at < size && (text[at] == 'e' || text[at] == 'E')) {
        size_t exponent;

        out[length++] = text[at++];
        if (at < size && (text[at] == '-' || text[at] == '+'))
            out[length++] = text[at++];
        exponent = copy_digits(text + at, size - at, false, out, &length);
        if (exponent == 0)
            return false;
        at += exponent;
    }
    out[length] = '\0';
    return at == size;
}

static enum tri_status double_read(struct tri_bytes text,
                                   bool grouped,
                                   double *out,
                                   struct tri_error *error)
{
    char copy[NUMBER_MAX + 1];
    locale_t locale;
    double value;

    if (!decimal_copy((const char *)text.data, text.size, grouped, copy))
        return tri_fail(error, TRI_INVALID, "%s is not a number", TRI_SHOW(text));
    locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    if (locale == (locale_t)0)
        return tri_fail(error, TRI_MEMORY, "out of memory");
    value = strtod_l(copy, NULL, locale);
    freelocale(locale);
    if (isinf(value))
        return tri_fail(error, TRI_INVALID, "%s is beyond the largest number", TRI_SHOW(text));
    *out = value;
    return TRI_OK;
}

enum tri_status tri_parse_double(const char *text, double *out, struct tri_error *error)
{
    return double_read((struct tri_bytes){ (const uint8_t *)text, strlen(text) }, true, out, error);
}

enum tri_status tri_parse_bytes_double(struct tri_bytes text, double *out, struct tri_error *error)
{
    return double_read(text, false, out, error);
}

/* ---- durations and sizes -------------------------------------------------------------------- */

#define SCALE UINT64_C(1000000000) /* fractions are read to nine digits */

/* A number with an optional fraction, exactly: value * SCALE. Returns what it took, 0 when there is
 * none; `*over` when it has more digits than are kept. */
static size_t read_scaled(const char *text, unsigned __int128 *out, bool *over)
{
    uint64_t whole;
    uint64_t unit = SCALE;
    size_t at = read_digits(text, strlen(text), true, &whole, over);

    *out = (unsigned __int128)whole * SCALE;
    if (at == 0 || text[at] != '.' || !is_digit(text[at + 1]))
        return at;
    for (at++; is_digit(text[at]); at++) {
        unit /= 10;
        if (unit == 0 && text[at] != '0')
            *over = true;
        *out += unit * (uint64_t)(text[at] - '0');
    }
    return at;
}

static const struct {
    const char *text;
    uint64_t us;
} time_units[] = {
    { "d", 86400000000 }, { "h", 3600000000 }, { "m", 60000000 },
    { "s", 1000000 },     { "ms", 1000 },      { "us", 1 },
};

/* The unit that `text` starts with, as a number in time_units; its letters end there. */
static size_t unit_at(const char *text, size_t *length)
{
    for (*length = 0; text[*length] >= 'a' && text[*length] <= 'z';)
        (*length)++;
    for (size_t i = 0; i < TRI_COUNT_OF(time_units); i++) {
        if (*length == strlen(time_units[i].text) && memcmp(text, time_units[i].text, *length) == 0)
            return i;
    }
    return TRI_COUNT_OF(time_units);
}

/* Sum the components into microseconds times SCALE. */
static bool duration_read(const char *text, unsigned __int128 *total, bool *over)
{
    size_t next = 0; /* the largest unit that may still come */
    const char *at = text;

    while (*at != '\0') {
        unsigned __int128 number;
        size_t used = read_scaled(at, &number, over);
        size_t length;
        size_t unit;

        if (used == 0)
            return false;
        if (at == text && at[used] == '\0') {
            *total = number * 1000000;
            return true;
        }
        unit = unit_at(at + used, &length);
        if (unit == TRI_COUNT_OF(time_units) || unit < next)
            return false;
        if (number > ((unsigned __int128)UINT64_MAX * SCALE))
            *over = true;
        *total += number * time_units[unit].us;
        next = unit + 1;
        at += used + length;
        while (*at == ' ')
            at++;
    }
    return at != text;
}

enum tri_status tri_parse_duration_ms(const char *text, uint64_t *out, struct tri_error *error)
{
    const unsigned __int128 ms = (unsigned __int128)1000 * SCALE;
    unsigned __int128 total = 0;
    bool over = false;

    if (!duration_read(text, &total, &over))
        return tri_fail(error, TRI_INVALID,
                        "%s is not a duration, write it as 1h 30m, 1.5s or 500ms",
                        TRI_SHOW_TEXT(text));
    total = (total + ms - 1) / ms;
    if (over || total > (UINT64_C(1) << 62))
        return tri_fail(error, TRI_INVALID, "the duration %s is too long or too precise",
                        TRI_SHOW_TEXT(text));
    *out = (uint64_t)total;
    return TRI_OK;
}

/* log2 of the unit behind a size, or -1. */
static int size_unit(const char *text)
{
    static const char letters[] = "KMGT";
    const char *letter = text[0] != '\0' ? strchr(letters, text[0] & ~0x20) : NULL;
    int shift = 0;

    if (letter != NULL) {
        shift = 10 * (int)(letter - letters + 1);
        text++;
        if (text[0] == 'i' && text[1] == 'B')
            text++;
    }
    if (text[0] == 'B')
        text++;
    return text[0] == '\0' ? shift : -1;
}

enum tri_status tri_parse_size(const char *text, uint64_t *out, struct tri_error *error)
{
    unsigned __int128 number;
    bool over = false;
    size_t used = read_scaled(text, &number, &over);
    int shift = used > 0 ? size_unit(text + used) : -1;

    if (shift < 0)
        return tri_fail(error, TRI_INVALID, "%s is not a size, write it as 512, 64K, 8M or 1.5G",
                        TRI_SHOW_TEXT(text));
    number = (number << shift) / SCALE;
    if (over || number > INT64_MAX)
        return tri_fail(error, TRI_INVALID, "the size %s is too large or too precise",
                        TRI_SHOW_TEXT(text));
    *out = (uint64_t)number;
    return TRI_OK;
}

/* ---- ranges --------------------------------------------------------------------------------- */

/* Split "A-B:STEP". Returns false when it is not of that form. */
static bool range_read(
    const char *text, int64_t *low, int64_t *high, int64_t *step, bool *stepped, bool *over)
{
    size_t used = read_signed(text, strlen(text), true, low, over);

    *high = *low;
    *stepped = false;
    if (used == 0)
        return false;
    text += used;
    if (*text == '\0')
        return true;
    if (*text++ != '-')
        return false;
    used = read_signed(text, strlen(text), true, high, over);
    if (used == 0)
        return false;
    text += used;
    if (*text == ':') {
        *stepped = true;
        used = read_signed(text + 1, strlen(text + 1), true, step, over);
        if (used == 0)
            return false;
        text += 1 + used;
    }
    return *text == '\0';
}

enum tri_status tri_parse_range(const char *text, struct tri_span *out, struct tri_error *error)
{
    int64_t low = 0;
    int64_t high = 0;
    int64_t step = 1;
    bool stepped;
    bool over = false;
    uint64_t distance;
    uint64_t stride;

    if (!range_read(text, &low, &high, &step, &stepped, &over))
        return tri_fail(error, TRI_INVALID, "%s is not a range, write it as 1-64 or 0-100:10",
                        TRI_SHOW_TEXT(text));
    if (over)
        return tri_fail(error, TRI_INVALID, "a number of the range %s does not fit 64 bits",
                        TRI_SHOW_TEXT(text));
    if (step == 0)
        return tri_fail(error, TRI_INVALID, "the range %s has step 0", TRI_SHOW_TEXT(text));
    if (low != high && (low < high) != (step > 0))
        return tri_fail(error, TRI_INVALID,
                        stepped ? "the step of the range %s leads away from its end"
                                : "the range %s runs downwards, give it a step as in 10-1:-1",
                        TRI_SHOW_TEXT(text));
    distance = low < high ? (uint64_t)high - (uint64_t)low : (uint64_t)low - (uint64_t)high;
    stride = step < 0 ? -(uint64_t)step : (uint64_t)step;
    if (distance / stride >= INT64_MAX)
        return tri_fail(error, TRI_INVALID, "the range %s is too long", TRI_SHOW_TEXT(text));
    *out = (struct tri_span){ .first = low, .step = step, .count = distance / stride + 1 };
    return TRI_OK;
}
