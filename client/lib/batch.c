/* Batches: submitting, adding, sealing, and taking results. The waiting is here, the rules are in
 * the session. */
#include "client/lib/shell.h"
#include "common/clock.h"
#include "common/proto/codec.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

static enum tri_status closed(struct tri_error *error)
{
    return tri_fail(error, TRI_CLOSED, "the client of this batch is closed");
}

static void write_uuid(struct tri_batch *self)
{
    const uint8_t *bytes = tri_follow_uuid(self->follow)->bytes;
    char *at = self->uuid;

    for (size_t i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *at++ = '-';
        at += snprintf(at, 3, "%02x", bytes[i]);
    }
}

/* A random UUID (RFC 9562, version 4). */
static enum tri_status make_uuid(struct tri_uuid *uuid, struct tri_error *error)
{
    if (getrandom(uuid, sizeof(*uuid), 0) != sizeof(*uuid))
        return tri_fail(error, TRI_SYSTEM, "no random bytes: %s", strerror(errno));
    uuid->bytes[6] = (uint8_t)((uuid->bytes[6] & 0x0f) | 0x40);
    uuid->bytes[8] = (uint8_t)((uuid->bytes[8] & 0x3f) | 0x80);
    return TRI_OK;
}

static struct tri_batch *batch_new(struct tri_client *client)
{
    struct tri_batch *self = calloc(1, sizeof(*self));

    if (self == NULL)
        return NULL;
    self->client = client;
    tri_dlist_push_back(&client->batches, &self->node);
    return self;
}

void tri_batch_close(struct tri_batch **batch)
{
    struct tri_batch *self = *batch;
    struct tri_error ignored;

    if (self == NULL)
        return;
    if (self->client != NULL) {
        if (self->follow != NULL) {
            tri_follow_finish(self->follow, self->client->now);
            tri_client_perform(self->client, &ignored);
            tri_follow_close(&self->follow);
            tri_client_perform(self->client, &ignored);
        }
        tri_dlist_remove(&self->client->batches, &self->node);
    }
    free(self->reduced);
    free(self);
    *batch = NULL;
}

/* Wait until the broker has said yes or no. */
static enum tri_status wait_accepted(struct tri_batch *self, struct tri_error *error)
{
    enum tri_status status;

    while ((status = tri_follow_state(self->follow, error)) == TRI_EMPTY) {
        status = tri_client_wait(self->client, TRI_NEVER, error);
        if (status != TRI_OK)
            return status;
    }
    return status;
}

static enum tri_status finish_opening(struct tri_batch *self,
                                      enum tri_status status,
                                      struct tri_batch **batch,
                                      struct tri_error *error)
{
    if (status == TRI_OK)
        status = wait_accepted(self, error);
    if (status != TRI_OK) {
        tri_batch_close(&self);
        return status;
    }
    write_uuid(self);
    *batch = self;
    return TRI_OK;
}

enum tri_status tri_batch_submit(struct tri_client *client,
                                 const struct tri_batch_options *options,
                                 struct tri_batch **batch,
                                 struct tri_error *error)
{
    struct tri_batch_options known;
    struct tri_follow_options follow = { .owner = true };
    struct tri_buffer spec = { 0 };
    struct tri_bytes name;
    struct tri_batch *self;
    enum tri_status status;

    *batch = NULL;
    tri_batch_options_init(&known);
    memcpy(&known, options, options->size < sizeof(known) ? options->size : sizeof(known));
    name = tri_bytes_of(known.name != NULL ? known.name : "");
    if (name.size > 256)
        return tri_fail(error, TRI_INVALID, "the batch's name has %zu bytes: at most 256",
                        name.size);
    self = batch_new(client);
    if (self == NULL)
        return tri_fail(error, TRI_MEMORY, "out of memory");
    follow.unordered = known.unordered;
    follow.window_bytes = known.window_bytes != 0 ? known.window_bytes : TRI_WINDOW_BYTES;
    if (follow.window_bytes > INT64_MAX)
        follow.window_bytes = INT64_MAX;
    if (known.detached)
        follow.window_bytes = 0;
    client->now = tri_clock_now_ms();
    status = make_uuid(&follow.uuid, error);
    if (status == TRI_OK)
        status = tri_client_spec(&known, &spec, error);
    if (status == TRI_OK)
        status = tri_follow_submit(client->session, &follow, client->now, name,
                                   tri_buffer_bytes(&spec), !known.range, &self->follow, error);
    tri_buffer_deinit(&spec);
    return finish_opening(self, status, batch, error);
}

enum tri_status tri_batch_attach(struct tri_client *client,
                                 uint64_t number,
                                 bool owner,
                                 bool unordered,
                                 struct tri_batch **batch,
                                 struct tri_error *error)
{
    struct tri_follow_options follow = {
        .number = number, .owner = owner, .unordered = unordered, .window_bytes = TRI_WINDOW_BYTES
    };
    struct tri_batch *self;
    enum tri_status status;

    *batch = NULL;
    if (number > INT64_MAX)
        return tri_fail(error, TRI_NOTFOUND, "there is no batch of that number");
    self = batch_new(client);
    if (self == NULL)
        return tri_fail(error, TRI_MEMORY, "out of memory");
    client->now = tri_clock_now_ms();
    status = tri_follow_attach(client->session, &follow, client->now, &self->follow);
    if (status == TRI_CONFLICT)
        tri_fail(error, status, "this client follows batch %llu already",
                 (unsigned long long)number);
    else if (status != TRI_OK)
        tri_fail(error, status, "out of memory");
    return finish_opening(self, status, batch, error);
}

uint64_t tri_batch_number(const struct tri_batch *batch)
{
    return batch->follow != NULL ? tri_follow_number(batch->follow) : 0;
}

const char *tri_batch_uuid(const struct tri_batch *batch)
{
    return batch->uuid;
}

bool tri_batch_is_waiting_for_workers(const struct tri_batch *batch)
{
    return batch->follow != NULL && tri_follow_is_absent(batch->follow);
}

/* ---- arguments ------------------------------------------------------------------------------ */

/* A chunk has become full: let it leave, and see what came meanwhile. */
static enum tri_status after_add(struct tri_batch *self, struct tri_error *error)
{
    enum tri_status status = tri_client_serve(self->client, error);

    return status == TRI_EMPTY ? TRI_OK : status;
}

enum tri_status tri_batch_add(struct tri_batch *batch,
                              const struct tri_value *argument,
                              struct tri_error *error)
{
    enum tri_status status;

    if (batch->client == NULL)
        return closed(error);
    status = tri_follow_add(batch->follow, argument, error);
    if (__builtin_expect(tri_follow_has_chunk(batch->follow), 0))
        after_add(batch, NULL); /* the argument is added whatever happens to the connection */
    return status;
}

enum tri_status tri_batch_add_packed(struct tri_batch *batch,
                                     struct tri_bytes packed,
                                     struct tri_error *error)
{
    enum tri_status status;

    if (batch->client == NULL)
        return closed(error);
    status = tri_follow_add_packed(batch->follow, packed, error);
    if (__builtin_expect(tri_follow_has_chunk(batch->follow), 0))
        after_add(batch, NULL);
    return status;
}

enum tri_status tri_batch_flush(struct tri_batch *batch, struct tri_error *error)
{
    enum tri_status status;

    if (batch->client == NULL)
        return closed(error);
    status = tri_follow_flush(batch->follow, error);
    return status == TRI_OK ? tri_client_push(batch->client, error) : status;
}

enum tri_status tri_batch_wait_room(struct tri_batch *batch,
                                    int timeout_ms,
                                    struct tri_error *error)
{
    tri_time deadline;

    if (batch->client == NULL)
        return closed(error);
    deadline = tri_client_deadline(batch->client, timeout_ms);
    while (!tri_follow_has_room(batch->follow)) {
        enum tri_status status = tri_client_wait(batch->client, deadline, error);

        if (status != TRI_OK)
            return status;
    }
    return TRI_OK;
}

enum tri_status tri_batch_seal(struct tri_batch *batch, struct tri_error *error)
{
    enum tri_status status;

    if (batch->client == NULL)
        return closed(error);
    status = tri_follow_seal(batch->follow, error);
    if (status != TRI_OK)
        return status;
    while ((status = tri_follow_durable(batch->follow, error)) == TRI_EMPTY) {
        status = tri_client_wait(batch->client, TRI_NEVER, error);
        if (status != TRI_OK)
            return status;
    }
    return status;
}

/* ---- results -------------------------------------------------------------------------------- */

/* Acknowledgements that the broker's window waits for, and heartbeats. */
static enum tri_status keep_going(struct tri_batch *self, struct tri_error *error)
{
    if (__builtin_expect(tri_follow_has_acks(self->follow), 0)) {
        enum tri_status status = tri_client_serve(self->client, error);

        return status == TRI_EMPTY ? TRI_OK : status;
    }
    return tri_client_serve_sometimes(self->client, error);
}

/* How long a call has left: the clock is read only when there is something to wait for. */
struct patience {
    int timeout_ms;
    bool started;
    tri_time deadline;
};

static enum tri_status wait_on(struct tri_client *client,
                               struct patience *patience,
                               struct tri_error *error)
{
    if (!patience->started)
        patience->deadline = tri_client_deadline(client, patience->timeout_ms);
    patience->started = true;
    return tri_client_wait(client, patience->deadline, error);
}

enum tri_status tri_batch_next(struct tri_batch *batch,
                               int timeout_ms,
                               struct tri_task_result *result,
                               struct tri_error *error)
{
    struct patience patience = { .timeout_ms = timeout_ms };
    enum tri_status status = TRI_OK;

    if (batch->client == NULL)
        return closed(error);
    while (status == TRI_OK) {
        status = keep_going(batch, error);
        if (status == TRI_OK)
            status = tri_follow_next(batch->follow, batch->client->now, result, error);
        if (status != TRI_EMPTY)
            return status;
        status = wait_on(batch->client, &patience, error);
    }
    return status;
}

enum tri_status tri_batch_next_run(struct tri_batch *batch,
                                   int timeout_ms,
                                   struct tri_result_run *run,
                                   struct tri_error *error)
{
    struct patience patience = { .timeout_ms = timeout_ms };
    enum tri_status status = TRI_OK;

    if (batch->client == NULL)
        return closed(error);
    while (status == TRI_OK) {
        status = keep_going(batch, error);
        if (status == TRI_OK)
            status = tri_follow_next_run(batch->follow, batch->client->now, run, error);
        if (status != TRI_EMPTY || tri_follow_has_result(batch->follow))
            return status;
        status = wait_on(batch->client, &patience, error);
    }
    return status;
}

void tri_batch_withhold(struct tri_batch *batch)
{
    if (batch->follow != NULL)
        tri_follow_withhold(batch->follow);
}

enum tri_status tri_batch_pass_on(struct tri_batch *batch, struct tri_error *error)
{
    return batch->client != NULL ? tri_follow_pass_on(batch->follow, batch->client->now, error)
                                 : closed(error);
}

void tri_batch_summary(const struct tri_batch *batch, struct tri_batch_summary *summary)
{
    if (batch->follow != NULL)
        tri_follow_summary(batch->follow, summary);
    else
        *summary = (struct tri_batch_summary){ .state_text = "open" };
}

enum tri_status tri_batch_reduced(struct tri_batch *batch,
                                  const char **json,
                                  struct tri_error *error)
{
    struct tri_buffer text = { 0 };
    enum tri_status status;

    if (batch->follow == NULL)
        return closed(error);
    status = tri_follow_reduced(batch->follow, &text, error);
    tri_buffer_append(&text, "", 1);
    if (status == TRI_OK && text.failed)
        status = tri_fail(error, TRI_MEMORY, "out of memory");
    if (status != TRI_OK) {
        tri_buffer_deinit(&text);
        return status;
    }
    free(batch->reduced);
    batch->reduced = (char *)text.data;
    *json = batch->reduced;
    return TRI_OK;
}
