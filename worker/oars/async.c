/* The loop: what starts coroutines, wakes them, and sends what they have finished. */
#include "worker/oars/async.h"

#include "common/assert.h"
#include "common/clock.h"
#include "worker/host_control.h"
#include "worker/host_crash.h"
#include "worker/host_flush.h"
#include "worker/host_lease.h"

#include <stdlib.h>
#include <string.h>

#define MS UINT64_C(1000000)
#define TURN_NS MS         /* then timers and sockets are looked at again */
#define SETTLE_NS (5 * MS) /* between two flushes while tasks are in flight */
#define STACK_BYTES 65536u
#define BIG_STACK_BYTES 262144u

uint64_t loop_clock(struct async_loop *self)
{
    return self->now_ns = tri_clock_now_ns();
}

static struct async_loop *loop_of(const uv_loop_t *uv)
{
    return tri_container_of(uv, struct async_loop, uv);
}

/* ---- sending -------------------------------------------------------------------------------- */

/* The thread's CPU time belongs to whatever was finished; a lease among several gets it all. */
static void account(struct async_loop *self)
{
    struct host *host = self->rower.host;

    tri_dlist_foreach(&host->leases, lease_node)
    {
        struct lease *lease = tri_container_of(lease_node, struct lease, node);

        tri_dlist_foreach(&lease->boxes, box_node)
        {
            struct box *box = tri_container_of(box_node, struct box, node);

            if (!box_is_empty(box)) {
                rower_account(&self->rower, &box->haul);
                return;
            }
        }
    }
}

static void send_finished(struct async_loop *self, bool partials)
{
    struct host *host = self->rower.host;
    struct tri_dlist_head parcels;

    tri_dlist_init(&parcels);
    self->sent_ns = self->now_ns;
    if (partials)
        self->partial_ns = self->now_ns;
    pthread_mutex_lock(&host->lock);
    account(self);
    flush_take_all(host, &self->rower, partials, &parcels);
    pthread_mutex_unlock(&host->lock);
    self->dirty = host->batch.reducer != NULL && !partials;
    self->full = false;
    flush_send(host, &parcels);
}

static void on_flush(uv_timer_t *timer)
{
    (void)timer; /* the turn does it */
}

/* Before the loop sleeps: nothing else to do, so what is finished goes; in company of tasks that
 * are still in flight it waits a little for more. */
static void send_if_due(struct async_loop *self, bool more)
{
    bool last = tri_dlist_is_empty(&self->in_flight) && !more;

    if (!self->dirty)
        return;
    if (last || self->now_ns - self->sent_ns >= SETTLE_NS)
        send_finished(self, last || self->now_ns - self->partial_ns >= HOST_PARTIAL_NS);
    if (self->dirty && !uv_is_active((uv_handle_t *)&self->flush))
        uv_timer_start(&self->flush, on_flush, SETTLE_NS / MS, 0);
}

/* ---- work ----------------------------------------------------------------------------------- */

/* Under host->lock: the run has been begun to its end. */
static void learn(struct async_loop *self)
{
    if (self->run_count != 0)
        lease_learn(self->rower.host, loop_clock(self) - self->run_ns, self->run_count);
    self->run_count = 0;
}

/* The loop's next run. False when nothing is queued. */
static bool grab(struct async_loop *self)
{
    struct host *host = self->rower.host;
    struct rower *rower = &self->rower;
    bool got;

    if (rower->lease != NULL && rower->box->haul.reducer != NULL
        && tri_reducer_partial_bytes(rower->box->haul.reducer) > HOST_FLUSH_BYTES)
        self->full = true;
    pthread_mutex_lock(&host->lock);
    learn(self);
    got = lease_grab(host, rower);
    rower->timed = self->waits_seen || host->task_ns == 0 || host->task_ns >= HOST_TIMED_NS
                   || host->batch.handler->waits;
    pthread_mutex_unlock(&host->lock);
    self->run_ns = loop_clock(self);
    self->run_count = got ? rower->end - rower->next : 0;
    return got;
}

/* All oars are out: what was grabbed and not begun is the host's again. */
static void ungrab(struct async_loop *self)
{
    struct host *host = self->rower.host;

    pthread_mutex_lock(&host->lock);
    self->run_count -= lease_ungrab(host, &self->rower);
    learn(self);
    pthread_mutex_unlock(&host->lock);
}

static struct oar *take_oar(struct async_loop *self)
{
    bool fresh;
    struct coroutine *coroutine = coroutine_take(&self->pool, &fresh);
    struct oar *oar;

    if (coroutine == NULL)
        return NULL;
    oar = tri_container_of(coroutine, struct oar, coroutine);
    if (fresh) {
        oar->loop = self;
        oar->task.ops = &async_ops;
        oar->task.rower = &self->rower;
        oar->task.slot_number = coroutine->number;
        oar->task.slot = &self->rower.host->table->slots[coroutine->number];
        uv_timer_init(&self->uv, &oar->timer);
    }
    return oar;
}

static void resume(struct async_loop *self, struct oar *oar)
{
    oar_resume(oar);
    if (oar->state == OAR_REST)
        coroutine_put(&self->pool, &oar->coroutine);
}

/* Resume what is ready, then begin new tasks, for a millisecond at most. Returns whether there is
 * more of either. */
static bool work(struct async_loop *self)
{
    struct rower *rower = &self->rower;
    struct tri_dlist_node *node;

    self->turn_ns = loop_clock(self);
    while (self->now_ns - self->turn_ns <= TURN_NS
           && (node = tri_dlist_pop_front(&self->ready)) != NULL) {
        resume(self, tri_container_of(node, struct oar, ready));
        loop_clock(self);
        if (self->full)
            send_finished(self, true);
    }
    while (self->now_ns - self->turn_ns <= TURN_NS) {
        struct oar *oar;

        if (self->pool.taken == self->pool.count) {
            ungrab(self);
            break;
        }
        if (rower->next == rower->end && !grab(self))
            break;
        oar = take_oar(self);
        resume(self, oar);
        if (self->full)
            send_finished(self, true);
    }
    return !tri_dlist_is_empty(&self->ready) || rower->next != rower->end
           || self->now_ns - self->turn_ns > TURN_NS;
}

static void on_busy(uv_idle_t *idle)
{
    (void)idle; /* its being active keeps the loop from sleeping */
}

static void turn(struct async_loop *self)
{
    struct host *host = self->rower.host;
    bool more = work(self);

    atomic_store_explicit(&host->table->turns,
                          atomic_load_explicit(&host->table->turns, memory_order_relaxed) + 1,
                          memory_order_relaxed);
    if (more)
        uv_idle_start(&self->busy, on_busy);
    else
        uv_idle_stop(&self->busy);
    send_if_due(self, more);
}

static void on_prepare(uv_prepare_t *prepare)
{
    turn(loop_of(prepare->loop));
}

/* ---- from outside --------------------------------------------------------------------------- */

void loop_post(struct async_loop *self, struct letter *letter)
{
    pthread_mutex_lock(&self->mail_lock);
    tri_dlist_push_back(&self->mail, &letter->node);
    pthread_mutex_unlock(&self->mail_lock);
    uv_async_send(&self->wake);
}

static void on_wake(uv_async_t *wake)
{
    struct async_loop *self = loop_of(wake->loop);
    struct host *host = self->rower.host;

    for (;;) {
        struct tri_dlist_node *node;
        struct letter *letter;

        pthread_mutex_lock(&self->mail_lock);
        node = tri_dlist_pop_front(&self->mail);
        pthread_mutex_unlock(&self->mail_lock);
        if (node == NULL)
            break;
        letter = tri_container_of(node, struct letter, node);
        letter->read(letter);
    }
    if (atomic_exchange_explicit(&self->rower.knock, 0, memory_order_relaxed) == 0)
        return;
    pthread_mutex_lock(&host->lock);
    loop_obey(self);
    pthread_mutex_unlock(&host->lock);
    loop_wake_stopped(self);
}

void async_rouse(struct host *host, const struct rower *self)
{
    if (host->loop != NULL && self != &host->loop->rower)
        uv_async_send(&host->loop->wake);
}

/* ---- the loop's life ------------------------------------------------------------------------ */

static void on_link(uv_poll_t *poll, int status, int events)
{
    struct async_loop *self = loop_of(poll->loop);

    (void)status;
    (void)events;
    control_receive(self->rower.host, &self->rower);
}

static void *loop_main(void *context)
{
    struct async_loop *self = context;

    crash_thread_init(&self->rower.signal_stack);
    rower_account(&self->rower, NULL);
    uv_run(&self->uv, UV_RUN_DEFAULT);
    tri_assert(!"the loop has ended");
    return NULL;
}

static void init_handles(struct async_loop *self, int link_fd)
{
    tri_assert(uv_loop_init(&self->uv) == 0);
    tri_assert(uv_poll_init(&self->uv, &self->link, link_fd) == 0);
    uv_async_init(&self->uv, &self->wake, on_wake);
    uv_prepare_init(&self->uv, &self->prepare);
    uv_idle_init(&self->uv, &self->busy);
    uv_timer_init(&self->uv, &self->deadline);
    uv_timer_init(&self->uv, &self->flush);
    uv_poll_start(&self->link, UV_READABLE | UV_DISCONNECT, on_link);
    uv_prepare_start(&self->prepare, on_prepare);
}

enum tri_status async_start(struct host *host, struct tri_error *error)
{
    struct async_loop *self = tri_alloc(1, sizeof(*self));
    size_t stack_bytes = host->batch.handler->big_stack ? BIG_STACK_BYTES : STACK_BYTES;
    enum tri_status status;

    if (!rower_init(&self->rower, host)) {
        free(self);
        return tri_fail(error, TRI_SYSTEM, "no descriptor for the loop");
    }
    self->rower.keeps_boxes = true;
    tri_dlist_init(&self->in_flight);
    tri_dlist_init(&self->ready);
    tri_dlist_init(&self->mail);
    pthread_mutex_init(&self->mail_lock, NULL);
    status = coroutine_pool_open(&self->pool, host->width, stack_bytes, sizeof(struct oar), oar_run,
                                 error);
    if (status != TRI_OK) {
        free(self);
        return status;
    }
    init_handles(self, host->link.fd);
    pthread_mutex_lock(&host->lock);
    host->loop = self;
    pthread_mutex_unlock(&host->lock);
    if (pthread_create(&self->rower.thread, NULL, loop_main, self) != 0)
        return tri_fail(error, TRI_SYSTEM, "no thread for the loop");
    return TRI_OK;
}
