/* client.c - a program that squares numbers on whatever machines a broker has.
 *
 *     cc client.c $(pkg-config --cflags --libs trireme) -o client
 *     ./client ipc:///run/trireme/broker 1000
 *
 * It adds arguments and takes results in one loop: arguments leave in chunks as the broker gives
 * room, results come back in the order of the arguments, whoever computed them.
 */
#include <trireme/client.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static void say(void *context, const char *text)
{
    (void)context;
    fprintf(stderr, "client: %s\n", text);
}

static int fail(const struct tri_error *error)
{
    fprintf(stderr, "client: %s (%s)\n", error->text, tri_status_name(error->status));
    return 1;
}

static void print_result(const struct tri_task_result *result)
{
    if (result->outcome == 0)
        printf("%" PRId64 "\n", result->value.integer);
    else
        fprintf(stderr, "client: task %" PRIu64 " %s: %.*s\n", result->index, result->outcome_text,
                (int)result->error.size, (const char *)result->error.data);
}

/* Add as many numbers as there is room for. Returns the next one to add, or -1. */
static int64_t add_numbers(struct tri_batch *batch,
                           int64_t next,
                           int64_t last,
                           struct tri_error *error)
{
    while (next <= last) {
        struct tri_value number = { .type = TRI_INT, .integer = next };
        enum tri_status status = tri_batch_add(batch, &number, error);

        if (status == TRI_BUSY)
            return next;
        if (status != TRI_OK)
            return -1;
        next++;
    }
    return next;
}

/* Until the last number is added do not wait for results: take those that are here. */
static int run(struct tri_batch *batch, int64_t last)
{
    struct tri_task_result result;
    struct tri_error error;
    enum tri_status status = TRI_EMPTY;
    int64_t next = 1;

    while (status != TRI_CLOSED) {
        int timeout_ms = next > last ? -1 : 10;

        if (next <= last) {
            next = add_numbers(batch, next, last, &error);
            if (next < 0)
                return fail(&error);
            if (next > last && tri_batch_seal(batch, &error) != TRI_OK)
                return fail(&error);
        }
        while ((status = tri_batch_next(batch, timeout_ms, &result, &error)) == TRI_OK)
            print_result(&result);
        if (status != TRI_EMPTY && status != TRI_CLOSED)
            return fail(&error);
    }
    return 0;
}

int main(int argc, char **argv)
{
    struct tri_client_options options;
    struct tri_batch_options job;
    struct tri_client *client;
    struct tri_batch *batch;
    struct tri_error error;
    int status;

    if (argc != 3 || atoll(argv[2]) < 1) {
        fprintf(stderr, "usage: %s ENDPOINT COUNT\n", argv[0]);
        return 2;
    }
    tri_client_options_init(&options);
    options.endpoints = argv[1];
    options.on_notice = say;
    if (tri_client_open(&client, &options, &error) != TRI_OK)
        return fail(&error);
    tri_batch_options_init(&job);
    job.handler = "square";
    job.name = "squares";
    if (tri_batch_submit(client, &job, &batch, &error) != TRI_OK) {
        tri_client_close(&client);
        return fail(&error);
    }
    status = run(batch, atoll(argv[2]));
    tri_batch_close(&batch);
    tri_client_close(&client);
    return status;
}
