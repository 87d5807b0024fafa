/* The guard: walks msgpack headers, believes none of them, allocates nothing. Nesting is a small
 * array of counters, so hostile depth costs sixteen words and not the stack. */
#include "common/proto/codec.h"
#include "common/proto/head.h"

const struct tri_lead tri_leads[32] = {
    { TRI_HEAD_NIL, 0 },      /* c0 */
    { TRI_HEAD_REFUSED, 0 },  /* c1: never used */
    { TRI_HEAD_BOOL, 0 },     /* c2 false */
    { TRI_HEAD_BOOL, 0 },     /* c3 true */
    { TRI_HEAD_BINARY, 1 },   /* c4 bin 8 */
    { TRI_HEAD_BINARY, 2 },   /* c5 bin 16 */
    { TRI_HEAD_BINARY, 4 },   /* c6 bin 32 */
    { TRI_HEAD_REFUSED, 0 },  /* c7 ext 8 */
    { TRI_HEAD_REFUSED, 0 },  /* c8 ext 16 */
    { TRI_HEAD_REFUSED, 0 },  /* c9 ext 32 */
    { TRI_HEAD_FLOAT, 4 },    /* ca float 32 */
    { TRI_HEAD_FLOAT, 8 },    /* cb float 64 */
    { TRI_HEAD_UNSIGNED, 1 }, /* cc uint 8 */
    { TRI_HEAD_UNSIGNED, 2 }, /* cd uint 16 */
    { TRI_HEAD_UNSIGNED, 4 }, /* ce uint 32 */
    { TRI_HEAD_UNSIGNED, 8 }, /* cf uint 64 */
    { TRI_HEAD_NEGATIVE, 1 }, /* d0 int 8 */
    { TRI_HEAD_NEGATIVE, 2 }, /* d1 int 16 */
    { TRI_HEAD_NEGATIVE, 4 }, /* d2 int 32 */
    { TRI_HEAD_NEGATIVE, 8 }, /* d3 int 64 */
    { TRI_HEAD_REFUSED, 0 },  /* d4 fixext 1 */
    { TRI_HEAD_REFUSED, 0 },  /* d5 fixext 2 */
    { TRI_HEAD_REFUSED, 0 },  /* d6 fixext 4 */
    { TRI_HEAD_REFUSED, 0 },  /* d7 fixext 8 */
    { TRI_HEAD_REFUSED, 0 },  /* d8 fixext 16 */
    { TRI_HEAD_STRING, 1 },   /* d9 str 8 */
    { TRI_HEAD_STRING, 2 },   /* da str 16 */
    { TRI_HEAD_STRING, 4 },   /* db str 32 */
    { TRI_HEAD_ARRAY, 2 },    /* dc array 16 */
    { TRI_HEAD_ARRAY, 4 },    /* dd array 32 */
    { TRI_HEAD_MAP, 2 },      /* de map 16 */
    { TRI_HEAD_MAP, 4 },      /* df map 32 */
};

const char *tri_head_text(enum tri_head head)
{
    switch (head) {
    case TRI_HEAD_SHORT:
        return "nothing";
    case TRI_HEAD_REFUSED:
        return "an extension type";
    case TRI_HEAD_NIL:
        return "nil";
    case TRI_HEAD_BOOL:
        return "a truth value";
    case TRI_HEAD_UNSIGNED:
        return "an unsigned integer";
    case TRI_HEAD_NEGATIVE:
        return "a negative integer";
    case TRI_HEAD_FLOAT:
        return "a float";
    case TRI_HEAD_STRING:
        return "text";
    case TRI_HEAD_BINARY:
        return "binary";
    case TRI_HEAD_ARRAY:
        return "an array";
    case TRI_HEAD_MAP:
        return "a map";
    }
    return "?";
}

/* What the walk is inside of: left[depth] values are still to come at that depth. */
struct walk {
    struct tri_cursor cursor;
    unsigned depth;
    uint64_t left[TRI_DEPTH_MAX + 1];
};

/* Account for one header whose number is `number`; a text when it cannot be. */
static const char *walk_head(struct walk *self, enum tri_head head, uint64_t number)
{
    size_t bytes = tri_cursor_left(&self->cursor);

    switch (head) {
    case TRI_HEAD_SHORT:
        return "the bytes end here";
    case TRI_HEAD_REFUSED:
        return "extension types are not used";
    case TRI_HEAD_NIL:
    case TRI_HEAD_BOOL:
    case TRI_HEAD_NEGATIVE:
    case TRI_HEAD_FLOAT:
        return NULL;
    case TRI_HEAD_UNSIGNED:
        return number > INT64_MAX ? "an integer over 2^63 - 1" : NULL;
    case TRI_HEAD_STRING:
    case TRI_HEAD_BINARY:
        if (number > bytes)
            return "a length over the bytes left";
        self->cursor.at += number;
        return NULL;
    case TRI_HEAD_ARRAY:
    case TRI_HEAD_MAP:
        if (head == TRI_HEAD_MAP)
            number *= 2;
        if (number > bytes)
            return "a count over the bytes left";
        if (self->depth == TRI_DEPTH_MAX)
            return "nested deeper than 16";
        self->left[++self->depth] = number;
        return NULL;
    }
    return "not msgpack";
}

enum tri_status tri_guard(const char *what,
                          struct tri_bytes bytes,
                          size_t *size,
                          struct tri_error *error)
{
    struct walk walk = { .cursor = tri_cursor_of(bytes), .left = { 1 } };
    const uint8_t *start = walk.cursor.at;

    for (;;) {
        const uint8_t *at = walk.cursor.at;
        enum tri_head head;
        uint64_t number;
        const char *why;

        walk.left[walk.depth]--;
        head = tri_head_read(&walk.cursor, &number);
        why = walk_head(&walk, head, number);
        if (why != NULL)
            return tri_fail(error, TRI_INVALID, "%s: byte %zu: %s", what, (size_t)(at - start),
                            why);
        while (walk.left[walk.depth] == 0) {
            if (walk.depth == 0) {
                *size = (size_t)(walk.cursor.at - start);
                return TRI_OK;
            }
            walk.depth--;
        }
    }
}

enum tri_status tri_msgpack_guard(struct tri_bytes bytes, size_t *size, struct tri_error *error)
{
    return tri_guard("value", bytes, size, error);
}
