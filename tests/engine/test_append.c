/* Items by position, their hash, their credit, and the chunks that hold them. */
#include "tests/engine/story.h"

#include "common/proto/chunk.h"

#include <xxhash.h>

#define WINDOW (UINT64_C(1) << 20)

START_TEST(items_are_leased_as_they_are_appended_and_the_batch_ends_when_sealed)
{
    client_and_worker(&s, 4);
    client_opens(&s, "c1", "b1", WINDOW);
    client_appends(&s, "c1", "b1", 3);
    expect_row(&s, STORE_CHUNK, "b1", 0);
    expect(&s, "w1", "LEASE b1 0+3 items=0/0+3");
    worker_returns(&s, "w1", "b1", 0, 3);
    expect(&s, "c1", "ROW b1 #0 values 0+3");
    client_seals(&s, "c1", "b1");
    expect_waiting(&s, "c1", "DONE 3");
    expect(&s, "c1", "END b1 done done=3 dead=0 cancelled=0 rows=1");
}
END_TEST

START_TEST(a_lease_is_cut_out_of_the_chunks_it_spans)
{
    client_joins(&s, "c1");
    worker_joins(&s, "w1", 5);
    peer_of(&s, "w1")->width = 7;
    client_opens(&s, "c1", "b1", WINDOW);
    peer_lost(&s, "w1");
    client_appends(&s, "c1", "b1", 4);
    client_appends(&s, "c1", "b1", 4);
    peer_returns(&s, "w1");
    expect(&s, "w1", "WELCOME");
    expect(&s, "w1", "LEASE b1 0+7 items=0/0+4,4/0+3");
    expect(&s, "w1", "LEASE b1 7+1 items=4/3+1");
}
END_TEST

START_TEST(a_gap_is_a_conflict)
{
    client_and_worker(&s, 4);
    client_opens(&s, "c1", "b1", WINDOW);
    client_appends_at(&s, "c1", "b1", 5, 2, 8, 'x');
    expect(&s, "c1", "ERROR CONFLICT");
}
END_TEST

START_TEST(the_same_items_at_the_same_position_are_acknowledged_again)
{
    client_and_worker(&s, 4);
    client_opens(&s, "c1", "b1", WINDOW);
    client_appends(&s, "c1", "b1", 3);
    ignore(&s, "w1");
    client_appends_at(&s, "c1", "b1", 0, 3, 8, 'x');
    expect(&s, "c1", "APPENDED b1 3");
}
END_TEST

START_TEST(other_items_at_the_same_position_are_a_conflict)
{
    client_and_worker(&s, 4);
    client_opens(&s, "c1", "b1", WINDOW);
    client_appends(&s, "c1", "b1", 3);
    ignore(&s, "w1");
    client_appends_at(&s, "c1", "b1", 0, 3, 8, 'y');
    expect(&s, "c1", "ERROR CONFLICT");
    client_appends_at(&s, "c1", "b1", 1, 2, 8, 'x');
    expect(&s, "c1", "ERROR CONFLICT");
}
END_TEST

/* The hash that APPENDED carried last. */
static void hash_told(uint8_t hash[16])
{
    struct peer *peer = peer_of(&s, "c1");
    struct tri_message attach = { .type = TRI_MESSAGE_ATTACH };

    attach.attach.number = batch_of(&s, "b1")->number;
    attach.attach.owner = 1;
    attach.attach.window_bytes = WINDOW;
    client_asks(&s, "c1", &attach);
    memcpy(hash, s.attached_hash, 16);
    ignore(&s, peer->name);
}

START_TEST(the_hash_does_not_depend_on_how_items_were_cut_into_chunks)
{
    uint8_t one[16];
    uint8_t two[16];

    client_joins(&s, "c1");
    worker_joins(&s, "w1", 1);
    peer_says_bye(&s, "w1");
    {
        struct scenario_spec spec = { 0 };

        client_opens_with(&s, "c1", "b1", WINDOW, &spec);
        ignore(&s, "c1");
        client_appends_at(&s, "c1", "b1", 0, 1, 8, 'x');
        ignore(&s, "c1");
        client_appends_at(&s, "c1", "b1", 1, 3, 8, 'x');
        ignore(&s, "c1");
        hash_told(one);
        client_cancels(&s, "c1", "b1");
        ignore(&s, "c1");
        client_forgets(&s, "c1", "b1");
        ignore(&s, "c1");
        s.batches[0].number = 0;
        client_opens_with(&s, "c1", "b1", WINDOW, &spec);
        ignore(&s, "c1");
        client_appends_at(&s, "c1", "b1", 0, 4, 8, 'x');
        ignore(&s, "c1");
        hash_told(two);
    }
    ck_assert_mem_eq(one, two, 16);
}
END_TEST

START_TEST(a_seal_with_another_count_is_a_conflict)
{
    client_and_worker(&s, 4);
    client_opens(&s, "c1", "b1", WINDOW);
    client_appends(&s, "c1", "b1", 3);
    ignore(&s, "w1");
    batch_of(&s, "b1")->appended = 5;
    client_seals(&s, "c1", "b1");
    expect(&s, "c1", "ERROR CONFLICT");
}
END_TEST

START_TEST(a_seal_repeated_is_done_again_and_closes_the_batch)
{
    client_and_worker(&s, 4);
    client_opens(&s, "c1", "b1", WINDOW);
    client_appends(&s, "c1", "b1", 3);
    ignore(&s, "w1");
    client_seals(&s, "c1", "b1");
    expect(&s, "c1", "DONE 3");
    client_seals(&s, "c1", "b1");
    expect(&s, "c1", "DONE 3");
    client_appends_at(&s, "c1", "b1", 3, 1, 8, 'x');
    expect(&s, "c1", "ERROR CONFLICT");
    client_appends_at(&s, "c1", "b1", 0, 3, 8, 'x');
    expect(&s, "c1", "APPENDED b1 3");
}
END_TEST

START_TEST(an_open_batch_whose_client_is_gone_past_its_grace_is_sealed)
{
    client_and_worker(&s, 4);
    client_opens(&s, "c1", "b1", WINDOW);
    client_appends(&s, "c1", "b1", 2);
    expect(&s, "w1", "LEASE b1 0+2 items=0/0+2");
    worker_returns(&s, "w1", "b1", 0, 2);
    expect(&s, "c1", "ROW b1 #0 values 0+2");
    peer_says_bye(&s, "c1");
    time_passes_ms(&s, s.options.limits.open_grace_ms - 1);
    client_joins(&s, "c2");
    client_attaches(&s, "c2", "b1", false, WINDOW);
    expect(&s, "c2", "ATTACHED b1 2 open");
    expect(&s, "c2", "ROW b1 #0 values 0+2");
    time_passes_ms(&s, 1);
    expect(&s, "c2", "END b1 done done=2 dead=0 cancelled=0 rows=1");
    expect_trace(&s, "batch.sealed batch=1 why=client_lost");
    client_appends_at(&s, "c2", "b1", 2, 1, 8, 'x');
    expect(&s, "c2", "ERROR CANCELLED");
}
END_TEST

START_TEST(a_client_that_comes_back_within_the_grace_goes_on)
{
    client_and_worker(&s, 4);
    client_opens(&s, "c1", "b1", WINDOW);
    peer_says_bye(&s, "c1");
    time_passes_ms(&s, 30000);
    client_joins(&s, "c2");
    client_attaches(&s, "c2", "b1", true, WINDOW);
    expect(&s, "c2", "ATTACHED b1 0 open");
    time_passes_ms(&s, s.options.limits.open_grace_ms - 30000 - 1);
    client_appends(&s, "c2", "b1", 1);
    expect(&s, "w1", "LEASE b1 0+1 items=0/0+1");
    time_passes_ms(&s, s.options.limits.open_grace_ms * 2);
    client_appends(&s, "c2", "b1", 1);
    expect(&s, "w1", "LEASE b1 1+1 items=1/0+1");
}
END_TEST

START_TEST(a_client_that_submits_again_is_told_that_its_batch_was_sealed_without_it)
{
    client_and_worker(&s, 4);
    client_opens(&s, "c1", "b1", 0); /* it follows nothing, and would wait for credit for ever */
    peer_says_bye(&s, "c1");
    time_passes_ms(&s, s.options.limits.open_grace_ms);
    expect_trace(&s, "batch.sealed batch=1 why=client_lost");
    client_joins(&s, "c2");
    client_opens(&s, "c2", "b1", 0);
    expect(&s, "c2", "ERROR CLOSED");
}
END_TEST

START_TEST(a_client_is_told_that_its_batch_was_sealed_when_others_have_retried_it_too)
{
    struct scenario_spec spec = { 0 };

    client_and_worker(&s, 4);
    client_opens(&s, "c1", "b1", 0);
    client_appends(&s, "c1", "b1", 1);
    ignore(&s, "w1");
    worker_fails(&s, "w1", "b1", 0, TRI_OUTCOME_FAILED);
    peer_says_bye(&s, "c1");
    time_passes_ms(&s, s.options.limits.open_grace_ms);
    expect_trace(&s, "batch.sealed batch=1 why=client_lost");
    client_joins(&s, "c2");
    client_retries(&s, "c2", "b1");
    expect(&s, "c2", "DONE 1");
    expect(&s, "w1", "LEASE b1 0+1 generation=2 items=0/0+1");
    client_opens_with(&s, "c2", "b1", 0, &spec);
    expect(&s, "c2", "ACCEPTED b1 1");
    expect(&s, "c2", "ERROR CLOSED");
    client_appends_at(&s, "c2", "b1", 1, 1, 8, 'x');
    expect(&s, "c2", "ERROR CLOSED");
}
END_TEST

START_TEST(the_same_client_comes_back_and_may_take_its_time)
{
    client_and_worker(&s, 4);
    client_opens(&s, "c1", "b1", WINDOW);
    peer_lost(&s, "c1");
    peer_returns(&s, "c1");
    expect(&s, "c1", "WELCOME");
    client_attaches(&s, "c1", "b1", true, WINDOW);
    expect(&s, "c1", "ATTACHED b1 0 open");
    time_passes_ms(&s, s.options.limits.open_grace_ms * 2);
    client_appends(&s, "c1", "b1", 1);
    expect(&s, "w1", "LEASE b1 0+1 items=0/0+1");
}
END_TEST

START_TEST(a_successor_that_appends_nothing_does_not_keep_a_batch_open)
{
    client_and_worker(&s, 4);
    client_opens(&s, "c1", "b1", WINDOW);
    client_joins(&s, "c2");
    client_attaches(&s, "c2", "b1", true, WINDOW);
    expect(&s, "c1", "ERROR STALE");
    expect(&s, "c2", "ATTACHED b1 0 open");
    time_passes_ms(&s, s.options.limits.open_grace_ms);
    expect(&s, "c2", "END b1 done done=0 dead=0 cancelled=0 rows=0");
    expect_trace(&s, "batch.sealed batch=1 why=client_lost");
}
END_TEST

/* It has closed the batch, and stays for others. */
START_TEST(a_client_that_only_reads_any_more_does_not_keep_a_batch_open)
{
    client_and_worker(&s, 4);
    client_opens(&s, "c1", "b1", WINDOW);
    client_attaches(&s, "c1", "b1", false, WINDOW);
    expect(&s, "c1", "ATTACHED b1 0 open");
    time_passes_ms(&s, s.options.limits.open_grace_ms);
    expect(&s, "c1", "END b1 done done=0 dead=0 cancelled=0 rows=0");
    expect_trace(&s, "batch.sealed batch=1 why=client_lost");
}
END_TEST

START_TEST(a_chunk_is_deleted_when_all_its_tasks_are_done)
{
    client_and_worker(&s, 8);
    client_opens(&s, "c1", "b1", WINDOW);
    client_appends(&s, "c1", "b1", 2);
    ignore(&s, "w1");
    client_appends(&s, "c1", "b1", 2);
    ignore(&s, "w1");
    worker_returns(&s, "w1", "b1", 0, 1);
    expect_row(&s, STORE_CHUNK, "b1", 0);
    ignore(&s, "c1");
    worker_returns(&s, "w1", "b1", 1, 1);
    ignore(&s, "c1");
    expect_no_row(&s, STORE_CHUNK, "b1", 0);
    expect_row(&s, STORE_CHUNK, "b1", 2);
}
END_TEST

START_TEST(a_chunk_with_a_dead_task_is_kept_for_a_retry_by_hand)
{
    client_and_worker(&s, 8);
    client_opens(&s, "c1", "b1", WINDOW);
    client_appends(&s, "c1", "b1", 2);
    ignore(&s, "w1");
    client_seals(&s, "c1", "b1");
    ignore(&s, "c1");
    worker_returns(&s, "w1", "b1", 0, 1);
    ignore(&s, "c1");
    worker_fails(&s, "w1", "b1", 1, TRI_OUTCOME_FAILED);
    ignore(&s, "c1");
    expect_row(&s, STORE_CHUNK, "b1", 0);
    client_retries(&s, "c1", "b1");
    expect(&s, "c1", "DONE 1");
    expect(&s, "w1", "LEASE b1 1+1 generation=2 items=0/1+1");
    worker_returns(&s, "w1", "b1", 1, 1);
    ignore(&s, "c1");
    expect_no_row(&s, STORE_CHUNK, "b1", 0);
}
END_TEST

static struct engine_options tight(uint64_t memory_bytes, uint64_t batch_bytes)
{
    struct engine_options options = scenario_options();

    options.limits.item_bytes_max = 1000;
    options.limits.memory_bytes_max = memory_bytes;
    options.limits.batch_bytes_max = batch_bytes;
    return options;
}

START_TEST(an_append_over_the_credit_is_busy_until_work_is_done)
{
    struct engine_options options = tight(1 << 20, 10000);

    story_with(&options);
    client_and_worker(&s, 2);
    client_opens(&s, "c1", "b1", WINDOW);
    client_appends_at(&s, "c1", "b1", 0, 9, 990, 'x');
    expect(&s, "c1", "APPENDED b1 9");
    ignore(&s, "w1");
    client_appends_at(&s, "c1", "b1", 9, 2, 990, 'x');
    expect(&s, "c1", "ERROR BUSY");
    worker_returns(&s, "w1", "b1", 0, 2);
    ignore(&s, "w1");
    ignore(&s, "c1");
    client_appends_at(&s, "c1", "b1", 9, 2, 990, 'x');
    expect(&s, "c1", "ERROR BUSY"); /* a chunk counts until the last of its tasks is done */
    worker_returns_everything(&s, "w1", 1000000000);
    ignore(&s, "w1");
    ck_assert(was_sent(&s, "c1", "APPENDED b1 9"));
    ignore(&s, "c1");
    client_appends_at(&s, "c1", "b1", 9, 2, 990, 'x');
    expect(&s, "c1", "APPENDED b1 11");
    ignore(&s, "w1");
}
END_TEST

START_TEST(nobody_waits_for_an_acknowledgement_unless_the_credit_is_short)
{
    struct engine_options options = tight(1 << 20, 10000);

    story_with(&options);
    client_and_worker(&s, 2);
    client_opens(&s, "c1", "b1", WINDOW);
    client_appends_at(&s, "c1", "b1", 0, 5, 990, 'x');
    ck_assert_int_eq(haste_of(&s, "c1", "APPENDED b1 5"), HASTE_NONE);
    ck_assert_int_eq(haste_of(&s, "w1", "LEASE b1"), HASTE_OVERTAKES);
    ignore(&s, "c1");
    ignore(&s, "w1");
    client_appends_at(&s, "c1", "b1", 5, 4, 990, 'x');
    ck_assert_int_eq(haste_of(&s, "c1", "APPENDED b1 9"), HASTE_NORMAL);
    ignore(&s, "c1");
    ignore(&s, "w1");
    worker_returns(&s, "w1", "b1", 0, 1);
    ck_assert_int_eq(haste_of(&s, "c1", "ROW b1 #0"), HASTE_OVERTAKES);
    ignore(&s, "c1");
    ignore(&s, "w1");
}
END_TEST

START_TEST(a_lease_does_not_wait_for_the_disk_with_the_acknowledgement_of_its_step)
{
    client_and_worker(&s, 2);
    client_opens(&s, "c1", "b1", WINDOW);
    client_appends_at(&s, "c1", "b1", 0, 2, 10, 'x');
    expect_waiting(&s, "c1", "APPENDED b1 2");
    expect_prompt(&s, "w1", "LEASE b1 0+2 items=0/0+2");
}
END_TEST

START_TEST(a_chunk_larger_than_a_batch_may_queue_is_full)
{
    struct engine_options options = tight(1 << 20, 5000);

    story_with(&options);
    client_and_worker(&s, 2);
    client_opens(&s, "c1", "b1", WINDOW);
    client_appends_at(&s, "c1", "b1", 0, 9, 990, 'x');
    expect(&s, "c1", "ERROR FULL");
}
END_TEST

START_TEST(an_item_over_its_limit_is_too_large)
{
    struct engine_options options = tight(1 << 20, 1 << 20);

    story_with(&options);
    client_and_worker(&s, 2);
    client_opens(&s, "c1", "b1", WINDOW);
    client_appends_at(&s, "c1", "b1", 0, 1, 1001, 'x');
    expect(&s, "c1", "ERROR TOO_LARGE");
}
END_TEST

START_TEST(a_chunk_kept_for_dead_tasks_goes_when_memory_is_needed)
{
    struct engine_options options = tight(20000, 8000);
    uint64_t first = 0;

    story_with(&options);
    client_and_worker(&s, 8);
    client_opens(&s, "c1", "b1", WINDOW);
    for (int round = 0; round < 6; round++) {
        client_appends_at(&s, "c1", "b1", first, 4, 990, 'x');
        expect(&s, "c1", "APPENDED b1 %d", (int)first + 4);
        ignore(&s, "w1");
        for (int i = 0; i < 3; i++) {
            worker_returns(&s, "w1", "b1", first + (uint64_t)i, 1);
            ignore(&s, "c1");
            ignore(&s, "w1");
        }
        worker_fails(&s, "w1", "b1", first + 3, TRI_OUTCOME_FAILED);
        ignore(&s, "c1");
        first += 4;
    }
    expect_trace(&s, "chunk.dropped batch=1 first=0 why=memory");
    batch_of(&s, "b1")->appended = first;
    client_seals(&s, "c1", "b1");
    ignore(&s, "c1");
    client_retries(&s, "c1", "b1");
    expect(&s, "c1", "ERROR NOTFOUND");
}
END_TEST

START_TEST(a_range_takes_no_items_and_a_stopped_batch_none_either)
{
    client_and_worker(&s, 2);
    client_submits(&s, "c1", "b1", 1);
    ignore(&s, "w1");
    client_appends_at(&s, "c1", "b1", 1, 1, 8, 'x');
    expect(&s, "c1", "ERROR INVALID");
    client_opens(&s, "c1", "b2", WINDOW);
    client_cancels(&s, "c1", "b2");
    ignore(&s, "c1");
    client_appends_at(&s, "c1", "b2", 0, 1, 8, 'x');
    expect(&s, "c1", "ERROR CANCELLED");
}
END_TEST

START_TEST(who_appends_is_told_when_another_client_stops_the_batch)
{
    client_joins(&s, "c1");
    client_joins(&s, "c2");
    worker_joins(&s, "w1", 1);
    client_opens(&s, "c1", "b1", 10000);
    ignore(&s, "c1");
    client_cancels(&s, "c2", "b1");
    expect(&s, "c1", "ERROR CANCELLED");
    expect(&s, "c1", "END b1 cancelled done=0 dead=0 cancelled=0 rows=0");
    expect(&s, "c2", "DONE 0");
}
END_TEST

START_TEST(who_appends_is_told_when_another_client_seals_the_batch)
{
    client_joins(&s, "c1");
    client_joins(&s, "c2");
    worker_joins(&s, "w1", 1);
    client_opens(&s, "c1", "b1", 10000);
    ignore(&s, "c1");
    client_seals(&s, "c2", "b1");
    expect(&s, "c1", "ERROR CLOSED");
    ignore(&s, "c1");
    expect(&s, "c2", "DONE 0");
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("append");

    STORY(items_are_leased_as_they_are_appended_and_the_batch_ends_when_sealed);
    STORY(a_lease_is_cut_out_of_the_chunks_it_spans);
    STORY(a_gap_is_a_conflict);
    STORY(the_same_items_at_the_same_position_are_acknowledged_again);
    STORY(other_items_at_the_same_position_are_a_conflict);
    STORY(the_hash_does_not_depend_on_how_items_were_cut_into_chunks);
    STORY(a_seal_with_another_count_is_a_conflict);
    STORY(a_seal_repeated_is_done_again_and_closes_the_batch);
    STORY(an_open_batch_whose_client_is_gone_past_its_grace_is_sealed);
    STORY(a_client_that_comes_back_within_the_grace_goes_on);
    STORY(a_client_that_only_reads_any_more_does_not_keep_a_batch_open);
    STORY(a_client_that_submits_again_is_told_that_its_batch_was_sealed_without_it);
    STORY(a_client_is_told_that_its_batch_was_sealed_when_others_have_retried_it_too);
    STORY(the_same_client_comes_back_and_may_take_its_time);
    STORY(a_successor_that_appends_nothing_does_not_keep_a_batch_open);
    STORY(a_chunk_is_deleted_when_all_its_tasks_are_done);
    STORY(a_chunk_with_a_dead_task_is_kept_for_a_retry_by_hand);
    STORY(an_append_over_the_credit_is_busy_until_work_is_done);
    STORY(nobody_waits_for_an_acknowledgement_unless_the_credit_is_short);
    STORY(a_lease_does_not_wait_for_the_disk_with_the_acknowledgement_of_its_step);
    STORY(a_chunk_larger_than_a_batch_may_queue_is_full);
    STORY(an_item_over_its_limit_is_too_large);
    STORY(a_chunk_kept_for_dead_tasks_goes_when_memory_is_needed);
    STORY(a_range_takes_no_items_and_a_stopped_batch_none_either);
    STORY(who_appends_is_told_when_another_client_stops_the_batch);
    STORY(who_appends_is_told_when_another_client_seals_the_batch);
    return story_run("engine/append", tcase);
}
