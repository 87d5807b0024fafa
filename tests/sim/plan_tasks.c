/* What each task is like: a pure function of the plan. */
#include "common/assert.h"
#include "common/value.h"
#include "tests/sim/plan.h"

#include <string.h>

static const char *const deed_texts[] = { "ok",    "fail",  "too-large", "spin",
                                          "stuck", "crash", "kill" };

const char *plan_deed_text(enum deed_kind kind)
{
    return deed_texts[kind];
}

static uint64_t roll(const struct plan_batch *batch, uint64_t index, uint64_t salt)
{
    return tri_mix64(batch->key + tri_mix64(index * 8 + salt));
}

/* Which of the kinds, each with its share of a million, `dice` falls on. */
static enum deed_kind pick(const uint32_t *shares, uint64_t dice)
{
    for (int kind = DEED_FAIL; kind <= DEED_KILL; kind++) {
        if (dice < shares[kind])
            return (enum deed_kind)kind;
        dice -= shares[kind];
    }
    return DEED_OK;
}

static uint64_t duration(const struct plan_batch *batch, uint64_t index)
{
    uint64_t dice = roll(batch, index, 2);

    if (dice % SIM_ALWAYS < batch->slow_ppm)
        return batch->slow_us;
    return batch->task_us_min + (dice >> 32) % (batch->task_us_max - batch->task_us_min + 1);
}

struct deed plan_deed(const struct plan_batch *batch,
                      uint64_t generation,
                      uint64_t index,
                      uint64_t attempt)
{
    struct deed deed = { DEED_OK, duration(batch, index) };
    uint64_t bad = roll(batch, index, 0);
    uint64_t flaky = roll(batch, index, 1);

    if (batch->mends && generation > 1 + (bad >> 40) % 3)
        return deed;
    deed.kind = pick(batch->bad, bad % SIM_ALWAYS);
    if (deed.kind == DEED_OK && attempt <= 1 + (flaky >> 40) % 3)
        deed.kind = pick(batch->flaky, flaky % SIM_ALWAYS);
    return deed;
}

static uint64_t outcome_of(enum deed_kind kind)
{
    switch (kind) {
    case DEED_OK:
        return TRI_OUTCOME_OK;
    case DEED_FAIL:
        return TRI_OUTCOME_FAILED;
    case DEED_TOO_LARGE:
        return TRI_OUTCOME_TOO_LARGE;
    case DEED_SPIN:
    case DEED_STUCK:
        return TRI_OUTCOME_TIMEOUT;
    case DEED_CRASH:
    case DEED_KILL:
        return TRI_OUTCOME_CRASHED;
    }
    return TRI_OUTCOME_OK;
}

struct fate plan_fate(const struct plan_batch *batch, uint64_t generation, uint64_t index)
{
    uint64_t failures = 0;
    uint64_t crashes = 0;

    for (uint64_t attempt = 1;; attempt++) {
        uint64_t outcome = outcome_of(plan_deed(batch, generation, index, attempt).kind);

        if (outcome == TRI_OUTCOME_CRASHED)
            crashes++;
        else if (outcome != TRI_OUTCOME_OK)
            failures++;
        if (outcome == TRI_OUTCOME_OK || crashes >= batch->crash_limit || failures > batch->retries)
            return (struct fate){ outcome, attempt };
    }
}

uint64_t plan_outcome(const struct plan_batch *batch,
                      uint64_t generation,
                      uint64_t index,
                      uint64_t attempt)
{
    return outcome_of(plan_deed(batch, generation, index, attempt).kind);
}

/* Mostly small, some as large as the plan lets them be. */
static void text_value(const struct plan_batch *batch, uint64_t index, struct tri_buffer *out)
{
    uint64_t dice = roll(batch, index, 3);
    uint64_t size = dice % 8 == 0 ? (dice >> 8) % (batch->value_bytes_max + 1) : (dice >> 8) % 24;
    uint8_t *to;

    tri_pack_string_head(out, (uint32_t)size);
    to = tri_buffer_reserve(out, size);
    tri_assert(to != NULL);
    for (uint64_t i = 0; i < size; i++)
        to[i] = (uint8_t)('a' + (dice + i * 7 + index) % 26);
    out->size += size;
}

void plan_value(const struct plan_batch *batch, uint64_t index, struct tri_buffer *out)
{
    if (batch->range)
        tri_pack_int(out, batch->first + (int64_t)index * batch->step);
    else if (batch->reducer != NULL || roll(batch, index, 4) % 3 == 0)
        tri_pack_int(out, (int64_t)(roll(batch, index, 5) >> 20) - (INT64_C(1) << 42));
    else
        text_value(batch, index, out);
}

void plan_spec(const struct plan_batch *batch, struct tri_buffer *out)
{
    struct tri_buffer labels = { 0 };
    struct tri_rec_spec spec = {
        .handler = tri_bytes_of(batch->handler),
        .source = batch->range ? TRI_SOURCE_RANGE : TRI_SOURCE_ITEMS,
        .first = batch->range ? batch->first : 0,
        .step = batch->range ? batch->step : 0,
        .count = batch->range ? batch->count : 0,
        .model = batch->model,
        .width = batch->width,
        .timeout_ms = batch->timeout_ms,
        .retries = batch->retries,
        .crash_limit = batch->crash_limit,
        .halt = batch->halt,
        .halt_fail_count = batch->halt_fail_count,
        .halt_fail_percent = batch->halt_fail_percent,
        .priority = batch->priority,
        .reducer = tri_bytes_of(batch->reducer != NULL ? batch->reducer : ""),
    };

    if (batch->label != NULL) {
        const struct tri_rec_text label = { tri_bytes_of(batch->label) };

        tri_record_encode(TRI_RECORD_TEXT, &label, &labels);
        spec.labels = tri_list_of(&labels, 1);
    }
    tri_record_encode(TRI_RECORD_SPEC, &spec, out);
    tri_assert(!out->failed && !labels.failed);
    tri_buffer_deinit(&labels);
}

const struct plan_batch *plan_find(const struct plan *plan, struct tri_bytes uuid)
{
    for (uint64_t i = 0; uuid.size == sizeof(struct tri_uuid) && i < plan->batch_count; i++)
        if (memcmp(plan->batches[i].uuid.bytes, uuid.data, uuid.size) == 0)
            return &plan->batches[i];
    return NULL;
}
