/* Leaving: give back what has not begun, finish what has, say BYE. */
#include "worker/session/parts.h"

static void say_bye(struct session *self, const char *text)
{
    struct tri_message message = { .type = TRI_MESSAGE_BYE };

    if (self->connection != CONNECTION_ONLINE)
        return;
    message.bye.text = tri_bytes_of(text);
    effects_send_message(self, &message);
}

void draining_start(struct session *self)
{
    uint64_t key;
    void *value;

    if (self->draining)
        return;
    self->draining = true;
    effects_trace(self, "worker.draining leases=%lu", (unsigned long)self->leases.count);
    for (size_t at = 0; tri_map_next(&self->batches, &at, &key, &value);) {
        batches_tell_oars(self, value);
        batches_touch(self, value);
    }
    for (size_t at = 0; tri_map_next(&self->leases, &at, &key, &value);) {
        revokes_ask_all(self, value);
        if (((struct lease *)value)->starved)
            draining_watch(self);
    }
}

void draining_watch(struct session *self)
{
    if (self->draining && !tri_heap_is_linked(&self->draining_timer.node))
        timers_set(self, &self->draining_timer, self->now + self->options.credit_grace_ms);
}

void draining_on_timer(struct session *self)
{
    tri_time next = TRI_NEVER;
    uint64_t key;
    void *value;

    for (size_t at = 0; tri_map_next(&self->leases, &at, &key, &value);) {
        struct lease *lease = value;
        tri_time until = lease->starved_at + self->options.credit_grace_ms;

        if (!lease->starved)
            continue;
        if (until <= self->now)
            reports_give_back(self, lease);
        else if (until < next)
            next = until;
    }
    if (next != TRI_NEVER)
        timers_set(self, &self->draining_timer, next);
}

void draining_stop(struct session *self)
{
    say_bye(self, "stopped");
    effects_exit(self, 0);
}

void draining_give_up(struct session *self)
{
    effects_exit(self, 1);
}

void draining_check(struct session *self)
{
    if (!self->draining || self->exited || self->leases.count != 0 || self->unacked.count != 0)
        return;
    say_bye(self, "drained");
    effects_exit(self, 0);
}
