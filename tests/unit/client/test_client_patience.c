/* Batches that wait for room at the broker: what their user hears, and when. */
#include "tests/unit/client/story.h"

#include "common/proto/codec.h"
#include "common/value.h"

#define ROOM UINT64_C(3000)
#define PLENTY (UINT64_C(1) << 40)
#define WAITS "batch 7 waits: the broker has no room"
#define GOES_ON "batch 7 goes on"

/* Add until there is no room; what was added is appended and acknowledged. Returns the count. */
static uint64_t fill(struct story *s, struct tri_follow *batch, uint64_t count, uint64_t credit)
{
    struct tri_value value = tri_value_int((int64_t)count);
    uint8_t hash[16];

    for (; tri_follow_add(batch, &value, &s->error) == TRI_OK; value.integer++)
        count++;
    ck_assert_int_eq(s->error.status, TRI_BUSY);
    ck_assert_int_eq(tri_session_settle(s->session, s->now), TRI_OK);
    story_skip(s);
    hash_of(count, hash);
    broker_appended(s, 7, count, hash, credit);
    story_skip(s);
    return count;
}

/* Seconds pass, in which a broker that answers says nothing new. */
static void seconds_pass(struct story *s, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        const struct tri_message *beat;

        time_passes_ms(s, 1000);
        story_perform(s);
        if (s->effects[s->effect_at].type == TRI_CLIENT_NOTICE)
            return;
        beat = expect_message(s, TRI_MESSAGE_HEARTBEAT);
        expect_nothing(s);
        broker_beats(s, beat->heartbeat.seq);
    }
}

static void grant(struct story *s, uint64_t count, uint64_t credit)
{
    uint8_t hash[16];

    hash_of(count, hash);
    broker_appended(s, 7, count, hash, credit);
    time_passes_ms(s, 1);
}

START_TEST(no_room_for_a_while_is_said_once_and_so_is_going_on)
{
    struct story s = story_up();
    struct tri_follow *batch = batch_open(&s, ROOM);
    uint64_t count = fill(&s, batch, 0, ROOM);

    seconds_pass(&s, 2);
    expect_nothing(&s);
    seconds_pass(&s, 2);
    expect_notice(&s, WAITS);
    story_skip(&s);
    seconds_pass(&s, 20);
    grant(&s, count, 2 * ROOM);
    expect_notice(&s, GOES_ON);
    count = fill(&s, batch, count, 2 * ROOM);
    seconds_pass(&s, 20);
    grant(&s, count, PLENTY);
    expect_nothing(&s);
    story_end(&s);
}
END_TEST

START_TEST(who_gets_a_little_room_now_and_then_hears_nothing)
{
    struct story s = story_up();
    struct tri_follow *batch = batch_open(&s, ROOM);
    uint64_t count = fill(&s, batch, 0, ROOM);

    for (uint64_t i = 1; i < 10; i++) {
        seconds_pass(&s, 2);
        grant(&s, count, ROOM + i * 500);
        count = fill(&s, batch, count, ROOM + i * 500);
    }
    story_end(&s);
}
END_TEST

START_TEST(who_has_nothing_to_add_does_not_wait)
{
    struct story s = story_up();
    struct tri_follow *batch = batch_open(&s, ROOM);
    uint8_t hash[16];

    batch_adds(&s, batch, 0, 16);
    ck_assert_int_eq(tri_follow_flush(batch, &s.error), TRI_OK);
    expect_message(&s, TRI_MESSAGE_APPEND);
    hash_of(16, hash);
    broker_appended(&s, 7, 16, hash, ROOM);
    seconds_pass(&s, 20);
    expect_nothing(&s);
    story_end(&s);
}
END_TEST

START_TEST(what_is_sent_and_not_acknowledged_is_waited_for)
{
    struct story s = story_up();
    struct tri_follow *batch = batch_open(&s, PLENTY);

    batch_adds(&s, batch, 0, 16);
    ck_assert_int_eq(tri_follow_flush(batch, &s.error), TRI_OK);
    expect_message(&s, TRI_MESSAGE_APPEND);
    seconds_pass(&s, 4);
    expect_notice(&s, "batch 7 waits: the broker has not stored what it was sent");
    story_skip(&s);
    grant(&s, 16, PLENTY);
    expect_notice(&s, GOES_ON);
    story_end(&s);
}
END_TEST

START_TEST(a_broker_that_is_lost_is_not_said_to_be_full)
{
    struct story s = story_up();
    struct tri_follow *batch = batch_open(&s, ROOM);

    fill(&s, batch, 0, ROOM);
    for (int i = 0; i < 3; i++) {
        time_passes_ms(&s, 1000);
        expect_message(&s, TRI_MESSAGE_HEARTBEAT);
        expect_nothing(&s);
    }
    time_passes_ms(&s, 1000);
    expect_notice(&s, "the broker is lost");
    story_end(&s);
}
END_TEST

static void broker_is_full(struct story *s)
{
    broker_answers_error(s, 0, TRI_NO_SPACE, 1000);
    expect_notice(s, "the broker says: because");
    expect_nothing(s);
}

START_TEST(a_broker_that_says_itself_that_it_is_full_is_believed)
{
    struct story s = story_up();
    struct tri_follow *batch = batch_open(&s, ROOM);
    uint64_t count = fill(&s, batch, 0, ROOM);

    for (uint64_t i = 2; i < 4; i++) {
        broker_is_full(&s);
        seconds_pass(&s, 20);
        grant(&s, count, ROOM * i);
        expect_notice(&s, GOES_ON);
        count = fill(&s, batch, count, ROOM * i);
    }
    story_end(&s);
}
END_TEST

/* It says so when it can grant nothing, not when what it has granted is too little for the next. */
START_TEST(who_waits_again_for_a_disk_is_advised_of_the_disk)
{
    struct story s = story_up();
    struct tri_follow *batch = batch_open(&s, ROOM);
    uint64_t count = fill(&s, batch, 0, ROOM);

    broker_is_full(&s);
    grant(&s, count, 2 * ROOM);
    expect_notice(&s, GOES_ON);
    fill(&s, batch, count, 2 * ROOM);
    seconds_pass(&s, 4);
    expect_notice(&s, WAITS " for more of its tasks: the disk of its store has little left.");
    story_end(&s);
}
END_TEST

/* The chunk that it had room for is acknowledged behind the word that there is no more. */
START_TEST(what_had_room_before_is_no_going_on)
{
    struct story s = story_up();
    struct tri_follow *batch = batch_open(&s, ROOM);

    batch_adds(&s, batch, 0, 16);
    ck_assert_int_eq(tri_follow_flush(batch, &s.error), TRI_OK);
    expect_message(&s, TRI_MESSAGE_APPEND);
    broker_is_full(&s);
    grant(&s, 16, ROOM);
    expect_nothing(&s);
    grant(&s, 16, 2 * ROOM);
    expect_notice(&s, GOES_ON);
    story_end(&s);
}
END_TEST

START_TEST(a_chunk_that_is_taken_after_it_was_refused_is_a_going_on)
{
    struct story s = story_up();
    struct tri_follow *batch = batch_open(&s, PLENTY);
    const struct tri_message *append;
    const struct tri_message *attach;

    batch_adds(&s, batch, 0, 16);
    ck_assert_int_eq(tri_follow_flush(batch, &s.error), TRI_OK);
    append = expect_message(&s, TRI_MESSAGE_APPEND);
    broker_answers_error(&s, append->append.request, TRI_NO_SPACE, 500);
    broker_is_full(&s);
    time_passes_ms(&s, 500);
    attach = expect_message(&s, TRI_MESSAGE_ATTACH);
    broker_attached(&s, attach->attach.request, 7, 0, NULL, PLENTY);
    time_passes_ms(&s, 1);
    expect_message(&s, TRI_MESSAGE_APPEND);
    expect_nothing(&s);
    grant(&s, 16, PLENTY);
    expect_notice(&s, GOES_ON);
    story_end(&s);
}
END_TEST

START_TEST(a_new_batch_that_is_refused_for_now_is_said_to_wait)
{
    struct story s = story_up();
    struct tri_follow_options options = { .uuid = { { 9 } }, .owner = true };
    struct tri_message accepted = { .type = TRI_MESSAGE_ACCEPTED };
    struct tri_rec_spec spec = { .source = TRI_SOURCE_RANGE, .step = 1, .count = 1 };
    struct tri_buffer bytes = { 0 };
    struct tri_follow *batch;

    tri_record_encode(TRI_RECORD_SPEC, &spec, &bytes);
    ck_assert_int_eq(tri_follow_submit(s.session, &options, s.now, tri_bytes_of("name"),
                                       tri_buffer_bytes(&bytes), false, &batch, &s.error),
                     TRI_OK);
    tri_buffer_deinit(&bytes);
    for (int i = 0; i < 4; i++) {
        accepted.accepted.request = expect_message(&s, TRI_MESSAGE_SUBMIT)->submit.request;
        broker_answers_error(&s, accepted.accepted.request, TRI_NO_SPACE, 1000);
        if (i == 3)
            expect_notice(&s, "a new batch waits: because");
        time_passes_ms(&s, 1000);
        broker_beats(&s, expect_message(&s, TRI_MESSAGE_HEARTBEAT)->heartbeat.seq);
    }
    expect_message(&s, TRI_MESSAGE_SUBMIT);
    accepted.accepted.number = 7;
    broker_says(&s, &accepted, NULL);
    time_passes_ms(&s, 1);
    expect_notice(&s, GOES_ON);
    story_end(&s);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("patience");

    tcase_add_test(tcase, no_room_for_a_while_is_said_once_and_so_is_going_on);
    tcase_add_test(tcase, who_gets_a_little_room_now_and_then_hears_nothing);
    tcase_add_test(tcase, who_has_nothing_to_add_does_not_wait);
    tcase_add_test(tcase, what_is_sent_and_not_acknowledged_is_waited_for);
    tcase_add_test(tcase, a_broker_that_is_lost_is_not_said_to_be_full);
    tcase_add_test(tcase, a_broker_that_says_itself_that_it_is_full_is_believed);
    tcase_add_test(tcase, who_waits_again_for_a_disk_is_advised_of_the_disk);
    tcase_add_test(tcase, what_had_room_before_is_no_going_on);
    tcase_add_test(tcase, a_chunk_that_is_taken_after_it_was_refused_is_a_going_on);
    tcase_add_test(tcase, a_new_batch_that_is_refused_for_now_is_said_to_wait);
    return unit_run("client patience", tcase);
}
