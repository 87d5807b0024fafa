/* parts.h - the records, lists and frames that the story is made of.
 *
 * Memory: everything lives as long as the maker.
 */
#ifndef TESTS_VECTORS_PARTS_H
#define TESTS_VECTORS_PARTS_H

#include "tests/vectors/cases.h"

#define TEXT(text)                                \
    {                                             \
        (const uint8_t *)(text), sizeof(text) - 1 \
    }
#define BATCH_ID TEXT("\x10\x11\x12\x13\x14\x15\x46\x17\x98\x19\x1a\x1b\x1c\x1d\x1e\x1f")
#define CLIENT_ID TEXT("\x20\x21\x22\x23\x24\x25\x46\x27\x98\x29\x2a\x2b\x2c\x2d\x2e\x2f")
#define WORKER_ID TEXT("\x30\x31\x32\x33\x34\x35\x46\x37\x98\x39\x3a\x3b\x3c\x3d\x3e\x3f")
#define CLUSTER_ID TEXT("\x40\x41\x42\x43\x44\x45\x46\x47\x98\x49\x4a\x4b\x4c\x4d\x4e\x4f")
#define NUMBER 7
#define LEASE 4294967297 /* epoch 1, lease 1 */

/* A list of one typical record, and one of a text record per word. */
struct tri_list parts_one(struct maker *maker, enum tri_record_type type);
struct tri_list parts_texts(struct maker *maker, const char *const *words, size_t count);

/* One range. */
struct tri_ranges parts_range(struct maker *maker, uint64_t first, uint64_t count);

/* The arguments as an item chunk, their squares as a result chunk: one frame each. */
struct tri_bytes *parts_items(struct maker *maker);
struct tri_bytes *parts_result(struct maker *maker);

/* XXH3-128 over the arguments back to back, or over nothing: canonical bytes. */
struct tri_bytes parts_hash(struct maker *maker, bool of_nothing);

/* The batch's SPEC record. */
struct tri_bytes parts_spec(struct maker *maker);

#endif
