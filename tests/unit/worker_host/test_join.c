#include "tests/unit/unit.h"
#include "worker/host_box.h"
#include "worker/host_join.h"

#include <stdlib.h>

static struct lease lease;
static const struct batch batch = { .output_bytes_max = 1000 };

static struct box *new_box(const char *reducer)
{
    tri_dlist_init(&lease.boxes);
    return box_new(&lease, reducer);
}

/* The value of task i is i * 3. */
static void keep(struct box *box, uint64_t index, bool timed)
{
    struct tri_value value = tri_value_int((int64_t)index * 3);

    ck_assert_int_eq(box_keep(box, index, &value, &batch, NULL), TRI_OK);
    if (timed)
        box_cost(box, (struct task_cost){ index * 1000, index * 500 });
}

static void keep_range(struct box *box, uint64_t first, uint64_t count)
{
    for (uint64_t i = first; i < first + count; i++)
        keep(box, i, true);
}

/* Join the boxes; every value and time must stand where the runs say. Returns how many runs. */
static size_t expect_joined(struct box *const *boxes, size_t count, uint64_t total, bool timed)
{
    struct haul hauls[4];
    struct haul *pointers[4];
    struct tri_buffer frame;
    struct tri_rec_result head;
    struct tri_chunk chunk;
    uint32_t at = 0;

    tri_buffer_init(&frame);
    for (size_t i = 0; i < count; i++) {
        box_give(boxes[i], NULL, &hauls[i]);
        ck_assert(box_is_empty(boxes[i]));
        pointers[i] = &hauls[i];
    }
    haul_encode_results(pointers, count, TRI_MODEL_THREAD, &frame);
    ck_assert_int_eq(tri_result_open(tri_buffer_bytes(&frame), &head, &chunk, NULL), TRI_OK);
    ck_assert_uint_eq(head.count, total);
    ck_assert_uint_eq(head.model, TRI_MODEL_THREAD);
    ck_assert_uint_eq(head.flags, timed ? 0 : TRI_RESULT_SAMPLED);
    ck_assert_uint_eq(head.task_us.size, timed ? total * 8 : 0);
    for (size_t r = 0; r < head.runs.count; r++) {
        struct tri_range run = tri_ranges_at(head.runs, r);

        for (uint64_t i = run.first; i < run.first + run.count; i++, at++) {
            struct tri_value value;
            uint32_t pair[2] = { (uint32_t)i, (uint32_t)(i / 2) };

            ck_assert_int_eq(tri_value_unpack_whole(tri_chunk_at(&chunk, at), &value, NULL),
                             TRI_OK);
            ck_assert_int_eq(value.integer, (int64_t)i * 3);
            if (timed)
                ck_assert(memcmp(head.task_us.data + (size_t)at * 8, pair, sizeof(pair)) == 0);
        }
    }
    tri_buffer_deinit(&frame);
    for (size_t i = 0; i < count; i++)
        haul_deinit(&hauls[i]);
    return head.runs.count;
}

START_TEST(one_haul_in_order_is_sent_as_it_is)
{
    struct box *box = new_box(NULL);

    keep_range(box, 5, 10);
    keep_range(box, 100, 2);
    ck_assert_uint_eq(expect_joined(&box, 1, 12, true), 2);
    box_destroy(&box);
}
END_TEST

START_TEST(scattered_completions_are_sorted)
{
    struct box *box = new_box(NULL);
    uint64_t order[] = { 900, 3, 70000, 4, 5, 2, 901, 899 };

    for (size_t i = 0; i < TRI_COUNT_OF(order); i++)
        keep(box, order[i], true);
    ck_assert_uint_eq(expect_joined(&box, 1, TRI_COUNT_OF(order), true), 3);
    box_destroy(&box);
}
END_TEST

START_TEST(oars_that_took_turns_join_into_one_run)
{
    struct box *boxes[2] = { new_box(NULL), NULL };

    boxes[1] = box_new(&lease, NULL);
    for (uint64_t i = 0; i < 1000; i += 10)
        keep_range(boxes[i / 10 % 2], i, 10);
    ck_assert_uint_eq(expect_joined(boxes, 2, 1000, true), 1);
    box_destroy(&boxes[0]);
    box_destroy(&boxes[1]);
}
END_TEST

START_TEST(times_are_left_out_when_some_are_unknown)
{
    struct box *boxes[2] = { new_box(NULL), NULL };

    boxes[1] = box_new(&lease, NULL);
    keep(boxes[0], 7, true);
    keep(boxes[1], 3, false);
    keep(boxes[1], 9, true);
    ck_assert_uint_eq(expect_joined(boxes, 2, 3, false), 3);
    box_destroy(&boxes[0]);
    box_destroy(&boxes[1]);
}
END_TEST

START_TEST(partials_of_one_lease_are_merged)
{
    struct box *boxes[2] = { new_box("sum"), NULL };
    struct haul hauls[2];
    struct haul *pointers[2] = { &hauls[0], &hauls[1] };
    struct tri_msg_partial message = { 0 };
    struct host_runs ranges = { 0 };
    struct tri_buffer frame;
    struct tri_buffer text;
    struct tri_reducer *reducer = tri_reducer_new("sum", NULL);

    boxes[1] = box_new(&lease, "sum");
    for (uint64_t i = 0; i < 100; i++)
        keep(boxes[i % 2], i, false);
    keep(boxes[1], 500, false);
    for (size_t i = 0; i < 2; i++)
        box_give(boxes[i], "sum", &hauls[i]);
    tri_buffer_init(&frame);
    tri_buffer_init(&text);
    haul_encode_partial(pointers, 2, &message, &ranges, &frame);
    ck_assert_uint_eq(message.ranges.count, 2);
    ck_assert_uint_eq(ranges.items[0].count, 100);
    ck_assert_uint_eq(ranges.items[1].first, 500);
    ck_assert_int_eq(
        tri_reducer_merge(reducer, tri_buffer_bytes(&frame), ranges.items, ranges.count, NULL),
        TRI_OK);
    ck_assert_int_eq(tri_reducer_finish_text(reducer, &text, NULL), TRI_OK);
    ck_assert_uint_eq(text.size, 5);
    ck_assert_mem_eq(text.data, "16350", 5);
    tri_reducer_destroy(&reducer);
    tri_buffer_deinit(&frame);
    tri_buffer_deinit(&text);
    free(ranges.items);
    for (size_t i = 0; i < 2; i++) {
        haul_deinit(&hauls[i]);
        box_destroy(&boxes[i]);
    }
}
END_TEST

START_TEST(a_box_counts_what_it_forgets)
{
    struct box *box = new_box(NULL);

    keep_range(box, 0, 10);
    box_entry(box, 10, TRI_OUTCOME_FAILED, TRI_MODEL_THREAD, tri_bytes_of("no"), NULL, NULL,
              (struct task_cost){ 0, 0 });
    ck_assert_uint_eq(haul_count(&box->haul), 11);
    ck_assert_uint_eq(box_forget(box), 11);
    ck_assert(box_is_empty(box));
    keep_range(box, 3, 2);
    ck_assert_uint_eq(expect_joined(&box, 1, 2, true), 1);
    box_destroy(&box);
}
END_TEST

START_TEST(what_is_no_value_is_not_kept)
{
    static const uint8_t half[] = { 0x92, 0x01 };
    struct tri_value wrong[] = {
        { .type = TRI_ANY },
        { .type = (enum tri_type)77 },
        { .type = TRI_COMPOUND, .bytes = { half, sizeof(half) } },
        { .type = TRI_COMPOUND, .bytes = { half, 0 } },
    };
    struct box *box = new_box(NULL);

    for (size_t i = 0; i < TRI_COUNT_OF(wrong); i++)
        ck_assert_int_eq(box_keep(box, i, &wrong[i], &batch, NULL), TRI_FAILED);
    ck_assert(box_is_empty(box));
    box_destroy(&box);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("join");

    tcase_add_test(tcase, one_haul_in_order_is_sent_as_it_is);
    tcase_add_test(tcase, scattered_completions_are_sorted);
    tcase_add_test(tcase, oars_that_took_turns_join_into_one_run);
    tcase_add_test(tcase, times_are_left_out_when_some_are_unknown);
    tcase_add_test(tcase, partials_of_one_lease_are_merged);
    tcase_add_test(tcase, a_box_counts_what_it_forgets);
    tcase_add_test(tcase, what_is_no_value_is_not_kept);
    return unit_run("join", tcase);
}
