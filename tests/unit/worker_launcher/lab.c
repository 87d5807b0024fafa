#include "lab.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct launcher lab_launcher;

#define FOLDER "/tmp/trireme-launcher-XXXXXX"

static char folder[sizeof(FOLDER)];
static char fifo[sizeof(folder) + 8];
static uint64_t host_count;
static struct link_message from_launcher;

static void lab_prepare(void)
{
    memcpy(folder, FOLDER, sizeof(FOLDER));
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(fifo, sizeof(fifo), "%s/fifo", folder);
    ck_assert_int_eq(mkfifo(fifo, 0600), 0);
}

static void lab_tidy(void)
{
    unlink(fifo);
    ck_assert_int_eq(rmdir(folder), 0);
}

void lab_folder_for(TCase *tcase)
{
    tcase_add_unchecked_fixture(tcase, lab_prepare, lab_tidy);
}

void lab_open(void)
{
    struct launcher_options options = { .program = NULL };
    struct tri_error error;

    ck_assert_int_eq(launcher_open(&lab_launcher, &options, &error), TRI_OK);
}

void lab_close(void)
{
    launcher_close(&lab_launcher);
}

/* ---- hosts ---------------------------------------------------------------------------------- */

void lab_host_start(struct lab_host *host, bool spawn, const char *plugin)
{
    struct tri_error error;
    int table = memfd_create("table", MFD_CLOEXEC);
    int fds[2];

    host->id = host_count++;
    host->pid = 0;
    ck_assert_int_ge(table, 0);
    ck_assert_int_eq(link_pair(fds, &error), TRI_OK);
    ck_assert_int_eq(launcher_start_host(&lab_launcher, host->id, spawn, tri_bytes_of(plugin),
                                         fds[1], table, &error),
                     TRI_OK);
    close(fds[1]);
    close(table);
    link_init(&host->link, fds[0]);
}

static const struct tri_message *hear_launcher(void)
{
    struct tri_error error;

    ck_assert_msg(link_receive(&lab_launcher.link, true, &from_launcher, &error) == TRI_OK, "%s",
                  error.text);
    return &from_launcher.message;
}

void lab_host_up(struct lab_host *host)
{
    const struct tri_message *message = hear_launcher();

    ck_assert_int_eq(message->type, TRI_MESSAGE_HOST_UP);
    ck_assert_uint_eq(message->host_up.host, host->id);
    host->pid = (pid_t)message->host_up.pid;
    ck_assert_int_gt(host->pid, 0);
}

struct tri_msg_host_gone lab_host_gone(struct lab_host *host)
{
    const struct tri_message *message = hear_launcher();

    ck_assert_int_eq(message->type, TRI_MESSAGE_HOST_GONE);
    ck_assert_uint_eq(message->host_gone.host, host->id);
    return message->host_gone;
}

void lab_host(struct lab_host *host)
{
    lab_host_start(host, false, "");
    lab_host_up(host);
}

void lab_host_close(struct lab_host *host)
{
    link_deinit(&host->link);
}

static const struct tri_message *hear_host(struct lab_host *host)
{
    struct tri_error error;

    ck_assert_msg(link_receive(&host->link, true, &host->message, &error) == TRI_OK, "%s",
                  error.text);
    return &host->message.message;
}

static void tell_host(struct lab_host *host,
                      const struct tri_message *message,
                      const struct tri_bytes *frames,
                      size_t frame_count)
{
    struct tri_error error;

    ck_assert_msg(link_send(&host->link, message, frames, frame_count, NULL, 0, &error) == TRI_OK,
                  "%s", error.text);
}

uint64_t lab_errand(struct lab_host *host, enum lab_errand errand)
{
    struct tri_message order = { .type = TRI_MESSAGE_CREDIT, .credit = { .lease = errand } };
    const struct tri_message *answer;

    tell_host(host, &order, NULL, 0);
    answer = hear_host(host);
    ck_assert_int_eq(answer->type, TRI_MESSAGE_HOST_UP);
    return answer->host_up.pid;
}

void lab_host_raise(struct lab_host *host, int signal)
{
    struct tri_message order = { .type = TRI_MESSAGE_HOST_KILL,
                                 .host_kill = { .signal = (uint64_t)signal } };

    tell_host(host, &order, NULL, 0);
}

/* ---- commands ------------------------------------------------------------------------------- */

static struct tri_list list_of(const char *const *words, struct tri_buffer *buffer)
{
    size_t count = 0;

    for (; words != NULL && words[count] != NULL; count++) {
        struct tri_rec_text text = { .text = tri_bytes_of(words[count]) };

        tri_record_encode(TRI_RECORD_TEXT, &text, buffer);
    }
    return tri_list_of(buffer, count);
}

void lab_run(struct lab_host *host, const struct lab_run *run)
{
    struct tri_buffer argv = { 0 };
    struct tri_buffer env = { 0 };
    struct tri_message message = {
        .type = TRI_MESSAGE_RUN,
        .run = { .id = run->id,
                 .argv = list_of(run->argv, &argv),
                 .env = list_of(run->env, &env),
                 .workdir = tri_bytes_of(run->workdir != NULL ? run->workdir : ""),
                 .output_bytes_max = run->output_bytes_max },
    };

    tell_host(host, &message, &run->input, run->input.size > 0);
    tri_buffer_deinit(&argv);
    tri_buffer_deinit(&env);
}

void lab_stop(struct lab_host *host, uint64_t id, uint64_t grace_ms)
{
    struct tri_message message = { .type = TRI_MESSAGE_STOP,
                                   .stop = { .id = id, .grace_ms = grace_ms } };

    tell_host(host, &message, NULL, 0);
}

static char *copy(struct tri_bytes bytes, size_t *size)
{
    char *text = calloc(1, bytes.size + 1);

    ck_assert_ptr_nonnull(text);
    if (bytes.size > 0)
        memcpy(text, bytes.data, bytes.size);
    *size = bytes.size;
    return text;
}

struct lab_result lab_ran(struct lab_host *host)
{
    const struct tri_message *message = hear_host(host);
    const struct tri_msg_ran *ran = &message->ran;
    struct lab_result result = { .id = ran->id };

    ck_assert_int_eq(message->type, TRI_MESSAGE_RAN);
    result.status = ran->status;
    snprintf(result.text, sizeof(result.text), "%.*s", (int)ran->text.size,
             (const char *)ran->text.data);
    result.wait_status = (int)ran->wait_status;
    result.truncated = ran->truncated != 0;
    result.wall_us = ran->wall_us;
    result.cpu_us = ran->cpu_us;
    if (host->message.frame_count == 2) {
        result.output = copy(host->message.frames[0], &result.output_size);
        result.error = copy(host->message.frames[1], &result.error_size);
    }
    return result;
}

void lab_result_deinit(struct lab_result *result)
{
    free(result->output);
    free(result->error);
}

void lab_run_sh(struct lab_host *host, uint64_t id, const char *script)
{
    char name[sizeof(fifo) + 8];

    snprintf(name, sizeof(name), "FIFO=%s", fifo);
    lab_run(host, &(struct lab_run){
                      .id = id, .argv = LAB_ARGV("sh", "-c", script), .env = LAB_ARGV(name) });
}

struct lab_result lab_sh(struct lab_host *host, const char *script)
{
    lab_run_sh(host, 7777, script);
    return lab_ran(host);
}

pid_t lab_hear(void)
{
    FILE *file = fopen(fifo, "re");
    int number = 0;

    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(fscanf(file, "%d", &number), 1);
    while (fgetc(file) != EOF) /* to the end, or the next to hear might hear this one close */
        ;
    fclose(file);
    return number;
}

/* ---- processes ------------------------------------------------------------------------------ */

bool lab_is_gone(pid_t pid)
{
    return kill(pid, 0) != 0 && errno == ESRCH;
}

pid_t lab_parent_of(pid_t pid)
{
    char path[64];
    FILE *file;
    int parent = 0;

    snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    file = fopen(path, "re");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(fscanf(file, "%*d (%*[^)]) %*c %d", &parent), 1);
    fclose(file);
    return parent;
}

size_t lab_fd_count(pid_t pid)
{
    char path[64];
    DIR *folder_of_fds;
    size_t count = 0;

    snprintf(path, sizeof(path), "/proc/%d/fd", pid);
    folder_of_fds = opendir(path);
    ck_assert_ptr_nonnull(folder_of_fds);
    for (struct dirent *entry; (entry = readdir(folder_of_fds)) != NULL;)
        count += entry->d_name[0] != '.';
    closedir(folder_of_fds);
    return count;
}
