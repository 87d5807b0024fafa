/* map.h - hash maps that are walked in insertion order: tri_map (u64 to pointer) and tri_bytemap
 * (bytes to a pointer or a number).
 *
 * Entries stand in one dense array in the order of insertion; a table of positions with open
 * addressing finds them. Nothing depends on addresses, so the same calls give the same walk.
 *
 * Time:    O(1) expected for find, put, remove; a walk step O(1) amortised.
 * Threads: one owner at a time; reading from several threads is fine while nobody writes.
 * Memory:  tri_map owns no values. tri_bytemap copies its keys.
 * Errors:  tri_map_put aborts when memory is out; after tri_map_reserve it cannot.
 *          tri_bytemap_at returns NULL instead.
 * Limits:  2^31 entries.
 */
#ifndef TRI_MAP_H
#define TRI_MAP_H

#include "common/types.h"

/* ---- u64 to pointer ------------------------------------------------------------------------- */

struct tri_map_entry {
    uint64_t key;
    void *value; /* NULL = removed, skipped by the walk */
};

struct tri_map {
    struct tri_map_entry *entries;
    uint32_t *slots; /* entry number + 1; 0 = free */
    size_t count;    /* live entries */
    size_t used;     /* entries in the array, removed ones included */
    size_t slot_count;
};

void tri_map_init(struct tri_map *self);
void tri_map_deinit(struct tri_map *self);

/* Room for `more` further entries. False when memory is out. */
bool tri_map_reserve(struct tri_map *self, size_t more);

/* The value under `key`, or NULL. */
void *tri_map_find(const struct tri_map *self, uint64_t key);

/* Put `value` (not NULL) under `key`. Returns the value that it replaces (which keeps its place in
 * the walk), or NULL. */
void *tri_map_put(struct tri_map *self, uint64_t key, void *value);

/* Remove what is under `key` and return it, or NULL. */
void *tri_map_remove(struct tri_map *self, uint64_t key);

/* Remove everything, keep the memory. */
void tri_map_clear(struct tri_map *self);

/* Walk: `*cursor` starts at 0; false at the end. During a walk entries may be removed, not put.
 *     for (size_t at = 0; tri_map_next(&map, &at, &key, &value);) */
bool tri_map_next(const struct tri_map *self, size_t *cursor, uint64_t *key, void **value);

/* Verify counts and that every entry is found; assert on the first that is broken. O(n). */
void tri_map_check(const struct tri_map *self);

/* ---- bytes to pointer or number ------------------------------------------------------------- */

union tri_bytemap_value {
    void *pointer;
    uint64_t number;
};

struct tri_bytemap_entry {
    size_t key_offset; /* into keys */
    uint32_t key_size;
    uint32_t hash; /* its low half; UINT32_MAX size marks a removed entry */
    union tri_bytemap_value value;
};

struct tri_bytemap {
    struct tri_bytemap_entry *entries;
    uint32_t *slots;
    size_t count;
    size_t used;
    size_t slot_count;
    uint8_t *keys;
    size_t keys_size;
    size_t keys_capacity;
    uint64_t seed;
};

/* `seed` shapes only the hash, never the walk: a random one keeps hostile keys from colliding. */
void tri_bytemap_init(struct tri_bytemap *self, uint64_t seed);
void tri_bytemap_deinit(struct tri_bytemap *self);

/* Room for `more` further entries with `key_bytes` bytes of keys in all: that many calls of
 * tri_bytemap_at cannot fail then. False when memory is out. */
bool tri_bytemap_reserve(struct tri_bytemap *self, size_t more, size_t key_bytes);

/* The value under `key`, valid until the next insertion; NULL when absent. */
union tri_bytemap_value *tri_bytemap_find(const struct tri_bytemap *self, struct tri_bytes key);

/* Find or insert (zeroed). `*added` (may be NULL) says which. The value is valid until the next
 * insertion. NULL when memory is out or the key is 4 GiB or longer. */
union tri_bytemap_value *tri_bytemap_at(struct tri_bytemap *self,
                                        struct tri_bytes key,
                                        bool *added);

/* Remove what is under `key`; false when it was absent. Key bytes are reclaimed as the map grows.
 */
bool tri_bytemap_remove(struct tri_bytemap *self, struct tri_bytes key);

/* Remove everything, keep the memory. */
void tri_bytemap_clear(struct tri_bytemap *self);

/* Walk in insertion order, as tri_map_next. `*key` is borrowed until the next insertion. */
bool tri_bytemap_next(const struct tri_bytemap *self,
                      size_t *cursor,
                      struct tri_bytes *key,
                      union tri_bytemap_value *value);

#endif
