/* Rows on their way in: order, repetition, the window, reducers, the end. */
#include "tests/unit/client/story.h"

#include "common/prng.h"
#include "common/proto/codec.h"
#include "common/reduce.h"
#include "common/value.h"

#include <stdlib.h>

static void expect_end(struct story *s, struct tri_follow *batch)
{
    struct tri_task_result result;

    ck_assert_int_eq(tri_follow_next(batch, s->now, &result, &s->error), TRI_CLOSED);
}

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

/* Tasks 1, 2 and 5 to 7 were cancelled together. */
static void broker_cancels(struct story *s)
{
    const struct tri_range ranges[] = { { 1, 2 }, { 5, 3 } };
    const struct tri_rec_entry entry = { .index = 1, .outcome = TRI_OUTCOME_CANCELLED };
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
    row.row.ranges = tri_ranges_of(ranges, 2);
    bytes = tri_buffer_bytes(&body);
    broker_says(s, &row, &bytes);
    tri_buffer_deinit(&list);
    tri_buffer_deinit(&body);
}

START_TEST(an_entry_that_stands_for_many_tasks_is_given_for_each)
{
    struct story s = story_up();
    struct tri_follow *batch = batch_range(&s, 9, false);
    struct tri_range good[] = { { 0, 1 }, { 3, 2 }, { 8, 1 } };
    struct tri_task_result result;
    struct tri_result_run run;

    broker_cancels(&s);
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

START_TEST(a_batch_that_had_ended_is_given_when_all_of_it_is_here)
{
    struct story s = story_up();
    struct tri_follow_options options = { .number = 7, .window_bytes = 1 << 20 };
    struct tri_message attached = { .type = TRI_MESSAGE_ATTACHED };
    struct tri_rec_spec spec = { .handler = { (const uint8_t *)"echo", 4 } };
    struct tri_buffer bytes = { 0 };
    struct tri_range run = { 0, 1 };
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
    ck_assert_int_eq(tri_follow_next(batch, s.now, &result, &s.error), TRI_EMPTY);
    broker_row(&s, 7, 1, 2, &run, 1, NULL, 0);
    broker_ends(&s, 7, 1, 1);
    ck_assert_int_eq(tri_follow_next(batch, s.now, &result, &s.error), TRI_OK);
    ck_assert_int_eq(result.outcome, TRI_OUTCOME_OK);
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

/* Rows 1 and 2 are here, task 0 is in none of them, and the broker has `done` of 9. */
static struct tri_follow *begin_jam(struct story *s, bool owner, uint64_t done)
{
    struct tri_follow_options options = { .number = 7, .owner = owner, .window_bytes = 1000 };
    struct tri_message attached = { .type = TRI_MESSAGE_ATTACHED };
    struct tri_message progress = { .type = TRI_MESSAGE_PROGRESS };
    struct tri_rec_spec spec = { .handler = { (const uint8_t *)"echo", 4 } };
    struct tri_buffer bytes = { 0 };
    struct tri_task_result result;
    struct tri_follow *batch;

    ck_assert_int_eq(tri_follow_attach(s->session, &options, s->now, &batch), TRI_OK);
    tri_record_encode(TRI_RECORD_SPEC, &spec, &bytes);
    attached.attached.request = expect_message(s, TRI_MESSAGE_ATTACH)->attach.request;
    attached.attached.number = 7;
    attached.attached.count = 9;
    attached.attached.state = TRI_BATCH_RUNNING;
    attached.attached.spec = tri_buffer_bytes(&bytes);
    broker_says(s, &attached, NULL);
    tri_buffer_deinit(&bytes);
    broker_run(s, 7, 1, 1, 3);
    broker_run(s, 7, 2, 4, 2);
    progress.progress.number = 7;
    progress.progress.count = 9;
    progress.progress.done = done;
    broker_says(s, &progress, NULL);
    ck_assert_int_eq(tri_follow_next(batch, s->now, &result, &s->error), TRI_EMPTY);
    return batch;
}

START_TEST(a_reader_makes_room_for_the_row_that_it_needs)
{
    struct story s = story_up();
    struct tri_follow *batch = begin_jam(&s, false, 6);
    const struct tri_message *attach;

    ck_assert_uint_le(tri_session_deadline(s.session), s.now + 200);
    time_passes_ms(&s, 200);
    attach = expect_message(&s, TRI_MESSAGE_ATTACH);
    ck_assert_uint_eq(attach->attach.window_bytes, 1000);
    ck_assert_uint_eq(attach->attach.have.count, 1);
    ck_assert_uint_eq(tri_ranges_at(attach->attach.have, 0).first, 1);
    ck_assert_uint_eq(tri_ranges_at(attach->attach.have, 0).count, 2);
    tri_follow_close(&batch);
    story_perform(&s);
    story_skip(&s);
    story_end(&s);
}
END_TEST

START_TEST(an_owner_asks_for_a_larger_window_to_get_the_row_that_it_needs)
{
    struct story s = story_up();
    struct tri_follow *batch = begin_jam(&s, true, 6);
    const struct tri_message *attach;

    time_passes_ms(&s, 200);
    attach = expect_message(&s, TRI_MESSAGE_ATTACH);
    ck_assert_uint_eq(attach->attach.window_bytes, 2000);
    ck_assert_uint_eq(attach->attach.have.count, 0);
    tri_follow_close(&batch);
    story_perform(&s);
    story_skip(&s);
    story_end(&s);
}
END_TEST

START_TEST(a_slow_task_is_waited_for)
{
    struct story s = story_up();
    struct tri_follow *batch = begin_jam(&s, true, 5);

    time_passes_ms(&s, 500);
    expect_nothing(&s);
    tri_follow_close(&batch);
    story_perform(&s);
    story_skip(&s);
    story_end(&s);
}
END_TEST

/* A poll loop that waits for the session's deadline must be able to sleep. */
START_TEST(what_is_held_back_wakes_nobody_for_ever)
{
    struct story s = story_up();
    struct tri_follow_options options = { .number = 7, .window_bytes = 1 << 20 };
    struct tri_message attached = { .type = TRI_MESSAGE_ATTACHED };
    struct tri_rec_spec spec = { .handler = { (const uint8_t *)"echo", 4 } };
    struct tri_buffer bytes = { 0 };
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
    ck_assert_int_eq(tri_follow_next(batch, s.now, &result, &s.error), TRI_EMPTY);
    time_passes_ms(&s, 1100);
    story_skip(&s);
    ck_assert_uint_gt(tri_session_deadline(s.session), s.now);
    tri_follow_close(&batch);
    story_perform(&s);
    story_skip(&s);
    story_end(&s);
}
END_TEST

/* ---- the window ----------------------------------------------------------------------------- */

static void expect_ack(struct story *s, uint64_t first, uint64_t count)
{
    const struct tri_message *ack = expect_message(s, TRI_MESSAGE_ACK);

    ck_assert_uint_eq(ack->ack.rows.count, 1);
    ck_assert_uint_eq(tri_ranges_at(ack->ack.rows, 0).first, first);
    ck_assert_uint_eq(tri_ranges_at(ack->ack.rows, 0).count, count);
}

START_TEST(a_row_is_acknowledged_when_its_last_result_is_consumed_and_soon)
{
    struct story s = story_up();
    struct tri_follow *batch = batch_range(&s, 100, false);
    struct tri_task_result result;

    broker_run(&s, 7, 0, 0, 2);
    ck_assert_int_eq(tri_follow_next(batch, s.now, &result, &s.error), TRI_OK);
    ck_assert_int_eq(tri_follow_next(batch, s.now, &result, &s.error), TRI_OK);
    time_passes_ms(&s, 500);
    expect_nothing(&s); /* given, not yet consumed */
    ck_assert_int_eq(tri_follow_next(batch, s.now, &result, &s.error), TRI_EMPTY);
    expect_nothing(&s);
    ck_assert_uint_eq(tri_session_deadline(s.session), s.now + TRI_ACK_DELAY_MS);
    time_passes_ms(&s, TRI_ACK_DELAY_MS);
    expect_ack(&s, 0, 1);
    expect_nothing(&s);
    story_end(&s);
}
END_TEST

START_TEST(acknowledgements_are_gathered_up_to_a_quarter_of_the_window)
{
    struct story s = story_up();
    struct tri_follow *batch = batch_range(&s, 1000000, false);

    /* rows of 50 to 65 KB in a window of 1 MiB */
    for (uint64_t row = 0; row < 5; row++) {
        expect_nothing(&s);
        broker_run(&s, 7, row, row * 7000, 7000);
        ck_assert_uint_eq(results_in_order(&s, batch, row * 7000), 7000);
    }
    expect_ack(&s, 0, 5);
    broker_ends(&s, 7, 35000, 35000);
    expect_nothing(&s);
    story_end(&s);
}
END_TEST

START_TEST(the_end_is_acknowledged_at_once)
{
    struct story s = story_up();
    struct tri_follow *batch = batch_range(&s, 5, false);

    broker_run(&s, 7, 0, 0, 5);
    broker_ends(&s, 7, 5, 5);
    ck_assert_uint_eq(results_in_order(&s, batch, 0), 5);
    expect_ack(&s, 0, 1);
    story_end(&s);
}
END_TEST

START_TEST(closing_a_batch_acknowledges_what_was_consumed)
{
    struct story s = story_up();
    struct tri_follow *batch = batch_range(&s, 50, false);

    broker_run(&s, 7, 0, 0, 5);
    broker_run(&s, 7, 1, 5, 5);
    broker_run(&s, 7, 2, 20, 5);
    ck_assert_uint_eq(results_in_order(&s, batch, 0), 10);
    expect_nothing(&s);
    tri_follow_finish(batch, s.now);
    expect_ack(&s, 0, 2);
    tri_follow_close(&batch);
    story_end(&s);
}
END_TEST

START_TEST(closing_a_batch_that_goes_on_gives_up_its_ownership)
{
    struct story s = story_up();
    struct tri_follow *batch = batch_range(&s, 50, false);
    const struct tri_message *attach;

    broker_run(&s, 7, 0, 0, 5);
    ck_assert_uint_eq(s.kept, 1);
    tri_follow_close(&batch);
    attach = expect_message(&s, TRI_MESSAGE_ATTACH);
    ck_assert_uint_eq(s.kept, 0);
    ck_assert_uint_eq(attach->attach.batch.size, 16);
    ck_assert_uint_eq(attach->attach.owner, 0);
    ck_assert_uint_eq(tri_ranges_at(attach->attach.have, 0).count, INT64_MAX);
    broker_attached(&s, attach->attach.request, 7, 50, NULL, 0);
    broker_run(&s, 7, 1, 5, 5);
    broker_ends(&s, 7, 50, 50);
    expect_nothing(&s);
    story_end(&s);
}
END_TEST

START_TEST(a_batch_that_ended_is_closed_without_a_word)
{
    struct story s = story_up();
    struct tri_follow *batch = batch_range(&s, 50, false);

    broker_ends(&s, 7, 50, 0);
    tri_follow_close(&batch);
    expect_nothing(&s);
    story_end(&s);
}
END_TEST

START_TEST(a_batch_that_another_client_took_over_fails_here)
{
    struct story s = story_up();
    struct tri_follow *batch = batch_range(&s, 50, false);
    const struct tri_message *attach;

    connection_breaks(&s);
    attach = expect_message(&s, TRI_MESSAGE_ATTACH);
    broker_attached(&s, attach->attach.request, 7, 50, NULL, 0);
    broker_answers_error(&s, attach->attach.request, TRI_STALE, 0);
    ck_assert_int_eq(tri_follow_state(batch, &s.error), TRI_STALE);
    story_end(&s);
}
END_TEST

/* ---- losing the broker ---------------------------------------------------------------------- */

/* After each number of results: everything not consumed comes again and is given once. */
START_TEST(a_lost_connection_repeats_and_loses_no_result)
{
    for (uint64_t taken = 0; taken <= 20; taken++) {
        struct story s = story_up();
        struct tri_follow *batch = batch_range(&s, 30, false);
        struct tri_task_result result;
        const struct tri_message *attach;
        uint64_t consumed_rows = taken >= 1 ? (taken - 1) / 5 : 0;

        for (uint64_t row = 0; row < 4; row++)
            broker_run(&s, 7, row, row * 5, 5);
        for (uint64_t i = 0; i < taken; i++)
            ck_assert_int_eq(tri_follow_next(batch, s.now, &result, &s.error), TRI_OK);
        connection_breaks(&s);
        attach = expect_message(&s, TRI_MESSAGE_ATTACH);
        ck_assert_uint_eq(attach->attach.have.count, consumed_rows != 0);
        if (consumed_rows != 0)
            ck_assert_uint_eq(tri_ranges_at(attach->attach.have, 0).count, consumed_rows);
        broker_attached(&s, attach->attach.request, 7, 30, NULL, 0);
        if (consumed_rows != 0)
            expect_ack(&s, 0, consumed_rows); /* the first time may be lost */
        for (uint64_t row = consumed_rows; row < 6; row++)
            broker_run(&s, 7, row, row * 5, 5);
        ck_assert_uint_eq(results_in_order(&s, batch, taken), 30 - taken);
        broker_ends(&s, 7, 30, 30);
        expect_end(&s, batch);
        story_end(&s);
    }
}
END_TEST

START_TEST(a_repeated_row_that_was_consumed_is_acknowledged_again)
{
    struct story s = story_up();
    struct tri_follow *batch = batch_range(&s, 30, false);

    broker_run(&s, 7, 0, 0, 5);
    ck_assert_uint_eq(results_in_order(&s, batch, 0), 5);
    time_passes_ms(&s, TRI_ACK_DELAY_MS);
    expect_ack(&s, 0, 1);
    broker_run(&s, 7, 0, 0, 5);
    time_passes_ms(&s, TRI_ACK_DELAY_MS);
    expect_ack(&s, 0, 1);
    ck_assert_uint_eq(results_in_order(&s, batch, 5), 0);
    story_end(&s);
}
END_TEST

START_TEST(results_that_are_here_are_given_before_a_failure_is_told)
{
    struct story s = story_up();
    struct tri_follow *batch = batch_range(&s, 30, false);
    struct tri_task_result result;

    broker_run(&s, 7, 0, 0, 2);
    connection_breaks(&s);
    broker_answers_error(&s, expect_message(&s, TRI_MESSAGE_ATTACH)->attach.request, TRI_NOTFOUND,
                         0);
    ck_assert_int_eq(tri_follow_next(batch, s.now, &result, &s.error), TRI_OK);
    ck_assert_int_eq(tri_follow_next(batch, s.now, &result, &s.error), TRI_OK);
    ck_assert_int_eq(tri_follow_next(batch, s.now, &result, &s.error), TRI_NOTFOUND);
    story_end(&s);
}
END_TEST

START_TEST(a_row_that_cannot_be_read_fails_the_batch_and_not_the_session)
{
    struct story s = story_up();
    struct tri_follow *batch = batch_range(&s, 30, false);
    struct tri_message row = { .type = TRI_MESSAGE_ROW };
    struct tri_bytes body = tri_bytes_of("no chunk");

    row.row.number = 7;
    broker_says(&s, &row, &body);
    ck_assert_int_eq(tri_follow_state(batch, &s.error), TRI_INVALID);
    ck_assert_int_eq(tri_session_link(s.session), TRI_LINK_UP);
    story_end(&s);
}
END_TEST

/* ---- reducers ------------------------------------------------------------------------------- */

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

/* ---- any order, any cuts -------------------------------------------------------------------- */

/* Cut [0, count) at random into runs, and deal the runs to rows. */
struct deal {
    struct tri_range runs[64][512];
    size_t counts[64];
    size_t rows;
};

static void deal_runs(struct deal *deal, struct tri_prng *prng, uint64_t count)
{
    uint64_t at = 0;

    deal->rows = 1 + tri_prng_below(prng, TRI_COUNT_OF(deal->runs));
    memset(deal->counts, 0, sizeof(deal->counts));
    while (at < count) {
        uint64_t length = 1 + tri_prng_below(prng, tri_prng_below(prng, 4) == 0 ? 40 : 3);
        size_t row = tri_prng_below(prng, deal->rows);

        if (length > count - at)
            length = count - at;
        if (deal->counts[row] == TRI_COUNT_OF(deal->runs[0]))
            continue;
        deal->runs[row][deal->counts[row]++] = (struct tri_range){ at, length };
        at += length;
    }
}

static void shuffle(size_t *order, size_t count, struct tri_prng *prng)
{
    for (size_t i = 0; i < count; i++)
        order[i] = i;
    for (size_t i = count; i > 1; i--) {
        size_t other = tri_prng_below(prng, i);
        size_t swap = order[i - 1];

        order[i - 1] = order[other];
        order[other] = swap;
    }
}

/* Rows come in the order of their numbers, and so the dealing is what is random; some come twice,
 * and sometimes the connection is lost in between. */
static void any_order(uint64_t seed, bool repeated_rows_out_of_order)
{
    struct story s = story_up();
    struct tri_follow *batch = batch_range(&s, 2000, false);
    struct deal *deal = calloc(1, sizeof(*deal));
    size_t order[64];
    struct tri_prng prng;
    uint64_t got = 0;

    tri_prng_init(&prng, seed);
    deal_runs(deal, &prng, 2000);
    shuffle(order, deal->rows, &prng);
    for (size_t i = 0; i < deal->rows; i++) {
        size_t row = repeated_rows_out_of_order ? order[i] : i;

        if (deal->counts[row] != 0)
            broker_row(&s, 7, row, 1, deal->runs[row], deal->counts[row], NULL, 0);
        if (tri_prng_below(&prng, 3) == 0)
            got += results_in_order(&s, batch, got);
        if (tri_prng_below(&prng, 4) == 0 && i > 0 && deal->counts[order[0]] != 0
            && repeated_rows_out_of_order)
            broker_row(&s, 7, order[0], 1, deal->runs[order[0]], deal->counts[order[0]], NULL, 0);
        if (tri_prng_below(&prng, 20) == 0) {
            connection_breaks(&s);
            broker_attached(&s, expect_message(&s, TRI_MESSAGE_ATTACH)->attach.request, 7, 2000,
                            NULL, 0);
        }
    }
    got += results_in_order(&s, batch, got);
    ck_assert_uint_eq(got, 2000);
    broker_ends(&s, 7, 2000, 2000);
    expect_end(&s, batch);
    free(deal);
    story_end(&s);
}

START_TEST(any_dealing_of_runs_to_rows_is_given_exactly_once_in_order)
{
    for (uint64_t seed = 1; seed <= 60; seed++)
        any_order(seed, seed % 2 == 0);
}
END_TEST

/* ---- bytes that no broker sends ------------------------------------------------------------- */

static void spoil(struct tri_buffer *bytes, struct tri_prng *prng)
{
    uint64_t changes = tri_prng_below(prng, 4);

    for (uint64_t i = 0; i < changes && bytes->size != 0; i++)
        bytes->data[tri_prng_below(prng, bytes->size)] = (uint8_t)tri_prng_next(prng);
    if (tri_prng_below(prng, 8) == 0)
        bytes->size = tri_prng_below(prng, bytes->size + 1);
}

/* Frames of exactly their size, so that one byte too far is noticed. */
static void hand_over(struct story *s, const struct tri_buffer *head, const struct tri_buffer *body)
{
    uint8_t *exact = malloc(head->size + 1);
    uint8_t *token = malloc(body->size + 1);
    struct tri_bytes frame = { exact + 1, head->size };
    struct tri_bytes bytes = { token + 1, body->size };
    bool taken;

    memcpy(exact + 1, head->data, head->size);
    memcpy(token + 1, body->data, body->size);
    ck_assert_int_eq(
        tri_session_receive(s->session, s->now, frame, &bytes, token, &taken, &s->error), TRI_OK);
    if (taken)
        s->kept++;
    else
        free(token);
    free(exact);
}

static void spoiled_row(struct story *s, struct tri_prng *prng, uint64_t row)
{
    struct tri_range runs[] = { { row * 100, 10 }, { row * 100 + 20, 1 }, { row * 100 + 30, 5 } };
    struct tri_rec_result head = { .runs = tri_ranges_of(runs, 3), .model = TRI_MODEL_THREAD };
    struct tri_message message = { .type = TRI_MESSAGE_ROW };
    struct tri_chunk_builder builder = { 0 };
    struct tri_buffer frame = { 0 };
    struct tri_buffer body = { 0 };

    for (int i = 0; i < 16; i++) {
        tri_pack_int(&builder.blob, i * 1000);
        tri_chunk_builder_close_value(&builder);
    }
    tri_result_encode(&builder, &head, &body);
    message.row.number = 7;
    message.row.generation = 1 + tri_prng_below(prng, 2);
    message.row.row = row;
    message.row.kind = tri_prng_below(prng, 8) == 0 ? tri_prng_below(prng, 3) : 0;
    message.row.ranges = tri_ranges_of(runs, tri_prng_below(prng, 4));
    tri_message_encode(&message, &frame);
    spoil(&frame, prng);
    spoil(&body, prng);
    hand_over(s, &frame, &body);
    tri_buffer_deinit(&frame);
    tri_buffer_deinit(&body);
    tri_chunk_builder_deinit(&builder);
}

START_TEST(spoiled_rows_harm_nothing)
{
    for (uint64_t seed = 1; seed <= 300; seed++) {
        struct story s = story_up();
        struct tri_follow *batch = batch_range(&s, 1000000, seed % 2 == 0);
        struct tri_task_result result;
        struct tri_prng prng;

        tri_prng_init(&prng, seed);
        for (uint64_t row = 0; row < 40; row++) {
            spoiled_row(&s, &prng, row);
            while (tri_follow_next(batch, s.now, &result, &s.error) == TRI_OK)
                ck_assert_ptr_nonnull(result.outcome_text);
            story_perform(&s);
        }
        story_end(&s);
    }
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
    tcase_add_test(tcase, runs_are_given_whole_and_mix_with_single_results);
    tcase_add_test(tcase, unordered_results_come_row_by_row);
    tcase_add_test(tcase, after_the_end_gaps_do_not_hold_anything_back);
    tcase_add_test(tcase, a_later_generation_brings_another_result);
    tcase_add_test(tcase, a_result_that_was_replaced_before_it_was_given_is_not_given);
    tcase_add_test(tcase, a_batch_that_had_ended_is_given_when_all_of_it_is_here);
    tcase_add_test(tcase, a_reader_makes_room_for_the_row_that_it_needs);
    tcase_add_test(tcase, an_owner_asks_for_a_larger_window_to_get_the_row_that_it_needs);
    tcase_add_test(tcase, a_slow_task_is_waited_for);
    tcase_add_test(tcase, what_is_held_back_wakes_nobody_for_ever);
    tcase_add_test(tcase, a_successor_does_not_wait_for_what_the_first_owner_has_had);
    tcase_add_test(tcase, a_row_is_acknowledged_when_its_last_result_is_consumed_and_soon);
    tcase_add_test(tcase, acknowledgements_are_gathered_up_to_a_quarter_of_the_window);
    tcase_add_test(tcase, the_end_is_acknowledged_at_once);
    tcase_add_test(tcase, closing_a_batch_acknowledges_what_was_consumed);
    tcase_add_test(tcase, closing_a_batch_that_goes_on_gives_up_its_ownership);
    tcase_add_test(tcase, a_batch_that_ended_is_closed_without_a_word);
    tcase_add_test(tcase, a_batch_that_another_client_took_over_fails_here);
    tcase_add_test(tcase, a_lost_connection_repeats_and_loses_no_result);
    tcase_add_test(tcase, a_repeated_row_that_was_consumed_is_acknowledged_again);
    tcase_add_test(tcase, results_that_are_here_are_given_before_a_failure_is_told);
    tcase_add_test(tcase, a_row_that_cannot_be_read_fails_the_batch_and_not_the_session);
    tcase_add_test(tcase, partials_are_merged_once_each_and_acknowledged);
    tcase_add_test(tcase, partials_count_for_the_model_that_made_them_and_once);
    tcase_add_test(tcase, a_batch_without_a_reducer_has_no_reduced_value);
    tcase_add_test(tcase, any_dealing_of_runs_to_rows_is_given_exactly_once_in_order);
    tcase_add_test(tcase, spoiled_rows_harm_nothing);
    return unit_run("client rows", tcase);
}
