/* The u64 map. `slots` is twice the room for entries, so a probe is short; removed entries keep
 * their slot until the next rebuild, which drops them and keeps the order of the others. */
#include "common/map.h"

#include "common/assert.h"
#include "common/prng.h"

#include <stdlib.h>
#include <string.h>

#define SLOTS_MIN 16
#define ENTRIES_MAX ((size_t)1 << 31)

static size_t slot_of(const struct tri_map *self, uint64_t key)
{
    size_t at = (size_t)tri_mix64(key) & (self->slot_count - 1);

    while (self->slots[at] != 0 && self->entries[self->slots[at] - 1].key != key)
        at = (at + 1) & (self->slot_count - 1);
    return at;
}

/* Rebuild with room for `entries` live entries. */
static bool rebuild(struct tri_map *self, size_t entries)
{
    struct tri_map fresh = { .slot_count = SLOTS_MIN };
    struct tri_map old = *self;

    if (entries > ENTRIES_MAX)
        return false;
    while (fresh.slot_count / 2 < entries)
        fresh.slot_count *= 2;
    fresh.slots = calloc(fresh.slot_count, sizeof(*fresh.slots));
    fresh.entries = calloc(fresh.slot_count / 2, sizeof(*fresh.entries));
    if (fresh.slots == NULL || fresh.entries == NULL) {
        free(fresh.slots);
        free(fresh.entries);
        return false;
    }
    for (size_t i = 0; i < old.used; i++) {
        if (old.entries[i].value == NULL)
            continue;
        fresh.entries[fresh.used] = old.entries[i];
        fresh.slots[slot_of(&fresh, old.entries[i].key)] = (uint32_t)++fresh.used;
    }
    fresh.count = fresh.used;
    *self = fresh;
    free(old.slots);
    free(old.entries);
    return true;
}

void tri_map_init(struct tri_map *self)
{
    *self = (struct tri_map){ 0 };
}

void tri_map_deinit(struct tri_map *self)
{
    free(self->entries);
    free(self->slots);
    *self = (struct tri_map){ 0 };
}

bool tri_map_reserve(struct tri_map *self, size_t more)
{
    if (self->slot_count / 2 - self->used >= more)
        return true;
    if (more > ENTRIES_MAX - self->count)
        return false;
    /* Half as much again, so that removing and putting in turn does not rebuild every time. */
    return rebuild(self, self->count + more + self->count / 2);
}

void *tri_map_find(const struct tri_map *self, uint64_t key)
{
    size_t at;

    if (self->count == 0)
        return NULL;
    at = slot_of(self, key);
    return self->slots[at] != 0 ? self->entries[self->slots[at] - 1].value : NULL;
}

void *tri_map_put(struct tri_map *self, uint64_t key, void *value)
{
    size_t at;
    void *old;

    tri_assert(value != NULL);
    if (self->slot_count != 0) {
        at = slot_of(self, key);
        if (self->slots[at] != 0 && self->entries[self->slots[at] - 1].value != NULL) {
            old = self->entries[self->slots[at] - 1].value;
            self->entries[self->slots[at] - 1].value = value;
            return old;
        }
    }
    if (!tri_map_reserve(self, 1))
        tri_out_of_memory();
    /* A removed entry of this key may still own the slot: the newer entry takes it over, so that
     * a key put again stands at the end of the walk. */
    at = slot_of(self, key);
    self->entries[self->used] = (struct tri_map_entry){ key, value };
    self->slots[at] = (uint32_t)++self->used;
    self->count++;
    return NULL;
}

void *tri_map_remove(struct tri_map *self, uint64_t key)
{
    struct tri_map_entry *entry;
    size_t at;
    void *value;

    if (self->count == 0)
        return NULL;
    at = slot_of(self, key);
    if (self->slots[at] == 0)
        return NULL;
    entry = &self->entries[self->slots[at] - 1];
    value = entry->value;
    if (value == NULL)
        return NULL;
    entry->value = NULL;
    if (--self->count == 0 && self->used >= self->slot_count / 4)
        tri_map_clear(self); /* paid for by the entries that were put */
    return value;
}

void tri_map_clear(struct tri_map *self)
{
    if (self->slot_count == 0)
        return;
    memset(self->slots, 0, self->slot_count * sizeof(*self->slots));
    memset(self->entries, 0, self->used * sizeof(*self->entries));
    self->count = self->used = 0;
}

bool tri_map_next(const struct tri_map *self, size_t *cursor, uint64_t *key, void **value)
{
    while (*cursor < self->used) {
        const struct tri_map_entry *entry = &self->entries[(*cursor)++];

        if (entry->value == NULL)
            continue;
        *key = entry->key;
        *value = entry->value;
        return true;
    }
    return false;
}

void tri_map_check(const struct tri_map *self)
{
    size_t live = 0;

    tri_assert(self->used <= self->slot_count / 2 && self->count <= self->used);
    for (size_t i = 0; i < self->used; i++) {
        const struct tri_map_entry *entry = &self->entries[i];

        if (entry->value == NULL)
            continue;
        live++;
        tri_assert(self->slots[slot_of(self, entry->key)] == i + 1);
    }
    tri_assert(live == self->count);
}
