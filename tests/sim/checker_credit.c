/* Credit: what may be on its way, and what is. */
#include "tests/sim/checker_parts.h"

#include "common/assert.h"
#include "common/proto/chunk.h"
#include "tests/sim/net.h"
#include "tests/sim/worker.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- results of a lease --------------------------------------------------------------------- */

struct credit {
    uint64_t granted_bytes;
    uint64_t used_bytes;
};

static struct credit *credit_at(struct sim *sim, const struct worker *worker, uint64_t lease)
{
    struct tri_map *leases = &sim->checker->leases[worker->number];
    struct credit *credit = tri_map_find(leases, lease);

    if (credit == NULL) {
        credit = tri_alloc(1, sizeof(*credit));
        tri_map_put(leases, lease, credit);
    }
    return credit;
}

void checker_worker_gets(struct sim *sim,
                         const struct worker *worker,
                         const struct tri_message *message)
{
    hold_worker_gets(sim, worker, message);
    if (message->type == TRI_MESSAGE_LEASE)
        credit_at(sim, worker, message->lease.lease)->granted_bytes += message->lease.result_bytes;
    else if (message->type == TRI_MESSAGE_CREDIT)
        credit_at(sim, worker, message->credit.lease)->granted_bytes +=
            message->credit.result_bytes;
}

/* What is sent once more is not counted again. */
void checker_worker_sends(struct sim *sim,
                          const struct worker *worker,
                          const struct tri_message *message,
                          struct tri_frame *const *frames,
                          size_t count)
{
    uint64_t *seq = &sim->checker->seqs[worker->number];
    struct credit *credit;

    hold_worker_sends(sim, worker, message);
    if ((message->type != TRI_MESSAGE_RESULTS && message->type != TRI_MESSAGE_PARTIAL)
        || message->results.seq <= *seq || count < 2)
        return;
    *seq = message->results.seq;
    credit = credit_at(sim, worker, message->results.lease);
    credit->used_bytes += frames[1]->bytes.size;
    if (credit->used_bytes > credit->granted_bytes)
        sim_fail(sim, "%s sends %llu bytes of results for lease %llu, granted were %llu",
                 worker->node.name, (unsigned long long)credit->used_bytes,
                 (unsigned long long)message->results.lease,
                 (unsigned long long)credit->granted_bytes);
}

static void forget_leases(struct tri_map *leases)
{
    uint64_t key;
    void *value;

    for (size_t at = 0; tri_map_next(leases, &at, &key, &value);)
        free(value);
    tri_map_clear(leases);
}

void checker_worker_dies(struct sim *sim, const struct worker *worker)
{
    forget_leases(&sim->checker->leases[worker->number]);
    sim->checker->seqs[worker->number] = 0;
    sim->checker->vows[worker->number] = (struct vow){ 0 };
}

/* ---- APPEND --------------------------------------------------------------------------------- */

static void raise_credit(struct watch *watch, uint64_t bytes)
{
    if (watch != NULL && watch->append_credit < bytes)
        watch->append_credit = bytes;
}

void checker_client_gets(struct sim *sim, const struct tri_message *message)
{
    if (message->type == TRI_MESSAGE_ACCEPTED)
        raise_credit(watch_find(sim, message->accepted.number), message->accepted.append_bytes_max);
    else if (message->type == TRI_MESSAGE_APPENDED)
        raise_credit(watch_find(sim, message->appended.number), message->appended.append_bytes_max);
    else if (message->type == TRI_MESSAGE_ATTACHED)
        raise_credit(watch_find(sim, message->attached.number), message->attached.append_bytes_max);
}

void checker_client_sends(struct sim *sim,
                          const struct tri_message *message,
                          struct tri_frame *const *frames,
                          size_t count)
{
    struct watch *watch =
        message->type == TRI_MESSAGE_APPEND ? watch_find(sim, message->append.number) : NULL;
    struct tri_chunk chunk;

    if (watch == NULL || count != 2 || tri_items_open(frames[1]->bytes, &chunk, NULL) != TRI_OK
        || message->append.first + chunk.count <= watch->append_end)
        return;
    watch->append_end = message->append.first + chunk.count;
    watch->append_bytes += frames[1]->bytes.size;
    if (watch->append_bytes > watch->append_credit)
        sim_fail(sim, "%llu bytes of arguments of %s are sent, granted were %llu",
                 (unsigned long long)watch->append_bytes, watch->plan->name,
                 (unsigned long long)watch->append_credit);
}

/* ---- windows -------------------------------------------------------------------------------- */

/* One attachment: rows on their way through one connection. */
struct window {
    struct tri_dlist_node node;
    struct peer_id peer;
    uint64_t number;
    uint64_t request; /* until it is answered; the batch may have no number yet */
    uint64_t bytes;   /* granted */
    uint64_t flying;
    uint64_t heard; /* its client, there */
    bool is_owner;
    bool has_left;       /* it wants no rows any more ... */
    uint64_t left_until; /* ... until it came again, or 0 */
    bool may_be_over;    /* its client had been silent for so long */
    struct tri_map rows; /* number + 1 to bytes + 1 */
};

static void window_free(struct checker *self, struct window *window)
{
    tri_dlist_remove(&self->windows, &window->node);
    tri_map_deinit(&window->rows);
    free(window);
}

static bool is_of(const struct window *window, const struct peer_id *peer)
{
    return window->peer.size == peer->size
           && memcmp(window->peer.bytes, peer->bytes, peer->size) == 0;
}

/* The newest: whoever submits again, or attaches, begins anew. */
static struct window *window_find(struct checker *self, const struct peer_id *peer, uint64_t number)
{
    struct window *newest = NULL;

    tri_dlist_foreach(&self->windows, node)
    {
        struct window *window = tri_container_of(node, struct window, node);

        if (window->number == number && is_of(window, peer))
            newest = window;
    }
    return newest;
}

static struct window *window_new(struct checker *self, const struct peer_id *peer, uint64_t bytes)
{
    struct window *window = tri_alloc(1, sizeof(*window));

    window->peer = *peer;
    window->bytes = bytes;
    tri_map_init(&window->rows);
    tri_dlist_push_back(&self->windows, &window->node);
    return window;
}

static bool is_of_submitter(const struct sim *sim,
                            const struct peer_id *peer,
                            const struct watch *watch)
{
    char name[24];

    snprintf(name, sizeof(name), "c%llu", (unsigned long long)watch->plan->client);
    return strcmp(name, net_name(sim, peer)) == 0;
}

static bool says_all(struct tri_ranges have)
{
    return have.count == 1 && tri_ranges_at(have, 0).count == INT64_MAX;
}

static void attach(struct sim *sim, const struct peer_id *peer, const struct tri_msg_attach *attach)
{
    uint64_t left_until = 0;
    struct checker *self = sim->checker;
    const struct plan_batch *batch = plan_find(sim->plan, attach->batch);
    uint64_t number = attach->number;
    struct window *window;
    struct watch *watch;

    if (number == 0 && batch != NULL)
        number = checker_number(sim, batch);
    watch = watch_find(sim, number);
    if (watch != NULL) {
        watch->window_bytes = 0;
        watch->shared = watch->shared || (attach->owner != 0 && !is_of_submitter(sim, peer, watch));
    }
    window = window_find(self, peer, number);
    if (window != NULL) {
        left_until = window->has_left ? sim->now : window->left_until;
        window_free(self, window);
    }
    window = window_new(self, peer, attach->window_bytes);
    window->number = number;
    window->has_left = says_all(attach->have);
    window->left_until = left_until;
    window->heard = sim->now;
    window->is_owner = attach->owner != 0;
    if (window->is_owner && watch_find(sim, number) != NULL)
        row_acknowledge(watch_find(sim, number), attach->have);
}

static void land(struct sim *sim, const struct peer_id *peer, const struct tri_msg_ack *ack)
{
    struct window *window = window_find(sim->checker, peer, ack->number);
    struct watch *watch = watch_find(sim, ack->number);
    uint64_t landed = 0;

    if (watch != NULL && window != NULL && window->is_owner)
        row_acknowledge(watch, ack->rows);
    for (size_t i = 0; window != NULL && i < ack->rows.count; i++) {
        struct tri_range rows = tri_ranges_at(ack->rows, i);

        for (uint64_t j = rows.first; j < rows.first + rows.count; j++) {
            void *bytes = tri_map_remove(&window->rows, j + 1);

            if (bytes != NULL)
                landed += (uint64_t)(uintptr_t)bytes - 1;
        }
    }
    if (window != NULL)
        window->flying -= landed;
    if (watch != NULL)
        watch->beyond_bytes -= landed < watch->beyond_bytes ? landed : watch->beyond_bytes;
}

/* Asked for in an earlier life of the broker, without an answer: it may have been kept, and have
 * run since without an owner, and so without a window. */
static void note_submit(struct sim *sim, const struct plan_batch *batch)
{
    struct watch *watch = batch != NULL ? &sim->checker->watches[batch->id] : NULL;

    if (watch == NULL)
        return;
    if (watch->was_asked && watch->asked_life != sim->checker->life)
        watch->window_bytes = 0;
    watch->was_asked = true;
    watch->asked_life = sim->checker->life;
}

static void submit(struct sim *sim,
                   const struct peer_id *peer,
                   const struct tri_msg_submit *message)
{
    struct window *window = window_new(sim->checker, peer, message->window_bytes);

    note_submit(sim, plan_find(sim->plan, message->batch));
    window->request = message->request;
    window->heard = sim->now;
    window->is_owner = true;
}

static bool is_silent(const struct sim *sim, const struct window *window)
{
    uint64_t lease_us = sim->plan->options.limits.lease_ms * SIM_MS;

    return sim->now - window->heard >= lease_us - lease_us / 50;
}

/* Its attachments go on there, and all that was not acknowledged is sent again. */
static void move(struct sim *sim, const struct peer_id *from, const struct peer_id *to)
{
    tri_dlist_foreach(&sim->checker->windows, node)
    {
        struct window *window = tri_container_of(node, struct window, node);

        if (!is_of(window, from))
            continue;
        window->peer = *to;
        window->flying = 0;
        tri_map_clear(&window->rows);
    }
}

/* A client comes, or comes again from elsewhere. */
static void greet(struct sim *sim, const struct peer_id *peer, struct tri_bytes instance)
{
    struct checker *self = sim->checker;
    struct guest *guest;

    for (size_t i = 0; i < self->guest_count; i++) {
        guest = &self->guests[i];
        if (memcmp(guest->instance, instance.data, sizeof(guest->instance)) != 0)
            continue;
        if (guest->peer.size != peer->size
            || memcmp(guest->peer.bytes, peer->bytes, peer->size) != 0)
            move(sim, &guest->peer, peer);
        guest->peer = *peer;
        return;
    }
    self->guests = tri_realloc(self->guests, self->guest_count + 1, sizeof(*self->guests));
    guest = &self->guests[self->guest_count++];
    memcpy(guest->instance, instance.data, sizeof(guest->instance));
    guest->peer = *peer;
}

/* Its client is there; or leaves. */
static void hear(struct sim *sim, const struct peer_id *peer, bool leaves)
{
    tri_dlist_foreach(&sim->checker->windows, node)
    {
        struct window *window = tri_container_of(node, struct window, node);

        if (!is_of(window, peer))
            continue;
        window->may_be_over = window->may_be_over || is_silent(sim, window);
        window->heard = sim->now;
        window->is_owner = window->is_owner && !leaves;
    }
}

bool window_has_left(const struct sim *sim, const struct peer_id *peer, uint64_t number)
{
    const struct window *window = window_find(sim->checker, peer, number);

    return window != NULL && (window->has_left || sim->checker->decided_at <= window->left_until);
}

void window_gets(struct sim *sim, const struct peer_id *peer, const struct tri_message *message)
{
    if (message->type == TRI_MESSAGE_HELLO && message->hello.role == TRI_ROLE_CLIENT)
        greet(sim, peer, message->hello.instance);
    hear(sim, peer, message->type == TRI_MESSAGE_BYE);
    if (message->type == TRI_MESSAGE_SUBMIT && message->submit.window_bytes != 0)
        submit(sim, peer, &message->submit);
    else if (message->type == TRI_MESSAGE_ATTACH)
        attach(sim, peer, &message->attach);
    else if (message->type == TRI_MESSAGE_ACK)
        land(sim, peer, &message->ack);
}

static void answer(struct checker *self,
                   const struct peer_id *peer,
                   const struct tri_msg_accepted *accepted)
{
    tri_dlist_foreach(&self->windows, node)
    {
        struct window *window = tri_container_of(node, struct window, node);

        if (window->request == accepted->request && is_of(window, peer)) {
            window->request = 0;
            window->number = accepted->number;
        }
    }
}

/* A batch has one owner: whoever asked before (the newest stands last) is none any more. */
static void depose(struct checker *self, const struct peer_id *peer, uint64_t number)
{
    const struct window *successor = window_find(self, peer, number);

    if (successor == NULL || !successor->is_owner)
        return;
    tri_dlist_foreach(&self->windows, node)
    {
        struct window *window = tri_container_of(node, struct window, node);

        if (window == successor)
            return;
        if (window->number == number)
            window->is_owner = false;
    }
}

/* What the oldest task may get beyond the window: a row, or as much CREDIT as its lease needs. */
static uint64_t beyond(const struct watch *watch)
{
    uint64_t bytes = watch->credit_bytes_max > watch->row_bytes_max ? watch->credit_bytes_max
                                                                    : watch->row_bytes_max;

    return watch->beyond_bytes > bytes ? watch->beyond_bytes : bytes;
}

/* The broker itself says that these tasks have failed: their arguments cannot be read. What was
 * reserved for their results may be less than that takes. */
static bool is_of_unreadable(struct sim *sim, struct watch *watch, const struct tri_msg_row *row)
{
    return row->worker.size == 0 && row->ranges.count != 0
           && watch_task(sim, watch, tri_ranges_at(row->ranges, 0).first)->spoiled;
}

/* A row may go beyond the window alone, or as the one that everything waits for. (What was reserved
 * under an earlier, larger window, or none, comes too; so only the first is watched.) */
static void fly(struct sim *sim,
                const struct peer_id *peer,
                const struct tri_msg_row *row,
                uint64_t bytes)
{
    struct window *window = window_find(sim->checker, peer, row->number);
    struct watch *watch = watch_find(sim, row->number);

    if (window == NULL || watch == NULL || is_of_unreadable(sim, watch, row))
        return;
    if (bytes > watch->row_bytes_max)
        watch->row_bytes_max = bytes;
    if (tri_map_put(&window->rows, row->row + 1, (void *)(uintptr_t)(bytes + 1)) != NULL)
        return;
    window->flying += bytes;
    if (watch->window_bytes != 0
        && window->flying > watch->window_bytes + watch->row_bytes_max + beyond(watch))
        sim_fail(sim, "%llu bytes of rows of %s are on their way into a window of %llu",
                 (unsigned long long)window->flying, watch->plan->name,
                 (unsigned long long)watch->window_bytes);
}

/* The owner's, if it is there for certain: without one only memory counts. */
static const struct window *owner_window(const struct sim *sim, const struct watch *watch)
{
    const struct window *newest = NULL;

    tri_dlist_foreach(&sim->checker->windows, node)
    {
        const struct window *window = tri_container_of(node, struct window, node);

        if (window->number == watch->seen && window->is_owner)
            newest = window;
    }
    return newest != NULL && !newest->may_be_over && !is_silent(sim, newest) ? newest : NULL;
}

/* What is granted into a window that is full already is beyond it until as much has landed. */
static void lend(struct sim *sim, const struct tri_msg_credit *credit)
{
    const struct loan *loan = tri_map_find(&sim->checker->lent, credit->lease);
    struct watch *watch = loan != NULL ? loan->watch : NULL;
    const struct window *window = watch != NULL ? owner_window(sim, watch) : NULL;

    if (watch == NULL)
        return;
    if (credit->result_bytes > watch->credit_bytes_max)
        watch->credit_bytes_max = credit->result_bytes;
    if (window == NULL || watch->window_bytes == 0
        || window->flying + credit->result_bytes <= watch->window_bytes)
        return;
    watch->beyond_bytes += credit->result_bytes;
    reserve_lends(sim, credit->lease);
}

void window_sends(struct sim *sim,
                  const struct peer_id *peer,
                  const struct tri_message *message,
                  uint64_t bytes)
{
    if (message->type == TRI_MESSAGE_ACCEPTED)
        answer(sim->checker, peer, &message->accepted);
    else if (message->type == TRI_MESSAGE_ATTACHED)
        depose(sim->checker, peer, message->attached.number);
    else if (message->type == TRI_MESSAGE_ROW)
        fly(sim, peer, &message->row, bytes);
    else if (message->type == TRI_MESSAGE_CREDIT)
        lend(sim, &message->credit);
    else if (message->type == TRI_MESSAGE_NO_SESSION)
        hear(sim, peer, true); /* it was silent for too long, and is nobody's owner any more */
}

void credit_begin(struct checker *self)
{
    for (size_t i = 0; i < PLAN_WORKERS_MAX; i++)
        tri_map_init(&self->leases[i]);
    tri_dlist_init(&self->windows);
}

void window_forget(struct checker *self)
{
    struct tri_dlist_node *node;

    while ((node = tri_dlist_first(&self->windows)) != NULL)
        window_free(self, tri_container_of(node, struct window, node));
}

void credit_end(struct checker *self)
{

    for (size_t i = 0; i < PLAN_WORKERS_MAX; i++) {
        forget_leases(&self->leases[i]);
        tri_map_deinit(&self->leases[i]);
    }
    window_forget(self);
    free(self->guests);
}
