/* Rows on their way in: order, repetition, generations. */
#include "tests/unit/client/story.h"

#include "common/proto/codec.h"
#include "common/value.h"

START_TEST(results_come_by_index_whatever_the_order_of_rows)
{
    struct story s = story_up();
    struct tri_follow *batch = batch_range(&s, 30, false);

    broker_run(&s, 7, 0, 20, 10);
    ck_assert_uint_eq(results_in_order(&s, batch, 0), 0);
    broker_run(&s, 7, 1, 0, 5);
    ck_assert_uint_eq(results_in_order(&s, batch, 0), 5);
    broker_run(&s, 7, 2, 5, 15);
    ck_assert_uint_eq(results_in_order(&s, batch, 5), 25);
    broker_ends(&s, 7, 30, 30);
    expect_end(&s, batch);
    story_end(&s);
}
END_TEST

START_TEST(scattered_runs_of_several_rows_interleave)
{
    struct story s = story_up();
    struct tri_follow *batch = batch_range(&s, 12, false);
    struct tri_range odd[] = { { 1, 1 }, { 3, 1 }, { 5, 2 }, { 10, 2 } };
    struct tri_range even[] = { { 0, 1 }, { 2, 1 }, { 4, 1 }, { 7, 3 } };

    broker_row(&s, 7, 0, 1, odd, 4, NULL, 0);
    ck_assert_uint_eq(results_in_order(&s, batch, 0), 0);
    broker_row(&s, 7, 1, 1, even, 4, NULL, 0);
    ck_assert_uint_eq(results_in_order(&s, batch, 0), 12);
    story_end(&s);
}
END_TEST

START_TEST(a_result_that_another_was_first_for_is_left_out)
{
    struct story s = story_up();
    struct tri_follow *batch = batch_range(&s, 20, false);
    struct tri_range whole = { 0, 20 };
    struct tri_range counted[] = { { 0, 3 }, { 8, 4 }, { 19, 1 } };
    struct tri_range rest[] = { { 2, 7 }, { 12, 8 } };
    struct tri_range rest_counted[] = { { 3, 5 }, { 12, 7 } };

    broker_row(&s, 7, 0, 1, &whole, 1, counted, 3);
    ck_assert_uint_eq(results_in_order(&s, batch, 0), 3);
    broker_row(&s, 7, 1, 1, rest, 2, rest_counted, 2);
    ck_assert_uint_eq(results_in_order(&s, batch, 3), 17);
    broker_ends(&s, 7, 20, 20);
    expect_end(&s, batch);
    story_end(&s);
}
END_TEST

START_TEST(a_row_is_applied_once_however_often_it_comes)
{
    struct story s = story_up();
    struct tri_follow *batch = batch_range(&s, 20, false);

    broker_run(&s, 7, 0, 0, 10);
    broker_run(&s, 7, 0, 0, 10);
    ck_assert_uint_eq(results_in_order(&s, batch, 0), 10);
    broker_run(&s, 7, 0, 0, 10);
    ck_assert_uint_eq(results_in_order(&s, batch, 10), 0);
    broker_run(&s, 7, 1, 10, 10);
    ck_assert_uint_eq(results_in_order(&s, batch, 10), 10);
    story_end(&s);
}
END_TEST

START_TEST(failures_come_in_their_place)
{
    struct story s = story_up();
    struct tri_follow *batch = batch_range(&s, 10, false);
    struct tri_range good[] = { { 0, 3 }, { 4, 2 }, { 8, 2 } };
    uint64_t failed[] = { 7, 3, 6 };
    struct tri_task_result result;

    broker_row(&s, 7, 0, 1, good, 3, NULL, 0);
    broker_entries(&s, 7, 1, 1, failed, 3);
    for (uint64_t i = 0; i < 10; i++) {
        bool bad = i == 3 || i == 6 || i == 7;

        ck_assert_int_eq(tri_follow_next(batch, s.now, &result, &s.error), TRI_OK);
        ck_assert_uint_eq(result.index, i);
        ck_assert_int_eq(result.outcome, bad ? TRI_OUTCOME_FAILED : TRI_OUTCOME_OK);
        ck_assert_str_eq(result.outcome_text, bad ? "failed" : "ok");
        ck_assert_uint_eq(result.attempts, bad ? 2 : 1);
        ck_assert_uint_eq(result.error.size, bad ? 6 : 0);
    }
    broker_ends(&s, 7, 10, 7);
    expect_end(&s, batch);
    story_end(&s);
}
END_TEST

/* Tasks have ended alike: the only entry names task 1. */
static void broker_ends_alike(struct story *s,
                              enum tri_outcome outcome,
                              const struct tri_range *ranges,
                              size_t range_count)
{
    const struct tri_rec_entry entry = { .index = 1, .outcome = outcome };
    struct tri_message row = { .type = TRI_MESSAGE_ROW };
    struct tri_buffer list = { 0 };
    struct tri_buffer body = { 0 };
    struct tri_rec_entries entries;
    struct tri_bytes bytes;

    tri_record_encode(TRI_RECORD_ENTRY, &entry, &list);
    entries.entries = tri_list_of(&list, 1);
    tri_record_encode(TRI_RECORD_ENTRIES, &entries, &body);
    row.row.number = 7;
    row.row.generation = 1;
    row.row.kind = TRI_ROW_ENTRIES;
    row.row.ranges = tri_ranges_of(ranges, range_count);
    bytes = tri_buffer_bytes(&body);
    broker_says(s, &row, &bytes);
    tri_buffer_deinit(&list);
    tri_buffer_deinit(&body);
}

START_TEST(an_entry_that_stands_for_many_tasks_is_given_for_each)
{
    struct story s = story_up();
    struct tri_follow *batch = batch_range(&s, 9, false);
    const struct tri_range bad[] = { { 1, 2 }, { 5, 3 } };
    struct tri_range good[] = { { 0, 1 }, { 3, 2 }, { 8, 1 } };
    struct tri_task_result result;
    struct tri_result_run run;

    broker_ends_alike(&s, TRI_OUTCOME_CANCELLED, bad, 2);
    broker_row(&s, 7, 1, 1, good, 3, NULL, 0);
    broker_ends(&s, 7, 9, 4);
    for (uint64_t i = 0; i < 9; i++) {
        bool cancelled = i == 1 || i == 2 || (i >= 5 && i <= 7);

        if (cancelled)
            ck_assert_int_eq(tri_follow_next_run(batch, s.now, &run, &s.error), TRI_EMPTY);
        ck_assert_int_eq(tri_follow_next(batch, s.now, &result, &s.error), TRI_OK);
        ck_assert_uint_eq(result.index, i);
        ck_assert_int_eq(result.outcome, cancelled ? TRI_OUTCOME_CANCELLED : TRI_OUTCOME_OK);
    }
    expect_end(&s, batch);
    story_end(&s);
}
END_TEST

START_TEST(an_entry_stands_for_the_one_task_that_is_left_of_many)
{
    struct story s = story_up();
    struct tri_follow *batch = batch_range(&s, 3, false);
    const struct tri_range left[] = { { 2, 1 } }; /* task 1 has been retried since */
    struct tri_task_result result;

    broker_run(&s, 7, 1, 0, 2);
    broker_ends_alike(&s, TRI_OUTCOME_FAILED, left, 1);
    broker_ends(&s, 7, 3, 2);
    for (uint64_t i = 0; i < 3; i++) {
        ck_assert_int_eq(tri_follow_next(batch, s.now, &result, &s.error), TRI_OK);
        ck_assert_uint_eq(result.index, i);
        ck_assert_int_eq(result.outcome, i == 2 ? TRI_OUTCOME_FAILED : TRI_OUTCOME_OK);
    }
    expect_end(&s, batch);
    story_end(&s);
}
END_TEST

START_TEST(runs_are_given_whole_and_mix_with_single_results)
{
    struct story s = story_up();
    struct tri_follow *batch = batch_range(&s, 100, false);
    uint64_t failed[] = { 60 };
    struct tri_result_run run;
    struct tri_task_result result;
    struct tri_chunk view;
    struct tri_value value;

    broker_run(&s, 7, 0, 0, 60);
    broker_entries(&s, 7, 1, 1, failed, 1);
    ck_assert_int_eq(tri_follow_next(batch, s.now, &result, &s.error), TRI_OK);
    ck_assert_uint_eq(result.index, 0);
    ck_assert_int_eq(tri_follow_next_run(batch, s.now, &run, &s.error), TRI_OK);
    ck_assert_uint_eq(run.first, 1);
    ck_assert_uint_eq(run.count, 59);
    ck_assert_str_eq(run.model, "thread");
    view = (struct tri_chunk){ .count = run.count, .offsets = run.offsets, .blob = run.blob };
    ck_assert_int_eq(tri_value_unpack_whole(tri_chunk_at(&view, 58), &value, NULL), TRI_OK);
    ck_assert_int_eq(value.integer, 3 * 59 + 1);
    ck_assert_int_eq(tri_follow_next_run(batch, s.now, &run, &s.error), TRI_EMPTY);
    ck_assert(tri_follow_has_result(batch));
    ck_assert_int_eq(tri_follow_next(batch, s.now, &result, &s.error), TRI_OK);
    ck_assert_uint_eq(result.index, 60);
    ck_assert_int_eq(tri_follow_next_run(batch, s.now, &run, &s.error), TRI_EMPTY);
    ck_assert(!tri_follow_has_result(batch));
    story_end(&s);
}
END_TEST

START_TEST(unordered_results_come_row_by_row)
{
    struct story s = story_up();
    struct tri_follow *batch = batch_range(&s, 30, true);
    struct tri_task_result result;
    static const uint64_t want[] = { 20, 21, 5, 6 };

    broker_run(&s, 7, 0, 20, 2);
    broker_run(&s, 7, 1, 5, 2);
    for (size_t i = 0; i < 4; i++) {
        ck_assert_int_eq(tri_follow_next(batch, s.now, &result, &s.error), TRI_OK);
        ck_assert_uint_eq(result.index, want[i]);
    }
    story_end(&s);
}
END_TEST

START_TEST(after_the_end_gaps_do_not_hold_anything_back)
{
    struct story s = story_up();
    struct tri_follow *batch = batch_range(&s, 30, false);
    struct tri_task_result result;

    broker_run(&s, 7, 0, 10, 2);
    ck_assert_int_eq(tri_follow_next(batch, s.now, &result, &s.error), TRI_EMPTY);
    broker_ends(&s, 7, 30, 2);
    ck_assert_int_eq(tri_follow_next(batch, s.now, &result, &s.error), TRI_OK);
    ck_assert_uint_eq(result.index, 10);
    ck_assert_int_eq(tri_follow_next(batch, s.now, &result, &s.error), TRI_OK);
    expect_end(&s, batch);
    story_end(&s);
}
END_TEST

START_TEST(a_later_generation_brings_another_result)
{
    struct story s = story_up();
    struct tri_follow *batch = batch_range(&s, 2, false);
    struct tri_range run = { 1, 1 };
    uint64_t failed[] = { 1 };
    struct tri_task_result result;

    broker_run(&s, 7, 0, 0, 1);
    broker_entries(&s, 7, 1, 1, failed, 1);
    ck_assert_int_eq(tri_follow_next(batch, s.now, &result, &s.error), TRI_OK);
    ck_assert_int_eq(tri_follow_next(batch, s.now, &result, &s.error), TRI_OK);
    ck_assert_int_eq(result.outcome, TRI_OUTCOME_FAILED);
    broker_ends(&s, 7, 2, 1);
    expect_end(&s, batch);
    broker_row(&s, 7, 2, 2, &run, 1, NULL, 0);
    ck_assert_int_eq(tri_follow_next(batch, s.now, &result, &s.error), TRI_OK);
    ck_assert_uint_eq(result.index, 1);
    ck_assert_int_eq(result.value.integer, 3 + 2);
    ck_assert_int_eq(tri_follow_next(batch, s.now, &result, &s.error), TRI_EMPTY);
    story_end(&s);
}
END_TEST

START_TEST(a_later_generation_that_is_under_way_does_not_change_what_had_ended)
{
    struct story s = story_up();
    struct tri_follow *batch = batch_range(&s, 2, false);
    struct tri_message progress = { .type = TRI_MESSAGE_PROGRESS };
    uint64_t failed[] = { 1 };
    struct tri_batch_summary summary;
    struct tri_task_result result;

    broker_run(&s, 7, 0, 0, 1);
    broker_entries(&s, 7, 1, 1, failed, 1);
    broker_ends(&s, 7, 2, 1);
    progress.progress.number = 7; /* somebody has asked for what is dead to run again */
    progress.progress.count = 2;
    progress.progress.pending = 1;
    progress.progress.done = 1;
    broker_says(&s, &progress, NULL);
    ck_assert_int_eq(tri_follow_next(batch, s.now, &result, &s.error), TRI_OK);
    ck_assert_int_eq(tri_follow_next(batch, s.now, &result, &s.error), TRI_OK);
    expect_end(&s, batch);
    tri_follow_summary(batch, &summary);
    ck_assert_uint_eq(summary.ok, 1);
    ck_assert_uint_eq(summary.failed, 1);
    ck_assert_uint_eq(summary.pending, 0);
    story_end(&s);
}
END_TEST

START_TEST(a_result_that_was_replaced_before_it_was_given_is_not_given)
{
    struct story s = story_up();
    struct tri_follow *batch = batch_range(&s, 4, false);
    struct tri_range run = { 2, 1 };
    struct tri_range good[] = { { 0, 1 }, { 3, 1 } };
    uint64_t failed[] = { 1, 2 };
    uint64_t again[] = { 1 };
    struct tri_task_result result;

    broker_entries(&s, 7, 0, 1, failed, 2);
    broker_row(&s, 7, 1, 2, &run, 1, NULL, 0);
    broker_entries(&s, 7, 2, 2, again, 1);
    broker_row(&s, 7, 3, 1, good, 2, NULL, 0);
    for (uint64_t i = 0; i < 4; i++) {
        ck_assert_int_eq(tri_follow_next(batch, s.now, &result, &s.error), TRI_OK);
        ck_assert_uint_eq(result.index, i);
        ck_assert_int_eq(result.outcome, i == 1 ? TRI_OUTCOME_FAILED : TRI_OUTCOME_OK);
    }
    broker_ends(&s, 7, 4, 3);
    expect_end(&s, batch);
    story_end(&s);
}
END_TEST

START_TEST(of_three_generations_the_newest_result_of_each_task_is_given)
{
    struct story s = story_up();
    struct tri_follow *batch = batch_range(&s, 4, false);
    uint64_t all[] = { 0, 1, 2, 3 };
    struct tri_task_result result;

    broker_entries(&s, 7, 0, 1, all, 4);
    broker_entries(&s, 7, 1, 2, all, 4);
    broker_entries(&s, 7, 2, 3, all + 1, 2);
    for (uint64_t i = 0; i < 4; i++) {
        ck_assert_int_eq(tri_follow_next(batch, s.now, &result, &s.error), TRI_OK);
        ck_assert_uint_eq(result.index, i);
    }
    broker_ends(&s, 7, 4, 0);
    expect_end(&s, batch);
    story_end(&s);
}
END_TEST

START_TEST(a_batch_that_had_ended_is_given_as_it_comes)
{
    struct story s = story_up();
    struct tri_follow_options options = { .number = 7, .window_bytes = 1 << 20 };
    struct tri_message attached = { .type = TRI_MESSAGE_ATTACHED };
    struct tri_rec_spec spec = { .handler = { (const uint8_t *)"echo", 4 } };
    struct tri_buffer bytes = { 0 };
    uint64_t failed[] = { 0 };
    struct tri_task_result result;
    struct tri_follow *batch;

    ck_assert_int_eq(tri_follow_attach(s.session, &options, s.now, &batch), TRI_OK);
    tri_record_encode(TRI_RECORD_SPEC, &spec, &bytes);
    attached.attached.request = expect_message(&s, TRI_MESSAGE_ATTACH)->attach.request;
    attached.attached.number = 7;
    attached.attached.state = TRI_BATCH_DONE;
    attached.attached.spec = tri_buffer_bytes(&bytes);
    broker_says(&s, &attached, NULL);
    tri_buffer_deinit(&bytes);
    broker_entries(&s, 7, 0, 1, failed, 1);
    ck_assert_int_eq(tri_follow_next(batch, s.now, &result, &s.error), TRI_OK);
    ck_assert_int_eq(result.outcome, TRI_OUTCOME_FAILED);
    ck_assert_int_eq(tri_follow_next(batch, s.now, &result, &s.error), TRI_EMPTY);
    ck_assert(tri_session_deadline(s.session) > s.now);
    broker_ends(&s, 7, 1, 0);
    expect_end(&s, batch);
    story_end(&s);
}
END_TEST

/* Tasks 0 to 2 and 4 were given to an earlier owner, who crashed then. */
START_TEST(a_successor_does_not_wait_for_what_the_first_owner_has_had)
{
    const struct tri_range had[] = { { 0, 3 }, { 4, 1 } };
    struct story s = story_up();
    struct tri_follow_options options = { .number = 7, .owner = true, .window_bytes = 1 << 20 };
    struct tri_message attached = { .type = TRI_MESSAGE_ATTACHED };
    struct tri_rec_spec spec = { .handler = { (const uint8_t *)"echo", 4 } };
    struct tri_buffer bytes = { 0 };
    struct tri_range run = { 3, 1 };
    struct tri_range later = { 5, 2 };
    struct tri_task_result result;
    struct tri_follow *batch;

    ck_assert_int_eq(tri_follow_attach(s.session, &options, s.now, &batch), TRI_OK);
    tri_record_encode(TRI_RECORD_SPEC, &spec, &bytes);
    attached.attached.request = expect_message(&s, TRI_MESSAGE_ATTACH)->attach.request;
    attached.attached.number = 7;
    attached.attached.state = TRI_BATCH_RUNNING;
    attached.attached.spec = tri_buffer_bytes(&bytes);
    attached.attached.settled = tri_ranges_of(had, 2);
    broker_says(&s, &attached, NULL);
    tri_buffer_deinit(&bytes);
    broker_row(&s, 7, 3, 1, &later, 1, NULL, 0);
    ck_assert_int_eq(tri_follow_next(batch, s.now, &result, &s.error), TRI_EMPTY);
    ck_assert(!tri_follow_has_result(batch));
    broker_row(&s, 7, 4, 1, &run, 1, NULL, 0);
    for (uint64_t i = 3; i < 7; i += i == 3 ? 2 : 1) {
        ck_assert_int_eq(tri_follow_next(batch, s.now, &result, &s.error), TRI_OK);
        ck_assert_uint_eq(result.index, i);
    }
    broker_ends(&s, 7, 7, 7);
    expect_end(&s, batch);
    story_end(&s);
}
END_TEST

START_TEST(what_the_broker_cannot_read_any_more_is_missed_at_the_end)
{
    struct story s = story_up();
    struct tri_follow *batch = batch_range(&s, 30, false);
    struct tri_task_result result;
    uint64_t request;

    connection_breaks(&s);
    request = expect_message(&s, TRI_MESSAGE_ATTACH)->attach.request;
    broker_attached(&s, request, 7, 30, NULL, 0);
    broker_run(&s, 7, 0, 0, 10);
    broker_answers_error(&s, request, TRI_STORE, 0);
    ck_assert_uint_eq(results_in_order(&s, batch, 0), 10);
    broker_run(&s, 7, 2, 20, 10);
    ck_assert_uint_eq(results_in_order(&s, batch, 20), 0);
    broker_ends(&s, 7, 30, 30);
    for (uint64_t i = 20; i < 30; i++) {
        ck_assert_int_eq(tri_follow_next(batch, s.now, &result, &s.error), TRI_OK);
        ck_assert_uint_eq(result.index, i);
    }
    ck_assert_int_eq(tri_follow_next(batch, s.now, &result, &s.error), TRI_STORE);
    story_end(&s);
}
END_TEST

/* After a new connection the broker tries again, and says so again if it must. */
START_TEST(what_can_be_read_after_all_is_not_missed)
{
    struct story s = story_up();
    struct tri_follow *batch = batch_range(&s, 30, false);
    uint64_t request;

    for (int again = 0; again < 2; again++) {
        connection_breaks(&s);
        request = expect_message(&s, TRI_MESSAGE_ATTACH)->attach.request;
        broker_attached(&s, request, 7, 30, NULL, 0);
        if (again == 0)
            broker_answers_error(&s, request, TRI_STORE, 0);
        else
            broker_run(&s, 7, 0, 0, 10);
        broker_run(&s, 7, 1, 10, 20);
    }
    broker_ends(&s, 7, 30, 30);
    ck_assert_uint_eq(results_in_order(&s, batch, 0), 30);
    expect_end(&s, batch);
    story_end(&s);
}
END_TEST

START_TEST(an_answer_that_comes_after_a_refusal_ends_the_waiting)
{
    struct story s = story_up();
    struct tri_follow *batch = batch_range(&s, 30, false);
    uint64_t request;

    connection_breaks(&s);
    request = expect_message(&s, TRI_MESSAGE_ATTACH)->attach.request;
    broker_answers_error(&s, request, TRI_BUSY, 4000);
    broker_attached(&s, request, 7, 30, NULL, 0); /* it was asked twice */
    broker_run(&s, 7, 0, 0, 10);
    ck_assert_uint_eq(results_in_order(&s, batch, 0), 10);
    time_passes_ms(&s, 900);
    expect_message(&s, TRI_MESSAGE_ACK);
    story_end(&s);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("rows");

    tcase_add_test(tcase, results_come_by_index_whatever_the_order_of_rows);
    tcase_add_test(tcase, scattered_runs_of_several_rows_interleave);
    tcase_add_test(tcase, a_result_that_another_was_first_for_is_left_out);
    tcase_add_test(tcase, a_row_is_applied_once_however_often_it_comes);
    tcase_add_test(tcase, failures_come_in_their_place);
    tcase_add_test(tcase, an_entry_that_stands_for_many_tasks_is_given_for_each);
    tcase_add_test(tcase, an_entry_stands_for_the_one_task_that_is_left_of_many);
    tcase_add_test(tcase, runs_are_given_whole_and_mix_with_single_results);
    tcase_add_test(tcase, unordered_results_come_row_by_row);
    tcase_add_test(tcase, after_the_end_gaps_do_not_hold_anything_back);
    tcase_add_test(tcase, a_later_generation_brings_another_result);
    tcase_add_test(tcase, a_later_generation_that_is_under_way_does_not_change_what_had_ended);
    tcase_add_test(tcase, a_result_that_was_replaced_before_it_was_given_is_not_given);
    tcase_add_test(tcase, of_three_generations_the_newest_result_of_each_task_is_given);
    tcase_add_test(tcase, a_batch_that_had_ended_is_given_as_it_comes);
    tcase_add_test(tcase, a_successor_does_not_wait_for_what_the_first_owner_has_had);
    tcase_add_test(tcase, what_the_broker_cannot_read_any_more_is_missed_at_the_end);
    tcase_add_test(tcase, what_can_be_read_after_all_is_not_missed);
    tcase_add_test(tcase, an_answer_that_comes_after_a_refusal_ends_the_waiting);
    return unit_run("client rows", tcase);
}
