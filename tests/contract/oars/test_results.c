#include "fake_session.h"
#include "oars_cases.h"

#include <stdlib.h>
#include <string.h>

START_TEST(every_task_of_a_range_comes_back_with_its_value)
{
    struct fake fake;

    fake_open(&fake, &(struct fake_options){ .handler = "square", .width = 4, .first = -3 }, 50000);
    fake_lease(&fake, 0, 50000);
    fake_finish(&fake);
    for (int64_t i = 0; i < 50000; i++)
        fake_expect_integer(&fake, (uint64_t)i, (i - 3) * (i - 3));
    fake_close(&fake);
}
END_TEST

START_TEST(a_step_of_the_range_is_kept)
{
    struct fake fake;

    fake_open(&fake,
              &(struct fake_options){ .handler = "echo", .width = 2, .first = 10, .step = -7 },
              100);
    fake_lease(&fake, 40, 60);
    fake_finish(&fake);
    for (int64_t i = 40; i < 100; i++)
        ck_assert_int_eq(fake_integer(&fake, (uint64_t)i), 10 - 7 * i);
    fake_close(&fake);
}
END_TEST

START_TEST(a_task_knows_its_index_and_attempt)
{
    struct fake fake;

    fake_open(&fake, &(struct fake_options){ .handler = "index", .width = 2 }, 30);
    fake_lease(&fake, 20, 10);
    fake_finish(&fake);
    for (int64_t i = 20; i < 30; i++)
        ck_assert_int_eq(fake_integer(&fake, (uint64_t)i), i * 10 + 2);
    fake_close(&fake);
}
END_TEST

START_TEST(items_of_every_type_come_back_as_they_went)
{
    static const uint8_t array[] = { 0x92, 0x01, 0xa1, 'x' };
    struct tri_value values[] = {
        tri_value_nil(),
        tri_value_bool(true),
        tri_value_int(INT64_MIN),
        tri_value_float(-0.0),
        tri_value_string("", 0),
        tri_value_string("a\0b\xff", 4),
        tri_value_binary("", 0),
        tri_value_binary("\x00\x01", 2),
        { .type = TRI_COMPOUND, .bytes = { array, sizeof(array) } },
    };
    uint64_t count = TRI_COUNT_OF(values);
    struct fake fake;

    for (uint64_t chunk = 0; chunk <= 4; chunk++) {
        fake_open(
            &fake,
            &(struct fake_options){ .handler = "echo", .width = 3, .source = TRI_SOURCE_ITEMS },
            count + 5);
        fake_lease_items(&fake, 5, values, count, chunk);
        fake_finish(&fake);
        for (uint64_t i = 0; i < count; i++) {
            struct tri_value got = fake_value(&fake, 5 + i);

            ck_assert(tri_value_equals(&got, &values[i]));
        }
        fake_close(&fake);
    }
}
END_TEST

START_TEST(a_value_of_a_mebibyte_passes_both_ways)
{
    size_t size = 1u << 20;
    char *text = malloc(size);
    struct tri_value values[3];
    struct fake fake;

    memset(text, 'y', size);
    text[size - 1] = 'z';
    for (int i = 0; i < 3; i++)
        values[i] = tri_value_string(text, size);
    fake_open(&fake,
              &(struct fake_options){ .handler = "echo", .width = 2, .source = TRI_SOURCE_ITEMS },
              3);
    fake_lease_items(&fake, 0, values, 3, 1);
    fake_finish(&fake);
    for (uint64_t i = 0; i < 3; i++) {
        struct tri_value got = fake_value(&fake, i);

        ck_assert(tri_value_equals(&got, &values[i]));
    }
    fake_close(&fake);
    free(text);
}
END_TEST

START_TEST(many_leases_at_once_are_all_answered)
{
    struct fake fake;

    fake_open(&fake, &(struct fake_options){ .handler = "square", .width = 3 }, 5000);
    for (uint64_t i = 0; i < 5000; i += 10)
        fake_lease(&fake, i, 10);
    fake_finish(&fake);
    for (int64_t i = 0; i < 5000; i++)
        fake_expect_integer(&fake, (uint64_t)i, i * i);
    fake_close(&fake);
}
END_TEST

START_TEST(leases_one_after_the_other_are_each_answered_at_once)
{
    struct fake fake;

    fake_open(&fake, &(struct fake_options){ .handler = "square", .width = 2 }, 300);
    for (uint64_t i = 0; i < 300; i++) {
        fake_lease(&fake, i, 1);
        fake_finish(&fake);
    }
    ck_assert_uint_eq(fake.results, 300);
    fake_close(&fake);
}
END_TEST

START_TEST(there_may_be_more_oars_than_tasks)
{
    struct fake fake;

    fake_open(&fake, &(struct fake_options){ .handler = "square", .width = 64 }, 3);
    fake_lease(&fake, 0, 3);
    fake_finish(&fake);
    ck_assert_int_eq(fake_integer(&fake, 2), 4);
    fake_close(&fake);
}
END_TEST

/* Tasks that nap long enough for all oars to be used. A process has one oar in any case, on which
 * they nap one after the other. */
START_TEST(a_host_short_of_descriptors_does_with_fewer_oars)
{
    uint64_t count = model_under_test == TRI_MODEL_PROCESS ? 10 : 100;
    struct fake fake;

    fake_open(&fake,
              &(struct fake_options){
                  .handler = "nap.ms", .width = 200, .first = 1, .descriptors_max = 40 },
              count);
    fake_lease(&fake, 0, count);
    fake_finish(&fake);
    fake_value(&fake, count - 1);
    fake_close(&fake);
}
END_TEST

START_TEST(folded_results_cover_every_task_once)
{
    struct fake fake;

    fake_open(&fake,
              &(struct fake_options){ .handler = "echo", .width = 4, .first = 1, .reducer = "sum" },
              200000);
    for (uint64_t i = 0; i < 200000; i += 50000)
        fake_lease(&fake, i, 50000);
    fake_finish(&fake);
    ck_assert_str_eq(fake_reduced(&fake), "20000100000");
    ck_assert_uint_eq(fake.results, 0);
    fake_close(&fake);
}
END_TEST

START_TEST(failed_tasks_are_not_in_the_partial)
{
    struct fake fake;

    fake_open(&fake,
              &(struct fake_options){ .handler = "fail.odd", .width = 3, .reducer = "count" },
              1000);
    fake_lease(&fake, 0, 1000);
    fake_finish(&fake);
    ck_assert_str_eq(fake_reduced(&fake), "500");
    ck_assert_int_eq(fake.accounts[501].fate, FATE_ENDED);
    ck_assert_int_eq(fake.accounts[500].fate, FATE_FOLDED);
    fake_close(&fake);
}
END_TEST

START_TEST(a_value_that_cannot_be_folded_fails_its_task)
{
    struct tri_value values[] = { tri_value_int(4), tri_value_string("four", 4) };
    struct fake fake;

    fake_open(&fake,
              &(struct fake_options){
                  .handler = "echo", .width = 2, .reducer = "sum", .source = TRI_SOURCE_ITEMS },
              2);
    fake_lease_items(&fake, 0, values, 2, 0);
    fake_finish(&fake);
    ck_assert_str_eq(fake_reduced(&fake), "4");
    ck_assert_int_eq(fake.accounts[1].fate, FATE_ENDED);
    ck_assert_uint_eq(fake.accounts[1].outcome, TRI_OUTCOME_FAILED);
    fake_close(&fake);
}
END_TEST

START_TEST(texts_are_joined_in_index_order)
{
    struct tri_value values[26];
    struct fake fake;

    for (int i = 0; i < 26; i++)
        values[i] = tri_value_string(&"abcdefghijklmnopqrstuvwxyz"[i], 1);
    fake_open(&fake,
              &(struct fake_options){
                  .handler = "echo", .width = 4, .reducer = "concat", .source = TRI_SOURCE_ITEMS },
              26);
    fake_lease_items(&fake, 13, values + 13, 13, 5);
    fake_lease_items(&fake, 0, values, 13, 5);
    fake_finish(&fake);
    ck_assert_str_eq(fake_reduced(&fake), "abcdefghijklmnopqrstuvwxyz");
    fake_close(&fake);
}
END_TEST

START_TEST(long_tasks_are_timed_one_by_one)
{
    struct fake fake;

    fake_open(&fake,
              &(struct fake_options){ .handler = "nap.ms", .width = 4, .first = 30, .step = 1 }, 8);
    fake_lease(&fake, 0, 8);
    fake_finish(&fake);
    ck_assert_uint_eq(fake.task_times, 8);
    ck_assert_uint_eq(fake.sampled, 0);
    ck_assert_uint_ge(fake.wall_ns, UINT64_C(8) * 30 * 1000000);
    fake_close(&fake);
}
END_TEST

START_TEST(short_tasks_are_marked_as_sampled)
{
    struct fake fake;

    fake_open(&fake, &(struct fake_options){ .handler = "echo", .width = 2 }, 100000);
    fake_lease(&fake, 0, 100000);
    fake_finish(&fake);
    ck_assert_uint_gt(fake.sampled, 0);
    fake_close(&fake);
}
END_TEST

TCase *results_case(void)
{
    TCase *tcase = tcase_create("results");

    tcase_add_test(tcase, every_task_of_a_range_comes_back_with_its_value);
    tcase_add_test(tcase, a_step_of_the_range_is_kept);
    tcase_add_test(tcase, a_task_knows_its_index_and_attempt);
    tcase_add_test(tcase, items_of_every_type_come_back_as_they_went);
    tcase_add_test(tcase, a_value_of_a_mebibyte_passes_both_ways);
    tcase_add_test(tcase, many_leases_at_once_are_all_answered);
    tcase_add_test(tcase, leases_one_after_the_other_are_each_answered_at_once);
    tcase_add_test(tcase, there_may_be_more_oars_than_tasks);
    tcase_add_test(tcase, a_host_short_of_descriptors_does_with_fewer_oars);
    tcase_add_test(tcase, folded_results_cover_every_task_once);
    tcase_add_test(tcase, failed_tasks_are_not_in_the_partial);
    tcase_add_test(tcase, a_value_that_cannot_be_folded_fails_its_task);
    tcase_add_test(tcase, texts_are_joined_in_index_order);
    tcase_add_test(tcase, long_tasks_are_timed_one_by_one);
    tcase_add_test(tcase, short_tasks_are_marked_as_sampled);
    return tcase;
}
