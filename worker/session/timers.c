/* What is to be looked at again later. */
#include "worker/session/parts.h"

void timers_set(struct session *self, struct timer *timer, tri_time at)
{
    tri_heap_update(&self->timers, &timer->node, at);
}

void timers_clear(struct session *self, struct timer *timer)
{
    if (tri_heap_is_linked(&timer->node))
        tri_heap_remove(&self->timers, &timer->node);
}

static void fire(struct session *self, struct timer *timer, const struct session_event *tick)
{
    switch (timer->kind) {
    case TIMER_CONNECTION:
        connection_on_timer(self, tick);
        break;
    case TIMER_LEASES:
        connection_on_lease_timer(self);
        break;
    case TIMER_HOST:
        hosts_on_timer(self, tri_container_of(timer, struct host, timer));
        break;
    case TIMER_BATCH:
        batches_touch(self, tri_container_of(timer, struct batch, timer));
        break;
    case TIMER_DRAINING:
        draining_on_timer(self);
        break;
    }
}

void timers_on_tick(struct session *self, const struct session_event *tick)
{
    struct tri_heap_node *node;

    while ((node = tri_heap_peek(&self->timers)) != NULL && node->key <= self->now) {
        tri_heap_remove(&self->timers, node);
        fire(self, tri_container_of(node, struct timer, node), tick);
    }
}
