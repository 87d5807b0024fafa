/* The bytes map of map.h. Built as map.c is; the keys stand back to back in one buffer. The hash is
 * xxHash's, compiled in, so that nothing but memory functions is called. */
#include "common/map.h"

#include "common/assert.h"

#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define SLOTS_MIN 16
#define ENTRIES_MAX ((size_t)1 << 31)
#define REMOVED UINT32_MAX

static uint32_t hash_of(const struct tri_bytemap *self, struct tri_bytes key)
{
    return (uint32_t)XXH3_64bits_withSeed(key.data, key.size, self->seed);
}

static bool is_key(const struct tri_bytemap *self,
                   const struct tri_bytemap_entry *entry,
                   uint32_t hash,
                   struct tri_bytes key)
{
    return entry->hash == hash && entry->key_size == key.size
           && (key.size == 0 || memcmp(self->keys + entry->key_offset, key.data, key.size) == 0);
}

/* The slot that holds `key`, or the free one where it belongs. Removed entries match nothing. */
static size_t slot_of(const struct tri_bytemap *self, uint32_t hash, struct tri_bytes key)
{
    size_t at = hash & (self->slot_count - 1);

    while (self->slots[at] != 0 && !is_key(self, &self->entries[self->slots[at] - 1], hash, key))
        at = (at + 1) & (self->slot_count - 1);
    return at;
}

static size_t free_slot(const struct tri_bytemap *self, uint32_t hash)
{
    size_t at = hash & (self->slot_count - 1);

    while (self->slots[at] != 0)
        at = (at + 1) & (self->slot_count - 1);
    return at;
}

/* Move the live entries of `old` into `self`, which has the room. */
static void entries_move(struct tri_bytemap *self, const struct tri_bytemap *old)
{
    for (size_t i = 0; i < old->used; i++) {
        struct tri_bytemap_entry entry = old->entries[i];

        if (entry.key_size == REMOVED)
            continue;
        if (entry.key_size != 0)
            memcpy(self->keys + self->keys_size, old->keys + entry.key_offset, entry.key_size);
        entry.key_offset = self->keys_size;
        self->keys_size += entry.key_size;
        self->slots[free_slot(self, entry.hash)] = (uint32_t)(self->used + 1);
        self->entries[self->used++] = entry;
    }
    self->count = self->used;
}

static size_t live_key_bytes(const struct tri_bytemap *self)
{
    size_t bytes = 0;

    for (size_t i = 0; i < self->used; i++) {
        if (self->entries[i].key_size != REMOVED)
            bytes += self->entries[i].key_size;
    }
    return bytes;
}

/* Rebuild with room for `entries` live entries and `key_bytes` further bytes of keys. */
static bool rebuild(struct tri_bytemap *self, size_t entries, size_t key_bytes)
{
    struct tri_bytemap fresh = { .slot_count = SLOTS_MIN, .seed = self->seed };
    size_t live = live_key_bytes(self);

    if (entries > ENTRIES_MAX || key_bytes > SIZE_MAX / 4 - live)
        return false;
    while (fresh.slot_count / 2 < entries)
        fresh.slot_count *= 2;
    fresh.keys_capacity = live + live / 2 + key_bytes + 64;
    fresh.slots = calloc(fresh.slot_count, sizeof(*fresh.slots));
    fresh.entries = malloc(fresh.slot_count / 2 * sizeof(*fresh.entries));
    fresh.keys = malloc(fresh.keys_capacity);
    if (fresh.slots == NULL || fresh.entries == NULL || fresh.keys == NULL) {
        tri_bytemap_deinit(&fresh);
        return false;
    }
    entries_move(&fresh, self);
    tri_bytemap_deinit(self);
    *self = fresh;
    return true;
}

void tri_bytemap_init(struct tri_bytemap *self, uint64_t seed)
{
    *self = (struct tri_bytemap){ .seed = seed };
}

void tri_bytemap_deinit(struct tri_bytemap *self)
{
    free(self->entries);
    free(self->slots);
    free(self->keys);
    tri_bytemap_init(self, self->seed);
}

bool tri_bytemap_reserve(struct tri_bytemap *self, size_t more, size_t key_bytes)
{
    uint8_t *keys;
    size_t capacity;

    if (self->slot_count / 2 - self->used < more) {
        if (more > ENTRIES_MAX - self->count)
            return false;
        return rebuild(self, self->count + more + self->count / 2, key_bytes);
    }
    if (self->keys_capacity - self->keys_size >= key_bytes)
        return true;
    if (key_bytes > SIZE_MAX / 4 - self->keys_size)
        return false;
    capacity = self->keys_size + self->keys_size / 2 + key_bytes;
    keys = realloc(self->keys, capacity);
    if (keys == NULL)
        return false;
    self->keys = keys;
    self->keys_capacity = capacity;
    return true;
}

union tri_bytemap_value *tri_bytemap_find(const struct tri_bytemap *self, struct tri_bytes key)
{
    size_t at;

    if (self->count == 0 || key.size >= REMOVED)
        return NULL;
    at = slot_of(self, hash_of(self, key), key);
    return self->slots[at] != 0 ? &self->entries[self->slots[at] - 1].value : NULL;
}

union tri_bytemap_value *tri_bytemap_at(struct tri_bytemap *self, struct tri_bytes key, bool *added)
{
    struct tri_bytemap_entry *entry;
    uint32_t hash;
    size_t at;

    if (added != NULL)
        *added = false;
    if (key.size >= REMOVED)
        return NULL;
    hash = hash_of(self, key);
    if (self->count != 0) {
        at = slot_of(self, hash, key);
        if (self->slots[at] != 0)
            return &self->entries[self->slots[at] - 1].value;
    }
    if (!tri_bytemap_reserve(self, 1, key.size))
        return NULL;
    entry = &self->entries[self->used];
    *entry = (struct tri_bytemap_entry){ .key_offset = self->keys_size,
                                         .key_size = (uint32_t)key.size,
                                         .hash = hash };
    if (key.size != 0)
        memcpy(self->keys + self->keys_size, key.data, key.size);
    self->keys_size += key.size;
    self->slots[free_slot(self, hash)] = (uint32_t)++self->used;
    self->count++;
    if (added != NULL)
        *added = true;
    return &entry->value;
}

bool tri_bytemap_remove(struct tri_bytemap *self, struct tri_bytes key)
{
    size_t at;

    if (self->count == 0 || key.size >= REMOVED)
        return false;
    at = slot_of(self, hash_of(self, key), key);
    if (self->slots[at] == 0)
        return false;
    self->entries[self->slots[at] - 1].key_size = REMOVED;
    if (--self->count == 0 && self->used >= self->slot_count / 4)
        tri_bytemap_clear(self); /* paid for by the entries that were put */
    return true;
}

void tri_bytemap_clear(struct tri_bytemap *self)
{
    if (self->slot_count != 0)
        memset(self->slots, 0, self->slot_count * sizeof(*self->slots));
    self->count = self->used = 0;
    self->keys_size = 0;
}

bool tri_bytemap_next(const struct tri_bytemap *self,
                      size_t *cursor,
                      struct tri_bytes *key,
                      union tri_bytemap_value *value)
{
    while (*cursor < self->used) {
        const struct tri_bytemap_entry *entry = &self->entries[(*cursor)++];

        if (entry->key_size == REMOVED)
            continue;
        *key = (struct tri_bytes){ self->keys + entry->key_offset, entry->key_size };
        *value = entry->value;
        return true;
    }
    return false;
}
