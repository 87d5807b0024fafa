/* Partials: merged once each, and what they say of models. */
#include "tests/unit/client/story.h"

#include "common/proto/codec.h"
#include "common/reduce.h"

static void broker_partial(struct story *s, uint64_t row, uint64_t first, uint64_t count)
{
    struct tri_reducer *reducer = tri_reducer_new("sum", &s->error);
    struct tri_message message = { .type = TRI_MESSAGE_ROW };
    struct tri_range range = { first, count };
    struct tri_buffer partial = { 0 };
    struct tri_bytes body;

    for (uint64_t i = first; i < first + count; i++)
        ck_assert_int_eq(tri_reducer_fold_int(reducer, i, (int64_t)i), TRI_OK);
    ck_assert_int_eq(tri_reducer_encode(reducer, &partial, &s->error), TRI_OK);
    tri_reducer_destroy(&reducer);
    message.row.number = 7;
    message.row.generation = 1;
    message.row.row = row;
    message.row.kind = TRI_ROW_PARTIAL;
    message.row.ranges = tri_ranges_of(&range, 1);
    message.row.model = first == 0 ? TRI_MODEL_PROCESS : TRI_MODEL_ASYNC;
    body = tri_buffer_bytes(&partial);
    broker_says(s, &message, &body);
    tri_buffer_deinit(&partial);
}

START_TEST(partials_are_merged_once_each_and_acknowledged)
{
    struct story s = story_up();
    struct tri_follow *batch = batch_reduced(&s, "sum");
    struct tri_buffer json = { 0 };
    uint64_t failed[] = { 999 };
    struct tri_task_result result;

    broker_partial(&s, 1, 400, 599);
    broker_partial(&s, 0, 0, 400);
    broker_partial(&s, 0, 0, 400);
    broker_entries(&s, 7, 2, 1, failed, 1);
    ck_assert_int_eq(tri_follow_next(batch, s.now, &result, &s.error), TRI_OK);
    ck_assert_uint_eq(result.index, 999);
    broker_ends(&s, 7, 1000, 999);
    expect_end(&s, batch);
    expect_ack(&s, 0, 3);
    ck_assert_int_eq(tri_follow_reduced(batch, &json, &s.error), TRI_OK);
    tri_buffer_append(&json, "", 1);
    ck_assert_str_eq((const char *)json.data, "498501");
    tri_buffer_deinit(&json);
    story_end(&s);
}
END_TEST

START_TEST(partials_count_for_the_model_that_made_them_and_once)
{
    struct story s = story_up();
    struct tri_follow *batch = batch_reduced(&s, "sum");
    struct tri_batch_summary summary;

    broker_partial(&s, 0, 0, 400);
    broker_partial(&s, 0, 0, 400);
    broker_partial(&s, 1, 400, 600);
    tri_follow_summary(batch, &summary);
    ck_assert_uint_eq(summary.model_counts[TRI_MODEL_PROCESS], 400);
    ck_assert_uint_eq(summary.model_counts[TRI_MODEL_ASYNC], 600);
    story_end(&s);
}
END_TEST

START_TEST(a_batch_without_a_reducer_has_no_reduced_value)
{
    struct story s = story_up();
    struct tri_follow *batch = batch_range(&s, 10, false);
    struct tri_buffer json = { 0 };

    ck_assert_int_eq(tri_follow_reduced(batch, &json, &s.error), TRI_INVALID);
    story_end(&s);
}
END_TEST

START_TEST(a_value_without_a_partial_that_cannot_be_read_is_none)
{
    struct story s = story_up();
    struct tri_follow *batch = batch_reduced(&s, "sum");
    struct tri_buffer json = { 0 };
    uint64_t request;

    connection_breaks(&s);
    request = expect_message(&s, TRI_MESSAGE_ATTACH)->attach.request;
    broker_attached(&s, request, 7, 1000, NULL, 0);
    broker_partial(&s, 0, 0, 400);
    broker_answers_error(&s, request, TRI_STORE, 0);
    broker_ends(&s, 7, 1000, 1000);
    ck_assert_int_eq(tri_follow_reduced(batch, &json, &s.error), TRI_STORE);
    story_end(&s);
}
END_TEST

START_TEST(a_value_without_what_another_has_folded_is_none)
{
    struct story s = story_up();
    struct tri_follow *batch = batch_reduced(&s, "sum");
    struct tri_buffer json = { 0 };

    broker_partial(&s, 1, 400, 600);
    broker_ends(&s, 7, 1000, 1000);
    ck_assert_int_eq(tri_follow_reduced(batch, &json, &s.error), TRI_NOTFOUND);
    story_end(&s);
}
END_TEST

START_TEST(partials_that_are_withheld_are_acknowledged_when_the_batch_has_ended)
{
    struct story s = story_up();
    struct tri_follow *batch = batch_reduced(&s, "sum");

    tri_follow_withhold(batch);
    broker_partial(&s, 0, 0, 400);
    ck_assert_int_eq(tri_follow_pass_on(batch, s.now, &s.error), TRI_OK);
    time_passes_ms(&s, 100);
    expect_nothing(&s); /* whoever reads after this one was killed gets it again */
    broker_partial(&s, 1, 400, 600);
    broker_ends(&s, 7, 1000, 1000);
    ck_assert_int_eq(tri_follow_pass_on(batch, s.now, &s.error), TRI_OK);
    time_passes_ms(&s, 100);
    expect_ack(&s, 0, 2);
    story_end(&s);
}
END_TEST

START_TEST(very_many_partials_are_not_kept)
{
    struct story s = story_up();
    struct tri_follow *batch = batch_reduced(&s, "sum");

    tri_follow_withhold(batch);
    for (uint64_t i = 0; i < 16384; i++)
        broker_partial(&s, i, i % 1000, 1);
    ck_assert_int_eq(tri_follow_pass_on(batch, s.now, &s.error), TRI_OK);
    time_passes_ms(&s, 100);
    expect_ack(&s, 0, 16384);
    story_end(&s);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("reduce");

    tcase_add_test(tcase, partials_are_merged_once_each_and_acknowledged);
    tcase_add_test(tcase, partials_count_for_the_model_that_made_them_and_once);
    tcase_add_test(tcase, a_batch_without_a_reducer_has_no_reduced_value);
    tcase_add_test(tcase, a_value_without_a_partial_that_cannot_be_read_is_none);
    tcase_add_test(tcase, a_value_without_what_another_has_folded_is_none);
    tcase_add_test(tcase, partials_that_are_withheld_are_acknowledged_when_the_batch_has_ended);
    tcase_add_test(tcase, very_many_partials_are_not_kept);
    return unit_run("client reduce", tcase);
}
