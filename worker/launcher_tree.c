/* Whose process is it, has it ended, and is anything left of it (launcher_parts.h says how). */
#include "worker/launcher_parts.h"

#include "common/assert.h"
#include "common/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define SWEEPS_MAX 100 /* in a row, for a process inside exec */
#define ENVIRONMENT_BYTES_MAX ((size_t)4 << 20)

extern char **environ;

/* ---- names ---------------------------------------------------------------------------------- */

static uint64_t ticks_now(void)
{
    return tri_clock_now_ns() / (1000000000u / (uint64_t)sysconf(_SC_CLK_TCK));
}

static bool is_tag(const char *variable)
{
    return strncmp(variable, LAUNCHER_TREE_VARIABLE "=", sizeof(LAUNCHER_TREE_VARIABLE)) == 0;
}

/* A launcher inside a command of another worker adds its name to those around it, so that the
 * outer one recognises what the inner one leaves behind. */
void launcher_tree_begin(struct launcher_state *self)
{
    const char *outer = getenv(LAUNCHER_TREE_VARIABLE);
    size_t count = 0;
    int length = 0;

    length = snprintf(self->tag_prefix, sizeof(self->tag_prefix), "%s=", LAUNCHER_TREE_VARIABLE);
    if (outer != NULL && strlen(outer) < sizeof(self->tag_prefix) / 2)
        length += snprintf(self->tag_prefix + length, sizeof(self->tag_prefix) - (size_t)length,
                           "%s:", outer);
    self->tag_own = self->tag_prefix + length;
    snprintf(self->tag_prefix + length, sizeof(self->tag_prefix) - (size_t)length,
             "%d.%" PRIx64 ".", (int)getpid(), tri_clock_now_ns());
    while (environ[count] != NULL)
        count++;
    self->environment = tri_alloc(count + 1, sizeof(char *));
    for (size_t i = 0; i < count; i++)
        if (!is_tag(environ[i]))
            self->environment[self->environment_count++] = environ[i];
}

/* All tags of a launcher have the same length: a forked host writes its own over its zygote's. */
void launcher_tree_tag(const struct launcher_state *self, const struct tree *tree, char tag[320])
{
    snprintf(tag, 320, "%s%020" PRIu64, self->tag_prefix, tree->number);
}

/* ---- life ----------------------------------------------------------------------------------- */

void launcher_tree_start(struct launcher_state *self, struct tree *tree, enum tree_kind kind)
{
    *tree = (struct tree){ .kind = kind, .number = ++self->tree_count, .birth = ticks_now() };
    tri_map_put(&self->by_number, tree->number, tree);
    tri_dlist_push_back(&self->running[kind], &tree->node);
}

void launcher_tree_up(struct launcher_state *self, struct tree *tree, pid_t pid)
{
    tree->pid = pid;
    tri_map_put(&self->by_pid, (uint64_t)pid, tree);
}

void launcher_tree_end(struct launcher_state *self, struct tree *tree)
{
    tri_assert(!tree->ended);
    tree->ended = true;
    if (tree->pid != 0 && tri_map_find(&self->by_pid, (uint64_t)tree->pid) == tree)
        tri_map_remove(&self->by_pid, (uint64_t)tree->pid);
    tri_dlist_remove(&self->running[tree->kind], &tree->node);
    tri_dlist_push_back(&self->ending, &tree->node);
    self->sweep = true;
}

void launcher_tree_forget(struct launcher_state *self, struct tree *tree)
{
    tri_dlist_remove(&self->ending, &tree->node);
    tri_map_remove(&self->by_number, tree->number);
}

/* ---- whose is it ---------------------------------------------------------------------------- */

static struct tree *oldest_command(const struct launcher_state *self)
{
    struct tri_dlist_node *node = tri_dlist_first(&self->running[TREE_COMMAND]);

    return node != NULL ? tri_container_of(node, struct tree, node) : NULL;
}

static struct tree *tree_of_group(const struct launcher_state *self, pid_t group)
{
    struct tree *tree = tri_map_find(&self->by_pid, (uint64_t)group);

    if (tree != NULL)
        return tree;
    /* A group outlives its leader, and keeps the number from being used again. */
    tri_dlist_foreach(&self->ending, node)
    {
        tree = tri_container_of(node, struct tree, node);
        if (tree->pid == group)
            return tree;
    }
    return NULL;
}

/* The environment a process was started with. False when it may not be seen. */
static bool read_environment(pid_t pid, struct tri_buffer *buffer)
{
    char path[64];
    ssize_t count;
    int fd;

    snprintf(path, sizeof(path), "/proc/%d/environ", (int)pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    do {
        uint8_t *room = tri_buffer_reserve(buffer, 16384);

        if (room == NULL)
            tri_out_of_memory();
        count = read(fd, room, 16384);
        buffer->size += count > 0 ? (size_t)count : 0;
    } while (count > 0 && buffer->size < ENVIRONMENT_BYTES_MAX);
    close(fd);
    return true;
}

/* The number that this launcher wrote into the environment; 0 when it wrote none, or when that
 * cannot be told, for the process is just being changed by exec (`*is_starting`). */
static uint64_t tagged_number(const struct launcher_state *self, pid_t pid, bool *is_starting)
{
    struct tri_buffer environment;
    struct process_stat stat;
    const char *own = self->tag_own;
    const uint8_t *found;
    uint64_t number = 0;

    tri_buffer_init(&environment);
    *is_starting = read_environment(pid, &environment) && environment.size == 0
                   && launcher_process_stat(pid, &stat) && !stat.has_finished
                   && !stat.has_no_environment;
    tri_buffer_append(&environment, "", 1);
    found = memmem(environment.data, environment.size, own, strlen(own));
    if (found != NULL)
        number = strtoull((const char *)found + strlen(own), NULL, 10);
    tri_buffer_deinit(&environment);
    return number;
}

/* What is to become of an orphan. */
enum verdict {
    VERDICT_SPARED,  /* it belongs to what lives, or may do so */
    VERDICT_UNKNOWN, /* look again in a moment */
    VERDICT_KILLED,  /* its owner has ended, or is not known, or was reported long ago */
};

static enum verdict verdict_of(const struct tree *owner)
{
    return owner != NULL && !owner->ended ? VERDICT_SPARED : VERDICT_KILLED;
}

/* Age decides: could a command that lives have started it? */
static enum verdict judge_by_age(const struct launcher_state *self, pid_t pid)
{
    struct tree *elder = oldest_command(self);
    struct process_stat stat;

    if (elder != NULL && launcher_process_stat(pid, &stat) && elder->birth <= stat.birth)
        return VERDICT_SPARED;
    return VERDICT_KILLED;
}

static enum verdict judge(struct launcher_state *self, pid_t pid, struct tree **owner)
{
    uint64_t number = (uintptr_t)tri_map_find(&self->orphans, (uint64_t)pid);
    pid_t group = getpgid(pid);
    bool is_starting = false;

    *owner = number == 0 && group > 0 ? tree_of_group(self, group) : NULL;
    if (*owner != NULL)
        return verdict_of(*owner);
    if (number == 0)
        number = tagged_number(self, pid, &is_starting);
    if (is_starting && self->sweep_count < SWEEPS_MAX)
        return VERDICT_UNKNOWN;
    if (number == 0)
        return judge_by_age(self, pid);
    *owner = tri_map_find(&self->by_number, number);
    tri_map_put(&self->orphans, (uint64_t)pid, (void *)(uintptr_t)number);
    return verdict_of(*owner);
}

/* ---- ends ----------------------------------------------------------------------------------- */

static void tell(struct launcher_state *self,
                 struct tree *tree,
                 int wait_status,
                 const struct rusage *usage)
{
    switch (tree->kind) {
    case TREE_ZYGOTE:
        launcher_zygote_ended(self, tri_container_of(tree, struct zygote, tree), wait_status);
        break;
    case TREE_HOST:
        launcher_host_ended(self, tri_container_of(tree, struct host, tree), wait_status);
        break;
    case TREE_COMMAND:
        launcher_command_ended(self, tri_container_of(tree, struct command, tree), wait_status,
                               usage);
        break;
    }
}

void launcher_tree_reap(struct launcher_state *self)
{
    struct rusage usage;
    int wait_status;
    pid_t pid;

    while ((pid = wait4(-1, &wait_status, WNOHANG, &usage)) > 0) {
        struct tree *tree = tri_map_find(&self->by_pid, (uint64_t)pid);

        if (tree != NULL) {
            tell(self, tree, wait_status, &usage);
            continue;
        }
        tri_map_remove(&self->orphans, (uint64_t)pid);
        if (!tri_dlist_is_empty(&self->ending))
            self->sweep = true;
    }
}

static void report(struct launcher_state *self, struct tree *tree)
{
    switch (tree->kind) {
    case TREE_ZYGOTE:
        launcher_zygote_report(self, tri_container_of(tree, struct zygote, tree));
        break;
    case TREE_HOST:
        launcher_host_report(self, tri_container_of(tree, struct host, tree));
        break;
    case TREE_COMMAND:
        launcher_command_report(self, tri_container_of(tree, struct command, tree));
        break;
    }
}

/* Kill what is left of ending trees. Returns how many processes of unknown origin were killed or
 * must be looked at again: they count for all that are ending now. A process that may not be
 * killed (another user's by now) is let go. */
static size_t kill_orphans(struct launcher_state *self, bool *again)
{
    pid_t *pids;
    size_t count = launcher_children_read(self->children_fd, &pids);
    size_t strangers = 0;

    for (size_t i = 0; i < count; i++) {
        struct tree *owner;
        enum verdict verdict;

        if (tri_map_find(&self->by_pid, (uint64_t)pids[i]) != NULL)
            continue;
        verdict = judge(self, pids[i], &owner);
        *again = *again || verdict == VERDICT_UNKNOWN;
        if (verdict == VERDICT_SPARED || (verdict == VERDICT_KILLED && kill(pids[i], SIGKILL) != 0))
            continue;
        if (owner != NULL)
            owner->left++;
        else
            strangers++;
    }
    free(pids);
    return strangers;
}

void launcher_tree_sweep(struct launcher_state *self)
{
    size_t strangers;
    bool again = false;

    self->sweep = false;
    tri_dlist_foreach(&self->ending, node)
    {
        tri_container_of(node, struct tree, node)->left = 0;
    }
    strangers = kill_orphans(self, &again);
    self->sweep_at = again ? tri_clock_now_ms() + 1 : TRI_NEVER;
    self->sweep_count = again ? self->sweep_count + 1 : 0;
    tri_dlist_foreach(&self->ending, node)
    {
        struct tree *tree = tri_container_of(node, struct tree, node);

        if (tree->left + strangers == 0)
            report(self, tree);
    }
}
