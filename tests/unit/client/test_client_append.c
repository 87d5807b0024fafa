/* Arguments on their way out: chunks, credit, resuming, refusals. */
#include "tests/unit/client/story.h"

#include "common/proto/codec.h"
#include "common/value.h"

#include <stdlib.h>

#define PLENTY (UINT64_C(1) << 40)

static uint32_t chunk_count(const struct story *s)
{
    struct tri_chunk chunk;

    ck_assert_int_eq(tri_items_open(last_body(s), &chunk, NULL), TRI_OK);
    return chunk.count;
}

/* Every APPEND that is there: they follow one another from `first` on. Returns the count after. */
static uint64_t expect_appends(struct story *s, uint64_t first, uint64_t count)
{
    while (first < count) {
        const struct tri_message *append = expect_message(s, TRI_MESSAGE_APPEND);

        ck_assert_uint_eq(append->append.first, first);
        ck_assert_uint_eq(append->append.number, 7);
        first += chunk_count(s);
    }
    ck_assert_uint_eq(first, count);
    return first;
}

START_TEST(chunks_grow_from_small_to_a_thousand)
{
    struct story s = story_up();
    struct tri_follow *batch = batch_open(&s, PLENTY);
    uint64_t at = 0;
    uint32_t largest = 0;

    batch_adds(&s, batch, 0, 20000);
    story_perform(&s);
    while (s.effect_at < s.effect_count) {
        const struct tri_message *append = expect_message(&s, TRI_MESSAGE_APPEND);
        uint32_t count = chunk_count(&s);

        ck_assert_uint_eq(append->append.first, at);
        ck_assert_uint_ge(count, largest);
        if (at == 0)
            ck_assert_uint_eq(count, TRI_CHUNK_TASKS_FIRST);
        largest = count;
        at += count;
    }
    ck_assert_uint_eq(largest, TRI_CHUNK_TASKS);
    ck_assert_uint_gt(at, 20000 - TRI_CHUNK_TASKS);
    story_end(&s);
}
END_TEST

START_TEST(a_half_full_chunk_leaves_when_the_library_waits)
{
    struct story s = story_up();
    struct tri_follow *batch = batch_open(&s, PLENTY);

    batch_adds(&s, batch, 0, 3);
    expect_nothing(&s);
    ck_assert_int_eq(tri_session_settle(s.session, s.now), TRI_OK);
    expect_appends(&s, 0, 3);
    story_end(&s);
}
END_TEST

START_TEST(arguments_are_what_was_added)
{
    struct story s = story_up();
    struct tri_follow *batch = batch_open(&s, PLENTY);
    struct tri_value text = tri_value_string("a line", 6);
    struct tri_value number = tri_value_float(1.5);
    struct tri_chunk chunk;
    struct tri_value back;

    ck_assert_int_eq(tri_follow_add(batch, &text, &s.error), TRI_OK);
    ck_assert_int_eq(tri_follow_add(batch, &number, &s.error), TRI_OK);
    ck_assert_int_eq(tri_follow_add_packed(batch, tri_bytes_of("\x93\x01\x02\x03"), &s.error),
                     TRI_OK);
    ck_assert_int_eq(tri_follow_flush(batch, &s.error), TRI_OK);
    expect_message(&s, TRI_MESSAGE_APPEND);
    ck_assert_int_eq(tri_items_open(last_body(&s), &chunk, NULL), TRI_OK);
    ck_assert_uint_eq(chunk.count, 3);
    ck_assert_int_eq(tri_value_unpack_whole(tri_chunk_at(&chunk, 0), &back, NULL), TRI_OK);
    ck_assert(tri_value_equals(&back, &text));
    ck_assert_int_eq(tri_value_unpack_whole(tri_chunk_at(&chunk, 1), &back, NULL), TRI_OK);
    ck_assert(tri_value_equals(&back, &number));
    ck_assert_uint_eq(tri_chunk_at(&chunk, 2).size, 4);
    story_end(&s);
}
END_TEST

START_TEST(what_is_not_one_msgpack_value_is_refused)
{
    static const char *const wrong[] = { "", "\x01\x02", "\xc1", "\x93\x01", "\xd4\x01\x01" };
    struct story s = story_up();
    struct tri_follow *batch = batch_open(&s, PLENTY);
    struct tri_value compound = { .type = TRI_COMPOUND, .bytes = { (const uint8_t *)"\x92", 1 } };

    for (size_t i = 0; i < TRI_COUNT_OF(wrong); i++)
        ck_assert_int_eq(tri_follow_add_packed(batch, tri_bytes_of(wrong[i]), &s.error),
                         TRI_INVALID);
    ck_assert_int_eq(tri_follow_add(batch, &compound, &s.error), TRI_INVALID);
    batch_adds(&s, batch, 0, 1);
    ck_assert_int_eq(tri_follow_flush(batch, &s.error), TRI_OK);
    expect_appends(&s, 0, 1);
    story_end(&s);
}
END_TEST

START_TEST(an_argument_over_the_cap_is_too_large_and_one_at_the_cap_goes_alone)
{
    struct story s = story_up();
    struct tri_follow *batch = batch_open(&s, PLENTY);
    size_t cap = (size_t)tri_session_item_bytes_max(s.session);
    uint8_t *bytes = calloc(1, cap + 1);
    struct tri_value value = tri_value_string(bytes, cap - 5);

    batch_adds(&s, batch, 0, 2);
    ck_assert_int_eq(tri_follow_add(batch, &value, &s.error), TRI_OK);
    expect_appends(&s, 0, 2);
    batch_adds(&s, batch, 0, 1);
    expect_appends(&s, 2, 3);
    value.bytes.size = cap + 1;
    ck_assert_int_eq(tri_follow_add(batch, &value, &s.error), TRI_TOO_LARGE);
    free(bytes);
    story_end(&s);
}
END_TEST

START_TEST(the_credit_is_never_overdrawn_and_busy_ends_when_it_grows)
{
    struct story s = story_up();
    uint64_t credit = 3000;
    struct tri_follow *batch = batch_open(&s, credit);
    uint64_t sent_bytes = 0;
    uint64_t sent = 0;
    int64_t added = 0;
    uint8_t hash[16];

    for (int round = 0; round < 30; round++) {
        for (;;) {
            struct tri_value value = tri_value_int(added);
            enum tri_status status = tri_follow_add(batch, &value, &s.error);

            if (status == TRI_BUSY)
                break;
            ck_assert_int_eq(status, TRI_OK);
            added++;
        }
        ck_assert(!tri_follow_has_room(batch));
        tri_session_settle(s.session, s.now);
        story_perform(&s);
        while (s.effect_at < s.effect_count) {
            expect_message(&s, TRI_MESSAGE_APPEND);
            sent_bytes += last_body(&s).size;
            sent += chunk_count(&s);
        }
        ck_assert_uint_le(sent_bytes, credit);
        ck_assert_uint_eq(sent, (uint64_t)added);
        credit += (uint64_t)round * 500;
        hash_of(sent, hash);
        broker_appended(&s, 7, sent, hash, credit);
        if (round > 0)
            ck_assert(tri_follow_has_room(batch));
    }
    story_end(&s);
}
END_TEST

START_TEST(what_is_in_flight_is_bounded_even_with_unlimited_credit)
{
    struct story s = story_up();
    struct tri_follow *batch = batch_open(&s, PLENTY);
    uint8_t bytes[60000] = { 0 };
    struct tri_value value = tri_value_binary(bytes, sizeof(bytes));
    size_t added = 0;

    while (tri_follow_add(batch, &value, &s.error) == TRI_OK)
        added += sizeof(bytes);
    ck_assert_int_eq(s.error.status, TRI_BUSY);
    ck_assert_uint_lt(added, 2 * TRI_FLIGHT_BYTES_MAX);
    story_end(&s);
}
END_TEST

START_TEST(seal_waits_for_the_durable_count_and_the_confirmation)
{
    struct story s = story_up();
    struct tri_follow *batch = batch_open(&s, PLENTY);
    struct tri_message done = { .type = TRI_MESSAGE_DONE };
    const struct tri_message *seal;
    uint8_t hash[16];

    batch_adds(&s, batch, 0, 20);
    ck_assert_int_eq(tri_follow_seal(batch, &s.error), TRI_OK);
    expect_appends(&s, 0, 20);
    seal = expect_message(&s, TRI_MESSAGE_SEAL);
    ck_assert_uint_eq(seal->seal.count, 20);
    ck_assert_int_eq(tri_follow_durable(batch, &s.error), TRI_EMPTY);
    hash_of(20, hash);
    broker_appended(&s, 7, 20, hash, PLENTY);
    ck_assert_int_eq(tri_follow_durable(batch, &s.error), TRI_EMPTY);
    done.done.request = seal->seal.request;
    done.done.count = 20;
    broker_says(&s, &done, NULL);
    ck_assert_int_eq(tri_follow_durable(batch, &s.error), TRI_OK);
    ck_assert_int_eq(tri_follow_add(batch, &(struct tri_value){ .type = TRI_NIL }, &s.error),
                     TRI_CLOSED);
    expect_nothing(&s);
    story_end(&s);
}
END_TEST

/* After a loss at any moment, what is not durable goes out again, from the durable count. */
START_TEST(appending_resumes_from_the_durable_count)
{
    static const uint64_t ends[] = { 0, 16, 48, 112, 200 }; /* of the chunks */

    for (size_t i = 0; i < TRI_COUNT_OF(ends); i++) {
        struct story s = story_up();
        struct tri_follow *batch = batch_open(&s, PLENTY);
        const struct tri_message *attach;
        uint8_t hash[16];

        batch_adds(&s, batch, 0, 200);
        ck_assert_int_eq(tri_follow_seal(batch, &s.error), TRI_OK);
        expect_appends(&s, 0, 200);
        expect_message(&s, TRI_MESSAGE_SEAL);
        connection_breaks(&s);
        attach = expect_message(&s, TRI_MESSAGE_ATTACH);
        ck_assert_uint_eq(attach->attach.batch.size, 16);
        ck_assert_uint_eq(attach->attach.owner, 2);
        expect_nothing(&s);
        hash_of(ends[i], hash);
        broker_attached(&s, attach->attach.request, 7, ends[i], hash, PLENTY);
        ck_assert_int_eq(tri_follow_state(batch, &s.error), TRI_OK);
        expect_appends(&s, ends[i], 200);
        expect_message(&s, TRI_MESSAGE_SEAL);
        hash_of(200, hash);
        broker_appended(&s, 7, 200, hash, PLENTY);
        expect_nothing(&s);
        story_end(&s);
    }
}
END_TEST

START_TEST(a_broker_with_other_arguments_is_a_conflict)
{
    struct story s = story_up();
    struct tri_follow *batch = batch_open(&s, PLENTY);
    const struct tri_message *attach;
    uint8_t hash[16];

    batch_adds(&s, batch, 0, 200);
    ck_assert_int_eq(tri_follow_flush(batch, &s.error), TRI_OK);
    connection_breaks(&s);
    attach = expect_message(&s, TRI_MESSAGE_ATTACH);
    hash_of(47, hash);
    broker_attached(&s, attach->attach.request, 7, 48, hash, PLENTY);
    ck_assert_int_eq(tri_follow_state(batch, &s.error), TRI_CONFLICT);
    ck_assert_int_eq(tri_follow_durable(batch, &s.error), TRI_CONFLICT);
    story_end(&s);
}
END_TEST

START_TEST(a_broker_with_more_or_fewer_arguments_than_acknowledged_is_a_conflict)
{
    static const uint64_t counts[] = { 16, 300 };

    for (size_t i = 0; i < TRI_COUNT_OF(counts); i++) {
        struct story s = story_up();
        struct tri_follow *batch = batch_open(&s, PLENTY);
        const struct tri_message *attach;
        uint8_t hash[16];

        batch_adds(&s, batch, 0, 200);
        ck_assert_int_eq(tri_follow_flush(batch, &s.error), TRI_OK);
        story_skip(&s);
        hash_of(48, hash);
        broker_appended(&s, 7, 48, hash, PLENTY);
        connection_breaks(&s);
        attach = expect_message(&s, TRI_MESSAGE_ATTACH);
        hash_of(counts[i], hash);
        broker_attached(&s, attach->attach.request, 7, counts[i], hash, PLENTY);
        ck_assert_int_eq(tri_follow_state(batch, &s.error), TRI_CONFLICT);
        story_end(&s);
    }
}
END_TEST

/* The client comes back to a broker that does not have its batch. */
static void comes_back_to_nothing(uint8_t cluster, enum tri_status status, const char *text)
{
    struct story s = story_up();
    struct tri_follow *batch = batch_open(&s, PLENTY);

    s.cluster = cluster;
    connection_breaks(&s);
    broker_answers_error(&s, expect_message(&s, TRI_MESSAGE_ATTACH)->attach.request, TRI_NOTFOUND,
                         0);
    ck_assert_int_eq(tri_follow_state(batch, &s.error), status);
    ck_assert_ptr_nonnull(strstr(s.error.text, text));
    ck_assert_int_eq(tri_follow_add(batch, &(struct tri_value){ .type = TRI_NIL }, &s.error),
                     status);
    story_end(&s);
}

START_TEST(a_batch_that_the_broker_does_not_have_any_more_was_forgotten)
{
    comes_back_to_nothing(0, TRI_NOTFOUND, "batch 7 was forgotten");
}
END_TEST

START_TEST(a_batch_that_another_broker_does_not_have_is_lost)
{
    comes_back_to_nothing(1, TRI_STORE, "without batch 7: it is lost");
}
END_TEST

START_TEST(busy_to_an_append_is_resolved_by_asking_where_the_broker_stands)
{
    struct story s = story_up();
    struct tri_follow *batch = batch_open(&s, PLENTY);
    uint64_t request;
    uint8_t hash[16];

    batch_adds(&s, batch, 0, 200);
    ck_assert_int_eq(tri_follow_flush(batch, &s.error), TRI_OK);
    request = expect_message(&s, TRI_MESSAGE_APPEND)->append.request;
    expect_appends(&s, 16, 200);
    broker_answers_error(&s, request, TRI_BUSY, 100);
    broker_answers_error(&s, request, TRI_CONFLICT, 0); /* the gaps behind it */
    broker_answers_error(&s, request, TRI_CONFLICT, 0);
    time_passes_ms(&s, 99);
    expect_nothing(&s);
    ck_assert_uint_eq(tri_session_deadline(s.session), s.now + 1);
    time_passes_ms(&s, 1);
    hash_of(0, hash);
    broker_attached(&s, expect_message(&s, TRI_MESSAGE_ATTACH)->attach.request, 7, 0, hash, PLENTY);
    expect_appends(&s, 0, 200);
    hash_of(200, hash);
    broker_appended(&s, 7, 200, hash, PLENTY);
    ck_assert_int_eq(tri_follow_durable(batch, &s.error), TRI_OK);
    story_end(&s);
}
END_TEST

START_TEST(an_append_to_a_full_store_is_tried_again)
{
    struct story s = story_up();
    struct tri_follow *batch = batch_open(&s, PLENTY);
    uint64_t request;
    uint8_t hash[16];

    batch_adds(&s, batch, 0, 10);
    ck_assert_int_eq(tri_follow_flush(batch, &s.error), TRI_OK);
    request = expect_message(&s, TRI_MESSAGE_APPEND)->append.request;
    broker_answers_error(&s, request, TRI_NO_SPACE, 900);
    time_passes_ms(&s, 899);
    expect_nothing(&s);
    time_passes_ms(&s, 1);
    hash_of(0, hash);
    broker_attached(&s, expect_message(&s, TRI_MESSAGE_ATTACH)->attach.request, 7, 0, hash, PLENTY);
    expect_appends(&s, 0, 10);
    story_end(&s);
}
END_TEST

START_TEST(a_conflict_that_stays_after_asking_is_final)
{
    struct story s = story_up();
    struct tri_follow *batch = batch_open(&s, PLENTY);
    uint64_t request;
    uint8_t hash[16];

    batch_adds(&s, batch, 0, 16);
    ck_assert_int_eq(tri_follow_flush(batch, &s.error), TRI_OK);
    request = expect_message(&s, TRI_MESSAGE_APPEND)->append.request;
    broker_answers_error(&s, request, TRI_CONFLICT, 0);
    hash_of(0, hash);
    broker_attached(&s, expect_message(&s, TRI_MESSAGE_ATTACH)->attach.request, 7, 0, hash, PLENTY);
    expect_appends(&s, 0, 16);
    broker_answers_error(&s, request, TRI_CONFLICT, 0);
    expect_nothing(&s);
    ck_assert_int_eq(tri_follow_durable(batch, &s.error), TRI_CONFLICT);
    story_end(&s);
}
END_TEST

START_TEST(a_batch_sealed_while_the_client_was_away_takes_no_more)
{
    struct story s = story_up();
    struct tri_follow *batch = batch_open(&s, PLENTY);
    struct tri_message attached = { .type = TRI_MESSAGE_ATTACHED };
    struct tri_rec_spec spec = { .handler = { (const uint8_t *)"echo", 4 } };
    struct tri_buffer bytes = { 0 };
    uint8_t hash[16];

    batch_adds(&s, batch, 0, 16);
    ck_assert_int_eq(tri_follow_flush(batch, &s.error), TRI_OK);
    connection_breaks(&s);
    tri_record_encode(TRI_RECORD_SPEC, &spec, &bytes);
    hash_of(16, hash);
    attached.attached.request = expect_message(&s, TRI_MESSAGE_ATTACH)->attach.request;
    attached.attached.number = 7;
    attached.attached.count = 16;
    attached.attached.state = TRI_BATCH_RUNNING;
    attached.attached.hash = (struct tri_bytes){ hash, 16 };
    attached.attached.spec = tri_buffer_bytes(&bytes);
    broker_says(&s, &attached, NULL);
    tri_buffer_deinit(&bytes);
    ck_assert_int_eq(tri_follow_state(batch, &s.error), TRI_OK);
    ck_assert_int_eq(tri_follow_flush(batch, &s.error), TRI_CLOSED);
    story_end(&s);
}
END_TEST

START_TEST(a_seal_whose_confirmation_was_lost_is_known_by_the_state)
{
    struct story s = story_up();
    struct tri_follow *batch = batch_open(&s, PLENTY);
    struct tri_message attached = { .type = TRI_MESSAGE_ATTACHED };
    struct tri_rec_spec spec = { .handler = { (const uint8_t *)"echo", 4 } };
    struct tri_buffer bytes = { 0 };
    uint8_t hash[16];

    batch_adds(&s, batch, 0, 10);
    ck_assert_int_eq(tri_follow_seal(batch, &s.error), TRI_OK);
    expect_appends(&s, 0, 10);
    expect_message(&s, TRI_MESSAGE_SEAL);
    connection_breaks(&s);
    tri_record_encode(TRI_RECORD_SPEC, &spec, &bytes);
    hash_of(10, hash);
    attached.attached.request = expect_message(&s, TRI_MESSAGE_ATTACH)->attach.request;
    attached.attached.number = 7;
    attached.attached.count = 10;
    attached.attached.state = TRI_BATCH_RUNNING;
    attached.attached.hash = (struct tri_bytes){ hash, 16 };
    attached.attached.spec = tri_buffer_bytes(&bytes);
    broker_says(&s, &attached, NULL);
    tri_buffer_deinit(&bytes);
    expect_nothing(&s);
    ck_assert_int_eq(tri_follow_durable(batch, &s.error), TRI_OK);
    story_end(&s);
}
END_TEST

START_TEST(a_batch_that_was_sealed_while_its_submitter_was_away_takes_no_more)
{
    for (uint64_t has = 4; has <= 10; has += 6) {
        struct story s = story_up();
        struct tri_follow *batch = batch_detached(&s, PLENTY);
        struct tri_message accepted = { .type = TRI_MESSAGE_ACCEPTED };
        uint8_t hash[16];

        batch_adds(&s, batch, 0, 4);
        ck_assert_int_eq(tri_follow_flush(batch, &s.error), TRI_OK);
        batch_adds(&s, batch, 4, 6);
        ck_assert_int_eq(tri_follow_seal(batch, &s.error), TRI_OK);
        expect_appends(&s, 0, 10);
        expect_message(&s, TRI_MESSAGE_SEAL);
        connection_breaks(&s);
        hash_of(has, hash);
        accepted.accepted.request = expect_message(&s, TRI_MESSAGE_SUBMIT)->submit.request;
        accepted.accepted.number = 7;
        accepted.accepted.count = has;
        accepted.accepted.hash = (struct tri_bytes){ hash, 16 };
        broker_says(&s, &accepted, NULL);
        broker_answers_error(&s, accepted.accepted.request, TRI_CLOSED, 0);
        /* With all of it the SEAL will be answered; with a part it never can be. */
        ck_assert_int_eq(tri_follow_durable(batch, &s.error), has == 10 ? TRI_EMPTY : TRI_CLOSED);
        story_skip(&s);
        story_end(&s);
    }
}
END_TEST

START_TEST(a_batch_that_is_stopped_takes_no_more_and_keeps_its_results)
{
    struct story s = story_up();
    struct tri_follow *batch = batch_open(&s, PLENTY);
    struct tri_task_result result;
    uint64_t request;

    batch_adds(&s, batch, 0, 16);
    ck_assert_int_eq(tri_follow_flush(batch, &s.error), TRI_OK);
    request = expect_message(&s, TRI_MESSAGE_APPEND)->append.request;
    broker_run(&s, 7, 0, 0, 1);
    broker_answers_error(&s, request, TRI_CANCELLED, 0);
    ck_assert_int_eq(tri_follow_add(batch, &(struct tri_value){ .type = TRI_NIL }, &s.error),
                     TRI_CLOSED);
    ck_assert_int_eq(tri_follow_seal(batch, &s.error), TRI_CLOSED);
    ck_assert_int_eq(tri_follow_next(batch, s.now, &result, &s.error), TRI_OK);
    broker_ends(&s, 7, 16, 1);
    ck_assert_int_eq(tri_follow_next(batch, s.now, &result, &s.error), TRI_CLOSED);
    story_end(&s);
}
END_TEST

/* It waits, for nothing is on its way, and hears of the end by that wait. */
START_TEST(who_waits_for_room_learns_that_the_batch_takes_no_more)
{
    struct story s = story_up();
    struct tri_follow *batch = batch_open(&s, 100);
    struct tri_value value = tri_value_int(0);
    uint8_t hash[16];

    while (tri_follow_add(batch, &value, &s.error) == TRI_OK)
        value.integer++;
    story_skip(&s);
    hash_of((uint64_t)value.integer, hash);
    broker_appended(&s, 7, (uint64_t)value.integer, hash, 100);
    ck_assert(!tri_follow_has_room(batch));
    ck_assert_int_eq(tri_follow_durable(batch, &s.error), TRI_OK);
    broker_ends(&s, 7, (uint64_t)value.integer, 0);
    ck_assert(tri_follow_has_room(batch));
    ck_assert_int_eq(tri_follow_add(batch, &value, &s.error), TRI_CLOSED);
    story_end(&s);
}
END_TEST

/* It may have been run and forgotten meanwhile, and would be run again. */
START_TEST(what_was_submitted_whole_and_detached_is_not_submitted_again)
{
    struct story s = story_up();
    struct tri_follow *batch = batch_detached(&s, PLENTY);
    struct tri_message done = { .type = TRI_MESSAGE_DONE };
    uint8_t hash[16];

    batch_adds(&s, batch, 0, 10);
    ck_assert_int_eq(tri_follow_seal(batch, &s.error), TRI_OK);
    expect_appends(&s, 0, 10);
    hash_of(10, hash);
    broker_appended(&s, 7, 10, hash, PLENTY);
    done.done.request = expect_message(&s, TRI_MESSAGE_SEAL)->seal.request;
    broker_says(&s, &done, NULL);
    ck_assert_int_eq(tri_follow_durable(batch, &s.error), TRI_OK);
    connection_breaks(&s);
    expect_nothing(&s);
    ck_assert_int_eq(tri_follow_durable(batch, &s.error), TRI_OK);
    story_end(&s);
}
END_TEST

START_TEST(a_lost_submit_is_sent_again_unchanged)
{
    struct story s = story_up();
    struct tri_follow_options options = { .uuid = { { 1 } }, .window_bytes = 1000, .owner = true };
    struct tri_rec_spec record = { .handler = { (const uint8_t *)"echo", 4 } };
    struct tri_buffer spec = { 0 };
    struct tri_follow *batch;
    const struct tri_message *first;
    const struct tri_message *second;

    tri_record_encode(TRI_RECORD_SPEC, &record, &spec);
    ck_assert_int_eq(tri_follow_submit(s.session, &options, s.now, tri_bytes_of(""),
                                       tri_buffer_bytes(&spec), true, &batch, &s.error),
                     TRI_OK);
    tri_buffer_deinit(&spec);
    first = expect_message(&s, TRI_MESSAGE_SUBMIT);
    connection_breaks(&s);
    second = expect_message(&s, TRI_MESSAGE_SUBMIT);
    ck_assert_mem_eq(first->submit.batch.data, second->submit.batch.data, 16);
    ck_assert_int_eq(tri_follow_state(batch, &s.error), TRI_EMPTY);
    broker_answers_error(&s, second->submit.request, TRI_UNSUPPORTED, 0);
    ck_assert_int_eq(tri_follow_state(batch, &s.error), TRI_UNSUPPORTED);
    ck_assert_str_eq(s.error.text, "because");
    story_end(&s);
}
END_TEST

START_TEST(a_submit_without_a_broker_is_unreachable_in_the_end)
{
    struct story s = story_new();
    struct tri_follow_options options = { .uuid = { { 1 } }, .window_bytes = 1000, .owner = true };
    struct tri_rec_spec record = { .handler = { (const uint8_t *)"echo", 4 } };
    struct tri_buffer spec = { 0 };
    struct tri_follow *batch;

    tri_record_encode(TRI_RECORD_SPEC, &record, &spec);
    ck_assert_int_eq(tri_follow_submit(s.session, &options, s.now, tri_bytes_of(""),
                                       tri_buffer_bytes(&spec), true, &batch, &s.error),
                     TRI_OK);
    tri_buffer_deinit(&spec);
    time_passes_ms(&s, STORY_GIVE_UP_MS);
    ck_assert_int_eq(tri_follow_state(batch, &s.error), TRI_UNREACHABLE);
    story_end(&s);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("append");

    tcase_add_test(tcase, chunks_grow_from_small_to_a_thousand);
    tcase_add_test(tcase, a_half_full_chunk_leaves_when_the_library_waits);
    tcase_add_test(tcase, arguments_are_what_was_added);
    tcase_add_test(tcase, what_is_not_one_msgpack_value_is_refused);
    tcase_add_test(tcase, an_argument_over_the_cap_is_too_large_and_one_at_the_cap_goes_alone);
    tcase_add_test(tcase, the_credit_is_never_overdrawn_and_busy_ends_when_it_grows);
    tcase_add_test(tcase, what_is_in_flight_is_bounded_even_with_unlimited_credit);
    tcase_add_test(tcase, seal_waits_for_the_durable_count_and_the_confirmation);
    tcase_add_test(tcase, appending_resumes_from_the_durable_count);
    tcase_add_test(tcase, a_broker_with_other_arguments_is_a_conflict);
    tcase_add_test(tcase, a_broker_with_more_or_fewer_arguments_than_acknowledged_is_a_conflict);
    tcase_add_test(tcase, a_batch_that_the_broker_does_not_have_any_more_was_forgotten);
    tcase_add_test(tcase, a_batch_that_another_broker_does_not_have_is_lost);
    tcase_add_test(tcase, busy_to_an_append_is_resolved_by_asking_where_the_broker_stands);
    tcase_add_test(tcase, an_append_to_a_full_store_is_tried_again);
    tcase_add_test(tcase, a_conflict_that_stays_after_asking_is_final);
    tcase_add_test(tcase, a_batch_sealed_while_the_client_was_away_takes_no_more);
    tcase_add_test(tcase, a_seal_whose_confirmation_was_lost_is_known_by_the_state);
    tcase_add_test(tcase, a_batch_that_was_sealed_while_its_submitter_was_away_takes_no_more);
    tcase_add_test(tcase, a_batch_that_is_stopped_takes_no_more_and_keeps_its_results);
    tcase_add_test(tcase, who_waits_for_room_learns_that_the_batch_takes_no_more);
    tcase_add_test(tcase, what_was_submitted_whole_and_detached_is_not_submitted_again);
    tcase_add_test(tcase, a_lost_submit_is_sent_again_unchanged);
    tcase_add_test(tcase, a_submit_without_a_broker_is_unreachable_in_the_end);
    return unit_run("client append", tcase);
}
