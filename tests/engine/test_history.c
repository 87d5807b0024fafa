/* What is kept of the charged tries of a task, for how long, and what of it is told. */
#include "tests/engine/recovered.h"
#include "tests/engine/story.h"

#include <msgpack/pack.h>
#include <stdlib.h>

#define WINDOW (UINT64_C(1) << 20)

static void begin(const struct scenario_spec *spec, uint64_t count)
{
    client_and_worker(&s, 4);
    client_submits_with(&s, "c1", "b1", count, WINDOW, spec);
    expect(&s, "c1", "ACCEPTED b1 %d", (int)count);
    ignore(&s, "w1");
}

/* The worker fails at the task and gets it again. */
static void fail_and_retry(const char *worker, uint64_t index, enum tri_outcome outcome)
{
    worker_fails(&s, worker, "b1", index, outcome);
    ignore(&s, "c1");
    ignore(&s, worker);
    time_passes_ms(&s, 60000);
    ignore(&s, worker);
}

static void ask(uint64_t after, uint64_t limit)
{
    struct tri_message tasks = { .type = TRI_MESSAGE_TASKS };

    tasks.tasks.number = 1;
    tasks.tasks.after = after;
    tasks.tasks.limit = limit;
    client_asks(&s, "c1", &tasks);
}

/* The broker is killed and comes back, and so do the client and the worker. */
static void restart(void)
{
    broker_restarts(&s);
    peer_returns(&s, "c1");
    expect(&s, "c1", "WELCOME");
    peer_returns(&s, "w1");
    ignore(&s, "w1");
}

START_TEST(every_charged_try_of_a_dead_task_is_told_in_order)
{
    begin(&(struct scenario_spec){ .retries = 1, .crash_limit = 2 }, 1);
    fail_and_retry("w1", 0, TRI_OUTCOME_TIMEOUT);
    fail_and_retry("w1", 0, TRI_OUTCOME_CRASHED);
    ask(0, 0);
    expect(&s, "c1", "TASKS_INFO 0:retrying[1:timeout@w1 2:crashed@w1]");
    worker_fails(&s, "w1", "b1", 0, TRI_OUTCOME_TOO_LARGE);
    ignore(&s, "c1");
    ask(0, 0);
    expect(&s, "c1", "TASKS_INFO 0:dead[1:timeout@w1 2:crashed@w1 3:too-large@w1]");
}
END_TEST

START_TEST(a_try_tells_which_worker_had_it)
{
    begin(&(struct scenario_spec){ .retries = 1 }, 1);
    worker_fails(&s, "w1", "b1", 0, TRI_OUTCOME_FAILED);
    peer_says_bye(&s, "w1");
    worker_joins(&s, "w2", 1);
    time_passes_ms(&s, 1000);
    ignore(&s, "w2");
    worker_fails(&s, "w2", "b1", 0, TRI_OUTCOME_FAILED);
    ignore(&s, "c1");
    ask(0, 0);
    expect(&s, "c1", "TASKS_INFO 0:dead[1:failed@w1 2:failed@w2]");
}
END_TEST

START_TEST(tries_are_kept_over_restarts_and_tell_how_many_there_were_since)
{
    begin(&(struct scenario_spec){ .retries = 2 }, 1);
    fail_and_retry("w1", 0, TRI_OUTCOME_FAILED);
    restart();
    fail_and_retry("w1", 0, TRI_OUTCOME_TIMEOUT);
    restart();
    worker_fails(&s, "w1", "b1", 0, TRI_OUTCOME_FAILED);
    ignore(&s, "c1");
    ask(0, 0);
    expect(&s, "c1", "TASKS_INFO 0:dead[1:failed@w1+2 2:timeout@w1+1 3:failed@w1]");
    restart();
    ask(0, 0);
    expect(&s, "c1", "TASKS_INFO 0:dead[1:failed@w1+3 2:timeout@w1+2 3:failed@w1+1]");
}
END_TEST

START_TEST(the_first_and_the_last_tries_are_kept)
{
    begin(&(struct scenario_spec){ .retries = 100 }, 1);
    for (int i = 0; i < 40; i++)
        fail_and_retry("w1", 0, TRI_OUTCOME_FAILED);
    ask(0, 0);
    expect(&s, "c1",
           "TASKS_INFO 0:retrying[1:failed@w1 26:failed@w1 27:failed@w1 28:failed@w1 29:failed@w1 "
           "30:failed@w1 31:failed@w1 32:failed@w1 33:failed@w1 34:failed@w1 35:failed@w1 "
           "36:failed@w1 37:failed@w1 38:failed@w1 39:failed@w1 40:failed@w1]");
}
END_TEST

START_TEST(a_retry_by_hand_begins_a_new_history)
{
    begin(&(struct scenario_spec){ .retries = 1 }, 2);
    fail_and_retry("w1", 0, TRI_OUTCOME_FAILED);
    fail_and_retry("w1", 0, TRI_OUTCOME_FAILED);
    fail_and_retry("w1", 1, TRI_OUTCOME_FAILED);
    client_retries(&s, "c1", "b1");
    expect(&s, "c1", "DONE 1");
    ignore(&s, "w1");
    ask(0, 0);
    expect(&s, "c1", "TASKS_INFO 1:retrying[1:failed@w1]");
    worker_fails(&s, "w1", "b1", 0, TRI_OUTCOME_TIMEOUT);
    ask(0, 0);
    expect(&s, "c1", "TASKS_INFO 0:retrying[1:timeout@w1] 1:retrying[1:failed@w1]");
}
END_TEST

START_TEST(a_task_that_was_cancelled_after_a_failure_says_so)
{
    begin(&(struct scenario_spec){ .retries = 1 }, 2);
    worker_fails(&s, "w1", "b1", 0, TRI_OUTCOME_FAILED);
    client_cancels_tasks(&s, "c1", "b1", 0, 1);
    ignore(&s, "c1");
    ask(0, 0);
    expect(&s, "c1", "TASKS_INFO 0:cancelled[1:failed@w1]");
}
END_TEST

START_TEST(tasks_are_told_in_pages)
{
    begin(&(struct scenario_spec){ 0 }, 4);
    worker_fails_many(&s, "w1", "b1", 0, 4, 1000);
    ignore(&s, "c1");
    ask(0, 3);
    expect(&s, "c1", "TASKS_INFO 0:dead[1:failed@w1] 1:dead[1:failed@w1] 2:dead[1:failed@w1] more");
    ask(3, 3);
    expect(&s, "c1", "TASKS_INFO 3:dead[1:failed@w1]");
    ask(4, 3);
    expect(&s, "c1", "TASKS_INFO");
}
END_TEST

/* ---- histories that are in the store only --------------------------------------------------- */

START_TEST(the_history_of_a_dead_task_is_in_the_store_only)
{
    begin(&(struct scenario_spec){ .retries = 1 }, 2);
    fail_and_retry("w1", 0, TRI_OUTCOME_FAILED);
    ck_assert_uint_ne(engine_history_bytes(s.engine), 0);
    worker_fails(&s, "w1", "b1", 0, TRI_OUTCOME_TIMEOUT);
    ignore(&s, "c1");
    ck_assert_uint_eq(engine_history_bytes(s.engine), 0);
    ask(0, 0);
    expect(&s, "c1", "TASKS_INFO 0:dead[1:failed@w1 2:timeout@w1]");
    restart();
    ck_assert_uint_eq(engine_history_bytes(s.engine), 0);
    ask(0, 0);
    expect(&s, "c1", "TASKS_INFO 0:dead[1:failed@w1+1 2:timeout@w1+1]");
    ck_assert_uint_eq(s.history_count, 2);
    s.has_lost_histories = true;
    ask(0, 0);
    expect(&s, "c1", "TASKS_INFO 0:dead[]");
}
END_TEST

START_TEST(histories_take_no_more_memory_than_their_bound)
{
    struct engine_options options = scenario_options();
    char told[16 * 26] = "TASKS_INFO";

    options.limits.history_bytes_max = 150; /* engine_check: never more */
    story_with(&options);
    begin(&(struct scenario_spec){ .retries = 1 }, 16);
    for (int i = 0; i < 16; i++) {
        worker_fails_many(&s, "w1", "b1", (uint64_t)i, 1, 1000);
        sprintf(told + strlen(told), " %d:retrying[1:failed@w1]", i);
        ignore(&s, "w1");
    }
    ck_assert_uint_ne(engine_history_bytes(s.engine), 0);
    ask(0, 0);
    expect(&s, "c1", "%s", told);
    ck_assert_uint_gt(s.history_count, 8); /* of those that are not in memory */
    broker_restarts(&s);
    ck_assert_uint_ne(engine_history_bytes(s.engine), 0);
}
END_TEST

START_TEST(a_task_beyond_memory_begins_its_history_anew_when_it_fails_again)
{
    struct engine_options options = scenario_options();

    options.limits.entries_max = 1;
    story_with(&options);
    begin(&(struct scenario_spec){ .retries = 1 }, 2);
    worker_fails_many(&s, "w1", "b1", 0, 2, 1000);
    ask(0, 0);
    expect(&s, "c1", "TASKS_INFO 0:retrying[1:failed@w1] 1:retrying[1:failed@w1]");
    time_passes_ms(&s, 1000);
    ignore(&s, "w1");
    worker_fails(&s, "w1", "b1", 1, TRI_OUTCOME_TIMEOUT);
    ignore(&s, "c1");
    ask(0, 0);
    expect(&s, "c1", "TASKS_INFO 0:retrying[1:failed@w1] 1:dead[2:timeout@w1]");
    restart();
    ask(0, 0);
    expect(&s, "c1", "TASKS_INFO 0:retrying[1:failed@w1+1] 1:dead[2:timeout@w1+1]");
}
END_TEST

START_TEST(what_is_retried_while_it_is_fetched_is_not_told)
{
    begin(&(struct scenario_spec){ 0 }, 3);
    worker_fails_many(&s, "w1", "b1", 0, 3, 1000);
    ignore(&s, "c1");
    s.holds_histories = true;
    ask(0, 0);
    expect_nothing_else(&s);
    client_retries_tasks(&s, "c1", "b1", 0, 2);
    expect(&s, "c1", "DONE 2");
    ignore(&s, "w1");
    histories_come(&s);
    expect(&s, "c1", "TASKS_INFO 2:dead[1:failed@w1]");
}
END_TEST

START_TEST(what_fails_again_while_it_is_fetched_is_told_as_it_is_then)
{
    begin(&(struct scenario_spec){ .retries = 1 }, 1);
    fail_and_retry("w1", 0, TRI_OUTCOME_FAILED);
    fail_and_retry("w1", 0, TRI_OUTCOME_FAILED);
    s.holds_histories = true;
    ask(0, 0);
    client_retries(&s, "c1", "b1");
    expect(&s, "c1", "DONE 1");
    ignore(&s, "w1");
    worker_fails(&s, "w1", "b1", 0, TRI_OUTCOME_TIMEOUT);
    histories_come(&s);
    expect(&s, "c1", "TASKS_INFO 0:retrying[1:timeout@w1]");
}
END_TEST

START_TEST(a_question_goes_with_its_connection_and_others_are_answered)
{
    begin(&(struct scenario_spec){ 0 }, 2);
    worker_fails_many(&s, "w1", "b1", 0, 2, 1000);
    ignore(&s, "c1");
    s.holds_histories = true;
    ask(0, 0);
    ask(1, 0);
    ask(0, 0);
    histories_come(&s);
    expect(&s, "c1", "TASKS_INFO 0:dead[1:failed@w1] 1:dead[1:failed@w1]");
    expect(&s, "c1", "TASKS_INFO 1:dead[1:failed@w1]");
    expect(&s, "c1", "TASKS_INFO 0:dead[1:failed@w1] 1:dead[1:failed@w1]");
    s.holds_histories = true;
    ask(0, 0);
    peer_lost(&s, "c1");
    histories_come(&s);
    peer_returns(&s, "c1");
    ignore(&s, "c1");
    ask(1, 0);
    expect(&s, "c1", "TASKS_INFO 1:dead[1:failed@w1]");
}
END_TEST

/* Whatever the store makes of it, it is told as some history, or as none. */
START_TEST(a_history_with_any_bit_wrong_is_told_somehow)
{
    struct kept *kept;
    uint64_t bits;

    begin(&(struct scenario_spec){ .retries = 1 }, 1);
    fail_and_retry("w1", 0, TRI_OUTCOME_FAILED);
    worker_fails(&s, "w1", "b1", 0, TRI_OUTCOME_TIMEOUT);
    ignore(&s, "c1");
    kept = kept_row(&s, (struct store_key){ STORE_TASK, 1, 0 });
    bits = kept->payload_bytes * 8;
    ck_assert_uint_ne(bits, 0);
    for (uint64_t bit = 0; bit < bits; bit++) {
        kept->head[kept->head_size + bit / 8] ^= (uint8_t)(1u << bit % 8);
        ask(0, 0);
        ignore(&s, "c1");
        kept->head[kept->head_size + bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    ask(0, 0);
    expect(&s, "c1", "TASKS_INFO 0:dead[1:failed@w1 2:timeout@w1]");
}
END_TEST

START_TEST(who_waits_for_histories_is_told_when_the_batch_is_forgotten)
{
    begin(&(struct scenario_spec){ 0 }, 1);
    worker_fails(&s, "w1", "b1", 0, TRI_OUTCOME_FAILED);
    ignore(&s, "c1");
    client_joins(&s, "c2");
    s.holds_histories = true;
    ask(0, 0);
    client_forgets(&s, "c2", "b1");
    expect(&s, "c2", "DONE 1");
    expect(&s, "c1", "ERROR NOTFOUND");
    histories_come(&s);
    expect_nothing_else(&s);
}
END_TEST

START_TEST(only_a_client_that_knows_tasks_is_told_that_the_broker_does)
{
    struct tri_message hello = { .type = TRI_MESSAGE_HELLO };
    uint8_t instance[16] = { 7 };

    hello.hello.version_min = hello.hello.version_max = TRI_PROTOCOL_VERSION;
    hello.hello.role = TRI_ROLE_CLIENT;
    hello.hello.instance = (struct tri_bytes){ instance, sizeof(instance) };
    client_joins(&s, "c1");
    hello.hello.features = 4;
    peer_sends(&s, "c1", &hello, NULL, 0);
    expect(&s, "c1", "WELCOME");
    hello.hello.features = 5;
    peer_sends(&s, "c1", &hello, NULL, 0);
    expect(&s, "c1", "WELCOME features=1");
    hello.hello.features = 7;
    peer_sends(&s, "c1", &hello, NULL, 0);
    expect(&s, "c1", "WELCOME features=3");
}
END_TEST

/* ---- rows of earlier formats --------------------------------------------------------------- */

static int append(void *buffer, const char *data, size_t size)
{
    tri_buffer_append(buffer, data, size);
    return 0;
}

/* [1, outcome, attempts, failures, crashes, vanished, cap, dead, generation, due, error, worker,
 *  wall_us, cpu_us, model]: what brokers wrote before there was a history. */
static void write_first_format(struct tri_buffer *head)
{
    static const uint64_t numbers[] = { 1, TRI_OUTCOME_CRASHED, 3, 1, 2, 0, 0, 1, 1, 0 };
    msgpack_packer packer;

    msgpack_packer_init(&packer, head, append);
    msgpack_pack_array(&packer, 15);
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        msgpack_pack_uint64(&packer, numbers[i]);
    msgpack_pack_str_with_body(&packer, "killed by SIGSEGV", 17);
    msgpack_pack_str_with_body(&packer, "w9", 2);
    msgpack_pack_uint64(&packer, 1000);
    msgpack_pack_uint64(&packer, 900);
    msgpack_pack_uint64(&packer, TRI_MODEL_THREAD);
}

static void replace_head(struct kept *kept, struct tri_buffer *head)
{
    free(kept->head);
    kept->head = tri_buffer_give(head, &kept->head_size);
    kept->payload_bytes = 0;
}

START_TEST(a_row_of_the_first_format_is_one_try_of_before)
{
    struct tri_buffer head = { 0 };
    struct tri_message show = { .type = TRI_MESSAGE_SHOW };

    begin(&(struct scenario_spec){ .crash_limit = 1 }, 1);
    worker_fails(&s, "w1", "b1", 0, TRI_OUTCOME_CRASHED);
    ignore(&s, "c1");
    write_first_format(&head);
    replace_head(kept_row(&s, (struct store_key){ STORE_TASK, 1, 0 }), &head);
    broker_restarts(&s);
    peer_returns(&s, "c1");
    expect(&s, "c1", "WELCOME");
    ask(0, 0);
    expect(&s, "c1", "TASKS_INFO 0:dead[3:crashed@w9+1]");
    show.show.number = 1;
    client_asks(&s, "c1", &show);
    expect(&s, "c1", "SHOWN b1 done done=0 dead=1 0:crashed*3");
}
END_TEST

START_TEST(a_history_goes_on_where_a_row_of_the_first_format_ended)
{
    struct tri_buffer head = { 0 };

    begin(&(struct scenario_spec){ .retries = 5, .crash_limit = 9 }, 1);
    fail_and_retry("w1", 0, TRI_OUTCOME_CRASHED);
    write_first_format(&head);
    head.data[8] = 0; /* not dead: after the array's byte and seven numbers of one byte */
    replace_head(kept_row(&s, (struct store_key){ STORE_TASK, 1, 0 }), &head);
    worker_loses_leases(&s, "w1");
    restart();
    expect_nothing_else(&s);
    worker_fails(&s, "w1", "b1", 0, TRI_OUTCOME_TIMEOUT);
    ask(0, 0);
    expect(&s, "c1", "TASKS_INFO 0:retrying[3:crashed@w9+1 4:timeout@w1]");
}
END_TEST

/* [2, failures, crashes, vanished, cap, dead, generation, due, history] */
static void write_second_format(const struct kept *kept, struct tri_buffer *head)
{
    static const uint64_t numbers[] = { 2, 1, 0, 0, 0, 1, 1, 0 };
    msgpack_packer packer;

    msgpack_packer_init(&packer, head, append);
    msgpack_pack_array(&packer, 9);
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        msgpack_pack_uint64(&packer, numbers[i]);
    msgpack_pack_bin_with_body(&packer, kept->head + kept->head_size, kept->payload_bytes);
}

START_TEST(a_dead_task_of_the_second_format_keeps_its_history)
{
    struct tri_buffer head = { 0 };
    struct kept *kept;

    begin(&(struct scenario_spec){ 0 }, 1);
    worker_fails(&s, "w1", "b1", 0, TRI_OUTCOME_FAILED);
    ignore(&s, "c1");
    kept = kept_row(&s, (struct store_key){ STORE_TASK, 1, 0 });
    write_second_format(kept, &head);
    replace_head(kept, &head);
    restart();
    ask(0, 0);
    expect(&s, "c1", "TASKS_INFO 0:dead[1:failed@w1+1]");
}
END_TEST

static void refused_with_payload(bool is_dead, uint64_t payload_bytes, const char *why)
{
    struct tri_error error;
    struct engine *engine = engine_new(&s.options);

    begin(&(struct scenario_spec){ .retries = !is_dead }, 1);
    worker_fails(&s, "w1", "b1", 0, TRI_OUTCOME_FAILED);
    ignore(&s, "c1");
    kept_row(&s, (struct store_key){ STORE_TASK, 1, 0 })->payload_bytes = payload_bytes;
    ck_assert_int_eq(recover_into(&s, engine, &error), TRI_STORE);
    ck_assert_str_eq(error.text, why);
    engine_destroy(&engine);
}

START_TEST(a_row_without_a_history_is_refused)
{
    refused_with_payload(true, 0, "row TASK 1/0: its history contradicts itself");
}
END_TEST

START_TEST(a_row_with_two_histories_is_refused)
{
    refused_with_payload(false, 10, "row TASK 1/0: its history contradicts itself");
}
END_TEST

START_TEST(a_row_with_a_history_that_is_too_long_is_refused)
{
    refused_with_payload(true, 5000, "row TASK 1/0: its history is too long");
}
END_TEST

START_TEST(a_row_of_a_later_format_is_refused)
{
    struct tri_error error;
    struct engine *engine = engine_new(&s.options);

    begin(&(struct scenario_spec){ .retries = 1 }, 1);
    worker_fails(&s, "w1", "b1", 0, TRI_OUTCOME_FAILED);
    kept_row(&s, (struct store_key){ STORE_TASK, 1, 0 })->head[1]++; /* after the array's byte */
    ck_assert_int_eq(recover_into(&s, engine, &error), TRI_STORE);
    ck_assert_str_eq(error.text, "row TASK 1/0: it has a format that this version does not know");
    engine_destroy(&engine);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("history");

    STORY(every_charged_try_of_a_dead_task_is_told_in_order);
    STORY(a_try_tells_which_worker_had_it);
    STORY(tries_are_kept_over_restarts_and_tell_how_many_there_were_since);
    STORY(the_first_and_the_last_tries_are_kept);
    STORY(a_retry_by_hand_begins_a_new_history);
    STORY(a_task_that_was_cancelled_after_a_failure_says_so);
    STORY(tasks_are_told_in_pages);
    STORY(the_history_of_a_dead_task_is_in_the_store_only);
    STORY(histories_take_no_more_memory_than_their_bound);
    STORY(a_task_beyond_memory_begins_its_history_anew_when_it_fails_again);
    STORY(what_is_retried_while_it_is_fetched_is_not_told);
    STORY(what_fails_again_while_it_is_fetched_is_told_as_it_is_then);
    STORY(a_question_goes_with_its_connection_and_others_are_answered);
    STORY(a_history_with_any_bit_wrong_is_told_somehow);
    STORY(who_waits_for_histories_is_told_when_the_batch_is_forgotten);
    STORY(only_a_client_that_knows_tasks_is_told_that_the_broker_does);
    STORY(a_row_of_the_first_format_is_one_try_of_before);
    STORY(a_history_goes_on_where_a_row_of_the_first_format_ended);
    STORY(a_dead_task_of_the_second_format_keeps_its_history);
    STORY(a_row_without_a_history_is_refused);
    STORY(a_row_with_two_histories_is_refused);
    STORY(a_row_with_a_history_that_is_too_long_is_refused);
    STORY(a_row_of_a_later_format_is_refused);
    return story_run("engine/history", tcase);
}
