/* What a restart finds again. That every step writes down what it has to is compared after each
 * step of every story (scenario.c, recovered.h); here are the sentences, and what is refused. */
#include "tests/engine/story.h"

#include "broker/engine/state.h"
#include "broker/engine/stored.h"

#include <stdlib.h>

/* ---- batches -------------------------------------------------------------------------------- */

START_TEST(an_accepted_batch_is_there_after_a_restart)
{
    struct tri_message list = { .type = TRI_MESSAGE_LIST };

    client_joins(&s, "c1");
    worker_joins(&s, "w1", 2);
    peer_says_bye(&s, "w1");
    client_submits_with(&s, "c1", "b1", 10, 1000, &(struct scenario_spec){ 0 });
    expect(&s, "c1", "ACCEPTED b1 10 absent");
    broker_restarts(&s);
    peer_returns(&s, "c1");
    expect_informing(&s, "c1", "WELCOME");
    client_asks(&s, "c1", &list);
    expect(&s, "c1", "LISTED b1:running");
}
END_TEST

START_TEST(the_same_submit_after_a_restart_is_the_same_batch)
{
    client_joins(&s, "c1");
    worker_joins(&s, "w1", 2);
    peer_says_bye(&s, "w1");
    client_submits_with(&s, "c1", "b1", 10, 1000, &(struct scenario_spec){ 0 });
    expect(&s, "c1", "ACCEPTED b1 10 absent");
    broker_restarts(&s);
    peer_returns(&s, "c1");
    expect(&s, "c1", "WELCOME");
    client_submits_with(&s, "c1", "b1", 10, 1000, &(struct scenario_spec){ 0 });
    expect(&s, "c1", "ACCEPTED b1 10 absent");
    client_submits_with(&s, "c1", "b2", 1, 0, &(struct scenario_spec){ 0 });
    expect(&s, "c1", "ACCEPTED b2 1 absent");
    ck_assert_uint_eq(batch_of(&s, "b2")->number, 2);
}
END_TEST

START_TEST(a_handler_that_was_ever_offered_is_known_after_a_restart)
{
    static const char *const handlers[] = { "rare", NULL };
    static const char *const labels[] = { NULL };
    struct scenario_spec rare = { .handler = "rare" };
    struct scenario_spec never = { .handler = "never" };

    client_joins(&s, "c1");
    worker_joins_with(&s, "w1", 1, handlers, labels);
    peer_says_bye(&s, "w1");
    broker_restarts(&s);
    peer_returns(&s, "c1");
    expect(&s, "c1", "WELCOME");
    client_submits_with(&s, "c1", "b1", 1, 0, &rare);
    expect(&s, "c1", "ACCEPTED b1 1 absent");
    client_submits_with(&s, "c1", "b2", 1, 0, &never);
    expect(&s, "c1", "ERROR UNSUPPORTED");
}
END_TEST

START_TEST(rows_that_were_not_acknowledged_are_sent_again_after_a_restart)
{
    client_and_worker(&s, 4);
    client_submits(&s, "c1", "b1", 4);
    expect(&s, "w1", "LEASE b1 0+4");
    worker_returns(&s, "w1", "b1", 0, 2);
    expect(&s, "c1", "ROW b1 #0 values 0+2");
    worker_returns(&s, "w1", "b1", 2, 1);
    expect(&s, "c1", "ROW b1 #1 values 2+1");
    client_acks(&s, "c1", "b1", 0);
    worker_returns(&s, "w1", "b1", 3, 1);
    expect(&s, "c1", "ROW b1 #2 values 3+1");
    expect(&s, "c1", "END b1 done done=4 dead=0 cancelled=0 rows=3");
    broker_restarts(&s);
    peer_returns(&s, "c1");
    expect(&s, "c1", "WELCOME");
    client_attaches(&s, "c1", "b1", true, 100000);
    expect(&s, "c1", "ATTACHED b1 4 done settled=0+2");
    expect(&s, "c1", "ROW b1 #1 values 2+1");
    expect(&s, "c1", "ROW b1 #2 values 3+1");
    expect(&s, "c1", "END b1 done done=4 dead=0 cancelled=0 rows=3");
}
END_TEST

START_TEST(what_was_acknowledged_out_of_order_in_many_pieces_is_not_run_again)
{
    client_and_worker(&s, 3000);
    client_submits_with(&s, "c1", "b1", 3000, UINT64_C(64) << 20, &(struct scenario_spec){ 0 });
    ignore(&s, "c1");
    ignore(&s, "w1");
    for (uint64_t i = 0; i < 2200; i++) {
        worker_returns(&s, "w1", "b1", i, 1);
        ignore(&s, "c1");
        ignore(&s, "w1");
    }
    for (uint64_t i = 0; i < 2200; i += 2)
        client_acks(&s, "c1", "b1", i);
    client_cancels_tasks(&s, "c1", "b1", 2500, 1);
    ignore(&s, "c1");
    ignore(&s, "w1");
    worker_loses_leases(&s, "w1");
    broker_restarts(&s);
    peer_returns(&s, "w1");
    expect(&s, "w1", "WELCOME");
    expect(&s, "w1", "LEASE b1 2200+300");
    ignore(&s, "w1");
    peer_returns(&s, "c1");
    expect(&s, "c1", "WELCOME");
    client_attaches(&s, "c1", "b1", true, 1000);
    ck_assert(was_sent(&s, "c1", "ATTACHED b1 3000 running settled=0+1,2+1,4+1"));
    ck_assert(was_sent(&s, "c1", "ROW b1 #1 values 1+1"));
    ignore(&s, "c1");
    ignore(&s, "w1");
}
END_TEST

/* Every other task is cancelled one by one, so that no head has room for them all. */
START_TEST(more_cancelled_ranges_than_a_head_holds_are_all_cancelled_after_a_restart)
{
    client_joins(&s, "c1");
    worker_joins(&s, "w1", 2);
    peer_says_bye(&s, "w1");
    client_submits_with(&s, "c1", "b1", 6000, UINT64_C(64) << 20, &(struct scenario_spec){ 0 });
    ignore(&s, "c1");
    for (uint64_t i = 0; i < 6000; i += 2) {
        client_cancels_tasks(&s, "c1", "b1", i, 1);
        ignore(&s, "c1");
        if (i < 1000)
            client_acks(&s, "c1", "b1", i / 2);
    }
    broker_restarts(&s);
    worker_joins(&s, "w2", 1);
    expect(&s, "w2", "LEASE b1 1+1");
    expect(&s, "w2", "LEASE b1 3+1");
}
END_TEST

/* ---- items ---------------------------------------------------------------------------------- */

static void open_batch(void)
{
    client_joins(&s, "c1");
    worker_joins(&s, "w1", 100);
    client_opens(&s, "c1", "b1", 1000000);
}

START_TEST(a_client_goes_on_appending_after_a_restart_where_it_had_been)
{
    uint8_t before[16];

    open_batch();
    client_appends(&s, "c1", "b1", 30);
    ignore(&s, "w1");
    client_attaches(&s, "c1", "b1", true, 1000000);
    ignore(&s, "c1");
    memcpy(before, s.attached_hash, sizeof(before));
    broker_restarts(&s);
    peer_returns(&s, "c1");
    expect(&s, "c1", "WELCOME");
    client_attaches(&s, "c1", "b1", true, 1000000);
    expect(&s, "c1", "ATTACHED b1 30 open");
    ck_assert_mem_eq(s.attached_hash, before, sizeof(before));
    client_appends(&s, "c1", "b1", 10);
    client_seals(&s, "c1", "b1");
    expect(&s, "c1", "DONE 40");
}
END_TEST

/* Of what came in between nothing is left but its hash. */
static void hash_of(bool restarts, uint8_t hash[16])
{
    scenario_end(&s);
    scenario_begin(&s);
    open_batch();
    for (uint64_t i = 0; i < 20; i++) {
        client_appends(&s, "c1", "b1", 20 + i * 7);
        ignore(&s, "w1");
        ignore(&s, "c1");
        if (restarts) {
            for (uint64_t at = batch_of(&s, "b1")->appended - 20 - i * 7, end = at + 20 + i * 7;
                 i < 10 && at < end; at++) {
                worker_returns(&s, "w1", "b1", at, 1);
                ignore(&s, "w1");
                ignore(&s, "c1");
            }
            broker_restarts(&s);
            peer_returns(&s, "w1");
            ignore(&s, "w1");
            peer_returns(&s, "c1");
            ignore(&s, "w1");
            ignore(&s, "c1");
            client_attaches(&s, "c1", "b1", true, 1000000);
            ignore(&s, "c1");
        }
    }
    client_attaches(&s, "c1", "b1", true, 1000000);
    ignore(&s, "c1");
    ignore(&s, "w1");
    memcpy(hash, s.attached_hash, 16);
}

START_TEST(the_hash_over_all_items_goes_on_over_restarts)
{
    uint8_t once[16];
    uint8_t often[16];

    hash_of(false, once);
    hash_of(true, often);
    ck_assert_mem_eq(once, often, sizeof(once));
}
END_TEST

START_TEST(the_grace_of_an_open_batch_begins_again_at_a_restart)
{
    open_batch();
    client_appends(&s, "c1", "b1", 1);
    expect(&s, "w1", "LEASE b1 0+1 items=0/0+1");
    worker_returns(&s, "w1", "b1", 0, 1);
    expect(&s, "c1", "ROW b1 #0 values 0+1");
    broker_restarts(&s);
    peer_returns(&s, "w1");
    expect(&s, "w1", "WELCOME");
    time_passes_ms(&s, 59000);
    worker_joins(&s, "w2", 1);
    time_passes_ms(&s, 2000);
    expect_trace(&s, "batch.sealed batch=1 why=client_lost");
}
END_TEST

START_TEST(a_chunk_that_is_not_needed_any_more_may_be_sent_again_after_a_restart)
{
    open_batch();
    client_appends(&s, "c1", "b1", 2);
    expect(&s, "w1", "LEASE b1 0+2 items=0/0+2");
    worker_returns(&s, "w1", "b1", 0, 2);
    expect(&s, "c1", "ROW b1 #0 values 0+2");
    broker_restarts(&s);
    peer_returns(&s, "c1");
    expect(&s, "c1", "WELCOME");
    client_attaches(&s, "c1", "b1", true, 1000000);
    expect(&s, "c1", "ATTACHED b1 2 open");
    expect(&s, "c1", "ROW b1 #0 values 0+2");
    client_appends_at(&s, "c1", "b1", 0, 2, 8, 'x');
    expect(&s, "c1", "APPENDED b1 2");
}
END_TEST

/* ---- exceptional tasks ---------------------------------------------------------------------- */

START_TEST(charges_and_waits_are_kept_over_a_restart)
{
    struct engine_options options = scenario_options();

    options.limits.backoff_ms_min = 20000; /* the wait is half of it to all of it */
    story_with(&options);
    client_and_worker(&s, 2);
    client_submits_with(&s, "c1", "b1", 1, 100000, &(struct scenario_spec){ .retries = 2 });
    expect(&s, "c1", "ACCEPTED b1 1");
    expect(&s, "w1", "LEASE b1 0+1");
    worker_fails(&s, "w1", "b1", 0, TRI_OUTCOME_FAILED);
    broker_restarts(&s);
    peer_returns(&s, "w1");
    expect(&s, "w1", "WELCOME");
    time_passes_ms(&s, 9000);
    expect_nothing_else(&s);
    time_passes_ms(&s, 12000);
    expect(&s, "w1", "LEASE b1 0+1 attempt=2");
}
END_TEST

START_TEST(dead_tasks_and_their_history_are_kept_over_a_restart)
{
    struct tri_message show = { .type = TRI_MESSAGE_SHOW };

    client_and_worker(&s, 2);
    client_submits(&s, "c1", "b1", 2);
    expect(&s, "w1", "LEASE b1 0+2");
    worker_fails(&s, "w1", "b1", 1, TRI_OUTCOME_FAILED);
    expect(&s, "c1", "ROW b1 #0 entries 1+1");
    broker_restarts(&s);
    peer_returns(&s, "c1");
    expect(&s, "c1", "WELCOME");
    show.show.number = 1;
    client_asks(&s, "c1", &show);
    expect(&s, "c1", "SHOWN b1 running done=0 dead=1 1:failed*1");
}
END_TEST

START_TEST(a_retried_task_is_of_the_new_generation_after_a_restart)
{
    client_and_worker(&s, 1);
    client_submits(&s, "c1", "b1", 1);
    expect(&s, "w1", "LEASE b1 0+1");
    worker_fails(&s, "w1", "b1", 0, TRI_OUTCOME_FAILED);
    expect(&s, "c1", "ROW b1 #0 entries 0+1");
    expect(&s, "c1", "END b1 done done=0 dead=1 cancelled=0 rows=1");
    client_acks(&s, "c1", "b1", 0);
    client_retries(&s, "c1", "b1");
    expect(&s, "c1", "DONE 1");
    expect(&s, "w1", "LEASE b1 0+1 generation=2");
    worker_loses_leases(&s, "w1");
    broker_restarts(&s);
    peer_returns(&s, "w1");
    expect(&s, "w1", "WELCOME");
    expect(&s, "w1", "LEASE b1 0+1 generation=2");
}
END_TEST

START_TEST(suspects_of_vanished_workers_are_suspects_after_a_restart)
{
    client_and_worker(&s, 4);
    client_submits(&s, "c1", "b1", 4);
    expect(&s, "w1", "LEASE b1 0+4");
    peer_goes_silent(&s, "w1");
    time_passes_ms(&s, 11000);
    worker_joins(&s, "w2", 4);
    expect(&s, "w2", "LEASE b1 0+4");
    peer_goes_silent(&s, "w2");
    time_passes_ms(&s, 11000);
    broker_restarts(&s);
    worker_joins(&s, "w3", 4);
    expect(&s, "w3", "LEASE b1 0+2");
}
END_TEST

/* ---- ends ----------------------------------------------------------------------------------- */

START_TEST(a_cancelled_batch_stays_cancelled_over_a_restart)
{
    client_and_worker(&s, 2);
    client_submits(&s, "c1", "b1", 5);
    ignore(&s, "w1");
    client_cancels(&s, "c1", "b1");
    ignore(&s, "w1");
    expect(&s, "c1", "ROW b1 #0 entries 0+5");
    expect(&s, "c1", "DONE 5");
    expect(&s, "c1", "END b1 cancelled done=0 dead=0 cancelled=5 rows=1");
    broker_restarts(&s);
    peer_returns(&s, "w1");
    expect(&s, "w1", "WELCOME");
    peer_returns(&s, "c1");
    expect(&s, "c1", "WELCOME");
    client_attaches(&s, "c1", "b1", true, 100000);
    expect(&s, "c1", "ATTACHED b1 5 cancelled");
    expect(&s, "c1", "ROW b1 #0 entries 0+5");
    expect(&s, "c1", "END b1 cancelled done=0 dead=0 cancelled=5 rows=1");
}
END_TEST

START_TEST(a_batch_that_halts_cancels_what_nobody_comes_back_with)
{
    struct scenario_spec spec = { .halt = TRI_HALT_SOON, .halt_fail_count = 1 };

    client_and_worker(&s, 3);
    client_submits_with(&s, "c1", "b1", 9, 100000, &spec);
    expect(&s, "c1", "ACCEPTED b1 9");
    ignore(&s, "w1");
    worker_starts(&s, "w1", "b1", 0, 3);
    worker_fails(&s, "w1", "b1", 0, TRI_OUTCOME_FAILED);
    ignore(&s, "w1");
    ignore(&s, "c1");
    tri_rangeset_remove(&lease_of(&s, "w1", "b1", 2)->undone, 2, 1);
    broker_restarts(&s);
    peer_returns(&s, "c1");
    expect(&s, "c1", "WELCOME");
    client_attaches(&s, "c1", "b1", true, 100000);
    expect(&s, "c1", "ATTACHED b1 9 running");
    expect(&s, "c1", "ROW b1 #0 entries 0+1");
    expect(&s, "c1", "ROW b1 #1 entries 6+3");
    peer_returns(&s, "w1");
    expect(&s, "w1", "WELCOME");
    expect(&s, "w1", "REVOKE b1 0+3 asked=1+1");
    expect(&s, "w1", "REVOKE b1 3+3 asked=3+3");
    expect(&s, "c1", "ROW b1 #2 entries 2+1");
    worker_releases(&s, "w1", "b1", 3, 3);
    expect(&s, "c1", "ROW b1 #3 entries 3+3");
    worker_returns(&s, "w1", "b1", 1, 1);
    expect(&s, "c1", "ROW b1 #4 values 1+1");
    expect(&s, "c1", "END b1 halted done=1 dead=1 cancelled=7 rows=5");
}
END_TEST

START_TEST(retention_counts_on_over_restarts)
{
    struct engine_options options = scenario_options();

    options.limits.retention_ms = UINT64_C(10) * 3600 * 1000;
    story_with(&options);
    client_and_worker(&s, 1);
    client_submits(&s, "c1", "b1", 1);
    expect(&s, "w1", "LEASE b1 0+1");
    worker_returns(&s, "w1", "b1", 0, 1);
    ignore(&s, "c1");
    for (int i = 0; i < 3; i++) {
        peer_goes_silent(&s, "c1");
        peer_goes_silent(&s, "w1");
        time_passes_ms(&s, UINT64_C(3) * 3600 * 1000);
        ignore(&s, "c1");
        s.now = 5000; /* the machine was switched off */
        s.next_beat = 0;
        broker_restarts(&s);
        peer_returns(&s, "c1");
        expect(&s, "c1", "WELCOME");
    }
    expect_row(&s, STORE_BATCH, "b1", 0);
    peer_goes_silent(&s, "c1");
    time_passes_ms(&s, UINT64_C(2) * 3600 * 1000);
    expect_no_row(&s, STORE_BATCH, "b1", 0);
}
END_TEST

START_TEST(an_ended_batch_of_old_is_forgotten_when_its_time_has_come)
{
    struct engine_options options = scenario_options();

    options.limits.retention_ms = 5000;
    client_and_worker(&s, 1);
    client_submits(&s, "c1", "b1", 1);
    expect(&s, "w1", "LEASE b1 0+1");
    worker_returns(&s, "w1", "b1", 0, 1);
    ignore(&s, "c1");
    time_passes_ms(&s, 9000);
    worker_joins(&s, "w2", 1); /* something is written, and with it the time */
    s.options = options;       /* kept for less long from now on */
    broker_restarts(&s);
    tick(&s);
    expect_no_row(&s, STORE_BATCH, "b1", 0);
}
END_TEST

/* ---- what is refused ------------------------------------------------------------------------ */

/* A store with a row of every kind. */
static void fill_store(void)
{
    client_and_worker(&s, 4);
    client_submits_with(&s, "c1", "b1", 40, 100000, &(struct scenario_spec){ .retries = 1 });
    ignore(&s, "c1");
    ignore(&s, "w1");
    worker_returns(&s, "w1", "b1", 0, 1);
    ignore(&s, "c1");
    ignore(&s, "w1");
    worker_fails(&s, "w1", "b1", 1, TRI_OUTCOME_FAILED);
    ignore(&s, "c1");
    ignore(&s, "w1");
    client_opens(&s, "c1", "b2", 100000);
    client_appends(&s, "c1", "b2", 3);
    ignore(&s, "w1");
}

static enum tri_status try_recovery(struct tri_error *error)
{
    struct engine *engine = engine_new(&s.options);
    enum tri_status status = recover_into(&s, engine, error);

    if (status == TRI_OK)
        engine_check(engine);
    engine_destroy(&engine);
    return status;
}

static void each_row(void (*visit)(struct kept *kept))
{
    struct kept *rows[64];
    struct tri_bytes key;
    union tri_bytemap_value value;
    size_t count = 0;

    for (size_t at = 0; tri_bytemap_next(&s.rows, &at, &key, &value) && count < 64;)
        rows[count++] = value.pointer;
    for (size_t i = 0; i < count; i++)
        visit(rows[i]);
}

static void cut_off(struct kept *kept)
{
    size_t size = kept->head_size;
    struct tri_error error;

    for (kept->head_size = 0; kept->head_size < size; kept->head_size++) {
        ck_assert_int_eq(try_recovery(&error), TRI_STORE);
        ck_assert_ptr_nonnull(strstr(error.text, "row "));
    }
    kept->head_size = size;
}

START_TEST(a_head_that_is_cut_off_anywhere_is_refused_by_name)
{
    fill_store();
    each_row(cut_off);
}
END_TEST

/* What was changed may be sound by chance; it is never believed beyond what can be. */
static void change(struct kept *kept)
{
    static const uint8_t values[] = { 0x00, 0x01, 0x7f, 0x80, 0xc0, 0xc4, 0xcf, 0xd3, 0xff };
    struct tri_error error;

    for (size_t i = 0; i < kept->head_size; i++) {
        uint8_t before = kept->head[i];

        for (size_t v = 0; v < sizeof(values); v++) {
            kept->head[i] = values[v];
            ck_assert(try_recovery(&error) == TRI_OK || error.status == TRI_STORE);
        }
        kept->head[i] = before;
    }
}

START_TEST(a_head_with_any_byte_changed_never_breaks_the_engine)
{
    fill_store();
    each_row(change);
}
END_TEST

/* What the BATCH head says of how many rows there have been. */
static void rows_are_said_to_be(uint64_t rows)
{
    struct kept *kept = kept_row(&s, (struct store_key){ STORE_BATCH, 1, 0 });
    struct batch *batch = tri_map_find(&s.engine->batches, 1);
    uint64_t next = batch->row_next;
    struct tri_buffer head = { 0 };

    batch->row_next = rows;
    stored_batch(s.engine, batch, &head);
    batch->row_next = next;
    free(kept->head);
    kept->head = tri_buffer_give(&head, &kept->head_size);
}

START_TEST(very_many_rows_may_have_been_acknowledged_behind_one_that_was_not)
{
    struct tri_error error;

    fill_store();
    rows_are_said_to_be(UINT64_C(1) << 22);
    ck_assert_int_eq(try_recovery(&error), TRI_OK);
    rows_are_said_to_be(UINT64_C(1) << 40);
    ck_assert_int_eq(try_recovery(&error), TRI_STORE);
    ck_assert_ptr_nonnull(strstr(error.text, "too many of its rows are missing"));
    rows_are_said_to_be(1);
}
END_TEST

START_TEST(a_row_of_failures_of_tasks_that_are_not_dead_is_damage)
{
    struct tri_error error;

    client_and_worker(&s, 2);
    client_submits(&s, "c1", "b1", 2);
    expect(&s, "w1", "LEASE b1 0+2");
    worker_fails(&s, "w1", "b1", 1, TRI_OUTCOME_FAILED);
    ignore(&s, "c1");
    ck_assert_int_eq(try_recovery(&error), TRI_OK);
    lose_row(&s, (struct store_key){ STORE_TASK, 1, 1 });
    ck_assert_int_eq(try_recovery(&error), TRI_STORE);
    ck_assert_ptr_nonnull(strstr(error.text, "tasks have failed that are not dead"));
}
END_TEST

static void lose(struct kept *kept)
{
    struct store_key key = kept->key;
    struct tri_error error;
    enum tri_status status;

    kept->key.table = (enum store_table)99;
    status = try_recovery(&error);
    ck_assert_int_eq(status, TRI_STORE);
    kept->key = key;
}

START_TEST(a_row_of_an_unknown_table_is_refused)
{
    fill_store();
    each_row(lose);
}
END_TEST

static void expect_refused(struct store_key lost, const char *why)
{
    struct tri_error error;

    scenario_end(&s);
    scenario_begin(&s);
    fill_store();
    lose_row(&s, lost);
    ck_assert_int_eq(try_recovery(&error), TRI_STORE);
    ck_assert_msg(strstr(error.text, why) != NULL, "%s", error.text);
}

START_TEST(a_row_without_which_others_mean_nothing_is_missed)
{
    expect_refused((struct store_key){ STORE_META, 0, 0 }, "the row that comes first is missing");
    expect_refused((struct store_key){ STORE_BATCH, 1, 0 }, "there is no such batch");
    expect_refused((struct store_key){ STORE_BATCH, 2, 0 },
                   "row CHUNK 2/0: there is no such batch");
}
END_TEST

/* The next batch would have a number that no store takes. */
START_TEST(a_number_beyond_what_a_store_takes_is_refused)
{
    static const uint8_t number[] = { 0xcf, 0x10, 0, 0, 0, 0, 0, 0, 0 }; /* 2^60 */
    uint8_t head[64];
    struct tri_error error;
    struct kept *kept;
    uint8_t *before;

    fill_store();
    kept = kept_row(&s, (struct store_key){ STORE_META, 0, 0 });
    before = kept->head;
    memcpy(head, before, 3);
    memcpy(head + 3, number, sizeof(number));
    memcpy(head + 3 + sizeof(number), before + 4, kept->head_size - 4);
    kept->head = head;
    kept->head_size += sizeof(number) - 1;
    ck_assert_int_eq(try_recovery(&error), TRI_STORE);
    ck_assert_msg(strstr(error.text, "row META 0/0") != NULL, "%s", error.text);
    kept->head = before;
    kept->head_size -= sizeof(number) - 1;
}
END_TEST

START_TEST(a_format_of_a_later_version_is_refused)
{
    struct tri_error error;

    fill_store();
    kept_row(&s, (struct store_key){ STORE_BATCH, 1, 0 })->head[3]++; /* array 16: 3 bytes */
    ck_assert_int_eq(try_recovery(&error), TRI_STORE);
    ck_assert_msg(
        strstr(error.text, "row BATCH 1/0: it has a format that this version does not know")
            != NULL,
        "%s", error.text);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("recover");

    STORY(an_accepted_batch_is_there_after_a_restart);
    STORY(the_same_submit_after_a_restart_is_the_same_batch);
    STORY(a_handler_that_was_ever_offered_is_known_after_a_restart);
    STORY(rows_that_were_not_acknowledged_are_sent_again_after_a_restart);
    STORY(what_was_acknowledged_out_of_order_in_many_pieces_is_not_run_again);
    STORY(more_cancelled_ranges_than_a_head_holds_are_all_cancelled_after_a_restart);
    STORY(a_client_goes_on_appending_after_a_restart_where_it_had_been);
    STORY(the_hash_over_all_items_goes_on_over_restarts);
    STORY(the_grace_of_an_open_batch_begins_again_at_a_restart);
    STORY(a_chunk_that_is_not_needed_any_more_may_be_sent_again_after_a_restart);
    STORY(charges_and_waits_are_kept_over_a_restart);
    STORY(dead_tasks_and_their_history_are_kept_over_a_restart);
    STORY(a_retried_task_is_of_the_new_generation_after_a_restart);
    STORY(suspects_of_vanished_workers_are_suspects_after_a_restart);
    STORY(a_cancelled_batch_stays_cancelled_over_a_restart);
    STORY(a_batch_that_halts_cancels_what_nobody_comes_back_with);
    STORY(retention_counts_on_over_restarts);
    STORY(an_ended_batch_of_old_is_forgotten_when_its_time_has_come);
    STORY(a_head_that_is_cut_off_anywhere_is_refused_by_name);
    STORY(a_head_with_any_byte_changed_never_breaks_the_engine);
    STORY(very_many_rows_may_have_been_acknowledged_behind_one_that_was_not);
    STORY(a_row_of_failures_of_tasks_that_are_not_dead_is_damage);
    STORY(a_row_of_an_unknown_table_is_refused);
    STORY(a_row_without_which_others_mean_nothing_is_missed);
    STORY(a_number_beyond_what_a_store_takes_is_refused);
    STORY(a_format_of_a_later_version_is_refused);
    return story_run("engine/recover", tcase);
}
