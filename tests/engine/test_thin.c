/* The main path: a client submits, a worker runs, the client gets every result. */
#include "tests/engine/story.h"

START_TEST(a_batch_runs_from_submission_to_end)
{
    client_and_worker(&s, 4);
    client_submits(&s, "c1", "b1", 6);
    expect_prompt(&s, "w1", "LEASE b1 0+4"); /* its oars */
    expect_prompt(&s, "w1", "LEASE b1 4+1"); /* and something beyond them */
    worker_returns(&s, "w1", "b1", 0, 2);
    expect_waiting(&s, "c1", "ROW b1 #0 values 0+2");
    expect(&s, "w1", "LEASE b1 5+1");
    worker_returns(&s, "w1", "b1", 2, 2);
    expect(&s, "c1", "ROW b1 #1 values 2+2");
    worker_returns(&s, "w1", "b1", 4, 1);
    expect(&s, "c1", "ROW b1 #2 values 4+1");
    worker_returns(&s, "w1", "b1", 5, 1);
    expect(&s, "c1", "ROW b1 #3 values 5+1");
    expect_waiting(&s, "c1", "END b1 done done=6 dead=0 cancelled=0 rows=4");
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("thin");

    STORY(a_batch_runs_from_submission_to_end);
    return story_run("engine/thin", tcase);
}
