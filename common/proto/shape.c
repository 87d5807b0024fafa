#include "common/proto/shape.h"

#include <string.h>

#define SHAPE_U(name, max) { #name, TRI_FIELD_UNSIGNED, 0, (max) },
#define SHAPE_I(name) { #name, TRI_FIELD_SIGNED, 0, 0 },
#define SHAPE_S(name, max) { #name, TRI_FIELD_STRING, 0, (max) },
#define SHAPE_B(name, max) { #name, TRI_FIELD_BINARY, 0, (max) },
#define SHAPE_R(name, max) { #name, TRI_FIELD_RANGES, 0, (max) },
#define SHAPE_L(name, record, max) \
    { #name, TRI_FIELD_LIST, (enum tri_record_type)RECORD_##record, (max) },
#define SHAPE(table) table(SHAPE_U, SHAPE_I, SHAPE_S, SHAPE_B, SHAPE_R, SHAPE_L)

#define SIZE_U(name, max) +sizeof(uint64_t)
#define SIZE_I(name) +sizeof(int64_t)
#define SIZE_S(name, max) +sizeof(struct tri_bytes)
#define SIZE_B(name, max) +sizeof(struct tri_bytes)
#define SIZE_R(name, max) +sizeof(struct tri_ranges)
#define SIZE_L(name, record, max) +sizeof(struct tri_list)
#define SIZE(table) (0 table(SIZE_U, SIZE_I, SIZE_S, SIZE_B, SIZE_R, SIZE_L))

/* Lists name their record in lower case, as its struct does. */
enum record_by_struct {
#define X(name, lower) RECORD_##lower = TRI_RECORD_##name,
    TRI_RECORD_MAP(X)
#undef X
};

#define X(name, lower)                                                       \
    static const struct tri_field rec_##lower[] = { SHAPE(TRI_REC_##name) }; \
    _Static_assert(sizeof(struct tri_rec_##lower) == SIZE(TRI_REC_##name), "padding in " #lower);
TRI_RECORD_MAP(X)
#undef X

#define X(name, code, lower)                                                 \
    static const struct tri_field msg_##lower[] = { SHAPE(TRI_MSG_##name) }; \
    _Static_assert(sizeof(struct tri_msg_##lower) == SIZE(TRI_MSG_##name), "padding in " #lower);
TRI_MESSAGE_MAP(X)
#undef X

static const struct tri_shape records[] = {
#define X(name, lower) \
    [TRI_RECORD_##     \
        name] = { #name, rec_##lower, TRI_COUNT_OF(rec_##lower), sizeof(struct tri_rec_##lower) },
    TRI_RECORD_MAP(X)
#undef X
};

/* Indexed by wire number; the gaps have no name. */
static const struct tri_shape messages[] = {
#define X(name, code, lower) \
    [code] = { #name, msg_##lower, TRI_COUNT_OF(msg_##lower), sizeof(struct tri_msg_##lower) },
    TRI_MESSAGE_MAP(X)
#undef X
};

const struct tri_shape *tri_message_shape(uint64_t type)
{
    if (type >= TRI_COUNT_OF(messages) || messages[type].name == NULL)
        return NULL;
    return &messages[type];
}

const struct tri_shape *tri_record_shape(enum tri_record_type type)
{
    return (size_t)type < TRI_COUNT_OF(records) ? &records[type] : NULL;
}

const char *tri_message_name(uint64_t type)
{
    const struct tri_shape *shape = tri_message_shape(type);

    return shape != NULL ? shape->name : "?";
}

size_t tri_ranges_check(struct tri_ranges ranges)
{
    uint64_t end = 0;

    for (size_t i = 0; i < ranges.count; i++) {
        struct tri_range range;

        memcpy(&range, ranges.data + i * sizeof(range), sizeof(range));
        if (range.first < end || range.count == 0 || range.first > TRI_RANGE_END_MAX
            || range.count > TRI_RANGE_END_MAX - range.first)
            return i;
        end = range.first + range.count;
    }
    return ranges.count;
}
