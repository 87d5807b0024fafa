/* What a client acknowledges and when, and how a lost connection or another owner ends that. */
#include "tests/unit/client/story.h"

/* Of 9 tasks, so many. */
struct counts {
    uint64_t done;
    uint64_t dead;
    uint64_t pending;
    uint64_t leased;
};

static void broker_counts(struct story *s, struct counts counts)
{
    struct tri_message progress = { .type = TRI_MESSAGE_PROGRESS };

    progress.progress.number = 7;
    progress.progress.count = 9;
    progress.progress.done = counts.done;
    progress.progress.dead = counts.dead;
    progress.progress.pending = counts.pending;
    progress.progress.leased = counts.leased;
    broker_says(s, &progress, NULL);
}

static struct tri_follow *attach_late(struct story *s, bool owner)
{
    struct tri_follow_options options = { .number = 7, .owner = owner, .window_bytes = 1000 };
    struct tri_message attached = { .type = TRI_MESSAGE_ATTACHED };
    struct tri_rec_spec spec = { .handler = { (const uint8_t *)"echo", 4 } };
    struct tri_buffer bytes = { 0 };
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
    return batch;
}

static void expect_no_result(struct story *s, struct tri_follow *batch)
{
    struct tri_task_result result;

    ck_assert_int_eq(tri_follow_next(batch, s->now, &result, &s->error), TRI_EMPTY);
}

/* Rows 1 and 2 are here, task 0 is in none of them, and the broker has `done` of 9. */
static struct tri_follow *begin_jam(struct story *s, bool owner, uint64_t done)
{
    struct tri_follow *batch = attach_late(s, owner);

    broker_run(s, 7, 1, 1, 3);
    broker_run(s, 7, 2, 4, 2);
    broker_counts(s, (struct counts){ .done = done });
    expect_no_result(s, batch);
    return batch;
}

static void expect_window(struct story *s, uint64_t bytes)
{
    ck_assert_uint_eq(expect_message(s, TRI_MESSAGE_ATTACH)->attach.window_bytes, bytes);
}

static void end_jam(struct story *s, struct tri_follow *batch)
{
    tri_follow_close(&batch);
    story_perform(s);
    story_skip(s);
    story_end(s);
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
    end_jam(&s, batch);
}
END_TEST

START_TEST(a_reader_of_retried_tasks_makes_room_for_the_row_that_it_needs)
{
    struct story s = story_up();
    struct tri_follow *batch = begin_jam(&s, false, 5);

    broker_run(&s, 7, 3, 1, 3); /* again: with these, nine have been seen */
    broker_run(&s, 7, 4, 4, 2);
    broker_counts(&s, (struct counts){ .done = 9 });
    expect_no_result(&s, batch);
    time_passes_ms(&s, 200);
    ck_assert_uint_eq(tri_ranges_at(expect_message(&s, TRI_MESSAGE_ATTACH)->attach.have, 0).first,
                      1);
    end_jam(&s, batch);
}
END_TEST

/* Tasks 1 to 3 failed and were retried: both results are here. 0 has ended too, and is not; 4 to 8
 * have no room. */
START_TEST(an_owner_counts_a_retried_task_once)
{
    struct story s = story_up();
    struct tri_follow *batch = attach_late(&s, true);
    uint64_t failed[] = { 1, 2, 3 };
    const struct tri_range again = { 1, 3 };

    broker_entries(&s, 7, 1, 1, failed, 3);
    broker_row(&s, 7, 2, 2, &again, 1, NULL, 0);
    broker_counts(&s, (struct counts){ .done = 4, .pending = 4, .leased = 1 });
    expect_no_result(&s, batch);
    time_passes_ms(&s, 200);
    expect_window(&s, 2000);
    end_jam(&s, batch);
}
END_TEST

/* Many tasks fail in a large row and are retried; 0 has ended, and is not here. By their number
 * more are here than have ended, but the window is full and nothing is leased. */
START_TEST(an_owner_whose_failures_were_retried_makes_room_when_nothing_runs)
{
    struct story s = story_up();
    struct tri_follow *batch = attach_late(&s, true);
    uint64_t failed[40];

    for (uint64_t i = 0; i < 40; i++)
        failed[i] = i + 1;
    broker_entries(&s, 7, 1, 1, failed, 40);
    broker_counts(&s, (struct counts){ .dead = 1, .pending = 7, .leased = 1 });
    expect_no_result(&s, batch);
    time_passes_ms(&s, 5000);
    expect_message(&s, TRI_MESSAGE_HEARTBEAT);
    expect_nothing(&s);
    broker_counts(&s, (struct counts){ .dead = 2, .pending = 7 });
    expect_nothing(&s);
    ck_assert_uint_le(tri_session_deadline(s.session), s.now + 1000);
    time_passes_ms(&s, 900);
    expect_nothing(&s);
    time_passes_ms(&s, 100);
    expect_message(&s, TRI_MESSAGE_HEARTBEAT);
    expect_window(&s, 2000);
    end_jam(&s, batch);
}
END_TEST

/* Nobody works: what is here takes no more than half of the window. */
START_TEST(an_owner_with_room_waits_for_workers)
{
    struct story s = story_up();
    struct tri_follow *batch = begin_jam(&s, true, 5);

    broker_counts(&s, (struct counts){ .done = 5, .pending = 4 });
    time_passes_ms(&s, 2500);
    expect_message(&s, TRI_MESSAGE_HEARTBEAT);
    expect_nothing(&s);
    end_jam(&s, batch);
}
END_TEST

/* Row 0 is lost: what it had has ended and never comes. Asked once more, the broker says what that
 * was, or does not know it. */
START_TEST(a_row_that_is_lost_is_not_asked_for_again_and_again)
{
    const struct tri_range lost = { 0, 1 };
    struct tri_rec_spec spec = { .handler = { (const uint8_t *)"echo", 4 } };
    struct tri_buffer bytes = { 0 };
    struct tri_message attached = { .type = TRI_MESSAGE_ATTACHED };
    struct tri_task_result result;
    struct story s = story_up();
    struct tri_follow *batch = batch_range(&s, 9, false);
    uint64_t request;

    connection_breaks(&s);
    request = expect_message(&s, TRI_MESSAGE_ATTACH)->attach.request;
    broker_attached(&s, request, 7, 9, NULL, 0);
    broker_answers_error(&s, request, TRI_STORE, 0);
    broker_run(&s, 7, 1, 1, 3);
    broker_counts(&s, (struct counts){ .done = 4, .leased = 5 });
    expect_no_result(&s, batch);
    time_passes_ms(&s, 200);
    request = expect_message(&s, TRI_MESSAGE_ATTACH)->attach.request;
    tri_record_encode(TRI_RECORD_SPEC, &spec, &bytes);
    attached.attached.request = request;
    attached.attached.number = 7;
    attached.attached.count = 9;
    attached.attached.state = TRI_BATCH_RUNNING;
    attached.attached.spec = tri_buffer_bytes(&bytes);
    attached.attached.settled = tri_ranges_of(&lost, (size_t)_i);
    broker_says(&s, &attached, NULL);
    tri_buffer_deinit(&bytes);
    broker_answers_error(&s, request, TRI_STORE, 0);
    for (uint64_t i = 1; _i != 0 && i <= 3; i++) {
        ck_assert_int_eq(tri_follow_next(batch, s.now, &result, &s.error), TRI_OK);
        ck_assert_uint_eq(result.index, i);
    }
    expect_no_result(&s, batch);
    time_passes_ms(&s, 700);
    if (_i == 0)
        expect_nothing(&s);
    end_jam(&s, batch);
}
END_TEST

START_TEST(a_slow_task_is_waited_for)
{
    struct story s = story_up();
    struct tri_follow *batch = begin_jam(&s, true, 5);

    time_passes_ms(&s, 500);
    expect_nothing(&s);
    end_jam(&s, batch);
}
END_TEST

/* Nobody was there while it ran: of what was kept, the row with task 0 does not fit in. The same
 * process comes back (1), or another that knows its name (0). */
START_TEST(who_submits_again_may_need_a_larger_window_as_well)
{
    struct story s = story_up();
    struct tri_follow_options options = { .uuid = { { 9 } }, .owner = true, .window_bytes = 1000 };
    const struct tri_rec_spec spec = {
        .handler = { (const uint8_t *)"echo", 4 }, .source = TRI_SOURCE_RANGE, .step = 1, .count = 9
    };
    struct tri_message accepted = { .type = TRI_MESSAGE_ACCEPTED };
    struct tri_message progress = { .type = TRI_MESSAGE_PROGRESS };
    struct tri_buffer bytes = { 0 };
    struct tri_task_result result;
    struct tri_follow *batch;

    tri_record_encode(TRI_RECORD_SPEC, &spec, &bytes);
    ck_assert_int_eq(tri_follow_submit(s.session, &options, s.now, tri_bytes_of("name"),
                                       tri_buffer_bytes(&bytes), false, &batch, &s.error),
                     TRI_OK);
    tri_buffer_deinit(&bytes);
    if (_i != 0) {
        expect_message(&s, TRI_MESSAGE_SUBMIT);
        connection_breaks(&s);
    }
    accepted.accepted.request = expect_message(&s, TRI_MESSAGE_SUBMIT)->submit.request;
    accepted.accepted.number = progress.progress.number = 7;
    accepted.accepted.count = progress.progress.count = progress.progress.done = 9;
    broker_says(&s, &accepted, NULL);
    broker_run(&s, 7, 1, 1, 3);
    broker_says(&s, &progress, NULL);
    ck_assert_int_eq(tri_follow_next(batch, s.now, &result, &s.error), TRI_EMPTY);
    time_passes_ms(&s, 200);
    ck_assert_uint_eq(expect_message(&s, TRI_MESSAGE_ATTACH)->attach.window_bytes, 2000);
    end_jam(&s, batch);
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
    end_jam(&s, batch);
}
END_TEST

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

/* The client says that it wants nothing more of the batch, which it names by its 16 bytes. */
static const struct tri_message *expect_leave(struct story *s)
{
    const struct tri_message *attach = expect_message(s, TRI_MESSAGE_ATTACH);

    ck_assert_uint_eq(attach->attach.owner, 0);
    ck_assert_uint_eq(attach->attach.window_bytes, 0);
    ck_assert_uint_eq(tri_ranges_at(attach->attach.have, 0).count, INT64_MAX);
    if (attach->attach.number == 0)
        ck_assert_uint_eq(attach->attach.batch.size, 16);
    return attach;
}

START_TEST(closing_a_batch_that_goes_on_gives_up_its_ownership)
{
    struct story s = story_up();
    struct tri_follow *batch = batch_range(&s, 50, false);
    const struct tri_message *attach;

    broker_run(&s, 7, 0, 0, 5);
    ck_assert_uint_eq(s.kept, 1);
    tri_follow_close(&batch);
    attach = expect_leave(&s);
    ck_assert_uint_eq(s.kept, 0);
    broker_attached(&s, attach->attach.request, 7, 50, NULL, 0);
    broker_run(&s, 7, 1, 5, 5);
    broker_ends(&s, 7, 50, 50);
    expect_nothing(&s);
    story_end(&s);
}
END_TEST

/* It may be retried by hand: the window of an owner that takes nothing would hold that up. */
START_TEST(closing_a_batch_that_ended_gives_up_its_ownership)
{
    struct story s = story_up();
    struct tri_follow *batch = batch_range(&s, 50, false);

    broker_ends(&s, 7, 50, 0);
    tri_follow_close(&batch);
    expect_leave(&s);
    expect_nothing(&s);
    story_end(&s);
}
END_TEST

START_TEST(a_reader_of_a_batch_that_ended_closes_it_without_a_word)
{
    struct story s = story_up();
    struct tri_follow *batch = attach_late(&s, false);

    broker_ends(&s, 7, 9, 0);
    tri_follow_close(&batch);
    expect_nothing(&s);
    story_end(&s);
}
END_TEST

/* What cannot be read fails here; the broker knows nothing of it. */
START_TEST(closing_a_batch_that_failed_here_gives_up_its_ownership)
{
    struct story s = story_up();
    struct tri_follow *batch = batch_range(&s, 50, false);
    struct tri_message row = { .type = TRI_MESSAGE_ROW };
    const struct tri_bytes body = { (const uint8_t *)"no chunk", 8 };

    row.row.number = 7;
    broker_says(&s, &row, &body);
    ck_assert_int_ne(tri_follow_state(batch, &s.error), TRI_OK);
    tri_follow_close(&batch);
    expect_leave(&s);
    expect_nothing(&s);
    story_end(&s);
}
END_TEST

/* The broker knows one attachment of a client to a batch. */
START_TEST(a_batch_is_followed_once_at_a_time)
{
    struct story s = story_up();
    struct tri_follow_options options = { .number = 7, .owner = true, .window_bytes = 1000 };
    struct tri_message row = { .type = TRI_MESSAGE_ROW };
    const struct tri_bytes body = { (const uint8_t *)"no chunk", 8 };
    struct tri_follow *batch = attach_late(&s, true);
    struct tri_follow *again;

    ck_assert_int_eq(tri_follow_attach(s.session, &options, s.now, &again), TRI_CONFLICT);
    expect_nothing(&s);
    row.row.number = 7;
    broker_says(&s, &row, &body);
    ck_assert_int_ne(tri_follow_state(batch, &s.error), TRI_OK);
    ck_assert_int_eq(tri_follow_attach(s.session, &options, s.now, &again), TRI_OK);
    expect_message(&s, TRI_MESSAGE_ATTACH);
    tri_follow_close(&batch); /* which has failed: the other goes on */
    expect_nothing(&s);
    tri_follow_close(&again);
    expect_leave(&s);
    story_end(&s);
}
END_TEST

START_TEST(a_batch_that_was_refused_is_closed_without_a_word)
{
    struct story s = story_up();
    struct tri_follow_options options = { .number = 7, .owner = true, .window_bytes = 1000 };
    struct tri_follow *batch;

    ck_assert_int_eq(tri_follow_attach(s.session, &options, s.now, &batch), TRI_OK);
    broker_answers_error(&s, expect_message(&s, TRI_MESSAGE_ATTACH)->attach.request, TRI_NOTFOUND,
                         0);
    tri_follow_close(&batch);
    expect_nothing(&s);
    story_end(&s);
}
END_TEST

/* Who does not wait for the answer is its owner when it comes, and not there any more. */
START_TEST(a_batch_that_is_closed_before_the_answer_is_given_up)
{
    struct story s = story_up();
    struct tri_follow_options options = { .number = 7, .owner = true, .window_bytes = 1000 };
    struct tri_follow *batch;
    uint64_t request;

    ck_assert_int_eq(tri_follow_attach(s.session, &options, s.now, &batch), TRI_OK);
    if (_i == 0) { /* nobody has heard of it yet */
        tri_follow_close(&batch);
    } else {
        request = expect_message(&s, TRI_MESSAGE_ATTACH)->attach.request;
        tri_follow_close(&batch);
        ck_assert_uint_eq(expect_leave(&s)->attach.number, 7);
        broker_attached(&s, request, 7, 50, NULL, 0);
    }
    expect_nothing(&s);
    story_end(&s);
}
END_TEST

/* After a lost connection: the first SUBMIT may have arrived. */
START_TEST(a_new_batch_that_is_closed_before_the_answer_is_given_up)
{
    struct story s = story_up();
    struct tri_follow_options options = { .uuid = { { 9 } }, .owner = true, .window_bytes = 1000 };
    const struct tri_rec_spec spec = { .handler = { (const uint8_t *)"echo", 4 } };
    struct tri_buffer bytes = { 0 };
    struct tri_follow *batch;

    tri_record_encode(TRI_RECORD_SPEC, &spec, &bytes);
    ck_assert_int_eq(tri_follow_submit(s.session, &options, s.now, tri_bytes_of("name"),
                                       tri_buffer_bytes(&bytes), true, &batch, &s.error),
                     TRI_OK);
    tri_buffer_deinit(&bytes);
    expect_message(&s, TRI_MESSAGE_SUBMIT);
    if (_i != 0) {
        connection_is_lost(&s);
        tri_follow_close(&batch);
        s.now += STORY_GIVE_UP_MS;
        ck_assert_uint_le(tri_session_deadline(s.session), s.now);
        time_passes_ms(&s, 0);
        ck_assert_uint_gt(tri_session_deadline(s.session), s.now);
        connection_returns(&s);
    } else {
        tri_follow_close(&batch);
    }
    ck_assert_uint_eq(expect_leave(&s)->attach.number, 0);
    expect_nothing(&s);
    story_end(&s);
}
END_TEST

/* Who has asked for no results may still have been about to add to it. */
START_TEST(closing_an_open_batch_tells_that_nothing_more_comes)
{
    struct story s = story_up();
    struct tri_follow *batch = batch_detached(&s, 1 << 20);

    tri_follow_close(&batch);
    expect_leave(&s);
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
START_TEST(what_is_withheld_is_acknowledged_when_it_has_been_passed_on)
{
    struct story s = story_up();
    struct tri_follow *batch = batch_range(&s, 30, false);
    const struct tri_message *attach;

    tri_follow_withhold(batch);
    broker_run(&s, 7, 0, 0, 10);
    broker_run(&s, 7, 1, 10, 10);
    ck_assert_uint_eq(results_in_order(&s, batch, 0), 20);
    time_passes_ms(&s, 100);
    expect_nothing(&s);
    connection_breaks(&s);
    attach = expect_message(&s, TRI_MESSAGE_ATTACH);
    ck_assert_uint_eq(attach->attach.have.count, 0); /* from an owner as good as an ACK */
    broker_attached(&s, attach->attach.request, 7, 30, NULL, 0);
    broker_run(&s, 7, 1, 10, 10); /* it comes again, but is not to be said to be safe */
    time_passes_ms(&s, 100);
    expect_nothing(&s);
    ck_assert_int_eq(tri_follow_pass_on(batch, s.now, &s.error), TRI_OK);
    time_passes_ms(&s, 100);
    expect_ack(&s, 0, 2);
    broker_run(&s, 7, 2, 20, 10);
    ck_assert_uint_eq(results_in_order(&s, batch, 20), 10);
    connection_breaks(&s);
    attach = expect_message(&s, TRI_MESSAGE_ATTACH);
    ck_assert_uint_eq(attach->attach.have.count, 1);
    ck_assert_uint_eq(tri_ranges_at(attach->attach.have, 0).count, 2);
    broker_attached(&s, attach->attach.request, 7, 30, NULL, 0);
    expect_ack(&s, 0, 2); /* the first time may be lost */
    expect_nothing(&s);
    story_end(&s);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("window");

    tcase_add_test(tcase, a_reader_makes_room_for_the_row_that_it_needs);
    tcase_add_test(tcase, a_reader_of_retried_tasks_makes_room_for_the_row_that_it_needs);
    tcase_add_test(tcase, an_owner_counts_a_retried_task_once);
    tcase_add_test(tcase, an_owner_whose_failures_were_retried_makes_room_when_nothing_runs);
    tcase_add_test(tcase, an_owner_with_room_waits_for_workers);
    tcase_add_loop_test(tcase, a_row_that_is_lost_is_not_asked_for_again_and_again, 0, 2);
    tcase_add_test(tcase, a_slow_task_is_waited_for);
    tcase_add_loop_test(tcase, who_submits_again_may_need_a_larger_window_as_well, 0, 2);
    tcase_add_test(tcase, an_owner_asks_for_a_larger_window_to_get_the_row_that_it_needs);
    tcase_add_test(tcase, a_row_is_acknowledged_when_its_last_result_is_consumed_and_soon);
    tcase_add_test(tcase, acknowledgements_are_gathered_up_to_a_quarter_of_the_window);
    tcase_add_test(tcase, the_end_is_acknowledged_at_once);
    tcase_add_test(tcase, closing_a_batch_acknowledges_what_was_consumed);
    tcase_add_test(tcase, closing_a_batch_that_goes_on_gives_up_its_ownership);
    tcase_add_test(tcase, closing_a_batch_that_ended_gives_up_its_ownership);
    tcase_add_test(tcase, a_reader_of_a_batch_that_ended_closes_it_without_a_word);
    tcase_add_test(tcase, closing_a_batch_that_failed_here_gives_up_its_ownership);
    tcase_add_test(tcase, a_batch_is_followed_once_at_a_time);
    tcase_add_test(tcase, a_batch_that_was_refused_is_closed_without_a_word);
    tcase_add_loop_test(tcase, a_batch_that_is_closed_before_the_answer_is_given_up, 0, 2);
    tcase_add_loop_test(tcase, a_new_batch_that_is_closed_before_the_answer_is_given_up, 0, 2);
    tcase_add_test(tcase, closing_an_open_batch_tells_that_nothing_more_comes);
    tcase_add_test(tcase, a_batch_that_another_client_took_over_fails_here);
    tcase_add_test(tcase, a_lost_connection_repeats_and_loses_no_result);
    tcase_add_test(tcase, a_repeated_row_that_was_consumed_is_acknowledged_again);
    tcase_add_test(tcase, results_that_are_here_are_given_before_a_failure_is_told);
    tcase_add_test(tcase, a_row_that_cannot_be_read_fails_the_batch_and_not_the_session);
    tcase_add_test(tcase, what_is_withheld_is_acknowledged_when_it_has_been_passed_on);
    return unit_run("client window", tcase);
}
