#include "tests/e2e/broker/process.h"

#include "common/clock.h"

#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ARGUMENTS_MAX 32
#define LOG_SIZE 65536

void directory_make(char path[64])
{
    strcpy(path, "/tmp/trireme-test-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(path));
}

void directory_remove(const char *path)
{
    DIR *directory = opendir(path);
    struct dirent *entry;

    if (directory == NULL)
        return;
    while ((entry = readdir(directory)) != NULL)
        unlinkat(dirfd(directory), entry->d_name, 0);
    closedir(directory);
    rmdir(path);
}

static void pause_briefly(void)
{
    nanosleep(&(struct timespec){ 0, 5000000 }, NULL);
}

static char *read_log(const struct process *self)
{
    static char text[LOG_SIZE];
    ssize_t size = pread(self->log, text, sizeof(text) - 1, 0);

    text[size > 0 ? size : 0] = '\0';
    return text;
}

static int log_make(void)
{
    char path[] = "/tmp/trireme-test-log-XXXXXX";
    int fd = mkostemp(path, O_APPEND | O_CLOEXEC);

    ck_assert_int_ge(fd, 0);
    unlink(path);
    return fd;
}

static void collect(const char **arguments, const char *first, va_list more)
{
    size_t count = 1;

    arguments[0] = BROKER_PROGRAM;
    for (const char *text = first; text != NULL; text = va_arg(more, const char *)) {
        ck_assert_uint_lt(count, ARGUMENTS_MAX);
        arguments[count++] = text;
    }
    arguments[count] = NULL;
}

static void append(const char **arguments, const char *option, const char *value)
{
    size_t count = 0;

    while (arguments[count] != NULL)
        count++;
    arguments[count] = option;
    arguments[count + 1] = value;
    arguments[count + 2] = NULL;
}

/* Unless the test says where, nothing is kept. */
static void append_store(const char **arguments)
{
    for (size_t i = 0; arguments[i] != NULL; i++) {
        if (strcmp(arguments[i], "--store") == 0)
            return;
    }
    append(arguments, "--store", "memory");
}

static void run(const char *const *arguments, int log)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGINT, SIG_DFL);
    signal(SIGHUP, SIG_DFL);
    dup2(log, 1);
    dup2(log, 2);
    setenv("STATE_DIRECTORY", "/proc/trireme", 1); /* nobody can make it */
    execv(arguments[0], (char *const *)(uintptr_t)arguments);
    _exit(127);
}

static struct process launch(const char *const *arguments)
{
    struct process self = { .log = log_make(), .owner = -1 };

    fflush(NULL);
    self.pid = fork();
    ck_assert_int_ge(self.pid, 0);
    if (self.pid == 0)
        run(arguments, self.log);
    return self;
}

/* The first line of the ready descriptor. */
static void read_ready(struct process *self, int fd)
{
    char text[2048];
    size_t size = 0;
    char *end;

    for (;;) {
        struct pollfd item = { .fd = fd, .events = POLLIN };
        ssize_t more;

        if (poll(&item, 1, PATIENCE_MS) <= 0)
            ck_abort_msg("the broker is not ready: %s", read_log(self));
        more = read(fd, text + size, sizeof(text) - 1 - size);
        if (more <= 0)
            break;
        size += (size_t)more;
    }
    text[size] = '\0';
    close(fd);
    end = strchr(text, '\n');
    if (strncmp(text, "listening ", 10) != 0 || end == NULL)
        ck_abort_msg("the broker did not start: %s", read_log(self));
    *end = '\0';
    snprintf(self->endpoint, sizeof(self->endpoint), "%.300s", text + 10);
}

static struct process start(const char **arguments, bool is_private)
{
    int ready[2];
    int owner[2] = { -1, -1 };
    static char ready_text[16]; /* like `arguments`, these outlive the call */
    static char owner_text[16];
    struct process self;

    ck_assert_int_eq(pipe(ready), 0);
    fcntl(ready[0], F_SETFD, FD_CLOEXEC);
    snprintf(ready_text, sizeof(ready_text), "%d", ready[1]);
    append(arguments, "--ready-fd", ready_text);
    append_store(arguments);
    if (is_private) {
        ck_assert_int_eq(pipe(owner), 0);
        fcntl(owner[1], F_SETFD, FD_CLOEXEC);
        snprintf(owner_text, sizeof(owner_text), "%d", owner[0]);
        append(arguments, "--private", owner_text);
    }
    self = launch(arguments);
    close(ready[1]);
    if (is_private)
        close(owner[0]);
    self.owner = owner[1];
    read_ready(&self, ready[0]);
    return self;
}

struct process broker_start(const char *first, ...)
{
    const char *arguments[ARGUMENTS_MAX + 8];
    va_list more;

    va_start(more, first);
    collect(arguments, first, more);
    va_end(more);
    return start(arguments, false);
}

struct process broker_start_private(const char *first, ...)
{
    const char *arguments[ARGUMENTS_MAX + 8];
    va_list more;

    va_start(more, first);
    collect(arguments, first, more);
    va_end(more);
    return start(arguments, true);
}

void broker_fails(int status, const char *text, const char *first, ...)
{
    const char *arguments[ARGUMENTS_MAX + 8];
    struct process self;
    va_list more;

    va_start(more, first);
    collect(arguments, first, more);
    va_end(more);
    self = launch(arguments);
    process_ends(&self, status);
    ck_assert_msg(strstr(read_log(&self), text) != NULL, "'%s' is not in: %s", text,
                  read_log(&self));
    close(self.log);
}

/* Its wait status, once it has ended. */
static int await_end(struct process *self)
{
    tri_time end = tri_clock_now_ms() + PATIENCE_MS;
    int status = 0;

    while (waitpid(self->pid, &status, WNOHANG) == 0) {
        if (tri_clock_now_ms() > end)
            ck_abort_msg("the broker does not end: %s", read_log(self));
        pause_briefly();
    }
    if (self->owner >= 0)
        close(self->owner);
    self->owner = -1;
    return status;
}

void process_ends(struct process *self, int status)
{
    int got = await_end(self);

    ck_assert_msg(WIFEXITED(got) && WEXITSTATUS(got) == status,
                  "the broker ended with wait status %x: %s", (unsigned)got, read_log(self));
}

void process_dies(struct process *self, int number)
{
    int got = await_end(self);

    ck_assert_msg(WIFSIGNALED(got) && WTERMSIG(got) == number,
                  "the broker ended with wait status %x: %s", (unsigned)got, read_log(self));
}

void process_stop(struct process *self)
{
    kill(self->pid, SIGTERM);
    process_ends(self, 0);
    close(self->log);
}

void process_kill(struct process *self)
{
    kill(self->pid, SIGKILL);
    waitpid(self->pid, NULL, 0);
    close(self->log);
}

bool process_has_logged(const struct process *self, const char *text)
{
    return strstr(read_log(self), text) != NULL;
}

void process_logs(const struct process *self, const char *text)
{
    tri_time end = tri_clock_now_ms() + PATIENCE_MS;

    while (!process_has_logged(self, text)) {
        if (tri_clock_now_ms() > end)
            ck_abort_msg("'%s' is never logged: %s", text, read_log(self));
        pause_briefly();
    }
}
