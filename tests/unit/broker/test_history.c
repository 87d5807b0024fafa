/* test_history.c - the charged tries of a task in bounds, and what bytes of a store may say. */
#include "broker/engine/history.h"

#include "common/proto/codec.h"
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>

static struct history history;
static char error_text[5000];

static void begin(void)
{
    history = (struct history){ 0 };
    memset(error_text, 'e', sizeof(error_text) - 1);
}

static void end(void)
{
    history_deinit(&history);
}

static void add_with(uint64_t number, size_t error_bytes)
{
    const struct tri_rec_attempt attempt = {
        .attempt = number,
        .outcome = TRI_OUTCOME_FAILED,
        .worker = tri_bytes_of("w1"),
        .error = { (const uint8_t *)error_text, error_bytes },
        .age_ms = 1000 * number,
        .restarts = 2,
    };

    history_add(&history, &attempt);
}

/* The numbers of the tries as told at 10 s in epoch 3, and the last of them. */
static size_t told(uint64_t *numbers, struct tri_rec_attempt *last)
{
    struct tri_buffer out = { 0 };
    struct tri_list list;
    size_t count = 0;

    history_tell(&history, 10000, 3, &out);
    list = tri_list_of(&out, history.count);
    while (tri_list_next(&list, TRI_RECORD_ATTEMPT, last))
        numbers[count++] = last->attempt;
    ck_assert_uint_eq(list.size, 0);
    tri_buffer_deinit(&out);
    return count;
}

START_TEST(the_first_and_the_last_fifteen_are_kept)
{
    struct tri_rec_attempt last;
    uint64_t numbers[HISTORY_COUNT_MAX];

    for (uint64_t i = 1; i <= 100; i++)
        add_with(i, 10);
    ck_assert_uint_eq(told(numbers, &last), HISTORY_COUNT_MAX);
    ck_assert_uint_eq(numbers[0], 1);
    for (size_t i = 1; i < HISTORY_COUNT_MAX; i++)
        ck_assert_uint_eq(numbers[i], 100 - HISTORY_COUNT_MAX + 1 + i);
    ck_assert(history_last(&history, &last));
    ck_assert_uint_eq(last.attempt, 100);
}
END_TEST

START_TEST(long_errors_leave_room_for_fewer_and_the_first_and_last_are_among_them)
{
    struct tri_rec_attempt last;
    uint64_t numbers[HISTORY_COUNT_MAX];
    size_t count;

    for (uint64_t i = 1; i <= 20; i++) {
        add_with(i, 4000);
        ck_assert_uint_le(history.size, HISTORY_BYTES_MAX);
    }
    count = told(numbers, &last);
    ck_assert_uint_eq(count, 7);
    ck_assert_uint_eq(numbers[0], 1);
    ck_assert_uint_eq(numbers[1], 15);
    ck_assert_uint_eq(numbers[6], 20);
}
END_TEST

START_TEST(an_error_is_cut_at_its_limit_and_at_a_nul)
{
    struct tri_rec_attempt last;

    add_with(1, 4096);
    ck_assert(history_last(&history, &last));
    ck_assert_uint_eq(last.error.size, HISTORY_ERROR_BYTES_MAX);
    error_text[3] = '\0';
    add_with(2, 4096);
    ck_assert(history_last(&history, &last));
    ck_assert_uint_eq(last.error.size, 3);
}
END_TEST

START_TEST(age_goes_by_the_durable_clock_and_restarts_by_epochs)
{
    struct tri_rec_attempt last;
    uint64_t numbers[HISTORY_COUNT_MAX];

    ck_assert(!history_last(&history, &last));
    add_with(4, 0);
    told(numbers, &last);
    ck_assert_uint_eq(last.age_ms, 6000);
    ck_assert_uint_eq(last.restarts, 1);
    add_with(11, 0); /* after the clock was last written */
    told(numbers, &last);
    ck_assert_uint_eq(last.age_ms, 0);
    history_add(&history, &(struct tri_rec_attempt){ .attempt = 12 }); /* of a row of format 1 */
    told(numbers, &last);
    ck_assert_uint_eq(last.age_ms, 0);
    ck_assert_uint_eq(last.restarts, 1);
}
END_TEST

START_TEST(bytes_of_a_history_are_that_history)
{
    struct history again = { 0 };
    struct tri_bytes bytes;

    for (uint64_t i = 1; i <= 30; i++)
        add_with(i, 3 * i);
    bytes = (struct tri_bytes){ history.data, history.size };
    ck_assert_int_eq(history_open(&again, bytes, NULL), TRI_OK);
    ck_assert_uint_eq(again.count, history.count);
    ck_assert_uint_eq(again.last, history.last);
    ck_assert_uint_eq(again.size, history.size);
    ck_assert_mem_eq(again.data, history.data, history.size);
    history_deinit(&again);
}
END_TEST

static void expect_refused(const struct tri_buffer *bytes, const char *why)
{
    struct tri_error error = { TRI_OK, "" };

    ck_assert_int_eq(history_open(&history, tri_buffer_bytes(bytes), &error), TRI_STORE);
    ck_assert_msg(strstr(error.text, why) != NULL, "%s", error.text);
    ck_assert_uint_eq(history.count, 1); /* as it was */
}

static void append(struct tri_buffer *out, uint64_t number)
{
    tri_record_encode(TRI_RECORD_ATTEMPT, &(struct tri_rec_attempt){ .attempt = number }, out);
}

START_TEST(bytes_that_no_history_has_are_refused)
{
    struct tri_buffer bytes = { 0 };

    add_with(1, 0);
    append(&bytes, 2);
    append(&bytes, 2);
    expect_refused(&bytes, "contradicts itself"); /* two tries of one number */
    bytes.size--;
    expect_refused(&bytes, ""); /* cut off */
    tri_buffer_clear(&bytes);
    for (uint64_t i = 1; i <= HISTORY_COUNT_MAX + 1; i++)
        append(&bytes, i);
    expect_refused(&bytes, "contradicts itself"); /* too many */
    tri_buffer_clear(&bytes);
    while (bytes.size <= HISTORY_BYTES_MAX)
        append(&bytes, 1);
    expect_refused(&bytes, "too long");
    tri_buffer_deinit(&bytes);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("history");

    tcase_add_checked_fixture(tcase, begin, end);
    tcase_add_test(tcase, the_first_and_the_last_fifteen_are_kept);
    tcase_add_test(tcase, long_errors_leave_room_for_fewer_and_the_first_and_last_are_among_them);
    tcase_add_test(tcase, an_error_is_cut_at_its_limit_and_at_a_nul);
    tcase_add_test(tcase, age_goes_by_the_durable_clock_and_restarts_by_epochs);
    tcase_add_test(tcase, bytes_of_a_history_are_that_history);
    tcase_add_test(tcase, bytes_that_no_history_has_are_refused);
    return unit_run("broker/history", tcase);
}
