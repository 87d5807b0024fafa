#include "common/show.h"

#include <string.h>

/* The escaped form of one byte: 1 to 4 characters. */
static size_t escape_byte(char out[4], uint8_t byte)
{
    static const char hex[] = "0123456789abcdef";
    static const char short_forms[] = "\nn\tt\rr\"\"\\\\";

    for (size_t i = 0; i + 1 < sizeof(short_forms); i += 2) {
        if (byte == (uint8_t)short_forms[i]) {
            out[0] = '\\';
            out[1] = short_forms[i + 1];
            return 2;
        }
    }
    if (byte >= 0x20 && byte < 0x7f) {
        out[0] = (char)byte;
        return 1;
    }
    memcpy(out, "\\x", 2);
    out[2] = hex[byte >> 4];
    out[3] = hex[byte & 15];
    return 4;
}

size_t tri_escape(char *out, size_t room, struct tri_bytes bytes)
{
    size_t length = 0;
    size_t keep = 0; /* how much fits with the mark behind it */
    char form[4];

    for (size_t i = 0; i < bytes.size; i++) {
        size_t size = escape_byte(form, bytes.data[i]);

        if (length + size > room - 1) {
            memcpy(out + keep, "...", 4);
            return keep + 3;
        }
        memcpy(out + length, form, size);
        length += size;
        if (length <= room - 4)
            keep = length;
    }
    out[length] = '\0';
    return length;
}

struct tri_shown tri_show(struct tri_bytes bytes)
{
    struct tri_shown shown = { .text = "\"" };
    size_t length = tri_escape(shown.text + 1, sizeof(shown.text) - 2, bytes);

    shown.text[length + 1] = '"';
    shown.text[length + 2] = '\0';
    return shown;
}
