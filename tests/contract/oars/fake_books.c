/* The books of the fake session: what came back, and that it came back once. */
#include "fake_session.h"

#include "common/proto/chunk.h"

#include <stdio.h>
#include <string.h>

static struct account *settle(struct fake *self, uint64_t index, enum fate fate)
{
    struct account *account = &self->accounts[index];

    STORY_CHECK(index < self->count, "there is no task %lu", (unsigned long)index);
    STORY_CHECK(account->fate == FATE_OPEN, "task %lu came back twice", (unsigned long)index);
    account->fate = fate;
    self->open--;
    return account;
}

static void on_results(struct fake *self, const struct link_message *received)
{
    struct tri_rec_result head;
    struct tri_chunk chunk;
    uint32_t at = 0;

    ck_assert_uint_eq(received->message.results.generation, 3);
    ck_assert_uint_eq(received->message.results.number, 7);
    ck_assert_uint_eq(received->frame_count, 1);
    ck_assert_int_eq(tri_result_open(received->frames[0], &head, &chunk, NULL), TRI_OK);
    ck_assert_uint_eq(head.model, self->model);
    for (size_t r = 0; r < head.runs.count; r++) {
        struct tri_range run = tri_ranges_at(head.runs, r);

        for (uint64_t i = run.first; i < run.first + run.count; i++) {
            struct tri_bytes value = tri_chunk_at(&chunk, at++);

            tri_buffer_append(&settle(self, i, FATE_VALUE)->value, value.data, value.size);
        }
    }
    self->results++;
    self->wall_ns += head.wall_ns;
    self->cpu_ns += head.cpu_ns;
    self->sampled += (head.flags & TRI_RESULT_SAMPLED) != 0;
    self->task_times += head.task_us.size / 8;
}

static void on_partial(struct fake *self, const struct link_message *received)
{
    const struct tri_msg_partial *partial = &received->message.partial;
    struct tri_range ranges[1024];

    ck_assert_ptr_nonnull(self->reducer);
    ck_assert_uint_le(partial->ranges.count, TRI_COUNT_OF(ranges));
    for (size_t r = 0; r < partial->ranges.count; r++) {
        ranges[r] = tri_ranges_at(partial->ranges, r);
        for (uint64_t i = ranges[r].first; i < ranges[r].first + ranges[r].count; i++)
            settle(self, i, FATE_FOLDED);
    }
    ck_assert_int_eq(
        tri_reducer_merge(self->reducer, received->frames[0], ranges, partial->ranges.count, NULL),
        TRI_OK);
    self->partials++;
}

static void on_ended(struct fake *self, const struct tri_msg_ended *ended)
{
    struct tri_list list = ended->entries;
    struct tri_rec_entry entry;

    while (tri_list_next(&list, TRI_RECORD_ENTRY, &entry)) {
        struct account *account = settle(self, entry.index, FATE_ENDED);

        account->outcome = entry.outcome;
        account->attempts = entry.attempts;
        account->error = strndup((const char *)entry.error.data, entry.error.size);
        tri_buffer_append(&account->value, entry.value.data, entry.value.size);
    }
}

static void on_released(struct fake *self, const struct tri_msg_released *released)
{
    for (size_t r = 0; r < released->ranges.count; r++) {
        struct tri_range range = tri_ranges_at(released->ranges, r);

        for (uint64_t i = range.first; i < range.first + range.count; i++)
            settle(self, i, FATE_RELEASED);
    }
}

bool fake_step(struct fake *self)
{
    struct link_message received;
    struct tri_error error;
    enum tri_status status = link_receive(&self->link, true, &received, &error);
    const struct tri_message *message = &received.message;

    if (status == TRI_CLOSED) {
        self->closed = true;
        return false;
    }
    STORY_CHECK(status == TRI_OK, "%s", error.text);
    if (message->type == TRI_MESSAGE_RESULTS)
        on_results(self, &received);
    else if (message->type == TRI_MESSAGE_PARTIAL)
        on_partial(self, &received);
    else if (message->type == TRI_MESSAGE_ENDED)
        on_ended(self, &message->ended);
    else if (message->type == TRI_MESSAGE_RELEASED)
        on_released(self, &message->released);
    else if (message->type == TRI_MESSAGE_OARS && message->oars.width == 0) {
        self->wants_replacing = true;
        self->refusal = message->oars.status;
        snprintf(self->reason, sizeof(self->reason), "%.*s", (int)message->oars.reason.size,
                 (const char *)message->oars.reason.data);
    } else
        ck_abort_msg("the host said %s", tri_message_name(message->type));
    return true;
}

void fake_finish(struct fake *self)
{
    while (self->open != 0)
        STORY_CHECK(fake_step(self), "the host is gone, %lu tasks open", (unsigned long)self->open);
}

void fake_wait_for(struct fake *self, uint64_t first, uint64_t count)
{
    for (uint64_t i = first; i < first + count; i++) {
        while (self->accounts[i].fate == FATE_OPEN)
            STORY_CHECK(fake_step(self), "the host is gone, task %lu open", (unsigned long)i);
    }
}

struct tri_value fake_value(const struct fake *self, uint64_t index)
{
    const struct account *account = &self->accounts[index];
    struct tri_value value;

    STORY_CHECK(account->fate == FATE_VALUE, "task %lu has no value but fate %d: %s",
                (unsigned long)index, account->fate, account->error != NULL ? account->error : "");
    STORY_CHECK(tri_value_unpack_whole(tri_buffer_bytes(&account->value), &value, NULL) == TRI_OK,
                "task %lu has no msgpack value", (unsigned long)index);
    return value;
}

int64_t fake_integer(const struct fake *self, uint64_t index)
{
    struct tri_value value = fake_value(self, index);

    STORY_CHECK(value.type == TRI_INT, "task %lu has a value of type %d", (unsigned long)index,
                value.type);
    return value.integer;
}

void fake_expect_integer(const struct fake *self, uint64_t index, int64_t wanted)
{
    int64_t got = fake_integer(self, index);

    STORY_CHECK(got == wanted, "task %lu has %ld, not %ld", (unsigned long)index, (long)got,
                (long)wanted);
}

void fake_expect_ended(const struct fake *self,
                       uint64_t index,
                       enum tri_outcome outcome,
                       const char *error)
{
    const struct account *account = &self->accounts[index];

    ck_assert_int_eq(account->fate, FATE_ENDED);
    ck_assert_uint_eq(account->outcome, outcome);
    ck_assert_uint_eq(account->attempts, 2);
    ck_assert_str_eq(account->error, error);
}

const char *fake_reduced(struct fake *self)
{
    static char text[256];
    struct tri_buffer out;

    tri_buffer_init(&out);
    ck_assert_int_eq(tri_reducer_finish_text(self->reducer, &out, NULL), TRI_OK);
    snprintf(text, sizeof(text), "%.*s", (int)out.size, (const char *)out.data);
    tri_buffer_deinit(&out);
    return text;
}

void fake_expect_text(const struct fake *self, uint64_t index, const char *text)
{
    struct tri_value value = fake_value(self, index);

    ck_assert_int_eq(value.type, TRI_STRING);
    ck_assert_uint_eq(value.bytes.size, strlen(text));
    ck_assert_mem_eq(value.bytes.data, text, value.bytes.size);
}
