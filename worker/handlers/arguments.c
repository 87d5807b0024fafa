#include "worker/handlers/arguments.h"

#include "common/parse.h"
#include "common/value.h"

#include <string.h>

static bool read_array(const struct tri_value *argument, size_t most, int64_t *out, size_t *count)
{
    struct tri_value_walk walk;
    struct tri_value item;

    if (tri_value_walk(argument, &walk, NULL) != TRI_OK || walk.is_map || walk.count > most)
        return false;
    for (*count = 0; *count < walk.count; (*count)++) {
        if (tri_value_walk_next(&walk, &item, NULL) != TRI_OK || item.type != TRI_INT)
            return false;
        out[*count] = item.integer;
    }
    return true;
}

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static bool read_line(struct tri_bytes line, size_t most, int64_t *out, size_t *count)
{
    size_t i = 0;

    for (*count = 0;; (*count)++) {
        size_t start;

        while (i < line.size && is_blank(line.data[i]))
            i++;
        if (i == line.size)
            return true;
        start = i;
        while (i < line.size && !is_blank(line.data[i]))
            i++;
        if (*count == most
            || tri_parse_bytes_i64((struct tri_bytes){ line.data + start, i - start }, &out[*count],
                                   NULL)
                   != TRI_OK)
            return false;
    }
}

enum tri_status arguments_integers(struct tri_task *task,
                                   const struct tri_value *argument,
                                   const char *form,
                                   size_t least,
                                   size_t most,
                                   int64_t *out,
                                   size_t *count)
{
    bool ok = false;

    *count = 0;
    if (argument->type == TRI_INT && most >= 1) {
        out[0] = argument->integer;
        *count = 1;
        ok = true;
    } else if (argument->type == TRI_COMPOUND) {
        ok = read_array(argument, most, out, count);
    } else if (argument->type == TRI_STRING) {
        ok = read_line(argument->bytes, most, out, count);
    }
    if (ok && *count >= least)
        return TRI_OK;
    if (argument->type == TRI_STRING)
        return tri_task_fail(task, TRI_INVALID, "\"%.*s\" is not %s",
                             (int)(argument->bytes.size < 80 ? argument->bytes.size : 80),
                             (const char *)argument->bytes.data, form);
    return tri_task_fail(task, TRI_INVALID, "the argument is not %s", form);
}
