/* Memory that runs out, once, at any allocation: the call says TRI_MEMORY and may be repeated, and
 * every result is still given exactly once and in order. */
#include "tests/unit/client/story.h"

#include "common/proto/codec.h"
#include "common/value.h"

#include <stdlib.h>

#define TASKS 400
#define FAILED_TASK 150

/* ---- the n-th allocation fails -------------------------------------------------------------- */

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);

static bool armed; /* only inside the session's own calls */
static long countdown;
static bool has_failed;

static bool fails(void)
{
    if (!armed || has_failed || --countdown > 0)
        return false;
    has_failed = true;
    return true;
}

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *memory, size_t size)
{
    return fails() ? NULL : __real_realloc(memory, size);
}

/* ---- a broker that answers by itself -------------------------------------------------------- */

struct play {
    struct tri_session *session;
    struct tri_follow *follow;
    tri_time now;
    uint64_t count; /* durable */
    bool sealed;
    bool attached;
    bool rows_sent;
    size_t kept;
};

static void tell(struct play *self, const struct tri_message *message, const struct tri_bytes *body)
{
    struct tri_buffer head = { 0 };
    struct tri_bytes copy = { 0 };
    struct tri_error error;
    void *token = NULL;
    bool taken;
    enum tri_status status;

    tri_message_encode(message, &head);
    if (body != NULL) {
        token = malloc(body->size);
        memcpy(token, body->data, body->size);
        copy = (struct tri_bytes){ token, body->size };
    }
    armed = true;
    status = tri_session_receive(self->session, self->now, tri_buffer_bytes(&head),
                                 body != NULL ? &copy : NULL, token, &taken, &error);
    armed = false;
    ck_assert(status == TRI_OK || status == TRI_MEMORY);
    if (taken)
        self->kept++;
    else
        free(token);
    tri_buffer_deinit(&head);
}

static void answer_hello(struct play *self)
{
    struct tri_message message = { .type = TRI_MESSAGE_WELCOME };
    static const uint8_t cluster[16];

    self->attached = self->rows_sent = false;
    message.welcome.version = 1;
    message.welcome.cluster = (struct tri_bytes){ cluster, 16 };
    message.welcome.heartbeat_ms = 1000;
    message.welcome.item_bytes_max = 1 << 20;
    tell(self, &message, NULL);
}

static void answer_submit(struct play *self, uint64_t request)
{
    struct tri_message message = { .type = TRI_MESSAGE_ACCEPTED };
    uint8_t hash[16];

    hash_of(self->count, hash);
    self->attached = true;
    message.accepted.request = request;
    message.accepted.number = 7;
    message.accepted.count = self->count;
    message.accepted.hash = (struct tri_bytes){ hash, 16 };
    message.accepted.append_bytes_max = 1 << 20;
    tell(self, &message, NULL);
}

static void answer_attach(struct play *self, uint64_t request)
{
    struct tri_rec_spec spec = { .handler = { (const uint8_t *)"echo", 4 } };
    struct tri_message message = { .type = TRI_MESSAGE_ATTACHED };
    struct tri_buffer bytes = { 0 };
    uint8_t hash[16];

    hash_of(self->count, hash);
    self->attached = true;
    self->rows_sent = false;
    tri_record_encode(TRI_RECORD_SPEC, &spec, &bytes);
    message.attached.request = request;
    message.attached.number = 7;
    message.attached.count = self->count;
    message.attached.state = self->sealed ? TRI_BATCH_RUNNING : TRI_BATCH_OPEN;
    message.attached.hash = (struct tri_bytes){ hash, 16 };
    message.attached.append_bytes_max = 1 << 20;
    message.attached.spec = tri_buffer_bytes(&bytes);
    tell(self, &message, NULL);
    tri_buffer_deinit(&bytes);
}

static void answer_append(struct play *self, uint64_t first, struct tri_bytes body)
{
    struct tri_message message = { .type = TRI_MESSAGE_APPENDED };
    struct tri_chunk chunk;
    uint8_t hash[16];

    ck_assert_int_eq(tri_items_open(body, &chunk, NULL), TRI_OK);
    ck_assert_uint_le(first, self->count);
    if (first == self->count)
        self->count += chunk.count;
    hash_of(self->count, hash);
    message.appended.number = 7;
    message.appended.count = self->count;
    message.appended.hash = (struct tri_bytes){ hash, 16 };
    message.appended.append_bytes_max = 1 << 20;
    tell(self, &message, NULL);
}

static void answer_seal(struct play *self, uint64_t request)
{
    struct tri_message message = { .type = TRI_MESSAGE_DONE };

    self->sealed = true;
    message.done.request = request;
    message.done.count = self->count;
    tell(self, &message, NULL);
}

static void hear(struct play *self, const struct tri_client_effect *effect)
{
    struct tri_buffer frames[2] = { { 0 }, { 0 } };
    struct tri_message message;

    for (size_t i = 0; i < effect->frame_count; i++)
        tri_buffer_append(&frames[i], effect->frames[i].data, effect->frames[i].size);
    ck_assert_int_eq(tri_message_decode(tri_buffer_bytes(&frames[0]), &message, NULL), TRI_OK);
    if (message.type == TRI_MESSAGE_HELLO)
        answer_hello(self);
    else if (message.type == TRI_MESSAGE_SUBMIT)
        answer_submit(self, message.submit.request);
    else if (message.type == TRI_MESSAGE_ATTACH)
        answer_attach(self, message.attach.request);
    else if (message.type == TRI_MESSAGE_APPEND)
        answer_append(self, message.append.first, tri_buffer_bytes(&frames[1]));
    else if (message.type == TRI_MESSAGE_SEAL)
        answer_seal(self, message.seal.request);
    tri_buffer_deinit(&frames[0]);
    tri_buffer_deinit(&frames[1]);
}

static void send_row(struct play *self,
                     uint64_t row,
                     uint64_t kind,
                     struct tri_ranges ranges,
                     const struct tri_buffer *body)
{
    struct tri_message message = { .type = TRI_MESSAGE_ROW };
    struct tri_bytes bytes = tri_buffer_bytes(body);

    message.row.number = 7;
    message.row.generation = 1;
    message.row.row = row;
    message.row.kind = kind;
    message.row.ranges = ranges;
    tell(self, &message, &bytes);
}

/* Task FAILED_TASK fails, the others are dealt to rows by their index modulo 4. */
static void send_values(struct play *self, uint64_t row)
{
    struct tri_rec_result head = { .model = TRI_MODEL_THREAD };
    struct tri_chunk_builder builder = { 0 };
    struct tri_range runs[TASKS / 4];
    struct tri_buffer body = { 0 };
    size_t count = 0;

    for (uint64_t i = row; i < TASKS; i += 4) {
        if (i == FAILED_TASK)
            continue;
        tri_pack_int(&builder.blob, (int64_t)i);
        tri_chunk_builder_close_value(&builder);
        runs[count++] = (struct tri_range){ i, 1 };
    }
    head.runs = tri_ranges_of(runs, count);
    tri_result_encode(&builder, &head, &body);
    send_row(self, row, TRI_ROW_VALUES, head.runs, &body);
    tri_buffer_deinit(&body);
    tri_chunk_builder_deinit(&builder);
}

static void send_entry(struct play *self)
{
    struct tri_rec_entry entry = { .index = FAILED_TASK, .outcome = TRI_OUTCOME_FAILED };
    struct tri_range range = { FAILED_TASK, 1 };
    struct tri_buffer list = { 0 };
    struct tri_buffer body = { 0 };
    struct tri_rec_entries entries;

    tri_record_encode(TRI_RECORD_ENTRY, &entry, &list);
    entries.entries = tri_list_of(&list, 1);
    tri_record_encode(TRI_RECORD_ENTRIES, &entries, &body);
    send_row(self, 4, TRI_ROW_ENTRIES, tri_ranges_of(&range, 1), &body);
    tri_buffer_deinit(&body);
    tri_buffer_deinit(&list);
}

static void send_rows(struct play *self)
{
    struct tri_message end = { .type = TRI_MESSAGE_END };

    self->rows_sent = true;
    for (uint64_t row = 0; row < 4; row++)
        send_values(self, row);
    send_entry(self);
    end.end.number = 7;
    end.end.generation = 1;
    end.end.state = TRI_BATCH_DONE;
    end.end.count = TASKS;
    tell(self, &end, NULL);
}

static void serve(struct play *self)
{
    struct tri_client_effect effect;
    enum tri_status status;

    self->now += 5;
    tri_session_tick(self->session, self->now);
    for (;;) {
        armed = true;
        status = tri_session_effect(self->session, self->now, &effect);
        armed = false;
        if (status == TRI_EMPTY)
            break;
        if (status == TRI_OK && effect.type == TRI_CLIENT_SEND)
            hear(self, &effect);
        if (status == TRI_OK && effect.type == TRI_CLIENT_RELEASE) {
            free(effect.token);
            self->kept--;
        }
    }
    if (self->sealed && self->attached && !self->rows_sent)
        send_rows(self);
}

/* ---- the play ------------------------------------------------------------------------------- */

/* Call until it is not for memory that it fails. */
#define PATIENTLY(status, call) \
    do {                        \
        armed = true;           \
        (status) = (call);      \
        armed = false;          \
    } while ((status) == TRI_MEMORY)

static void open_all(struct play *self)
{
    struct tri_session_options options = {
        .name = "t", .software = "t", .endpoint_count = 1, .give_up_ms = 1000000
    };
    struct tri_follow_options follow = { .uuid = { { 1 } }, .owner = true, .window_bytes = 4000 };
    struct tri_rec_spec record = { .handler = { (const uint8_t *)"echo", 4 } };
    struct tri_buffer spec = { 0 };
    struct tri_error error;
    enum tri_status status;

    self->now = 1;
    PATIENTLY(status, tri_session_new(&self->session, &options, self->now));
    ck_assert_int_eq(status, TRI_OK);
    tri_record_encode(TRI_RECORD_SPEC, &record, &spec);
    PATIENTLY(status, tri_follow_submit(self->session, &follow, self->now, tri_bytes_of("n"),
                                        tri_buffer_bytes(&spec), true, &self->follow, &error));
    ck_assert_int_eq(status, TRI_OK);
    tri_buffer_deinit(&spec);
}

static void feed(struct play *self)
{
    struct tri_error error;
    enum tri_status status;

    for (int64_t i = 0; i < TASKS; i++) {
        struct tri_value value = tri_value_int(i);

        do {
            PATIENTLY(status, tri_follow_add(self->follow, &value, &error));
            if (status == TRI_BUSY)
                serve(self);
        } while (status == TRI_BUSY);
        ck_assert_int_eq(status, TRI_OK);
    }
    PATIENTLY(status, tri_follow_seal(self->follow, &error));
    ck_assert_int_eq(status, TRI_OK);
}

static void collect(struct play *self)
{
    struct tri_task_result result;
    struct tri_error error;
    enum tri_status status;
    uint64_t next = 0;

    for (int rounds = 0; rounds < 10000; rounds++) {
        PATIENTLY(status, tri_follow_next(self->follow, self->now, &result, &error));
        if (status == TRI_CLOSED)
            break;
        if (status == TRI_EMPTY) {
            serve(self);
            continue;
        }
        ck_assert_int_eq(status, TRI_OK);
        ck_assert_uint_eq(result.index, next);
        ck_assert(result.index == FAILED_TASK || result.value.integer == (int64_t)next);
        next++;
    }
    ck_assert_uint_eq(next, TASKS);
}

static bool play(long nth)
{
    struct play self = { 0 };

    countdown = nth;
    has_failed = false;
    open_all(&self);
    feed(&self);
    collect(&self);
    tri_session_close(self.session);
    serve(&self);
    ck_assert_uint_eq(self.kept, 0);
    tri_session_destroy(&self.session);
    return has_failed;
}

START_TEST(any_allocation_may_fail_and_no_result_is_lost_or_repeated)
{
    long nth = 1;

    while (play(nth))
        nth++;
    ck_assert_int_gt(nth, 30);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("memory");

    tcase_add_test(tcase, any_allocation_may_fail_and_no_result_is_lost_or_repeated);
    return unit_run("client memory", tcase);
}
