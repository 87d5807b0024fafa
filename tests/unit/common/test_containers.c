/* list.h, heap.h, map.h and ordered.h: against plain arrays under seeded random operations. */
#include "common/heap.h"
#include "common/list.h"
#include "common/map.h"
#include "common/ordered.h"
#include "common/prng.h"
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>

struct item {
    struct tri_dlist_node link;
    struct tri_heap_node heap;
    struct tri_ordered_node ordered;
    uint64_t key;
    uint64_t stamp; /* when it was put, for ties */
    bool in;
};

#define ITEMS 100

START_TEST(a_list_keeps_its_order_and_count)
{
    struct item items[4] = { 0 };
    struct tri_dlist_head list;
    int visited = 0;

    tri_dlist_init(&list);
    ck_assert(tri_dlist_is_empty(&list) && tri_dlist_pop_front(&list) == NULL);
    tri_dlist_push_back(&list, &items[1].link);
    tri_dlist_push_back(&list, &items[3].link);
    tri_dlist_push_front(&list, &items[0].link);
    tri_dlist_insert_before(&list, &items[3].link, &items[2].link);
    ck_assert_uint_eq(list.count, 4);
    tri_dlist_foreach(&list, node)
    {
        ck_assert_ptr_eq(tri_container_of(node, struct item, link), &items[visited++]);
        if (visited == 2)
            tri_dlist_remove(&list, node);
    }
    ck_assert_int_eq(visited, 4);
    ck_assert(!tri_dlist_is_linked(&items[1].link) && tri_dlist_is_linked(&items[2].link));
    ck_assert_ptr_eq(tri_dlist_next(&list, &items[0].link), &items[2].link);
    ck_assert_ptr_eq(tri_dlist_prev(&list, &items[0].link), NULL);
    ck_assert_ptr_eq(tri_dlist_last(&list), &items[3].link);
    ck_assert_ptr_eq(tri_dlist_pop_front(&list), &items[0].link);
    ck_assert_uint_eq(list.count, 2);
}
END_TEST

/* The item that is in and comes first by key, then by stamp, among those with keys from `low`. */
static struct item *model_first(struct item *items, uint64_t low)
{
    struct item *best = NULL;

    for (int i = 0; i < ITEMS; i++) {
        struct item *item = &items[i];

        if (!item->in || item->key < low)
            continue;
        if (best == NULL || item->key < best->key
            || (item->key == best->key && item->stamp < best->stamp))
            best = item;
    }
    return best;
}

START_TEST(a_heap_gives_the_smallest_key_and_equal_ones_in_order)
{
    struct item *items = calloc(ITEMS, sizeof(*items));
    struct tri_heap heap;
    struct tri_prng prng;
    uint64_t stamp = 0;

    tri_heap_init(&heap);
    tri_prng_init(&prng, (uint64_t)_i);
    for (int i = 0; i < 3000; i++) {
        struct item *item = &items[tri_prng_below(&prng, ITEMS)];
        struct item *first = model_first(items, 0);

        ck_assert_ptr_eq(tri_heap_peek(&heap), first != NULL ? &first->heap : NULL);
        if (tri_prng_below(&prng, 4) == 0) {
            ck_assert_ptr_eq(tri_heap_pop(&heap), first != NULL ? &first->heap : NULL);
            if (first != NULL)
                first->in = false;
        } else if (item->in && tri_prng_below(&prng, 2) == 0) {
            tri_heap_remove(&heap, &item->heap);
            item->in = false;
        } else {
            item->key = tri_prng_below(&prng, 50);
            item->stamp = stamp++;
            item->in = true;
            tri_heap_update(&heap, &item->heap, item->key);
        }
        if (i % 16 == 0)
            tri_heap_check(&heap);
    }
    tri_heap_deinit(&heap);
    free(items);
}
END_TEST

static void expect_order(const struct tri_ordered *tree, struct item *items)
{
    uint64_t count = 0;
    const struct tri_ordered_node *prev = NULL;

    tri_ordered_check(tree);
    for (const struct tri_ordered_node *node = tri_ordered_first(tree); node != NULL;
         node = tri_ordered_next(node)) {
        const struct item *item = tri_container_of(node, struct item, ordered);

        ck_assert(item->in && item->key == node->key);
        ck_assert_ptr_eq(tri_ordered_prev(node), prev);
        if (prev != NULL && prev->key == node->key)
            ck_assert_uint_lt(tri_container_of(prev, struct item, ordered)->stamp, item->stamp);
        prev = node;
        count++;
    }
    ck_assert_ptr_eq(tri_ordered_last(tree), prev);
    for (int i = 0; i < ITEMS; i++)
        count -= items[i].in;
    ck_assert_uint_eq(count, 0);
}

START_TEST(an_ordered_tree_walks_and_finds_by_key)
{
    struct item *items = calloc(ITEMS, sizeof(*items));
    struct tri_ordered tree;
    struct tri_prng prng;
    uint64_t stamp = 0;

    tri_ordered_init(&tree);
    tri_prng_init(&prng, (uint64_t)_i);
    for (int i = 0; i < 4000; i++) {
        struct item *item = &items[tri_prng_below(&prng, ITEMS)];
        uint64_t key = tri_prng_below(&prng, 500);
        struct item *first = model_first(items, key);
        struct tri_ordered_node *node = tri_ordered_at_least(&tree, key);

        ck_assert_ptr_eq(node, first != NULL ? &first->ordered : NULL);
        node = tri_ordered_find(&tree, key);
        ck_assert_ptr_eq(node, first != NULL && first->key == key ? &first->ordered : NULL);
        node = tri_ordered_at_most(&tree, key);
        ck_assert(node == NULL || node->key <= key);
        node = node != NULL ? tri_ordered_next(node) : tri_ordered_first(&tree);
        ck_assert(node == NULL || node->key > key);
        if (item->in && tri_prng_below(&prng, 3) != 0) {
            tri_ordered_remove(&tree, &item->ordered);
            item->in = false;
        } else {
            item->key = key;
            item->stamp = stamp++;
            if (item->in)
                tri_ordered_move(&tree, &item->ordered, key);
            else
                tri_ordered_insert(&tree, &item->ordered, key);
            item->in = true;
        }
        if (i % 32 == 0)
            expect_order(&tree, items);
    }
    expect_order(&tree, items);
    free(items);
}
END_TEST

START_TEST(a_map_finds_what_was_put_and_walks_in_order_of_putting)
{
    struct item *items = calloc(ITEMS, sizeof(*items));
    struct tri_map map;
    struct tri_prng prng;
    uint64_t stamp = 1;
    uint64_t key;
    void *value;

    tri_map_init(&map);
    tri_prng_init(&prng, (uint64_t)_i);
    for (int i = 0; i < 5000; i++) {
        uint64_t at = tri_prng_below(&prng, i < 2500 ? ITEMS : 5);
        struct item *item = &items[at];
        uint64_t last = 0;
        size_t walked = 0;

        key = at << 32;
        ck_assert_ptr_eq(tri_map_find(&map, key), item->in ? item : NULL);
        if (tri_prng_below(&prng, 2) == 0) {
            ck_assert_ptr_eq(tri_map_remove(&map, key), item->in ? item : NULL);
            item->in = false;
        } else {
            ck_assert_ptr_eq(tri_map_put(&map, key, item), item->in ? item : NULL);
            if (!item->in)
                item->stamp = stamp++;
            item->in = true;
        }
        if (i % 16 != 0)
            continue;
        tri_map_check(&map);
        for (size_t cursor = 0; tri_map_next(&map, &cursor, &key, &value); walked++) {
            item = value;
            ck_assert(item->in && item->stamp > last);
            ck_assert_uint_eq(key, (uint64_t)(item - items) << 32);
            last = item->stamp;
        }
        ck_assert_uint_eq(walked, map.count);
    }
    tri_map_deinit(&map);
    free(items);
}
END_TEST

START_TEST(entries_of_a_map_may_be_removed_during_a_walk)
{
    struct tri_map map;
    uint64_t key;
    void *value;
    uint64_t seen = 0;

    tri_map_init(&map);
    for (uint64_t i = 0; i < 100; i++)
        tri_map_put(&map, i, &map);
    for (size_t cursor = 0; tri_map_next(&map, &cursor, &key, &value);) {
        ck_assert_uint_eq(key, seen++);
        ck_assert_ptr_eq(tri_map_remove(&map, key), &map);
    }
    ck_assert_uint_eq(seen, 100);
    ck_assert_uint_eq(map.count, 0);
    tri_map_deinit(&map);
}
END_TEST

/* Key n: lengths 0 to 40, differing in places that 8-byte steps of a hash must not miss. */
static struct tri_bytes text_key(uint64_t n, char buffer[64])
{
    size_t size = n % 41;

    memset(buffer, 'k', 64);
    if (size >= 8)
        memcpy(buffer + size - 8, &n, 8);
    else
        size = 0;
    return (struct tri_bytes){ (const uint8_t *)buffer, size };
}

START_TEST(a_bytemap_copies_keys_and_finds_them)
{
    struct tri_bytemap map;
    struct tri_prng prng;
    uint64_t numbers[ITEMS] = { 0 };
    char buffer[64];
    size_t count = 0;

    tri_bytemap_init(&map, (uint64_t)_i);
    tri_prng_init(&prng, (uint64_t)_i);
    for (int i = 0; i < 6000; i++) {
        uint64_t n = 8 + tri_prng_below(&prng, ITEMS - 8);
        struct tri_bytes key = text_key(n, buffer);
        union tri_bytemap_value *value = tri_bytemap_find(&map, key);
        bool added;

        if (key.size == 0)
            n = 0;
        ck_assert_uint_eq(value != NULL ? value->number : 0, numbers[n]);
        if (tri_prng_below(&prng, 3) == 0) {
            ck_assert_int_eq(tri_bytemap_remove(&map, key), numbers[n] != 0);
            count -= numbers[n] != 0;
            numbers[n] = 0;
        } else {
            value = tri_bytemap_at(&map, key, &added);
            ck_assert_int_eq(added, numbers[n] == 0);
            count += added;
            value->number = numbers[n] = (uint64_t)i + 1;
        }
        ck_assert_uint_eq(map.count, count);
    }
    tri_bytemap_deinit(&map);
}
END_TEST

START_TEST(a_bytemap_walks_in_order_of_insertion_whatever_its_seed)
{
    struct tri_bytemap map;
    union tri_bytemap_value value;
    struct tri_bytes key;
    uint64_t n = 0;

    tri_bytemap_init(&map, (uint64_t)_i * 77);
    ck_assert(tri_bytemap_reserve(&map, 10, 80));
    for (uint64_t i = 0; i < 5000; i++) {
        key = (struct tri_bytes){ (const uint8_t *)&i, 8 };
        tri_bytemap_at(&map, key, NULL)->number = i;
    }
    for (uint64_t i = 0; i < 5000; i += 2)
        ck_assert(tri_bytemap_remove(&map, (struct tri_bytes){ (const uint8_t *)&i, 8 }));
    for (size_t cursor = 0; tri_bytemap_next(&map, &cursor, &key, &value); n++) {
        ck_assert_uint_eq(value.number, 2 * n + 1);
        ck_assert(key.size == 8 && memcmp(key.data, &value.number, 8) == 0);
    }
    ck_assert_uint_eq(n, 2500);
    tri_bytemap_clear(&map);
    ck_assert_uint_eq(map.count, 0);
    ck_assert(!tri_bytemap_next(&map, &(size_t){ 0 }, &key, &value));
    tri_bytemap_deinit(&map);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("containers");

    tcase_add_test(tcase, a_list_keeps_its_order_and_count);
    tcase_add_loop_test(tcase, a_heap_gives_the_smallest_key_and_equal_ones_in_order, 0, 2);
    tcase_add_loop_test(tcase, an_ordered_tree_walks_and_finds_by_key, 0, 2);
    tcase_add_loop_test(tcase, a_map_finds_what_was_put_and_walks_in_order_of_putting, 0, 2);
    tcase_add_test(tcase, entries_of_a_map_may_be_removed_during_a_walk);
    tcase_add_loop_test(tcase, a_bytemap_copies_keys_and_finds_them, 0, 2);
    tcase_add_loop_test(tcase, a_bytemap_walks_in_order_of_insertion_whatever_its_seed, 0, 2);
    return unit_run("containers", tcase);
}
