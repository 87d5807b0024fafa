/* clerk.c - the caller's side of the clerk, and the thread that makes it step. */
#include "broker/store/clerk.h"

#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

/* ---- the thread ----------------------------------------------------------------------------- */

static tri_time now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (tri_time)now.tv_sec * 1000 + (tri_time)now.tv_nsec / 1000000;
}

/* Until it is due, or somebody has something for it to do. */
static void await(struct clerk *self, tri_time due)
{
    const struct timespec until = { .tv_sec = (time_t)(due / 1000),
                                    .tv_nsec = (long)(due % 1000) * 1000000 };
    bool is_due = due <= now_ms();

    pthread_mutex_lock(&self->lock);
    while (!is_due && !clerk_is_wanted(self)) {
        if (due == TRI_NEVER)
            pthread_cond_wait(&self->wake, &self->lock);
        else
            is_due = pthread_cond_timedwait(&self->wake, &self->lock, &until) == ETIMEDOUT;
    }
    pthread_mutex_unlock(&self->lock);
}

/* What work took of memory lies between what is still used: the allocator keeps it until it is told
 * that nobody needs it soon. */
static void *work(void *argument)
{
    struct clerk *self = argument;

    for (;;) {
        tri_time due = clerk_step(self, now_ms());

        if (self->has_ended)
            return NULL;
        if (self->has_tidied)
            malloc_trim(0);
        await(self, due);
    }
}

/* Signals are for the thread that has always had them. */
static void start(struct clerk *self)
{
    sigset_t all;
    sigset_t before;

    if (self->is_running || self->by_hand)
        return;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    tri_assert(pthread_create(&self->thread, NULL, work, self) == 0);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    self->is_running = true;
}

/* ---- the caller ----------------------------------------------------------------------------- */

static void init_lock(struct clerk *self)
{
    pthread_condattr_t attributes;

    pthread_mutex_init(&self->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&self->wake, &attributes);
    pthread_condattr_destroy(&attributes);
}

enum tri_status clerk_init(struct clerk *self,
                           struct database *database,
                           const struct store_sqlite_options *options,
                           struct tri_error *error)
{
    *self = (struct clerk){ .database = database,
                            .log_bytes_max = options->log_bytes_max,
                            .full_ms = options->full_ms,
                            .by_hand = options->by_hand,
                            .retry_at = TRI_NEVER,
                            .care_at = TRI_NEVER };
    self->care_ms = CLERK_IDLE_MS;
    init_lock(self);
    writes_init(&self->job);
    writes_init(&self->sealed);
    tri_dlist_init(&self->wanted);
    tri_dlist_init(&self->loaded);
    /* A VFS of its own has a disk of its own. */
    if (options->vfs == NULL)
        reserve_init(&self->reserve, options->file, options->reserve_bytes);
    self->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (self->event_fd < 0)
        return tri_fail(error, TRI_STORE, "store %s: no descriptor: %s", options->file,
                        strerror(errno));
    reserve_take(&self->reserve);
    clerk_look(self);
    return TRI_OK;
}

static void free_loads(struct tri_dlist_head *loads, bool came)
{
    struct tri_dlist_node *node;

    while ((node = tri_dlist_pop_front(loads)) != NULL) {
        struct load *load = tri_container_of(node, struct load, node);

        if (came && load->status == TRI_OK)
            zmq_msg_close(&load->payload);
        free(load);
    }
}

static void stop(struct clerk *self)
{
    pthread_mutex_lock(&self->lock);
    self->is_stopping = true;
    pthread_cond_signal(&self->wake);
    pthread_mutex_unlock(&self->lock);
    if (self->is_running)
        pthread_join(self->thread, NULL);
    while (self->by_hand && !self->has_ended)
        clerk_step(self, 0);
}

void clerk_deinit(struct clerk *self)
{
    stop(self);
    database_close(&self->database);
    reserve_deinit(&self->reserve);
    writes_clear(&self->job);
    writes_clear(&self->sealed);
    free_loads(&self->wanted, false);
    free_loads(&self->loaded, true);
    if (self->event_fd >= 0)
        close(self->event_fd);
    pthread_cond_destroy(&self->wake);
    pthread_mutex_destroy(&self->lock);
}

void clerk_look(struct clerk *self)
{
    tri_assert(!self->is_running);
    clerk_examine(self, &self->news);
}

struct writes *clerk_seal_begin(struct clerk *self, uint64_t *generation)
{
    start(self);
    pthread_mutex_lock(&self->lock);
    *generation = self->generation;
    return &self->sealed;
}

uint64_t clerk_seal_end(struct clerk *self)
{
    uint64_t waiting = self->sealed.bytes + self->writing_bytes;

    pthread_cond_signal(&self->wake);
    pthread_mutex_unlock(&self->lock);
    return waiting;
}

void clerk_load(struct clerk *self, struct store_key key)
{
    struct load *load = tri_alloc(1, sizeof(*load));

    load->key = key;
    start(self);
    pthread_mutex_lock(&self->lock);
    tri_dlist_push_back(&self->wanted, &load->node);
    pthread_cond_signal(&self->wake);
    pthread_mutex_unlock(&self->lock);
}

bool clerk_take(struct clerk *self, struct clerk_news *news, struct tri_dlist_head *loaded)
{
    struct tri_dlist_node *node;
    uint64_t count;

    pthread_mutex_lock(&self->lock);
    if (!self->has_news) {
        pthread_mutex_unlock(&self->lock);
        return false;
    }
    self->has_news = false;
    if (read(self->event_fd, &count, sizeof(count)) != (ssize_t)sizeof(count))
        count = 0;
    *news = self->news;
    news->waiting_bytes = self->sealed.bytes + self->writing_bytes;
    while ((node = tri_dlist_pop_front(&self->loaded)) != NULL)
        tri_dlist_push_back(loaded, node);
    pthread_mutex_unlock(&self->lock);
    return true;
}
