/* The chooser as a table: what is asked, what the handler is like, what the machine has. */
#include "tests/unit/unit.h"
#include "worker/chooser.h"

#include <string.h>

struct row {
    const char *what;
    enum tri_model model; /* asked */
    uint64_t width;       /* asked */
    uint64_t flags;
    bool command;
    uint64_t count;
    struct chooser_machine machine;
    enum tri_status status;
    enum tri_model chosen;
    uint64_t chosen_width;
    const char *why; /* in the reason */
};

#define MACHINE .cores = 4

static const struct row rows[] = {
    { "computing: one thread per core",
      TRI_MODEL_AUTO,
      0,
      0,
      false,
      1000,
      { MACHINE },
      TRI_OK,
      TRI_MODEL_THREAD,
      4,
      "one oar for each of 4 cores" },
    { "waiting: the loop, very wide",
      TRI_MODEL_AUTO,
      0,
      HANDLER_WAITS,
      false,
      1000000,
      { MACHINE },
      TRI_OK,
      TRI_MODEL_ASYNC,
      10000,
      "10000 coroutines" },
    { "no wider than there are tasks",
      TRI_MODEL_AUTO,
      0,
      HANDLER_WAITS,
      false,
      30,
      { MACHINE },
      TRI_OK,
      TRI_MODEL_ASYNC,
      30,
      "30 by the number of tasks" },
    { "blocking: more threads than cores",
      TRI_MODEL_AUTO,
      0,
      HANDLER_BLOCKS,
      false,
      1000,
      { MACHINE },
      TRI_OK,
      TRI_MODEL_THREAD,
      16,
      "16 oars on 4 cores" },
    { "blocking and waiting is blocking",
      TRI_MODEL_AUTO,
      0,
      HANDLER_BLOCKS | HANDLER_WAITS,
      false,
      1000,
      { MACHINE },
      TRI_OK,
      TRI_MODEL_THREAD,
      16,
      "the handler blocks" },
    { "not thread-safe: processes",
      TRI_MODEL_AUTO,
      0,
      HANDLER_PROCESS_ONLY,
      false,
      1000,
      { MACHINE },
      TRI_OK,
      TRI_MODEL_PROCESS,
      4,
      "not thread-safe" },
    { "commands: processes",
      TRI_MODEL_AUTO,
      0,
      HANDLER_WAITS,
      true,
      1000,
      { MACHINE },
      TRI_OK,
      TRI_MODEL_PROCESS,
      6,
      "6 oars on 4 cores" },
    { "commands on the loop: no more at once for that",
      TRI_MODEL_ASYNC,
      0,
      HANDLER_WAITS,
      true,
      1000,
      { MACHINE },
      TRI_OK,
      TRI_MODEL_ASYNC,
      6,
      "6 oars on 4 cores" },
    { "nothing is known of the machine",
      TRI_MODEL_AUTO,
      0,
      0,
      false,
      1000,
      { 0 },
      TRI_OK,
      TRI_MODEL_THREAD,
      1,
      "one oar for 1 core" },

    { "a model that is asked for is obeyed",
      TRI_MODEL_PROCESS,
      0,
      0,
      false,
      1000,
      { MACHINE },
      TRI_OK,
      TRI_MODEL_PROCESS,
      4,
      "process was asked for" },
    { "also against the handler, with a warning",
      TRI_MODEL_ASYNC,
      0,
      HANDLER_BLOCKS,
      false,
      1000,
      { MACHINE },
      TRI_OK,
      TRI_MODEL_ASYNC,
      1000,
      "warning: the handler blocks" },
    { "also when it is not thread-safe",
      TRI_MODEL_THREAD,
      0,
      HANDLER_PROCESS_ONLY,
      false,
      1000,
      { MACHINE },
      TRI_OK,
      TRI_MODEL_THREAD,
      4,
      "warning: the handler says" },
    { "serial is one oar whatever is asked",
      TRI_MODEL_SERIAL,
      7,
      0,
      false,
      1000,
      { MACHINE },
      TRI_OK,
      TRI_MODEL_SERIAL,
      1,
      "one oar" },
    { "a width that is asked for is obeyed",
      TRI_MODEL_THREAD,
      30,
      0,
      false,
      10,
      { MACHINE },
      TRI_OK,
      TRI_MODEL_THREAD,
      30,
      "width 30 was asked for" },

    { "a worker of one model makes it so",
      TRI_MODEL_AUTO,
      0,
      HANDLER_WAITS,
      false,
      1000,
      { MACHINE, .model = TRI_MODEL_THREAD },
      TRI_OK,
      TRI_MODEL_THREAD,
      16,
      "this worker runs thread only" },
    { "and refuses another",
      TRI_MODEL_ASYNC,
      0,
      0,
      false,
      1000,
      { MACHINE, .model = TRI_MODEL_THREAD },
      TRI_UNSUPPORTED,
      TRI_MODEL_AUTO,
      0,
      "async was asked for, this worker runs thread only" },
    { "a worker's width is the most",
      TRI_MODEL_THREAD,
      30,
      0,
      false,
      1000,
      { MACHINE, .width_max = 3 },
      TRI_OK,
      TRI_MODEL_THREAD,
      3,
      "3 by this worker's --width" },
    { "memory clamps coroutines",
      TRI_MODEL_ASYNC,
      0,
      HANDLER_WAITS,
      false,
      1000000,
      { MACHINE, .memory_bytes = 16 << 20 },
      TRI_OK,
      TRI_MODEL_ASYNC,
      1024,
      "by the memory" },
    { "memory clamps processes, one is left",
      TRI_MODEL_PROCESS,
      0,
      0,
      false,
      1000,
      { MACHINE, .memory_bytes = 1 << 20 },
      TRI_OK,
      TRI_MODEL_PROCESS,
      1,
      "1 by the memory" },
    { "pids clamp threads",
      TRI_MODEL_THREAD,
      500,
      0,
      false,
      1000,
      { MACHINE, .processes_max = 100 },
      TRI_OK,
      TRI_MODEL_THREAD,
      100,
      "processes and threads" },
    { "pids clamp processes, which are two each",
      TRI_MODEL_PROCESS,
      500,
      0,
      false,
      1000,
      { MACHINE, .processes_max = 100 },
      TRI_OK,
      TRI_MODEL_PROCESS,
      50,
      "50 by the limit of processes and threads" },
    { "pids clamp commands on the loop",
      TRI_MODEL_ASYNC,
      500,
      0,
      true,
      1000,
      { MACHINE, .processes_max = 100 },
      TRI_OK,
      TRI_MODEL_ASYNC,
      100,
      "100 by the limit of processes and threads" },
    { "pids clamp commands of threads",
      TRI_MODEL_THREAD,
      500,
      0,
      true,
      1000,
      { MACHINE, .processes_max = 100 },
      TRI_OK,
      TRI_MODEL_THREAD,
      50,
      "50 by the limit of processes and threads" },
    { "descriptors clamp commands",
      TRI_MODEL_ASYNC,
      500,
      0,
      true,
      1000,
      { MACHINE, .files_max = 100 },
      TRI_OK,
      TRI_MODEL_ASYNC,
      20,
      "20 by the limit of open files" },
    { "pids do not clamp coroutines",
      TRI_MODEL_ASYNC,
      500,
      0,
      false,
      1000,
      { MACHINE, .processes_max = 100 },
      TRI_OK,
      TRI_MODEL_ASYNC,
      500,
      "width 500" },
    { "descriptors clamp processes",
      TRI_MODEL_PROCESS,
      500,
      0,
      false,
      1000,
      { MACHINE, .files_max = 400 },
      TRI_OK,
      TRI_MODEL_PROCESS,
      100,
      "open files" },
};

static const struct chooser_others alone; /* no other batch, now or later */

START_TEST(the_choice_follows_the_table)
{
    static const struct chooser_profile unmeasured;
    const struct row *row = &rows[_i];
    struct tri_rec_spec spec = {
        .source = TRI_SOURCE_RANGE, .count = row->count, .model = row->model, .width = row->width
    };
    struct choice choice;

    spec.argv.count = row->command;
    chooser_choose(&spec, row->flags, &unmeasured, &row->machine, &alone, &choice);
    ck_assert_msg(choice.status == row->status, "%s: %s", row->what, choice.reason);
    ck_assert_msg(strstr(choice.reason, row->why) != NULL, "%s: '%s' does not say '%s'", row->what,
                  choice.reason, row->why);
    if (choice.status != TRI_OK)
        return;
    ck_assert_msg(choice.model == row->chosen, "%s: %s", row->what, tri_model_text(choice.model));
    ck_assert_msg(choice.width == row->chosen_width, "%s: width %lu (%s)", row->what,
                  (unsigned long)choice.width, choice.reason);
}
END_TEST

START_TEST(items_may_still_be_coming_so_their_number_does_not_count)
{
    static const struct chooser_profile unmeasured;
    const struct tri_rec_spec spec = { .source = TRI_SOURCE_ITEMS, .count = 1 };
    const struct chooser_machine machine = { MACHINE };
    struct choice choice;

    chooser_choose(&spec, HANDLER_WAITS, &unmeasured, &machine, &alone, &choice);
    ck_assert_uint_eq(choice.width, CHOOSER_ASYNC_WIDTH);
}
END_TEST

/* ---- several batches ------------------------------------------------------------------------- */

static struct choice next_batch(const struct chooser_machine *machine,
                                struct chooser_others *others,
                                enum tri_model model,
                                bool command)
{
    static const struct chooser_profile unmeasured;
    struct tri_rec_spec spec = { .source = TRI_SOURCE_ITEMS, .model = model, .width = 500 };
    struct choice choice;

    spec.argv.count = command;
    chooser_choose(&spec, 0, &unmeasured, machine, others, &choice);
    chooser_share(others, &spec, &choice);
    return choice;
}

START_TEST(batches_leave_something_to_those_that_come)
{
    const struct chooser_machine machine = { MACHINE, .files_max = 400, .processes_max = 300 };
    struct chooser_others others = { .may_come = true };
    uint64_t before = 500;

    for (int i = 0; i < 5; i++) {
        struct choice choice = next_batch(&machine, &others, TRI_MODEL_THREAD, true);

        ck_assert_uint_ge(choice.width, 1);
        ck_assert_uint_lt(choice.width, before);
        ck_assert_ptr_nonnull(strstr(choice.reason, "by the limit of open files, which batches "
                                                    "share"));
        ck_assert_uint_le(others.files, machine.files_max);
        ck_assert_uint_le(others.processes, machine.processes_max);
        before = choice.width;
    }
    for (int i = 0; i < 30; i++)
        ck_assert_uint_ge(next_batch(&machine, &others, TRI_MODEL_THREAD, true).width, 1);
}
END_TEST

START_TEST(the_only_batch_there_will_be_takes_everything)
{
    const struct chooser_machine machine = { MACHINE, .files_max = 400 };
    struct chooser_others others = alone;

    ck_assert_uint_eq(next_batch(&machine, &others, TRI_MODEL_PROCESS, true).width, 80);
}
END_TEST

START_TEST(descriptors_of_a_host_of_its_own_are_not_shared)
{
    const struct chooser_machine machine = { MACHINE, .files_max = 400 };
    struct chooser_others others = { .may_come = true };

    for (int i = 0; i < 9; i++)
        ck_assert_uint_eq(next_batch(&machine, &others, TRI_MODEL_THREAD, false).width, 400);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("chooser");

    tcase_add_loop_test(tcase, the_choice_follows_the_table, 0, TRI_COUNT_OF(rows));
    tcase_add_test(tcase, batches_leave_something_to_those_that_come);
    tcase_add_test(tcase, the_only_batch_there_will_be_takes_everything);
    tcase_add_test(tcase, descriptors_of_a_host_of_its_own_are_not_shared);
    tcase_add_test(tcase, items_may_still_be_coming_so_their_number_does_not_count);
    return unit_run("worker_session/chooser", tcase);
}
