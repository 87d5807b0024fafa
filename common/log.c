#include "common/log.h"

#include "common/clock.h"
#include "common/show.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LINE_MAX_BYTES 2048
#define EVENT_BYTES_MAX 64

static const char *const level_texts[] = {
#define X(name, code, text) [code] = text,
    TRI_LOG_LEVEL_MAP(X)
#undef X
};

static _Atomic int log_level = TRI_LOG_INFO;
static _Atomic int log_fd = 2;

void tri_log_level_set(enum tri_log_level level)
{
    atomic_store(&log_level, (int)level);
}

enum tri_log_level tri_log_level_get(void)
{
    return (enum tri_log_level)atomic_load(&log_level);
}

void tri_log_fd_set(int fd)
{
    atomic_store(&log_fd, fd);
}

const char *tri_log_level_name(enum tri_log_level level)
{
    return level_texts[level];
}

enum tri_status tri_log_level_parse(const char *text, enum tri_log_level *level)
{
    for (size_t i = 0; i < TRI_COUNT_OF(level_texts); i++) {
        if (strcmp(text, level_texts[i]) == 0) {
            *level = (enum tri_log_level)i;
            return TRI_OK;
        }
    }
    return TRI_INVALID;
}

/* Append `text` with every byte that is not printable ASCII as \xNN. Quotes stay: the caller's
 * format put them there. Returns the new length; at most `room`. */
static size_t append_printable(
    char *line, size_t length, size_t room, const char *text, size_t size, bool *cut)
{
    for (size_t i = 0; i < size; i++) {
        unsigned char byte = (unsigned char)text[i];
        bool plain = byte >= 0x20 && byte < 0x7f;

        if (length + (plain ? 1 : 4) > room) {
            *cut = true;
            return length;
        }
        if (plain)
            line[length++] = (char)byte;
        else
            length += (size_t)snprintf(line + length, 5, "\\x%02x", byte);
    }
    return length;
}

static void write_line(const char *line, size_t length)
{
    ssize_t written;

    do
        written = write(atomic_load(&log_fd), line, length);
    while (written < 0 && errno == EINTR);
}

void tri_log(enum tri_log_level level, const char *event, const char *format, ...)
{
    char when[TRI_CLOCK_TEXT_SIZE];
    char fields[LINE_MAX_BYTES];
    char line[LINE_MAX_BYTES + 8];
    int saved = errno;
    int wanted;
    size_t length;
    bool cut;
    va_list args;

    if ((int)level > atomic_load(&log_level))
        return;
    va_start(args, format);
    wanted = vsnprintf(fields, sizeof(fields), format, args);
    va_end(args);
    if (wanted < 0)
        wanted = 0;
    cut = (size_t)wanted >= sizeof(fields);
    length = (size_t)snprintf(line, LINE_MAX_BYTES / 2, "%s %s %.200s%s",
                              tri_clock_text(tri_clock_wall_ms(), when), level_texts[level], event,
                              wanted > 0 ? " " : "");
    length = append_printable(line, length, LINE_MAX_BYTES - 4, fields,
                              cut ? sizeof(fields) - 1 : (size_t)wanted, &cut);
    if (cut) {
        memcpy(line + length, "...", 3);
        length += 3;
    }
    line[length++] = '\n';
    write_line(line, length);
    errno = saved;
}

/* Plain text needs no quotes: printable, without blanks, quotes, backslashes and '='. */
static bool is_plain(struct tri_bytes bytes)
{
    for (size_t i = 0; i < bytes.size; i++) {
        uint8_t byte = bytes.data[i];

        if (byte <= 0x20 || byte >= 0x7f || byte == '"' || byte == '\\' || byte == '=')
            return false;
    }
    return bytes.size > 0;
}

struct tri_log_text tri_log_quote(struct tri_bytes bytes)
{
    struct tri_log_text quoted;
    size_t length;

    if (is_plain(bytes)) {
        tri_escape(quoted.text, sizeof(quoted.text), bytes);
        return quoted;
    }
    quoted.text[0] = '"';
    length = tri_escape(quoted.text + 1, sizeof(quoted.text) - 2, bytes);
    memcpy(quoted.text + 1 + length, "\"", 2);
    return quoted;
}

/* ---- traces --------------------------------------------------------------------------------- */

static enum tri_log_level level_of(const char *event,
                                   const struct tri_log_rank *ranks,
                                   size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(ranks[i].event, event) == 0)
            return ranks[i].level;
    return TRI_LOG_DEBUG;
}

void tri_log_trace(const char *trace, const struct tri_log_rank *ranks, size_t count)
{
    char event[EVENT_BYTES_MAX];
    size_t size = strcspn(trace, " ");
    const char *fields = trace + size + strspn(trace + size, " ");

    if (size >= sizeof(event))
        size = sizeof(event) - 1;
    memcpy(event, trace, size);
    event[size] = '\0';
    tri_log(level_of(event, ranks, count), event, "%s", fields);
}
