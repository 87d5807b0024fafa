#include "tests/sim/rough.h"

#include "common/assert.h"
#include "common/proto/chunk.h"
#include "tests/sim/broker.h"
#include "tests/sim/checker.h"
#include "tests/sim/plan.h"

#include <stdlib.h>

#define ROUGH UINT64_C(0x726f756768) /* any number: another stream of chance */
#define RANGES_MAX 4
#define BACKOFF_MS_MAX 4000
#define LOOK_US (5 * SIM_S)

struct rough {
    struct tri_prng prng;
};

static uint64_t between(struct sim *sim, uint64_t low, uint64_t high)
{
    return tri_prng_between(&sim->rough->prng, low, high);
}

/* ---- arguments ------------------------------------------------------------------------------ */

static const struct plan_batch *some_items(struct sim *sim)
{
    uint64_t from = between(sim, 0, sim->plan->batch_count - 1);

    for (uint64_t i = 0; i < sim->plan->batch_count; i++) {
        const struct plan_batch *batch = &sim->plan->batches[(from + i) % sim->plan->batch_count];

        if (!batch->range && batch->count != 0 && checker_number(sim, batch) != 0)
            return batch;
    }
    return NULL;
}

/* Some tasks of it, in order. */
static size_t draw_ranges(struct sim *sim, uint64_t count, struct tri_range ranges[RANGES_MAX])
{
    size_t wanted = (size_t)between(sim, 1, RANGES_MAX);
    uint64_t at = between(sim, 0, count - 1);
    size_t made = 0;

    while (made < wanted && at < count) {
        uint64_t last = between(sim, at, between(sim, at, count - 1));

        ranges[made++] = (struct tri_range){ at, last - at + 1 };
        at = last + 2 + between(sim, 0, count / 4);
    }
    return made;
}

bool rough_asks(struct sim *sim, struct client *client, tri_time now_ms)
{
    struct tri_message message = { .type = TRI_MESSAGE_ARGUMENTS };
    struct tri_range ranges[RANGES_MAX] = { { 0, 0 } };
    const struct plan_batch *batch;

    if (sim->rough == NULL || between(sim, 0, 1) != 0)
        return false;
    batch = some_items(sim);
    if (batch == NULL)
        return false;
    message.arguments.number = checker_number(sim, batch);
    message.arguments.tasks = tri_ranges_of(ranges, draw_ranges(sim, batch->count, ranges));
    client->asked_about = batch;
    client->asked_from = ranges[0].first;
    tri_assert(tri_session_request(client->session, now_ms, &message, true, &client->question)
               == TRI_OK);
    return true;
}

/* Argument `at` of the answer is that of the task. */
static bool is_argument(const struct plan_batch *batch,
                        uint64_t index,
                        const struct tri_chunk *chunk,
                        uint32_t at,
                        struct tri_buffer *expected)
{
    struct tri_bytes value;

    if (at >= chunk->count)
        return false;
    tri_buffer_clear(expected);
    plan_value(batch, index, expected);
    if (expected->size > TRI_ARGUMENT_BYTES_MAX)
        expected->size = TRI_ARGUMENT_BYTES_MAX;
    value = tri_chunk_at(chunk, at);
    return value.size == expected->size
           && (value.size == 0 || memcmp(value.data, expected->data, value.size) == 0);
}

static void check_answer(struct sim *sim,
                         const struct plan_batch *batch,
                         const struct tri_msg_arguments_info *info,
                         struct tri_bytes body)
{
    struct tri_buffer expected = { 0 };
    struct tri_chunk chunk;
    uint32_t at = 0;

    if (tri_items_open(body, &chunk, NULL) != TRI_OK)
        sim_fail(sim, "ARGUMENTS of %s are answered without them", batch->name);
    for (size_t i = 0; i < info->tasks.count; i++) {
        struct tri_range range = tri_ranges_at(info->tasks, i);

        for (uint64_t j = 0; j < range.count; j++, at++) {
            uint64_t index = range.first + j;

            if (!is_argument(batch, index, &chunk, at, &expected))
                sim_fail(sim, "the argument of task %s/%llu is answered with another's",
                         batch->name, (unsigned long long)index);
        }
    }
    if (at != chunk.count || at == 0)
        sim_fail(sim, "%u arguments of %s are answered with %u", at, batch->name, chunk.count);
    tri_buffer_deinit(&expected);
}

/* Refused only when the batch is gone, or the tasks have not come yet. */
void rough_hears(struct sim *sim, struct client *client)
{
    const struct plan_batch *batch = client->asked_about;
    struct tri_error error = { TRI_OK, "" };
    enum tri_status status;
    struct tri_message answer;

    client->asked_about = NULL;
    if (batch == NULL)
        return;
    status = tri_request_outcome(client->question, &error);
    if (status != TRI_OK && status != TRI_NOTFOUND && status != TRI_BUSY)
        sim_fail(sim, "ARGUMENTS of %s are answered with: %s", batch->name, error.text);
    if (status != TRI_OK)
        return;
    if (tri_message_decode(tri_request_reply(client->question), &answer, NULL) != TRI_OK
        || answer.type != TRI_MESSAGE_ARGUMENTS_INFO || answer.arguments_info.tasks.count == 0
        || tri_ranges_at(answer.arguments_info.tasks, 0).first != client->asked_from)
        sim_fail(sim, "ARGUMENTS of %s are answered with something else", batch->name);
    sim_tell(sim, client->node.name, "%s: arguments are answered: %s", batch->name,
             tri_status_text((enum tri_status)answer.arguments_info.status));
    checker_arguments(sim, batch, client->asked_from,
                      (enum tri_status)answer.arguments_info.status);
    if (answer.arguments_info.status == TRI_OK)
        check_answer(sim, batch, &answer.arguments_info, tri_request_body(client->question));
}

/* ---- afterwards ----------------------------------------------------------------------------- */

void rough_looks_again(struct sim *sim)
{
    const struct doom doom = { DOOM_KILL, SIM_MS };

    if (sim->rough == NULL || between(sim, 0, 1) != 0)
        return;
    if (sim->mortal)
        broker_crash(sim, &doom);
    for (uint64_t i = 0; i < sim->plan->client_count; i++)
        client_look_again(sim, sim->clients[i], sim->now + between(sim, SIM_MS, LOOK_US));
    sim->plan->end_at = sim->now + 60 * SIM_S + 4 * sim->plan->options.limits.lease_ms * SIM_MS;
}

/* ---- life ----------------------------------------------------------------------------------- */

static void lengthen_backoff(struct sim *sim)
{
    struct engine_limits *limits = &sim->plan->options.limits;

    limits->backoff_ms_min = between(sim, 1, BACKOFF_MS_MAX);
    if (limits->backoff_ms_max < limits->backoff_ms_min)
        limits->backoff_ms_max = limits->backoff_ms_min;
    sim->plan->end_at += 600 * SIM_S;
}

void rough_begin(struct sim *sim)
{
    sim->rough = tri_alloc(1, sizeof(*sim->rough));
    tri_prng_init(&sim->rough->prng, tri_mix64(sim->seed + ROUGH));
    if (between(sim, 0, 1) != 0)
        lengthen_backoff(sim);
    if (sim->vault != NULL)
        plan_draw_rots(&sim->rough->prng, MISHAP_ROT_ROW, sim->plan);
}

void rough_end(struct sim *sim)
{
    free(sim->rough);
    sim->rough = NULL;
}
