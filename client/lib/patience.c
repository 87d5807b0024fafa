/* A batch that waits for the broker is not a batch that hangs: after a while its user hears why,
 * once, and when it goes on. What is waited for is room: for more arguments, for a new batch. A
 * broker that does not answer at all is lost, which is told elsewhere. */
#include "client/lib/internal.h"

#include <stdio.h>

#define PATIENCE_MS 3000

/* Is there something that the broker has not taken? Why not, or NULL. */
static const char *waits_for(const struct tri_follow *self)
{
    const struct tri_append *append = &self->append;

    if (self->state == FOLLOW_LEAVING || append->failure.status != TRI_OK)
        return NULL;
    if (!tri_dlist_is_empty(&append->chunks) || (append->seal_wanted && !append->sealed))
        return "has not stored what it was sent: is its disk slow, or full?";
    if (append->refused_bytes == 0 || tri_follow_has_room(self))
        return NULL;
    if (self->session->store_is_short)
        return "has no room for more of its tasks: the disk of its store has little left. Results "
               "that "
               "are taken, batches that are forgotten, or more space on that disk make room";
    return "has no room for more of its tasks. Tasks that end and results that are taken make "
           "room; so would more space on the disk of its store or, with --store memory, a larger "
           "--batch-memory or --memory";
}

/* Has it taken something since? Or granted more, where it said itself that it has no room: what it
 * takes then had room before. */
static bool has_moved(const struct tri_follow *self)
{
    const struct tri_append *append = &self->append;
    const struct tri_patience *patience = &self->patience;

    return append->credit > patience->credit
           || (append->durable > patience->durable && !patience->wants_credit) || append->sealed;
}

static void look_again(struct tri_follow *self, tri_time now)
{
    self->patience.since = now;
    self->patience.credit = self->append.credit;
    self->patience.durable = self->append.durable;
}

void tri_patience_tick(struct tri_follow *self, tri_time now)
{
    struct tri_patience *patience = &self->patience;
    struct tri_session *session = self->session;
    const char *why;

    if (!self->accepted)
        return;
    if (patience->told && has_moved(self)) {
        tri_session_notice(session, "batch %llu goes on", (unsigned long long)self->number);
        patience->told = patience->wants_credit = false;
    }
    if (patience->told)
        return;
    why = waits_for(self);
    if (why == NULL || has_moved(self) || session->link != TRI_LINK_UP) {
        look_again(self, now);
        return;
    }
    /* Twice unanswered: it may be lost, and then this is not the reason. */
    if (patience->was_told || now - patience->since < PATIENCE_MS
        || session->heartbeats_unanswered > 1)
        return;
    patience->told = patience->was_told = true;
    tri_session_notice(session, "batch %llu waits: the broker %s", (unsigned long long)self->number,
                       why);
}

void tri_patience_hear(struct tri_session *session, tri_time now)
{
    session->store_is_short = true;
    tri_dlist_foreach(&session->follows, node)
    {
        struct tri_follow *follow = tri_container_of(node, struct tri_follow, node);

        if (!follow->accepted || follow->append.sealed)
            continue;
        look_again(follow, now);
        follow->patience.told = true;
        follow->patience.wants_credit = !follow->append.resync;
    }
}

void tri_patience_refuse(struct tri_follow *self, tri_time now, struct tri_bytes text)
{
    if (self->accepted || self->patience.told || now - self->busy_since < PATIENCE_MS)
        return;
    self->patience.told = true;
    tri_session_notice(self->session, "a new batch waits: %.*s", (int)text.size,
                       (const char *)text.data);
}
