#include "program.h"

#include "common/assert.h"
#include "common/clock.h"
#include "common/net/parts.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zmq.h>

extern char **environ;

static char directory[64];
static char endpoint[128];
static void *context;
static void *router;
static pid_t worker;
static struct tri_parts parts;
static zmq_msg_t peer;
static struct tri_message message;
static uint64_t batch_number;

/* ---- the program ----------------------------------------------------------------------------- */

void worker_starts(const char *const *args)
{
    char *argv[32] = { (char[]){ "trireme-worker" }, (char[]){ "--broker" }, endpoint,
                       (char[]){ "--check" } };
    size_t count = 4;

    while (*args != NULL && count < TRI_COUNT_OF(argv) - 1)
        argv[count++] = (char *)(uintptr_t)*args++;
    strcpy(directory, "/tmp/trireme-test-XXXXXX");
    ck_assert(mkdtemp(directory) != NULL);
    snprintf(endpoint, sizeof(endpoint), "ipc://%s/broker", directory);
    context = zmq_ctx_new();
    router = zmq_socket(context, ZMQ_ROUTER);
    ck_assert_int_eq(zmq_bind(router, endpoint), 0);
    tri_parts_init(&parts);
    zmq_msg_init(&peer);
    ck_assert_int_eq(posix_spawn(&worker, TRIREME_WORKER, NULL, NULL, argv, environ), 0);
}

pid_t worker_pid(void)
{
    return worker;
}

int worker_exits(void)
{
    tri_time deadline = tri_clock_now_ms() + PATIENCE_MS;
    int status;
    pid_t pid;

    while ((pid = waitpid(worker, &status, WNOHANG)) == 0 && tri_clock_now_ms() < deadline)
        poll(NULL, 0, 5);
    ck_assert_msg(pid == worker, "the worker does not end");
    worker = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

void worker_is_removed(void)
{
    char path[128];
    int none = 0;

    if (worker > 0) {
        kill(worker, SIGKILL);
        waitpid(worker, NULL, 0);
    }
    worker = 0;
    zmq_setsockopt(router, ZMQ_LINGER, &none, sizeof(none));
    tri_parts_deinit(&parts);
    zmq_msg_close(&peer);
    zmq_close(router);
    zmq_ctx_term(context);
    snprintf(path, sizeof(path), "%s/broker", directory);
    unlink(path);
    rmdir(directory);
}

/* ---- the broker ------------------------------------------------------------------------------ */

void broker_says(const struct tri_message *said, struct tri_bytes frame)
{
    struct tri_buffer head = { 0 };
    bool has_frame = frame.size != 0;

    tri_message_encode(said, &head);
    ck_assert_int_ge(zmq_send(router, zmq_msg_data(&peer), zmq_msg_size(&peer), ZMQ_SNDMORE), 0);
    ck_assert_int_ge(zmq_send(router, head.data, head.size, has_frame ? ZMQ_SNDMORE : 0), 0);
    if (has_frame)
        ck_assert_int_ge(zmq_send(router, frame.data, frame.size, 0), 0);
    tri_buffer_deinit(&head);
}

static void receive(void)
{
    const struct tri_parts_limits limits = { 16, 1 << 30 };
    zmq_pollitem_t item = { .socket = router, .events = ZMQ_POLLIN };
    struct tri_error error;

    ck_assert_msg(zmq_poll(&item, 1, PATIENCE_MS) == 1, "the worker says nothing");
    ck_assert(tri_parts_receive(&parts, router, 0, &limits, &error) == TRI_OK);
    ck_assert_uint_ge(parts.count, 2);
    zmq_msg_copy(&peer, &parts.frames[0]);
    ck_assert_msg(tri_message_decode(tri_msg_bytes(&parts.frames[1]), &message, &error) == TRI_OK,
                  "%s", error.text);
}

const struct tri_message *broker_hears(struct tri_bytes *frame)
{
    for (receive(); message.type == TRI_MESSAGE_HEARTBEAT; receive())
        broker_says(&(struct tri_message){ .type = TRI_MESSAGE_HEARTBEAT_OK,
                                           .heartbeat_ok.seq = message.heartbeat.seq },
                    (struct tri_bytes){ NULL, 0 });
    if (frame != NULL)
        *frame = parts.count > 2 ? tri_msg_bytes(&parts.frames[2]) : (struct tri_bytes){ NULL, 0 };
    return &message;
}

const struct tri_message *broker_awaits(enum tri_message_type type, struct tri_bytes *frame)
{
    broker_hears(frame);
    ck_assert_msg(message.type == type, "awaited %s, got %s", tri_message_name(type),
                  tri_message_name(message.type));
    return &message;
}

/* This broker answers heartbeats only while it waits for something else, so it wants few: three of
 * a second each went by on a busy machine, and the worker came again or did not end. */
const struct tri_message *worker_joins(void)
{
    static const uint8_t cluster[16] = { 1 };

    broker_awaits(TRI_MESSAGE_HELLO, NULL);
    broker_says(&(struct tri_message){ .type = TRI_MESSAGE_WELCOME,
                                       .welcome = { .version = 1,
                                                    .epoch = 1,
                                                    .cluster = { cluster, sizeof(cluster) },
                                                    .heartbeat_ms = PATIENCE_MS,
                                                    .lease_ms = 60000 } },
                (struct tri_bytes){ NULL, 0 });
    return &message;
}

const struct tri_msg_oars *batch_comes(const struct tri_rec_spec *spec)
{
    struct tri_message batch = { .type = TRI_MESSAGE_BATCH };
    struct tri_buffer buffer = { 0 };
    uint8_t uuid[16] = { 0 };

    uuid[0] = (uint8_t)++batch_number;
    tri_record_encode(TRI_RECORD_SPEC, spec, &buffer);
    batch.batch.number = batch_number;
    batch.batch.batch = (struct tri_bytes){ uuid, sizeof(uuid) };
    batch.batch.spec = tri_buffer_bytes(&buffer);
    broker_says(&batch, (struct tri_bytes){ NULL, 0 });
    tri_buffer_deinit(&buffer);
    return &broker_awaits(TRI_MESSAGE_OARS, NULL)->oars;
}

void lease_comes(uint64_t lease, uint64_t first, uint64_t count, struct tri_bytes items)
{
    broker_says(&(struct tri_message){ .type = TRI_MESSAGE_LEASE,
                                       .lease = { .lease = lease,
                                                  .number = batch_number,
                                                  .first = first,
                                                  .count = count,
                                                  .attempt = 1,
                                                  .result_bytes = UINT64_C(1) << 40 } },
                items);
}

static uint64_t take_results(struct tri_bytes frame, program_value_fn *value)
{
    struct tri_rec_result head;
    struct tri_chunk chunk;
    struct tri_error error;
    uint32_t at = 0;

    ck_assert_msg(tri_result_open(frame, &head, &chunk, &error) == TRI_OK, "%s", error.text);
    for (size_t i = 0; i < head.runs.count; i++) {
        struct tri_range run = tri_ranges_at(head.runs, i);

        for (uint64_t j = 0; j < run.count; j++, at++)
            if (value != NULL)
                value(run.first + j, tri_chunk_at(&chunk, at));
    }
    return chunk.count;
}

static uint64_t take_entries(struct tri_list entries, program_entry_fn *entry)
{
    struct tri_rec_entry record;
    uint64_t count = 0;

    for (; tri_list_next(&entries, TRI_RECORD_ENTRY, &record); count++)
        if (entry != NULL)
            entry(&record);
    return count;
}

void tasks_end(uint64_t count, program_value_fn *value, program_entry_fn *entry)
{
    uint64_t ended = 0;

    while (ended < count) {
        struct tri_bytes frame;
        uint64_t seq;

        broker_hears(&frame);
        if (message.type == TRI_MESSAGE_RESULTS) {
            seq = message.results.seq;
            ended += take_results(frame, value);
        } else {
            ck_assert_msg(message.type == TRI_MESSAGE_ENDED, "%s", tri_message_name(message.type));
            seq = message.ended.seq;
            ended += take_entries(message.ended.entries, entry);
        }
        broker_says(&(struct tri_message){ .type = TRI_MESSAGE_RESULTS_OK, .results_ok.seq = seq },
                    (struct tri_bytes){ NULL, 0 });
    }
    ck_assert_uint_eq(ended, count);
}

/* ---- processes ------------------------------------------------------------------------------- */

/* Parent and state of a process; false when there is none. */
static bool look(pid_t pid, pid_t *parent, char *state)
{
    char path[64];
    char text[512];
    const char *end;
    FILE *file;
    int number = 0;

    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    file = fopen(path, "re");
    if (file == NULL)
        return false;
    text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
    fclose(file);
    end = strrchr(text, ')');
    if (end == NULL || sscanf(end + 1, " %c %d", state, &number) != 2)
        return false;
    *parent = number;
    return true;
}

bool is_alive(pid_t pid)
{
    pid_t parent;
    char state;

    return look(pid, &parent, &state) && state != 'Z' && state != 'X';
}

static bool is_below(pid_t pid, pid_t root)
{
    char state;

    for (unsigned depth = 0; depth < 32 && pid > 1; depth++) {
        if (!look(pid, &pid, &state))
            return false;
        if (pid == root)
            return true;
    }
    return false;
}

size_t worker_descendants(pid_t *pids, size_t max)
{
    DIR *proc = opendir("/proc");
    struct dirent *entry;
    size_t count = 0;

    while ((entry = readdir(proc)) != NULL && count < max) {
        pid_t pid = atoi(entry->d_name);

        if (pid > 1 && pid != worker && is_below(pid, worker) && is_alive(pid))
            pids[count++] = pid;
    }
    closedir(proc);
    return count;
}

void all_die(const pid_t *pids, size_t count)
{
    tri_time deadline = tri_clock_now_ms() + PATIENCE_MS;

    for (size_t i = 0; i < count; i++)
        while (is_alive(pids[i])) {
            ck_assert_msg(tri_clock_now_ms() < deadline, "process %d lives", (int)pids[i]);
            poll(NULL, 0, 5);
        }
}

pid_t find_descendant(const char *word)
{
    pid_t pids[256];
    size_t count = worker_descendants(pids, TRI_COUNT_OF(pids));

    for (size_t i = 0; i < count; i++) {
        char path[64];
        char text[256] = { 0 };
        FILE *file;

        snprintf(path, sizeof(path), "/proc/%d/cmdline", (int)pids[i]);
        file = fopen(path, "re");
        if (file == NULL)
            continue;
        for (size_t j = fread(text, 1, sizeof(text) - 1, file); j > 0; j--)
            if (text[j - 1] == '\0')
                text[j - 1] = ' ';
        fclose(file);
        if (strstr(text, word) != NULL)
            return pids[i];
    }
    return 0;
}
