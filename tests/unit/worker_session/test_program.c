/* The real program against a broker that is nothing but a ROUTER. */
#include "common/value.h"
#include "program.h"
#include "tests/unit/unit.h"
#include "worker/chooser.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOTHING ((struct tri_bytes){ NULL, 0 })

static const char *const plain[] = { "--name",  "w1", "--log-level",     "error",
                                     "--width", "2",  "--test-handlers", NULL };

static void bye_and_exit(void)
{
    kill(worker_pid(), SIGTERM);
    while (broker_hears(NULL)->type == TRI_MESSAGE_OARS)
        ;
    ck_assert_int_eq(worker_exits(), 0);
    worker_is_removed();
}

static uint64_t squares;

static void expect_square(uint64_t index, struct tri_bytes bytes)
{
    struct tri_value value;

    ck_assert(tri_value_unpack_whole(bytes, &value, NULL) == TRI_OK);
    ck_assert_int_eq(value.type, TRI_INT);
    ck_assert_int_eq(value.integer, (int64_t)((index + 1) * (index + 1)));
    squares++;
}

static struct tri_rec_spec square_spec(enum tri_model model)
{
    return (struct tri_rec_spec){ .handler = tri_bytes_of("square"),
                                  .source = TRI_SOURCE_RANGE,
                                  .first = 1,
                                  .step = 1,
                                  .count = 100000,
                                  .model = model };
}

/* ---- work ------------------------------------------------------------------------------------ */

START_TEST(a_range_comes_back_squared_under_each_model)
{
    static const enum tri_model models[] = { TRI_MODEL_THREAD, TRI_MODEL_PROCESS, TRI_MODEL_ASYNC,
                                             TRI_MODEL_SERIAL };
    struct tri_rec_spec spec = square_spec(models[_i]);
    const struct tri_msg_oars *oars;

    worker_starts(plain);
    worker_joins();
    oars = batch_comes(&spec);
    ck_assert_uint_eq(oars->status, TRI_OK);
    ck_assert_uint_eq(oars->model, models[_i]);
    ck_assert_uint_eq(oars->width, models[_i] == TRI_MODEL_SERIAL ? 1 : 2);
    squares = 0;
    lease_comes(1, 0, 1000, NOTHING);
    lease_comes(2, 1000, 20000, NOTHING);
    tasks_end(21000, expect_square, NULL);
    ck_assert_uint_eq(squares, 21000);
    bye_and_exit();
}
END_TEST

static struct tri_bytes items(struct tri_buffer *buffer, const char *const *values, size_t count)
{
    struct tri_chunk_builder builder;

    tri_chunk_builder_init(&builder);
    for (size_t i = 0; i < count; i++) {
        tri_pack_text(&builder.blob, values[i]);
        tri_chunk_builder_close_value(&builder);
    }
    tri_items_encode(&builder, buffer);
    tri_chunk_builder_deinit(&builder);
    return tri_buffer_bytes(buffer);
}

static unsigned crashed;
static unsigned sound;

static void expect_crash(const struct tri_rec_entry *entry)
{
    ck_assert_uint_eq(entry->outcome, TRI_OUTCOME_CRASHED);
    ck_assert_uint_eq(entry->attempts, 1);
    ck_assert_msg(entry->index == 3 || entry->index == 17, "%lu", (unsigned long)entry->index);
    ck_assert_msg(memmem(entry->error.data, entry->error.size,
                         entry->index == 3 ? "(SIGSEGV)" : "(SIGKILL)", 9)
                      != NULL,
                  "%.*s", (int)entry->error.size, (const char *)entry->error.data);
    crashed++;
}

static void expect_sound(uint64_t index, struct tri_bytes value)
{
    (void)value;
    ck_assert_uint_ne(index, 3);
    ck_assert_uint_ne(index, 17);
    sound++;
}

START_TEST(only_the_tasks_that_crash_are_charged_under_each_model)
{
    static const enum tri_model models[] = { TRI_MODEL_THREAD, TRI_MODEL_PROCESS, TRI_MODEL_ASYNC };
    const struct tri_rec_spec spec = { .handler = tri_bytes_of("crash"),
                                       .source = TRI_SOURCE_ITEMS,
                                       .model = models[_i],
                                       .width = 2 };
    const char *values[40];
    struct tri_buffer buffer = { 0 };

    for (unsigned i = 0; i < 40; i++)
        values[i] = i == 3 ? "SEGV" : i == 17 ? "KILL" : "none";
    crashed = sound = 0;
    worker_starts(plain);
    worker_joins();
    ck_assert_uint_eq(batch_comes(&spec)->status, TRI_OK);
    lease_comes(1, 0, 40, items(&buffer, values, 40));
    tasks_end(40, expect_sound, expect_crash);
    ck_assert_uint_eq(crashed, 2);
    ck_assert_uint_eq(sound, 38);
    tri_buffer_deinit(&buffer);
    bye_and_exit();
}
END_TEST

/* ---- life and death -------------------------------------------------------------------------- */

static const struct tri_rec_spec sleeping = { .handler = { (const uint8_t *)"sleep", 5 },
                                              .source = TRI_SOURCE_RANGE,
                                              .first = 1000,
                                              .step = 0,
                                              .count = 10,
                                              .width = 2 };

static void hosts_sleep(enum tri_model model)
{
    struct tri_rec_spec spec = sleeping;
    pid_t pids[64];

    spec.model = model;
    worker_starts(plain);
    worker_joins();
    ck_assert_uint_eq(batch_comes(&spec)->status, TRI_OK);
    lease_comes(1, 0, 2, NOTHING);
    /* The launcher, the zygote, a host at least. */
    while (worker_descendants(pids, TRI_COUNT_OF(pids)) < 3)
        ;
}

START_TEST(a_killed_session_leaves_nothing_behind)
{
    pid_t pids[64];
    size_t count;

    hosts_sleep(_i == 0 ? TRI_MODEL_THREAD : TRI_MODEL_PROCESS);
    count = worker_descendants(pids, TRI_COUNT_OF(pids));
    kill(worker_pid(), SIGKILL);
    ck_assert_int_eq(worker_exits(), -SIGKILL);
    all_die(pids, count);
    worker_is_removed();
}
END_TEST

START_TEST(a_second_signal_does_not_wait)
{
    pid_t pids[64];
    size_t count;

    hosts_sleep(TRI_MODEL_THREAD);
    count = worker_descendants(pids, TRI_COUNT_OF(pids));
    kill(worker_pid(), SIGTERM);
    ck_assert_uint_eq(broker_awaits(TRI_MESSAGE_OARS, NULL)->oars.width, 0);
    kill(worker_pid(), SIGINT);
    while (broker_hears(NULL)->type == TRI_MESSAGE_RELEASED)
        ;
    ck_assert_int_eq(worker_exits(), 0);
    all_die(pids, count);
    worker_is_removed();
}
END_TEST

START_TEST(a_dead_launcher_is_replaced_and_its_work_is_done)
{
    struct tri_rec_spec spec = square_spec(TRI_MODEL_THREAD);
    pid_t launcher;

    worker_starts(plain);
    worker_joins();
    batch_comes(&spec);
    launcher = find_descendant("--launcher");
    ck_assert_int_ne(launcher, 0);
    kill(launcher, SIGKILL);
    squares = 0;
    lease_comes(1, 0, 1000, NOTHING);
    tasks_end(1000, expect_square, NULL);
    ck_assert_int_ne(find_descendant("--launcher"), launcher);
    bye_and_exit();
}
END_TEST

START_TEST(a_private_worker_ends_with_its_owner)
{
    pid_t pids[64];
    char number[16];
    const char *const args[] = { "--private", number, NULL };
    size_t count;
    int fds[2];

    ck_assert_int_eq(pipe(fds), 0);
    ck_assert_int_eq(fcntl(fds[1], F_SETFD, FD_CLOEXEC), 0);
    snprintf(number, sizeof(number), "%d", fds[0]);
    worker_starts(args);
    worker_joins();
    count = worker_descendants(pids, TRI_COUNT_OF(pids));
    ck_assert_uint_ge(count, 1);
    close(fds[1]);
    ck_assert_int_eq(worker_exits(), 0);
    all_die(pids, count);
    close(fds[0]);
    worker_is_removed();
}
END_TEST

START_TEST(a_stranger_to_the_broker_says_hello_again_with_what_it_holds)
{
    struct tri_rec_held held;
    struct tri_list list;

    hosts_sleep(TRI_MODEL_THREAD);
    broker_says(&(struct tri_message){ .type = TRI_MESSAGE_NO_SESSION }, NOTHING);
    list = worker_joins()->hello.held;
    ck_assert(tri_list_next(&list, TRI_RECORD_HELD, &held));
    ck_assert_uint_eq(held.lease, 1);
    worker_is_removed();
}
END_TEST

/* ---- what is offered ------------------------------------------------------------------------- */

static bool offers(const struct tri_message *hello, const char *name, uint64_t *flags)
{
    struct tri_list handlers = hello->hello.handlers;
    struct tri_rec_handler handler;

    while (tri_list_next(&handlers, TRI_RECORD_HANDLER, &handler))
        if (handler.name.size == strlen(name)
            && memcmp(handler.name.data, name, handler.name.size) == 0) {
            *flags = handler.flags;
            return true;
        }
    return false;
}

START_TEST(what_is_not_allowed_is_not_offered)
{
    const char *const nothing[] = { "--log-level", "error", NULL };
    const char *const some[] = { "--allow-commands", "--allow-files", "/usr/share",
                                 "--label",          "big",           NULL };
    const struct tri_message *hello;
    struct tri_rec_text label;
    struct tri_list labels;
    uint64_t flags;

    worker_starts(nothing);
    hello = broker_awaits(TRI_MESSAGE_HELLO, NULL);
    ck_assert(offers(hello, "echo", &flags));
    ck_assert(offers(hello, "sleep", &flags));
    ck_assert_uint_eq(flags, HANDLER_WAITS);
    ck_assert(!offers(hello, "command", &flags));
    ck_assert(!offers(hello, "file.read", &flags));
    ck_assert(!offers(hello, "words", &flags));
    ck_assert(!offers(hello, "http.get", &flags));
    ck_assert(!offers(hello, "crash", &flags));
    worker_is_removed();

    worker_starts(some);
    hello = broker_awaits(TRI_MESSAGE_HELLO, NULL);
    ck_assert(offers(hello, "command", &flags));
    ck_assert(offers(hello, "file.read", &flags));
    ck_assert(!offers(hello, "http.get", &flags));
    labels = hello->hello.labels;
    ck_assert(tri_list_next(&labels, TRI_RECORD_TEXT, &label));
    ck_assert_uint_eq(label.text.size, 3);
    worker_is_removed();
}
END_TEST

/* ---- mistakes -------------------------------------------------------------------------------- */

static const struct {
    const char *args;
    const char *says;
} mistakes[] = {
    { "--width 0.5", "--width" },
    { "--width -1", "--width" },
    { "--model fast", "none of auto, process" },
    { "--broker somewhere", "somewhere" },
    { "--broker tcp://192.0.2.1:7117", "--insecure-no-auth=network" },
    { "--broker tcp://127.0.0.1:7117,tcp://192.0.2.1:7117 --insecure-no-auth", "network" },
    { "--private 77", "descriptor 77 is not open" },
    { "--recycle many", "--recycle" },
    { "--plugin /nonexistent.so", "/nonexistent.so" },
    { "--plugin-dir /tmp", "others may write" },
    { "--config /nonexistent.conf", "/nonexistent.conf" },
    { "--nonsense", "no such option" },
    { "and more", "and" },
    { "--name", "a value is missing" },
};

START_TEST(mistakes_are_one_clear_line_and_status_2)
{
    char command[512];
    char text[2048];
    FILE *pipe_file;
    size_t size;
    int status;

    snprintf(command, sizeof(command), "exec %s %s 2>&1 </dev/null", TRIREME_WORKER,
             mistakes[_i].args);
    pipe_file = popen(command, "re");
    size = fread(text, 1, sizeof(text) - 1, pipe_file);
    text[size] = '\0';
    status = pclose(pipe_file);
    ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 2, "%s: %s", mistakes[_i].args, text);
    ck_assert_msg(strstr(text, mistakes[_i].says) != NULL, "%s: %s", mistakes[_i].args, text);
    ck_assert_msg(strchr(text, '\n') == text + size - 1, "%s: %s", mistakes[_i].args, text);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("program");

    tcase_add_loop_test(tcase, a_range_comes_back_squared_under_each_model, 0, 4);
    tcase_add_loop_test(tcase, only_the_tasks_that_crash_are_charged_under_each_model, 0, 3);
    tcase_add_loop_test(tcase, a_killed_session_leaves_nothing_behind, 0, 2);
    tcase_add_test(tcase, a_second_signal_does_not_wait);
    tcase_add_test(tcase, a_dead_launcher_is_replaced_and_its_work_is_done);
    tcase_add_test(tcase, a_private_worker_ends_with_its_owner);
    tcase_add_test(tcase, a_stranger_to_the_broker_says_hello_again_with_what_it_holds);
    tcase_add_test(tcase, what_is_not_allowed_is_not_offered);
    tcase_add_loop_test(tcase, mistakes_are_one_clear_line_and_status_2, 0, TRI_COUNT_OF(mistakes));
    return unit_run("worker_session/program", tcase);
}
