/* libtrireme over real sockets, against a tiny broker. */
#include "common/proto/codec.h"
#include "common/value.h"
#include "tests/unit/client/tiny_broker.h"
#include "tests/unit/unit.h"
#include "trireme/client.h"

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct tri_error error;

static struct tri_client *client_to(const char *endpoints, int timeout_ms)
{
    struct tri_client_options options;
    struct tri_client *client;

    tri_client_options_init(&options);
    options.endpoints = endpoints;
    options.connect_timeout_ms = timeout_ms;
    if (tri_client_open(&client, &options, &error) != TRI_OK)
        return NULL;
    return client;
}

static struct tri_batch *submit(struct tri_client *client, struct tri_batch_options *options)
{
    struct tri_batch *batch = NULL;

    if (options->handler == NULL)
        options->handler = "echo";
    if (tri_batch_submit(client, options, &batch, &error) != TRI_OK)
        ck_abort_msg("submit: %s", error.text);
    return batch;
}

static struct tri_batch *submit_range(struct tri_client *client, uint64_t count, uint64_t window)
{
    struct tri_batch_options options;

    tri_batch_options_init(&options);
    options.range = true;
    options.range_count = count;
    options.window_bytes = window;
    return submit(client, &options);
}

static uint64_t take_in_order(struct tri_batch *batch)
{
    struct tri_task_result result;
    uint64_t count = 0;
    enum tri_status status;

    while ((status = tri_batch_next(batch, -1, &result, &error)) == TRI_OK) {
        if (result.index != count || result.value.integer != (int64_t)count)
            ck_abort_msg("task %llu is %lld", (unsigned long long)count,
                         (long long)result.value.integer);
        count++;
    }
    if (status != TRI_CLOSED)
        ck_abort_msg("next: %s", error.text);
    return count;
}

static void add_all(struct tri_batch *batch, int64_t count)
{
    for (int64_t i = 0; i < count;) {
        struct tri_value value = tri_value_int(i);
        enum tri_status status = tri_batch_add(batch, &value, &error);

        if (status == TRI_OK) {
            i++;
        } else {
            ck_assert_int_eq(status, TRI_BUSY);
            ck_assert_int_eq(tri_batch_wait_room(batch, -1, &error), TRI_OK);
        }
    }
}

START_TEST(a_range_comes_back_in_order)
{
    struct tiny_broker *broker = tiny_broker_start(&(struct tiny_options){ .reverse = true });
    struct tri_client *client = client_to(tiny_broker_endpoint(broker), 5000);
    struct tri_batch *batch = submit_range(client, 100500, 0);
    struct tri_batch_summary summary;

    ck_assert_uint_eq(tri_batch_number(batch), 1);
    ck_assert_uint_eq(strlen(tri_batch_uuid(batch)), 36);
    ck_assert_uint_eq(take_in_order(batch), 100500);
    tri_batch_summary(batch, &summary);
    ck_assert_uint_eq(summary.ok, 100500);
    ck_assert_str_eq(summary.state_text, "done");
    ck_assert_uint_eq(summary.model_counts[2], 100500);
    tri_batch_close(&batch);
    tri_client_close(&client);
    tiny_broker_stop(&broker);
}
END_TEST

START_TEST(items_under_a_small_credit_come_back_in_order)
{
    struct tiny_broker *broker = tiny_broker_start(&(struct tiny_options){ .append_bytes = 5000 });
    struct tri_client *client = client_to(tiny_broker_endpoint(broker), 5000);
    struct tri_batch_options options;
    struct tri_batch *batch;

    tri_batch_options_init(&options);
    batch = submit(client, &options);
    add_all(batch, 50000);
    ck_assert_int_eq(tri_batch_seal(batch, &error), TRI_OK);
    ck_assert_uint_eq(take_in_order(batch), 50000);
    tri_batch_close(&batch);
    tri_client_close(&client);
    tiny_broker_stop(&broker);
}
END_TEST

START_TEST(an_empty_batch_ends_at_once)
{
    struct tiny_broker *broker = tiny_broker_start(&(struct tiny_options){ 0 });
    struct tri_client *client = client_to(tiny_broker_endpoint(broker), 5000);
    struct tri_batch_options options;
    struct tri_batch *batch;

    tri_batch_options_init(&options);
    batch = submit(client, &options);
    ck_assert_int_eq(tri_batch_seal(batch, &error), TRI_OK);
    ck_assert_uint_eq(take_in_order(batch), 0);
    tri_batch_close(&batch);
    tri_client_close(&client);
    tiny_broker_stop(&broker);
}
END_TEST

START_TEST(the_first_result_comes_before_the_last_argument_is_added)
{
    struct tiny_broker *broker = tiny_broker_start(&(struct tiny_options){ 0 });
    struct tri_client *client = client_to(tiny_broker_endpoint(broker), 5000);
    struct tri_value value = tri_value_int(0);
    struct tri_batch_options options;
    struct tri_task_result result;
    struct tri_batch *batch;

    tri_batch_options_init(&options);
    batch = submit(client, &options);
    ck_assert_int_eq(tri_batch_add(batch, &value, &error), TRI_OK);
    ck_assert_int_eq(tri_batch_next(batch, -1, &result, &error), TRI_OK);
    ck_assert_uint_eq(result.index, 0);
    ck_assert_str_eq(result.model, "thread");
    ck_assert_mem_eq(result.worker.data, "tiny", 4);
    ck_assert_int_eq(tri_batch_next(batch, 0, &result, &error), TRI_EMPTY);
    ck_assert_int_eq(tri_batch_seal(batch, &error), TRI_OK);
    ck_assert_int_eq(tri_batch_next(batch, -1, &result, &error), TRI_CLOSED);
    tri_batch_close(&batch);
    tri_client_close(&client);
    tiny_broker_stop(&broker);
}
END_TEST

START_TEST(the_window_is_kept_and_every_row_is_acknowledged)
{
    struct tiny_broker *broker = tiny_broker_start(&(struct tiny_options){ 0 });
    struct tri_client *client = client_to(tiny_broker_endpoint(broker), 5000);
    struct tri_batch *batch = submit_range(client, 200000, 50000);

    ck_assert_uint_eq(take_in_order(batch), 200000);
    ck_assert_uint_le(tiny_broker_window_peak(broker), 50000);
    tri_batch_close(&batch);
    tri_client_close(&client);
    tiny_broker_stop(&broker);
}
END_TEST

START_TEST(a_sum_is_reduced_here)
{
    struct tiny_broker *broker = tiny_broker_start(&(struct tiny_options){ 0 });
    struct tri_client *client = client_to(tiny_broker_endpoint(broker), 5000);
    struct tri_batch_options options;
    struct tri_batch *batch;
    struct tri_task_result result;
    const char *json;

    tri_batch_options_init(&options);
    options.range = true;
    options.range_count = 123456;
    options.reducer = "sum";
    batch = submit(client, &options);
    ck_assert_int_eq(tri_batch_next(batch, -1, &result, &error), TRI_CLOSED);
    ck_assert_int_eq(tri_batch_reduced(batch, &json, &error), TRI_OK);
    ck_assert_str_eq(json, "7620630240");
    tri_batch_close(&batch);
    tri_client_close(&client);
    tiny_broker_stop(&broker);
}
END_TEST

/* Every few messages the broker loses one, and the session with it. */
START_TEST(lost_messages_and_sessions_change_no_result)
{
    for (uint64_t every = 7; every < 40; every += 6) {
        struct tiny_broker *broker = tiny_broker_start(&(struct tiny_options){
            .lose_every = every, .append_bytes = 40000, .heartbeat_ms = 100 });
        struct tri_client *client = client_to(tiny_broker_endpoint(broker), 5000);
        struct tri_batch_options options;
        struct tri_batch *batch;

        tri_batch_options_init(&options);
        options.window_bytes = 40000;
        batch = submit(client, &options);
        add_all(batch, 20000);
        ck_assert_int_eq(tri_batch_seal(batch, &error), TRI_OK);
        ck_assert_uint_eq(take_in_order(batch), 20000);
        tri_batch_close(&batch);
        tri_client_close(&client);
        tiny_broker_stop(&broker);
    }
}
END_TEST

START_TEST(a_broker_that_restarts_is_found_again)
{
    struct tiny_broker *broker = tiny_broker_start(&(struct tiny_options){ .heartbeat_ms = 20 });
    struct tri_client *client = client_to(tiny_broker_endpoint(broker), 5000);
    struct tri_batch *batch = submit_range(client, 50000, 20000);
    struct tri_task_result result;

    for (uint64_t i = 0; i < 50000; i++) {
        if (i == 1000 || i == 20000)
            tiny_broker_restart(broker);
        ck_assert_int_eq(tri_batch_next(batch, -1, &result, &error), TRI_OK);
        ck_assert_uint_eq(result.index, i);
    }
    ck_assert_int_eq(tri_batch_next(batch, -1, &result, &error), TRI_CLOSED);
    tri_batch_close(&batch);
    tri_client_close(&client);
    tiny_broker_stop(&broker);
}
END_TEST

START_TEST(the_second_endpoint_serves_when_the_first_is_mute)
{
    struct tiny_broker *mute = tiny_broker_start(&(struct tiny_options){ .mute = true });
    struct tiny_broker *broker = tiny_broker_start(&(struct tiny_options){ 0 });
    struct tri_client *client;
    struct tri_batch *batch;
    char endpoints[300];

    snprintf(endpoints, sizeof(endpoints), "%s, %s", tiny_broker_endpoint(mute),
             tiny_broker_endpoint(broker));
    client = client_to(endpoints, 20000);
    ck_assert_ptr_nonnull(client);
    batch = submit_range(client, 10, 0);
    ck_assert_uint_eq(take_in_order(batch), 10);
    tri_batch_close(&batch);
    tri_client_close(&client);
    tiny_broker_stop(&broker);
    tiny_broker_stop(&mute);
}
END_TEST

START_TEST(nobody_there_is_unreachable_and_an_old_broker_is_version)
{
    struct tiny_broker *old = tiny_broker_start(&(struct tiny_options){ .refuse_version = true });

    ck_assert_ptr_null(client_to("ipc:///tmp/tiny-nobody-is-here/broker", 50));
    ck_assert_int_eq(error.status, TRI_UNREACHABLE);
    ck_assert_ptr_null(client_to(tiny_broker_endpoint(old), 5000));
    ck_assert_int_eq(error.status, TRI_VERSION);
    tiny_broker_stop(&old);
}
END_TEST

START_TEST(a_broker_whose_rows_have_another_shape_is_version_and_not_waited_for)
{
    struct tiny_broker *old = tiny_broker_start(&(struct tiny_options){ .old_rows = true });
    struct tri_client *client = client_to(tiny_broker_endpoint(old), 5000);
    struct tri_batch_options options;
    struct tri_task_result result;
    struct tri_batch *batch;
    enum tri_status status;

    tri_batch_options_init(&options);
    options.range = true;
    options.range_count = 10;
    options.handler = "echo";
    status = tri_batch_submit(client, &options, &batch, &error);
    if (status == TRI_OK) /* the ROW did not come together with ACCEPTED */
        status = tri_batch_next(batch, -1, &result, &error);
    ck_assert_int_eq(status, TRI_VERSION);
    ck_assert_ptr_nonnull(strstr(error.text, "ROW: "));
    ck_assert_ptr_nonnull(strstr(error.text, "use the same version of both"));
    ck_assert_ptr_null(strchr(error.text, '\n'));
    tri_batch_close(&batch);
    tri_client_close(&client);
    tiny_broker_stop(&old);
}
END_TEST

START_TEST(endpoints_that_cannot_be_meant_are_refused)
{
    ck_assert_ptr_null(client_to(NULL, 50));
    ck_assert_int_eq(error.status, TRI_INVALID);
    ck_assert_ptr_null(client_to(" , ", 50));
    ck_assert_int_eq(error.status, TRI_INVALID);
    ck_assert_ptr_null(client_to("carrier://pigeon", 50));
    ck_assert_int_eq(error.status, TRI_INVALID);
    ck_assert_ptr_null(client_to("tcp://192.0.2.1:7117", 50));
    ck_assert_int_eq(error.status, TRI_DENIED);
}
END_TEST

static void *interrupt(void *client)
{
    tri_client_interrupt(client);
    return NULL;
}

START_TEST(an_interruption_ends_one_wait)
{
    struct tiny_broker *broker =
        tiny_broker_start(&(struct tiny_options){ .hold_results = 1000000 });
    struct tri_client *client = client_to(tiny_broker_endpoint(broker), 5000);
    struct tri_batch *batch = submit_range(client, 10, 0);
    struct tri_task_result result;
    pthread_t thread;

    ck_assert_int_eq(pthread_create(&thread, NULL, interrupt, client), 0);
    ck_assert_int_eq(tri_batch_next(batch, -1, &result, &error), TRI_CANCELLED);
    pthread_join(thread, NULL);
    ck_assert_int_eq(tri_batch_next(batch, 10, &result, &error), TRI_EMPTY);
    tri_batch_close(&batch);
    tri_client_close(&client);
    tiny_broker_stop(&broker);
}
END_TEST

START_TEST(a_poll_loop_sees_everything_through_one_descriptor)
{
    struct tiny_broker *broker = tiny_broker_start(&(struct tiny_options){ .heartbeat_ms = 10 });
    struct tri_client *client = client_to(tiny_broker_endpoint(broker), 5000);
    struct tri_batch *batch = submit_range(client, 30000, 30000);
    struct pollfd fd = { .fd = tri_client_fd(client), .events = POLLIN };
    struct tri_task_result result;
    uint64_t got = 0;
    enum tri_status status = TRI_OK;

    while (status != TRI_CLOSED) {
        while ((status = tri_batch_next(batch, 0, &result, &error)) == TRI_OK)
            ck_assert_uint_eq(result.index, got++);
        if (status == TRI_CLOSED)
            break;
        ck_assert_int_eq(status, TRI_EMPTY);
        if (tri_client_process(client, 0, &error) == TRI_EMPTY)
            ck_assert_int_eq(poll(&fd, 1, 10000), 1);
    }
    ck_assert_uint_eq(got, 30000);
    tri_batch_close(&batch);
    tri_client_close(&client);
    tiny_broker_stop(&broker);
}
END_TEST

START_TEST(lists_come_in_pages_and_unknown_questions_are_errors)
{
    struct tiny_broker *broker = tiny_broker_start(&(struct tiny_options){ 0 });
    struct tri_client *client = client_to(tiny_broker_endpoint(broker), 5000);
    char *json;

    for (int i = 0; i < 5; i++) {
        struct tri_batch *batch = submit_range(client, 3, 0);

        tri_batch_close(&batch);
    }
    ck_assert_int_eq(tri_client_list(client, &json, &error), TRI_OK);
    ck_assert_ptr_nonnull(strstr(json, "{\"batches\":[{\"number\":1,"));
    for (int i = 1; i <= 5; i++) {
        char part[32];

        snprintf(part, sizeof(part), "{\"number\":%d,", i);
        ck_assert_ptr_nonnull(strstr(json, part));
    }
    ck_assert_ptr_nonnull(strstr(json, "\"state\":\"done\""));
    free(json);
    ck_assert_int_eq(tri_client_explain(client, 1, &json, &error), TRI_UNSUPPORTED);
    ck_assert_int_eq(tri_client_retry(client, 1, NULL, 0, NULL, &error), TRI_UNSUPPORTED);
    ck_assert_int_eq(tri_client_forget(client, UINT64_MAX, &error), TRI_NOTFOUND);
    tri_client_close(&client);
    tiny_broker_stop(&broker);
}
END_TEST

/* What tri_client_show gives, from its lists of tasks on. */
static char *shown_by(const struct tiny_options *options)
{
    struct tiny_broker *broker = tiny_broker_start(options);
    struct tri_client *client = client_to(tiny_broker_endpoint(broker), 5000);
    char *json;
    char *lists;

    ck_assert_int_eq(tri_client_show(client, 1, NULL, 0, &json, &error), TRI_OK);
    ck_assert_ptr_nonnull(strstr(json, "{\"batch\":{\"number\":1,"));
    lists = strstr(json, ",\"dead\":[");
    ck_assert_ptr_nonnull(lists);
    lists = strdup(lists);
    free(json);
    tri_client_close(&client);
    tiny_broker_stop(&broker);
    return lists;
}

/* The fields of the first task of a list, up to its history. */
static const char *arguments_in(char *lists, const char *list)
{
    char *at = strstr(strstr(lists, list), "\"worker\":\"tiny\",");
    char *end;

    ck_assert_ptr_nonnull(at);
    at += strlen("\"worker\":\"tiny\",");
    end = strstr(at, ",\"history\"");
    ck_assert_ptr_nonnull(end);
    *end = '\0';
    return at;
}

START_TEST(the_argument_of_a_dead_task_is_shown_or_why_there_is_none)
{
    char *lists = shown_by(&(struct tiny_options){ .knows_tasks = true, .knows_arguments = true });
    const char *retrying = arguments_in(lists, "\"retrying\":[");
    const char *dead = arguments_in(lists, "\"dead\":[");
    char expected[1200] = "\"argument\":\"x";

    while (strlen(expected) < strlen("\"argument\":\"") + 1023)
        strcat(expected, "\xc3\xbc");
    strcat(expected, "\",\"argument_cut\":true");
    ck_assert_str_eq(dead, expected);
    ck_assert_str_eq(retrying, "\"argument_error\":\"the broker cannot read it from its store\"");
    free(lists);
}
END_TEST

START_TEST(an_argument_that_is_no_value_is_not_shown)
{
    char *lists = shown_by(&(struct tiny_options){
        .knows_tasks = true, .knows_arguments = true, .breaks_arguments = true });

    ck_assert_str_eq(arguments_in(lists, "\"dead\":["), "\"argument\":null,\"argument_cut\":true");
    free(lists);
}
END_TEST

START_TEST(a_batch_is_described_without_its_tasks)
{
    struct tiny_broker *broker = tiny_broker_start(&(struct tiny_options){ .knows_tasks = true });
    struct tri_client *client = client_to(tiny_broker_endpoint(broker), 5000);
    char *json;

    ck_assert_int_eq(tri_client_describe(client, 1, &json, &error), TRI_OK);
    ck_assert_ptr_nonnull(strstr(json, "{\"batch\":{\"number\":1,"));
    ck_assert_ptr_nonnull(strstr(json, ",\"spec\":null}"));
    ck_assert_ptr_null(strstr(json, "\"dead\":["));
    free(json);
    ck_assert_int_eq(tri_client_describe(client, UINT64_MAX, &json, &error), TRI_NOTFOUND);
    tri_client_close(&client);
    tiny_broker_stop(&broker);
}
END_TEST

START_TEST(a_dead_task_is_shown_with_all_its_attempts)
{
    char *lists = shown_by(&(struct tiny_options){ .knows_tasks = true });

    ck_assert_str_eq(
        lists,
        ",\"dead\":[{\"index\":9,\"status\":\"crashed\",\"attempts\":2,\"flags\":0,"
        "\"error\":\"gone\",\"value\":null,\"wall_us\":14,\"cpu_us\":2,\"model\":\"thread\","
        "\"worker\":\"tiny\",\"history\":[{\"attempt\":1,\"status\":\"timeout\","
        "\"model\":\"thread\",\"worker\":\"tiny\",\"error\":\"late\",\"wall_us\":7,\"cpu_us\":1,"
        "\"age_ms\":2999,\"restarts\":1},{\"attempt\":2,\"status\":\"crashed\","
        "\"model\":\"thread\",\"worker\":\"tiny\",\"error\":\"gone\",\"wall_us\":14,\"cpu_us\":2,"
        "\"age_ms\":2998,\"restarts\":0}]}],"
        "\"retrying\":[{\"index\":4,\"status\":\"timeout\",\"attempts\":1,\"flags\":0,"
        "\"error\":\"late\",\"value\":null,\"wall_us\":7,\"cpu_us\":1,\"model\":\"thread\","
        "\"worker\":\"tiny\",\"history\":[{\"attempt\":1,\"status\":\"timeout\","
        "\"model\":\"thread\",\"worker\":\"tiny\",\"error\":\"late\",\"wall_us\":7,\"cpu_us\":1,"
        "\"age_ms\":2999,\"restarts\":1}]}]}");
    free(lists);
}
END_TEST

/* Has the answer these tasks, and was the broker asked that often? */
static void shows(struct tiny_broker *broker,
                  struct tri_client *client,
                  const uint64_t *tasks,
                  size_t count,
                  bool dead,
                  bool retrying,
                  uint64_t questions)
{
    uint64_t before = tiny_broker_tasks_asked(broker);
    char *json;

    ck_assert_int_eq(tri_client_show(client, 1, tasks, count, &json, &error), TRI_OK);
    ck_assert_int_eq(strstr(json, "\"dead\":[{\"index\":9,") != NULL, dead);
    ck_assert_int_eq(strstr(json, "\"retrying\":[{\"index\":4,") != NULL, retrying);
    ck_assert_uint_eq(tiny_broker_tasks_asked(broker) - before, questions);
    free(json);
}

START_TEST(of_tasks_that_are_named_only_these_are_asked_for)
{
    struct tiny_broker *broker =
        tiny_broker_start(&(struct tiny_options){ .knows_tasks = true, .knows_arguments = true });
    struct tri_client *client = client_to(tiny_broker_endpoint(broker), 5000);
    char *json;

    shows(broker, client, (const uint64_t[]){ 9 }, 1, true, false, 1);
    shows(broker, client, (const uint64_t[]){ 4 }, 1, false, true, 1);
    shows(broker, client, (const uint64_t[]){ 5 }, 1, false, false, 1);
    shows(broker, client, (const uint64_t[]){ 9, 4, 9 }, 3, true, true, 2);
    shows(broker, client, (const uint64_t[]){ 3, 4, 5, 6 }, 4, false, true, 3); /* a page has one */
    shows(broker, client, NULL, 0, true, true, 2);
    ck_assert_int_eq(tri_client_show(client, 1, (const uint64_t[]){ 9, 10 }, 2, &json, &error),
                     TRI_NOTFOUND);
    ck_assert_str_eq(error.text, "batch 1 has 10 tasks: there is no 1/10");
    tri_client_close(&client);
    tiny_broker_stop(&broker);
}
END_TEST

START_TEST(an_older_broker_shows_the_last_attempt_and_is_asked_nothing_that_it_cannot_read)
{
    char *lists = shown_by(&(struct tiny_options){ .knows_tasks = false });

    ck_assert_str_eq(lists,
                     ",\"dead\":[{\"index\":4,\"status\":\"timeout\",\"attempts\":1,\"flags\":0,"
                     "\"error\":\"late\",\"value\":null,\"wall_us\":0,\"cpu_us\":0,"
                     "\"model\":\"auto\",\"worker\":\"tiny\"},"
                     "{\"index\":9,\"status\":\"timeout\",\"attempts\":1,\"flags\":0,"
                     "\"error\":\"late\",\"value\":null,\"wall_us\":0,\"cpu_us\":0,"
                     "\"model\":\"auto\",\"worker\":\"tiny\"}]}");
    free(lists);
}
END_TEST

START_TEST(options_out_of_range_are_refused_by_name)
{
    struct tiny_broker *broker = tiny_broker_start(&(struct tiny_options){ 0 });
    struct tri_client *client = client_to(tiny_broker_endpoint(broker), 5000);
    struct tri_batch *batch;
    struct tri_batch_options options;
    char longer[5000];

    memset(longer, 'x', sizeof(longer));
    longer[sizeof(longer) - 1] = '\0';
    tri_batch_options_init(&options);
    ck_assert_int_eq(tri_batch_submit(client, &options, &batch, &error), TRI_INVALID);
    options.handler = longer;
    ck_assert_int_eq(tri_batch_submit(client, &options, &batch, &error), TRI_INVALID);
    options.handler = "echo";
    options.workdir = longer;
    ck_assert_int_eq(tri_batch_submit(client, &options, &batch, &error), TRI_INVALID);
    options.workdir = NULL;
    options.model = "magic";
    ck_assert_int_eq(tri_batch_submit(client, &options, &batch, &error), TRI_INVALID);
    options.model = "async";
    options.reducer = "product";
    ck_assert_int_eq(tri_batch_submit(client, &options, &batch, &error), TRI_INVALID);
    options.reducer = NULL;
    options.width = 1000001;
    ck_assert_int_eq(tri_batch_submit(client, &options, &batch, &error), TRI_INVALID);
    ck_assert_ptr_nonnull(strstr(error.text, "width"));
    options.width = 0;
    options.range = true;
    options.range_first = INT64_MAX;
    options.range_count = 2;
    ck_assert_int_eq(tri_batch_submit(client, &options, &batch, &error), TRI_INVALID);
    options.name = longer;
    ck_assert_int_eq(tri_batch_submit(client, &options, &batch, &error), TRI_INVALID);
    ck_assert_ptr_null(batch);
    tri_client_close(&client);
    tiny_broker_stop(&broker);
}
END_TEST

START_TEST(a_batch_may_outlive_its_client)
{
    struct tiny_broker *broker = tiny_broker_start(&(struct tiny_options){ 0 });
    struct tri_client *client = client_to(tiny_broker_endpoint(broker), 5000);
    struct tri_batch *batch = submit_range(client, 3, 0);
    struct tri_task_result result;

    tri_client_close(&client);
    ck_assert_int_eq(tri_batch_next(batch, -1, &result, &error), TRI_CLOSED);
    tri_batch_close(&batch);
    tri_batch_close(&batch);
    tri_client_close(&client);
    tiny_broker_stop(&broker);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("library");

    tcase_add_test(tcase, a_range_comes_back_in_order);
    tcase_add_test(tcase, items_under_a_small_credit_come_back_in_order);
    tcase_add_test(tcase, an_empty_batch_ends_at_once);
    tcase_add_test(tcase, the_first_result_comes_before_the_last_argument_is_added);
    tcase_add_test(tcase, the_window_is_kept_and_every_row_is_acknowledged);
    tcase_add_test(tcase, a_sum_is_reduced_here);
    tcase_add_test(tcase, lost_messages_and_sessions_change_no_result);
    tcase_add_test(tcase, a_broker_that_restarts_is_found_again);
    tcase_add_test(tcase, the_second_endpoint_serves_when_the_first_is_mute);
    tcase_add_test(tcase, nobody_there_is_unreachable_and_an_old_broker_is_version);
    tcase_add_test(tcase, a_broker_whose_rows_have_another_shape_is_version_and_not_waited_for);
    tcase_add_test(tcase, endpoints_that_cannot_be_meant_are_refused);
    tcase_add_test(tcase, an_interruption_ends_one_wait);
    tcase_add_test(tcase, a_poll_loop_sees_everything_through_one_descriptor);
    tcase_add_test(tcase, lists_come_in_pages_and_unknown_questions_are_errors);
    tcase_add_test(tcase, a_batch_is_described_without_its_tasks);
    tcase_add_test(tcase, a_dead_task_is_shown_with_all_its_attempts);
    tcase_add_test(tcase, of_tasks_that_are_named_only_these_are_asked_for);
    tcase_add_test(tcase, the_argument_of_a_dead_task_is_shown_or_why_there_is_none);
    tcase_add_test(tcase, an_argument_that_is_no_value_is_not_shown);
    tcase_add_test(tcase,
                   an_older_broker_shows_the_last_attempt_and_is_asked_nothing_that_it_cannot_read);
    tcase_add_test(tcase, options_out_of_range_are_refused_by_name);
    tcase_add_test(tcase, a_batch_may_outlive_its_client);
    return unit_run("client library", tcase);
}
