/* cases.h - the test vectors as values: what the text files beside this one are written from.
 *
 * Four cases for each message and record: `empty` (zeros and nothing), `full` (numbers at their
 * limits, something in every text, list and set of ranges), `typical` (as it occurs in story.c)
 * and `extended` (typical, with an unknown optional extension); and item and result chunks.
 *
 * Memory: everything lives as long as the maker.
 */
#ifndef TESTS_VECTORS_CASES_H
#define TESTS_VECTORS_CASES_H

#include "tests/vectors/structs.h"

enum vector_kind { VECTOR_MESSAGE, VECTOR_RECORD, VECTOR_ITEMS, VECTOR_RESULT };

struct vector {
    enum vector_kind kind;
    uint64_t type;    /* message or record type; chunks: that of the head */
    const char *name; /* HELLO, SPEC, ITEMS: also the name of the file */
    const char *title;
    struct tri_bytes bytes;
};

struct vector *vectors_make(struct maker *maker, size_t *count);

/* Frames that must be refused, and with which status. */
struct refusal {
    enum vector_kind kind;
    uint64_t type; /* records */
    const char *title;
    enum tri_status status;
    struct tri_bytes bytes;
};

struct refusal *refusals_make(struct maker *maker, size_t *count);

/* One message of the worked example. */
struct step {
    const char *from;
    const char *to;
    struct tri_message message;
    const struct tri_bytes *frames; /* payload: frame 1 and on */
    size_t frame_count;
    bool told; /* part of the example session; otherwise only the typical case of its type */
};

/* Every message type at least once, in the order in which they would be sent. */
struct step *story_make(struct maker *maker, size_t *count);

/* The typical record of each type. */
void story_record(struct maker *maker, enum tri_record_type type, union tri_any_record *record);

/* Copies that live as long as the maker. */
struct tri_bytes keep_buffer(struct maker *maker, struct tri_buffer *buffer);
struct tri_bytes keep_message(struct maker *maker, const struct tri_message *message);
struct tri_bytes keep_record(struct maker *maker, enum tri_record_type type, const void *record);

#endif
