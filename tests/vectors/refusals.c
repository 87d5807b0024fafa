/* Frames that every implementation refuses, in the order of docs/spec/1-wire.md. */
#include "tests/vectors/cases.h"

#define BYTES(text)                               \
    {                                             \
        (const uint8_t *)(text), sizeof(text) - 1 \
    }
#define MESSAGE(title, status, text)                        \
    {                                                       \
        VECTOR_MESSAGE, 0, title, TRI_##status, BYTES(text) \
    }
#define ITEMS(title, text)                                              \
    {                                                                   \
        VECTOR_ITEMS, TRI_RECORD_ITEMS, title, TRI_INVALID, BYTES(text) \
    }
#define RESULT(title, text)                                               \
    {                                                                     \
        VECTOR_RESULT, TRI_RECORD_RESULT, title, TRI_INVALID, BYTES(text) \
    }

#define ZERO4 "\0\0\0\0"
#define ZERO8 ZERO4 ZERO4
#define U64(byte) byte "\0\0\0\0\0\0\0"

/* Messages used: RESULTS_OK [51, seq]; BYE [5, text]; ACK [19, number, rows];
 * OARS [41, number, width, model, status, reason]; HEARTBEAT_OK [7, seq, lost]. */
static const struct refusal refusals[] = {
    MESSAGE("an empty frame", INVALID, ""),
    MESSAGE("not an array", INVALID, "\xc0"),
    MESSAGE("an array without a type", INVALID, "\x90"),
    MESSAGE("a type that is text",
            INVALID,
            "\x91\xa3"
            "BYE"),
    MESSAGE("an unknown type", UNSUPPORTED, "\x91\x63"),
    MESSAGE("bytes after the message", INVALID, "\x92\x33\x01\x00"),
    MESSAGE("a missing field", INVALID, "\x91\x33"),
    MESSAGE("a field too many", INVALID, "\x93\x33\x01\x02"),
    MESSAGE("a field too many after the extensions", INVALID, "\x94\x33\x01\x80\x80"),
    MESSAGE("an array of 2^28 elements in five bytes", INVALID, "\xdd\x10\0\0\0"),
    MESSAGE("a map of 2^28 pairs", INVALID, "\x93\x33\x01\xdf\x10\0\0\0"),
    MESSAGE("a text of 4 GiB",
            INVALID,
            "\x92\x05\xdb\xff\xff\xff\xff"
            "abc"),
    MESSAGE("a binary of 4 GiB",
            INVALID,
            "\x93\x13\x07\xc6\xff\xff\xff\xff"
            "abc"),
    MESSAGE("nested 17 deep",
            INVALID,
            "\x93\x33\x01\x81\x02\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x90"),
    MESSAGE("the byte that msgpack never uses", INVALID, "\x93\x33\x01\x81\x02\xc1"),
    MESSAGE("an extension type of msgpack", INVALID, "\x93\x33\x01\x81\x02\xd4\x01\x00"),
    MESSAGE("an integer of 2^63", INVALID, "\x92\x33\xcf\x80\0\0\0\0\0\0\0"),
    MESSAGE("a negative number", INVALID, "\x92\x33\xff"),
    MESSAGE("a float for a number", INVALID, "\x92\x33\xcb\x3f\xf0\0\0\0\0\0\0"),
    MESSAGE("nil for a number", INVALID, "\x92\x33\xc0"),
    MESSAGE("a number over its limit", INVALID, "\x96\x29\x07\xce\x00\x1e\x84\x80\x00\x00\xa0"),
    MESSAGE("binary for text",
            INVALID,
            "\x92\x05\xc4\x01"
            "a"),
    MESSAGE("text for binary", INVALID, "\x93\x13\x07\xa0"),
    MESSAGE("a list that is a map", INVALID, "\x93\x07\x01\x80"),
    MESSAGE("a list with a bare number", INVALID, "\x93\x07\x01\x91\x05"),
    MESSAGE("a record with a field missing", INVALID, "\x93\x07\x01\x91\x90"),
    MESSAGE("half a range", INVALID, "\x93\x13\x07\xc4\x08" U64("\x01")),
    MESSAGE("an empty range", INVALID, "\x93\x13\x07\xc4\x10" U64("\x01") ZERO8),
    MESSAGE("ranges out of order",
            INVALID,
            "\x93\x13\x07\xc4\x20" U64("\x05") U64("\x01") U64("\x01") U64("\x01")),
    MESSAGE("ranges that overlap",
            INVALID,
            "\x93\x13\x07\xc4\x20" U64("\x01") U64("\x02") U64("\x02") U64("\x01")),
    MESSAGE("a range past 2^63 - 1",
            INVALID,
            "\x93\x13\x07\xc4\x10"
            "\xff\xff\xff\xff\xff\xff\xff\x7f" U64("\x01")),
    MESSAGE("a range whose end wraps",
            INVALID,
            "\x93\x13\x07\xc4\x10" U64("\x02") "\xff\xff\xff\xff\xff\xff\xff\xff"),
    MESSAGE("an unknown critical extension", UNSUPPORTED, "\x93\x33\x01\x81\x03\xc0"),
    MESSAGE("an unknown critical extension in a record",
            UNSUPPORTED,
            "\x93\x07\x01\x91\x92\x05\x81\x01\xc0"),
    MESSAGE("extension keys out of order", INVALID, "\x93\x33\x01\x82\x04\xc0\x02\xc0"),
    MESSAGE("an extension key twice", INVALID, "\x93\x33\x01\x82\x02\xc0\x02\xc0"),
    MESSAGE("an extension key that is text",
            INVALID,
            "\x93\x33\x01\x81\xa1"
            "a"
            "\xc0"),
    MESSAGE("extensions that are an array", INVALID, "\x93\x33\x01\x90"),
    ITEMS("an unknown format", "\x92\x00\x00" ZERO4),
    ITEMS("more values than the limit", "\x92\x01\xce\x00\x10\x00\x01" ZERO8),
    ITEMS("offsets cut short", "\x92\x01\x02" ZERO4 "\1\0\0\0"),
    ITEMS("offsets that do not start at 0", "\x92\x01\x01\1\0\0\0\2\0\0\0\x03\x04"),
    ITEMS("offsets that descend", "\x92\x01\x02" ZERO4 "\2\0\0\0\1\0\0\0\x03"),
    ITEMS("an empty value", "\x92\x01\x02" ZERO4 ZERO4 "\1\0\0\0\x03"),
    ITEMS("offsets past the blob", "\x92\x01\x01" ZERO4 "\2\0\0\0\x03"),
    ITEMS("bytes after the blob", "\x92\x01\x01" ZERO4 "\1\0\0\0\x03\x04"),
    RESULT("runs that name another number of tasks",
           "\x99\x01\x01\xc4\x10" U64("\x00") U64("\x02") "\x02\0\0\0\0\xc4\0" ZERO4
                                                          "\1\0\0\0\x03"),
    RESULT("times for another number of tasks",
           "\x99\x01\x01\xc4\x10" U64("\x00") U64("\x01") "\x02\0\0\0\0\xc4\x04" ZERO4 ZERO4
                                                          "\1\0\0\0\x03"),
};

struct refusal *refusals_make(struct maker *maker, size_t *count)
{
    struct refusal *copy = maker_alloc(maker, sizeof(refusals));

    memcpy(copy, refusals, sizeof(refusals));
    *count = TRI_COUNT_OF(refusals);
    return copy;
}
