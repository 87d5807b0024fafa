#include "common/assert.h"
#include "common/value.h"
#include "tests/unit/unit.h"
#include "worker/host_box.h"
#include "worker/host_lease.h"

static struct host host;
static struct rower rowers[2];

static void set_up(void)
{
    host = (struct host){ .width = 2, .rower_count = 2 };
    tri_dlist_init(&host.leases);
    tri_dlist_init(&host.slices);
    rowers[0] = rowers[1] = (struct rower){ .host = &host, .grain = 1 };
}

static struct lease *add_lease(uint64_t id, uint64_t first, uint64_t count)
{
    struct tri_msg_lease message = { .lease = id, .first = first, .count = count };
    struct lease *lease;

    ck_assert_int_eq(lease_open(&host.batch, &message, NULL, 0, &lease, NULL), TRI_OK);
    lease_enqueue(&host, lease);
    return lease;
}

/* As a rower does: begin all of its run. Returns how many tasks that were. */
static uint64_t row(struct rower *rower)
{
    uint64_t count = rower->end - rower->next;

    rower->next = rower->end;
    return count;
}

static void finish_all(struct rower *rower)
{
    while (lease_grab(&host, rower)) {
        struct lease *lease = rower->lease;

        lease_settle(&host, lease, row(rower));
    }
}

START_TEST(every_task_is_grabbed_once_and_in_order)
{
    uint64_t at = 100;

    add_lease(1, 100, 1000);
    host.task_ns = 1000;
    while (lease_grab(&host, &rowers[0])) {
        ck_assert_uint_eq(rowers[0].next, at);
        at = rowers[0].end;
        lease_settle(&host, rowers[0].lease, row(&rowers[0]));
    }
    ck_assert_uint_eq(at, 1100);
    ck_assert_uint_eq(host.queued, 0);
    ck_assert(tri_dlist_is_empty(&host.leases));
}
END_TEST

START_TEST(tasks_of_unknown_or_great_length_are_grabbed_one_by_one)
{
    static const uint64_t lengths[] = { 0, 50000, 1000000000 };

    for (size_t i = 0; i < TRI_COUNT_OF(lengths); i++) {
        set_up();
        add_lease(1, 0, 100);
        host.task_ns = lengths[i];
        ck_assert(lease_grab(&host, &rowers[0]));
        ck_assert_uint_eq(rowers[0].end - rowers[0].next, 1);
        lease_settle(&host, rowers[0].lease, row(&rowers[0]));
        finish_all(&rowers[0]);
    }
}
END_TEST

START_TEST(a_run_grows_slowly_to_fifty_microseconds_of_work)
{
    uint64_t before = 1;
    uint64_t longest = 0;

    add_lease(1, 0, 1000000);
    host.task_ns = 10;
    while (lease_grab(&host, &rowers[0])) {
        uint64_t count = row(&rowers[0]);

        ck_assert_uint_le(count, before * 4);
        ck_assert_uint_le(count, 5000);
        before = count;
        longest = count > longest ? count : longest;
        lease_settle(&host, rowers[0].lease, count);
    }
    ck_assert_uint_eq(longest, 5000);
}
END_TEST

START_TEST(the_tail_is_shared)
{
    add_lease(1, 0, 8);
    host.task_ns = 5000;
    rowers[0].grain = rowers[1].grain = 1000;
    ck_assert(lease_grab(&host, &rowers[0]));
    ck_assert_uint_eq(row(&rowers[0]), 2);
    ck_assert(lease_grab(&host, &rowers[1]));
    ck_assert_uint_eq(row(&rowers[1]), 1);
    lease_settle(&host, rowers[0].lease, 3);
    finish_all(&rowers[0]);
    lease_leave(&host, &rowers[1]);
}
END_TEST

START_TEST(one_long_run_makes_tasks_long_and_short_ones_make_them_short_slowly)
{
    lease_learn(&host, 1000, 100);
    ck_assert_uint_eq(host.task_ns, 10);
    lease_learn(&host, 1000000, 1);
    ck_assert_uint_eq(host.task_ns, 1000000);
    lease_learn(&host, 0, 1);
    ck_assert_uint_eq(host.task_ns, 750000);
}
END_TEST

START_TEST(what_is_put_back_is_grabbed_next)
{
    add_lease(1, 0, 100);
    host.task_ns = 10;
    rowers[0].grain = 5;
    ck_assert(lease_grab(&host, &rowers[0]));
    rowers[0].next += 3;
    ck_assert_uint_eq(lease_ungrab(&host, &rowers[0]), 17);
    ck_assert_uint_eq(host.queued, 97);
    ck_assert(lease_grab(&host, &rowers[1]));
    ck_assert_uint_eq(rowers[1].next, 3);
    lease_settle(&host, rowers[0].lease, 3 + row(&rowers[1]));
    finish_all(&rowers[0]);
    lease_leave(&host, &rowers[1]);
    ck_assert(tri_dlist_is_empty(&host.leases));
}
END_TEST

START_TEST(the_middle_can_be_taken_out_of_the_queue)
{
    struct lease *lease = add_lease(1, 1000, 100);
    struct tri_rangeset taken;
    struct tri_range range;

    tri_rangeset_init(&taken);
    lease_unqueue(&host, lease, 1040, 20, &taken);
    lease_unqueue(&host, lease, 1090, UINT64_MAX - 1000, &taken);
    lease_unqueue(&host, lease, 0, 1001, &taken);
    ck_assert_uint_eq(tri_rangeset_count(&taken), 31);
    ck_assert_uint_eq(host.queued, 69);
    ck_assert(tri_rangeset_next(&taken, 1001, &range));
    ck_assert_uint_eq(range.first, 1040);
    lease_settle(&host, lease, 31);
    while (lease_grab(&host, &rowers[0])) {
        ck_assert(!tri_rangeset_intersects(&taken, rowers[0].next, rowers[0].end - rowers[0].next));
        lease_settle(&host, rowers[0].lease, row(&rowers[0]));
    }
    ck_assert(tri_dlist_is_empty(&host.leases));
    tri_rangeset_deinit(&taken);
}
END_TEST

START_TEST(only_the_named_lease_loses_tasks)
{
    struct lease *first = add_lease(1, 0, 10);
    struct lease *second = add_lease(2, 0, 10);

    tri_rangeset_add(&second->cancelled, 5, 100);
    lease_drop_cancelled(&host, second);
    ck_assert_uint_eq(first->left, 10);
    ck_assert_uint_eq(second->left, 5);
    ck_assert_ptr_eq(lease_find(&host, 2), second);
    finish_all(&rowers[0]);
    ck_assert_ptr_null(lease_find(&host, 2));
}
END_TEST

START_TEST(a_lease_outlives_its_tasks_while_somebody_stands_on_it)
{
    struct lease *lease = add_lease(1, 0, 1);

    lease_hold(lease);
    finish_all(&rowers[0]);
    ck_assert_ptr_eq(lease_find(&host, 1), lease);
    lease_unhold(&host, lease);
    ck_assert_ptr_null(lease_find(&host, 1));
}
END_TEST

START_TEST(few_rowers_are_wanted_for_little_work)
{
    host.width = 64;
    add_lease(1, 0, 100);
    ck_assert_uint_eq(lease_rowers_wanted(&host), 64);
    host.task_ns = 100;
    ck_assert_uint_eq(lease_rowers_wanted(&host), 1);
    host.task_ns = 1000;
    ck_assert_uint_eq(lease_rowers_wanted(&host), 2);
    host.task_ns = 1000000;
    ck_assert_uint_eq(lease_rowers_wanted(&host), 64);
    finish_all(&rowers[0]);
    ck_assert_uint_eq(lease_rowers_wanted(&host), 0);
}
END_TEST

/* ---- items ---------------------------------------------------------------------------------- */

static struct tri_bytes items(struct tri_buffer *frame, int64_t first, int64_t count)
{
    struct tri_chunk_builder builder;

    tri_chunk_builder_init(&builder);
    for (int64_t i = first; i < first + count; i++) {
        tri_pack_int(&builder.blob, i);
        tri_chunk_builder_close_value(&builder);
    }
    tri_buffer_init(frame);
    tri_items_encode(&builder, frame);
    tri_chunk_builder_deinit(&builder);
    return tri_buffer_bytes(frame);
}

START_TEST(a_run_stays_in_the_chunk_that_holds_it)
{
    struct tri_msg_lease message = { .lease = 1, .first = 50, .count = 100 };
    struct tri_buffer buffers[4];
    struct tri_bytes frames[4] = { items(&buffers[0], 50, 30), items(&buffers[1], 80, 0),
                                   items(&buffers[2], 80, 1), items(&buffers[3], 81, 69) };
    struct lease *lease;

    host.batch.spec.source = TRI_SOURCE_ITEMS;
    host.task_ns = 100;
    ck_assert_int_eq(lease_open(&host.batch, &message, frames, 4, &lease, NULL), TRI_OK);
    lease_enqueue(&host, lease);
    while (lease_grab(&host, &rowers[0])) {
        const struct lease_chunk *chunk = rowers[0].chunk;

        for (uint64_t i = rowers[0].next; i < rowers[0].end; i++) {
            struct tri_value value;

            ck_assert_uint_lt(i - chunk->first, chunk->chunk.count);
            ck_assert_int_eq(
                tri_value_unpack_whole(tri_chunk_at(&chunk->chunk, (uint32_t)(i - chunk->first)),
                                       &value, NULL),
                TRI_OK);
            ck_assert_int_eq(value.integer, (int64_t)i);
        }
        lease_settle(&host, lease, row(&rowers[0]));
    }
    for (size_t i = 0; i < 4; i++)
        tri_buffer_deinit(&buffers[i]);
}
END_TEST

START_TEST(items_that_are_not_as_many_as_the_tasks_are_refused)
{
    struct tri_msg_lease message = { .lease = 1, .first = 0, .count = 10 };
    struct tri_buffer buffer;
    struct tri_bytes frame = items(&buffer, 0, 9);
    struct tri_error error;
    struct lease *lease;

    host.batch.spec.source = TRI_SOURCE_ITEMS;
    ck_assert_int_eq(lease_open(&host.batch, &message, &frame, 1, &lease, &error), TRI_INVALID);
    ck_assert_str_eq(error.text, "a lease of 10 tasks came with 9 items");
    ck_assert_ptr_null(lease);
    frame.size--;
    ck_assert_int_eq(lease_open(&host.batch, &message, &frame, 1, &lease, &error), TRI_INVALID);
    tri_buffer_deinit(&buffer);
}
END_TEST

START_TEST(a_lease_of_nothing_or_past_the_end_is_refused)
{
    struct tri_msg_lease empty = { .lease = 1 };
    struct tri_msg_lease beyond = { .lease = 1, .first = INT64_MAX, .count = 2 };
    struct lease *lease;

    ck_assert_int_eq(lease_open(&host.batch, &empty, NULL, 0, &lease, NULL), TRI_INVALID);
    ck_assert_int_eq(lease_open(&host.batch, &beyond, NULL, 0, &lease, NULL), TRI_INVALID);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("lease");

    tcase_add_checked_fixture(tcase, set_up, NULL);
    tcase_add_test(tcase, every_task_is_grabbed_once_and_in_order);
    tcase_add_test(tcase, tasks_of_unknown_or_great_length_are_grabbed_one_by_one);
    tcase_add_test(tcase, a_run_grows_slowly_to_fifty_microseconds_of_work);
    tcase_add_test(tcase, the_tail_is_shared);
    tcase_add_test(tcase, one_long_run_makes_tasks_long_and_short_ones_make_them_short_slowly);
    tcase_add_test(tcase, what_is_put_back_is_grabbed_next);
    tcase_add_test(tcase, the_middle_can_be_taken_out_of_the_queue);
    tcase_add_test(tcase, only_the_named_lease_loses_tasks);
    tcase_add_test(tcase, a_lease_outlives_its_tasks_while_somebody_stands_on_it);
    tcase_add_test(tcase, few_rowers_are_wanted_for_little_work);
    tcase_add_test(tcase, a_run_stays_in_the_chunk_that_holds_it);
    tcase_add_test(tcase, items_that_are_not_as_many_as_the_tasks_are_refused);
    tcase_add_test(tcase, a_lease_of_nothing_or_past_the_end_is_refused);
    return unit_run("lease", tcase);
}
