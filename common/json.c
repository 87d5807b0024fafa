#include "common/json.h"

#include "common/show.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- UTF-8 ---------------------------------------------------------------------------------- */

/* How many bytes the well-formed sequence at the start takes; 0 when there is none. The bounds of
 * the second byte are those of Unicode's table 3-7. */
static size_t sequence_size(const uint8_t *data, size_t left)
{
    uint8_t head = data[0];
    uint8_t low = 0x80;
    uint8_t high = 0xbf;
    size_t size;

    if (head < 0x80)
        return 1;
    if (head < 0xc2 || head > 0xf4)
        return 0;
    size = head < 0xe0 ? 2 : head < 0xf0 ? 3 : 4;
    if (head == 0xe0)
        low = 0xa0;
    else if (head == 0xed)
        high = 0x9f;
    else if (head == 0xf0)
        low = 0x90;
    else if (head == 0xf4)
        high = 0x8f;
    if (left < size || data[1] < low || data[1] > high)
        return 0;
    for (size_t i = 2; i < size; i++) {
        if ((data[i] & 0xc0) != 0x80)
            return 0;
    }
    return size;
}

bool tri_utf8_is_valid(struct tri_bytes bytes)
{
    size_t at = 0;

    while (at < bytes.size) {
        uint64_t eight;
        size_t size;

        if (bytes.size - at >= 8) {
            memcpy(&eight, bytes.data + at, 8);
            if ((eight & UINT64_C(0x8080808080808080)) == 0) {
                at += 8;
                continue;
            }
        }
        size = sequence_size(bytes.data + at, bytes.size - at);
        if (size == 0)
            return false;
        at += size;
    }
    return true;
}

/* ---- strings -------------------------------------------------------------------------------- */

static void escape_append(struct tri_buffer *out, uint8_t byte)
{
    static const char from[] = "\"\\\n\t\r\b\f";
    static const char to[] = "\"\\ntrbf";
    const char *at = byte != 0 ? strchr(from, byte) : NULL;
    char form[7];

    if (at != NULL)
        snprintf(form, sizeof(form), "\\%c", to[at - from]);
    else
        snprintf(form, sizeof(form), "\\u%04x", byte);
    tri_json_raw(out, form);
}

void tri_json_bytes(struct tri_buffer *out, struct tri_bytes bytes)
{
    size_t plain = 0; /* start of what is not yet written */

    if (!tri_utf8_is_valid(bytes)) {
        tri_json_raw(out, "{\"base64\":\"");
        tri_base64_encode(out, bytes);
        tri_json_raw(out, "\"}");
        return;
    }
    tri_json_raw(out, "\"");
    for (size_t i = 0; i < bytes.size; i++) {
        uint8_t byte = bytes.data[i];

        if (byte >= 0x20 && byte != '"' && byte != '\\')
            continue;
        tri_buffer_append(out, bytes.data + plain, i - plain);
        escape_append(out, byte);
        plain = i + 1;
    }
    if (bytes.size > plain)
        tri_buffer_append(out, bytes.data + plain, bytes.size - plain);
    tri_json_raw(out, "\"");
}

void tri_json_string(struct tri_buffer *out, const char *text)
{
    tri_json_bytes(out, (struct tri_bytes){ (const uint8_t *)text, strlen(text) });
}

/* ---- numbers -------------------------------------------------------------------------------- */

void tri_json_uint(struct tri_buffer *out, uint64_t integer)
{
    char digits[20];
    size_t at = sizeof(digits);

    do {
        digits[--at] = (char)('0' + integer % 10);
        integer /= 10;
    } while (integer != 0);
    tri_buffer_append(out, digits + at, sizeof(digits) - at);
}

void tri_json_int(struct tri_buffer *out, int64_t integer)
{
    if (integer < 0)
        tri_buffer_append(out, "-", 1);
    tri_json_uint(out, integer < 0 ? -(uint64_t)integer : (uint64_t)integer);
}

void tri_json_int128(struct tri_buffer *out, __int128 integer)
{
    unsigned __int128 rest = integer < 0 ? -(unsigned __int128)integer : (unsigned __int128)integer;
    char digits[40];
    size_t at = sizeof(digits);

    do {
        digits[--at] = (char)('0' + (int)(rest % 10));
        rest /= 10;
    } while (rest != 0);
    if (integer < 0)
        digits[--at] = '-';
    tri_buffer_append(out, digits + at, sizeof(digits) - at);
}

/* The shortest of 15, 16 or 17 digits that reads back to the same bits. */
static void shortest(char text[40], double number)
{
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, 40, "%.*g", digits, number);
        if (strtod(text, NULL) == number)
            return;
    }
}

void tri_json_double(struct tri_buffer *out, double number)
{
    char text[40];
    char clean[44];
    size_t length = 0;
    bool whole = true;

    if (isnan(number) || isinf(number)) {
        tri_json_raw(out, isnan(number) ? "\"NaN\""
                          : number > 0  ? "\"Infinity\""
                                        : "\"-Infinity\"");
        return;
    }
    shortest(text, number);
    for (const char *at = text; *at != '\0'; at++) {
        bool part = (*at >= '0' && *at <= '9') || *at == '-' || *at == '+' || *at == 'e';

        /* Whatever the locale writes between the digits is the decimal point. */
        if (part)
            clean[length++] = *at;
        else if (length > 0 && clean[length - 1] != '.')
            clean[length++] = '.';
        whole = whole && part && *at != 'e';
    }
    tri_buffer_append(out, clean, length);
    if (whole)
        tri_json_raw(out, ".0");
}

void tri_json_bool(struct tri_buffer *out, bool boolean)
{
    tri_json_raw(out, boolean ? "true" : "false");
}

void tri_json_raw(struct tri_buffer *out, const char *text)
{
    tri_buffer_append(out, text, strlen(text));
}

/* ---- base64 (RFC 4648, section 4) ----------------------------------------------------------- */

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void tri_base64_encode(struct tri_buffer *out, struct tri_bytes bytes)
{
    for (size_t at = 0; at < bytes.size; at += 3) {
        size_t left = bytes.size - at;
        uint32_t group = (uint32_t)bytes.data[at] << 16;
        char quad[4];

        if (left > 1)
            group |= (uint32_t)bytes.data[at + 1] << 8;
        if (left > 2)
            group |= bytes.data[at + 2];
        for (int i = 0; i < 4; i++)
            quad[i] = alphabet[(group >> (18 - 6 * i)) & 63];
        if (left < 3)
            quad[3] = '=';
        if (left < 2)
            quad[2] = '=';
        tri_buffer_append(out, quad, 4);
    }
}

static int digit_of(uint8_t character)
{
    const char *at = character != 0 ? strchr(alphabet, character) : NULL;

    return at != NULL ? (int)(at - alphabet) : -1;
}

/* Read `digits` (2 to 4) base64 digits into digits - 1 bytes. Bits that no byte uses must be 0, so
 * that there is one text for one value. */
static bool group_read(const uint8_t *text, size_t digits, uint8_t bytes[3])
{
    uint32_t group = 0;

    for (size_t i = 0; i < digits; i++) {
        int digit = digit_of(text[i]);

        if (digit < 0)
            return false;
        group |= (uint32_t)digit << (18 - 6 * i);
    }
    for (int i = 0; i < 3; i++)
        bytes[i] = (uint8_t)(group >> (16 - 8 * i));
    return (digits > 3 || bytes[2] == 0) && (digits > 2 || bytes[1] == 0);
}

enum tri_status tri_base64_decode(struct tri_bytes text,
                                  struct tri_buffer *out,
                                  struct tri_error *error)
{
    size_t start = out->size;
    size_t padding = 0;
    bool good = text.size % 4 == 0;

    while (padding < 2 && padding < text.size && text.data[text.size - 1 - padding] == '=')
        padding++;
    for (size_t at = 0; good && at < text.size; at += 4) {
        size_t digits = at + 4 == text.size ? 4 - padding : 4;
        uint8_t bytes[3];

        good = group_read(text.data + at, digits, bytes);
        tri_buffer_append(out, bytes, digits - 1);
    }
    if (good)
        return TRI_OK;
    out->size = start;
    return tri_fail(error, TRI_INVALID, "%s is not base64", TRI_SHOW(text));
}
