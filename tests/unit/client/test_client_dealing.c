/* Rows at random: any dealing of tasks to rows, and bytes that no broker sends. */
#include "tests/unit/client/story.h"

#include "common/prng.h"
#include "common/proto/codec.h"
#include "common/value.h"

#include <stdlib.h>

/* ---- any order, any cuts -------------------------------------------------------------------- */

/* Cut [0, count) at random into runs, and deal the runs to rows. */
struct deal {
    struct tri_range runs[64][512];
    size_t counts[64];
    size_t rows;
};

static void deal_runs(struct deal *deal, struct tri_prng *prng, uint64_t count)
{
    uint64_t at = 0;

    deal->rows = 1 + tri_prng_below(prng, TRI_COUNT_OF(deal->runs));
    memset(deal->counts, 0, sizeof(deal->counts));
    while (at < count) {
        uint64_t length = 1 + tri_prng_below(prng, tri_prng_below(prng, 4) == 0 ? 40 : 3);
        size_t row = tri_prng_below(prng, deal->rows);

        if (length > count - at)
            length = count - at;
        if (deal->counts[row] == TRI_COUNT_OF(deal->runs[0]))
            continue;
        deal->runs[row][deal->counts[row]++] = (struct tri_range){ at, length };
        at += length;
    }
}

static void shuffle(size_t *order, size_t count, struct tri_prng *prng)
{
    for (size_t i = 0; i < count; i++)
        order[i] = i;
    for (size_t i = count; i > 1; i--) {
        size_t other = tri_prng_below(prng, i);
        size_t swap = order[i - 1];

        order[i - 1] = order[other];
        order[other] = swap;
    }
}

/* Rows come in the order of their numbers, and so the dealing is what is random; some come twice,
 * and sometimes the connection is lost in between. */
static void any_order(uint64_t seed, bool repeated_rows_out_of_order)
{
    struct story s = story_up();
    struct tri_follow *batch = batch_range(&s, 2000, false);
    struct deal *deal = calloc(1, sizeof(*deal));
    size_t order[64];
    struct tri_prng prng;
    uint64_t got = 0;

    tri_prng_init(&prng, seed);
    deal_runs(deal, &prng, 2000);
    shuffle(order, deal->rows, &prng);
    for (size_t i = 0; i < deal->rows; i++) {
        size_t row = repeated_rows_out_of_order ? order[i] : i;

        if (deal->counts[row] != 0)
            broker_row(&s, 7, row, 1, deal->runs[row], deal->counts[row], NULL, 0);
        if (tri_prng_below(&prng, 3) == 0)
            got += results_in_order(&s, batch, got);
        if (tri_prng_below(&prng, 4) == 0 && i > 0 && deal->counts[order[0]] != 0
            && repeated_rows_out_of_order)
            broker_row(&s, 7, order[0], 1, deal->runs[order[0]], deal->counts[order[0]], NULL, 0);
        if (tri_prng_below(&prng, 20) == 0) {
            connection_breaks(&s);
            broker_attached(&s, expect_message(&s, TRI_MESSAGE_ATTACH)->attach.request, 7, 2000,
                            NULL, 0);
        }
    }
    got += results_in_order(&s, batch, got);
    ck_assert_uint_eq(got, 2000);
    broker_ends(&s, 7, 2000, 2000);
    expect_end(&s, batch);
    free(deal);
    story_end(&s);
}

START_TEST(any_dealing_of_runs_to_rows_is_given_exactly_once_in_order)
{
    for (uint64_t seed = 1; seed <= 60; seed++)
        any_order(seed, seed % 2 == 0);
}
END_TEST

/* ---- bytes that no broker sends ------------------------------------------------------------- */

static void spoil(struct tri_buffer *bytes, struct tri_prng *prng)
{
    uint64_t changes = tri_prng_below(prng, 4);

    for (uint64_t i = 0; i < changes && bytes->size != 0; i++)
        bytes->data[tri_prng_below(prng, bytes->size)] = (uint8_t)tri_prng_next(prng);
    if (tri_prng_below(prng, 8) == 0)
        bytes->size = tri_prng_below(prng, bytes->size + 1);
}

/* Frames of exactly their size, so that one byte too far is noticed. */
static void hand_over(struct story *s, const struct tri_buffer *head, const struct tri_buffer *body)
{
    uint8_t *exact = malloc(head->size + 1);
    uint8_t *token = malloc(body->size + 1);
    struct tri_bytes frame = { exact + 1, head->size };
    struct tri_bytes bytes = { token + 1, body->size };
    bool taken;

    memcpy(exact + 1, head->data, head->size);
    memcpy(token + 1, body->data, body->size);
    ck_assert_int_eq(
        tri_session_receive(s->session, s->now, frame, &bytes, token, &taken, &s->error), TRI_OK);
    if (taken)
        s->kept++;
    else
        free(token);
    free(exact);
}

static void spoiled_row(struct story *s, struct tri_prng *prng, uint64_t row)
{
    struct tri_range runs[] = { { row * 100, 10 }, { row * 100 + 20, 1 }, { row * 100 + 30, 5 } };
    struct tri_rec_result head = { .runs = tri_ranges_of(runs, 3), .model = TRI_MODEL_THREAD };
    struct tri_message message = { .type = TRI_MESSAGE_ROW };
    struct tri_chunk_builder builder = { 0 };
    struct tri_buffer frame = { 0 };
    struct tri_buffer body = { 0 };

    for (int i = 0; i < 16; i++) {
        tri_pack_int(&builder.blob, i * 1000);
        tri_chunk_builder_close_value(&builder);
    }
    tri_result_encode(&builder, &head, &body);
    message.row.number = 7;
    message.row.generation = 1 + tri_prng_below(prng, 2);
    message.row.row = row;
    message.row.kind = tri_prng_below(prng, 8) == 0 ? tri_prng_below(prng, 3) : 0;
    message.row.ranges = tri_ranges_of(runs, tri_prng_below(prng, 4));
    tri_message_encode(&message, &frame);
    spoil(&frame, prng);
    spoil(&body, prng);
    hand_over(s, &frame, &body);
    tri_buffer_deinit(&frame);
    tri_buffer_deinit(&body);
    tri_chunk_builder_deinit(&builder);
}

START_TEST(spoiled_rows_harm_nothing)
{
    for (uint64_t seed = 1; seed <= 300; seed++) {
        struct story s = story_up();
        struct tri_follow *batch = batch_range(&s, 1000000, seed % 2 == 0);
        struct tri_task_result result;
        struct tri_prng prng;

        tri_prng_init(&prng, seed);
        for (uint64_t row = 0; row < 40; row++) {
            spoiled_row(&s, &prng, row);
            while (tri_follow_next(batch, s.now, &result, &s.error) == TRI_OK)
                ck_assert_ptr_nonnull(result.outcome_text);
            story_perform(&s);
        }
        story_end(&s);
    }
}
END_TEST
int main(void)
{
    TCase *tcase = tcase_create("dealing");

    tcase_add_test(tcase, any_dealing_of_runs_to_rows_is_given_exactly_once_in_order);
    tcase_add_test(tcase, spoiled_rows_harm_nothing);
    return unit_run("client dealing", tcase);
}
