/* Whose turn it is: priority, then principals, then batches, by the oar-time charged. */
#include "tests/engine/story.h"

#include <stdio.h>

#define WINDOW (UINT64_C(16) << 20)
#define SECOND UINT64_C(1000000000)

static void submit(const char *client, const char *batch, uint64_t count, uint64_t priority)
{
    struct scenario_spec spec = { .priority = priority };

    client_submits_with(&s, client, batch, count, WINDOW, &spec);
    ignore(&s, client);
    ignore(&s, "w1");
}

/* Everything returned until `rounds` tasks are done; how many of each batch, by first letter. */
static void run(int rounds, uint64_t *a, uint64_t *b, uint64_t a_ns, uint64_t b_ns)
{
    struct peer *peer = peer_of(&s, "w1");

    *a = *b = 0;
    for (size_t i = 0; i < peer->held_count && rounds > 0; i++) {
        struct held *held = &peer->held[i];
        struct tri_range range;

        while (rounds > 0 && tri_rangeset_next(&held->undone, 0, &range)) {
            bool is_a = held->number == batch_of(&s, "a")->number;

            worker_returns_in(&s, "w1", is_a ? "a" : "b", range.first, 1, 8, is_a ? a_ns : b_ns);
            *(is_a ? a : b) += 1;
            for (size_t p = 0; p < PEERS_MAX; p++)
                if (s.peers[p].used)
                    ignore(&s, s.peers[p].name);
            rounds--;
        }
    }
}

START_TEST(the_higher_priority_goes_first)
{
    uint64_t a;
    uint64_t b;

    client_and_worker(&s, 1);
    submit("c1", "a", 50, 0);
    submit("c1", "b", 50, 5);
    run(50, &a, &b, SECOND, SECOND);
    ck_assert_uint_le(a, 3); /* what was leased before b had been asked for */
}
END_TEST

START_TEST(two_batches_of_one_principal_get_equal_shares)
{
    uint64_t a;
    uint64_t b;

    client_and_worker(&s, 1);
    submit("c1", "a", 1000, 0);
    submit("c1", "b", 1000, 0);
    run(100, &a, &b, SECOND, SECOND);
    ck_assert_uint_ge(a, 45);
    ck_assert_uint_ge(b, 45);
}
END_TEST

START_TEST(shares_are_of_oar_time_not_of_tasks)
{
    uint64_t a;
    uint64_t b;

    client_and_worker(&s, 1);
    submit("c1", "a", 1000, 0);
    submit("c1", "b", 1000, 0);
    run(100, &a, &b, 4 * SECOND, SECOND);
    ck_assert_uint_ge(a, 16);
    ck_assert_uint_le(a, 25);
}
END_TEST

/* One oar; each task of `a` ends in a timeout of one second, those of `b` succeed in as long. */
START_TEST(time_that_ends_in_timeouts_is_charged_as_well)
{
    struct peer *peer;
    uint64_t a = 0;
    uint64_t b = 0;

    client_of(&s, "c1", "alice");
    client_of(&s, "c2", "bob");
    worker_joins(&s, "w1", 1);
    peer = peer_of(&s, "w1");
    submit("c1", "a", 1000, 0);
    submit("c2", "b", 1000, 0);
    for (size_t i = 0; i < peer->held_count && a + b < 40; i++) {
        struct held *held = &peer->held[i];
        bool is_a = held->number == batch_of(&s, "a")->number;

        for (uint64_t index = held->first; index < held->first + held->count; index++) {
            if (is_a)
                worker_fails(&s, "w1", "a", index, TRI_OUTCOME_TIMEOUT);
            else
                worker_returns_in(&s, "w1", "b", index, 1, 8, SECOND);
            *(is_a ? &a : &b) += 1;
            ignore(&s, "w1");
            ignore(&s, "c1");
            ignore(&s, "c2");
        }
    }
    ck_assert_uint_ge(a, 18);
    ck_assert_uint_le(a, 22);
}
END_TEST

START_TEST(principals_share_equally_whatever_the_number_of_their_batches)
{
    uint64_t a;
    uint64_t b;

    client_of(&s, "c1", "alice");
    client_of(&s, "c2", "bob");
    worker_joins(&s, "w1", 1);
    submit("c1", "a", 1000, 0);
    submit("c2", "b", 1000, 0);
    submit("c2", "b2", 1000, 0);
    submit("c2", "b3", 1000, 0);
    a = b = 0;
    for (int i = 0; i < 80; i++) {
        struct peer *peer = peer_of(&s, "w1");
        struct held *held = NULL;
        struct tri_range range;

        for (size_t h = 0; h < peer->held_count && held == NULL; h++)
            if (peer->held[h].undone.count != 0)
                held = &peer->held[h];
        ck_assert(held != NULL);
        tri_rangeset_next(&held->undone, 0, &range);
        for (size_t n = 0; n < s.batch_count; n++)
            if (s.batches[n].number == held->number) {
                *(s.batches[n].name[0] == 'a' ? &a : &b) += 1;
                worker_returns(&s, "w1", s.batches[n].name, range.first, 1);
                break;
            }
        ignore(&s, "w1");
        ignore(&s, "c1");
        ignore(&s, "c2");
    }
    ck_assert_uint_ge(a, 36);
    ck_assert_uint_le(a, 44);
}
END_TEST

START_TEST(a_newcomer_does_not_make_up_for_the_time_before_it_came)
{
    uint64_t a;
    uint64_t b;

    client_and_worker(&s, 1);
    submit("c1", "a", 1000, 0);
    submit("c1", "b", 1000, 0);
    run(40, &a, &b, SECOND, SECOND);
    client_cancels(&s, "c1", "b");
    ignore(&s, "c1");
    ignore(&s, "w1");
    run(60, &a, &b, SECOND, SECOND);
    s.batches[1].number = 0;
    snprintf((char *)s.batches[1].uuid.bytes, 16, "again");
    submit("c1", "b", 1000, 0);
    run(40, &a, &b, SECOND, SECOND);
    ck_assert_uint_ge(a, 17);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("fair");

    STORY(the_higher_priority_goes_first);
    STORY(two_batches_of_one_principal_get_equal_shares);
    STORY(shares_are_of_oar_time_not_of_tasks);
    STORY(time_that_ends_in_timeouts_is_charged_as_well);
    STORY(principals_share_equally_whatever_the_number_of_their_batches);
    STORY(a_newcomer_does_not_make_up_for_the_time_before_it_came);
    return story_run("engine/fair", tcase);
}
