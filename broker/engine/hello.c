/* hello.c - a peer arrives, comes back on a new connection, or leaves. */
#include "broker/engine/state.h"

#include "common/assert.h"
#include "common/planted.h"

static bool is_sound(struct engine *engine, const struct event *event)
{
    const struct tri_msg_hello *hello = &event->message->hello;

    if (hello->version_min > TRI_PROTOCOL_VERSION || hello->version_max < TRI_PROTOCOL_VERSION) {
        out_refuse(&engine->out, &event->peer, TRI_VERSION, 0,
                   "this broker speaks protocol version 1 only");
        return false;
    }
    if (hello->instance.size != sizeof(struct tri_uuid)
        || (hello->role != TRI_ROLE_CLIENT && hello->role != TRI_ROLE_WORKER)) {
        out_refuse(&engine->out, &event->peer, TRI_INVALID, 0,
                   "HELLO needs a role and an instance of 16 bytes");
        return false;
    }
    return true;
}

static void welcome(struct engine *engine, struct session *session, struct tri_list dropped)
{
    struct tri_message message = { .type = TRI_MESSAGE_WELCOME };
    const struct engine_limits *limits = &engine->options.limits;

    message.welcome.version = TRI_PROTOCOL_VERSION;
    message.welcome.features = engine->event->message->hello.features & TRI_FEATURES;
    message.welcome.cluster = (struct tri_bytes){ engine->options.cluster.bytes, 16 };
    message.welcome.epoch = engine->options.epoch;
    message.welcome.software = tri_bytes_of(engine->software);
    message.welcome.heartbeat_ms = limits->heartbeat_ms;
    message.welcome.lease_ms = limits->lease_ms;
    message.welcome.message_bytes_max = limits->message_bytes_max;
    message.welcome.item_bytes_max = limits->item_bytes_max;
    message.welcome.dropped = dropped;
    out_inform(engine, session, &message);
}

/* ---- leases of a worker that comes back ----------------------------------------------------- */

/* Tell it to forget what of a held lease is not its own any more. */
static void cancel_foreign(struct engine *engine, struct session *session, struct tri_rec_held held)
{
    struct lease *lease = lease_find(engine, session->worker, held.lease);
    struct tri_rangeset foreign = { 0 };

    if (lease == NULL)
        return;
    for (size_t i = 0; i < held.ranges.count; i++) {
        struct tri_range range = tri_ranges_at(held.ranges, i);

        tri_rangeset_add(&foreign, range.first, range.count);
    }
    tri_rangeset_subtract(&foreign, &lease->undone);
    if (!tri_rangeset_is_empty(&foreign))
        lease_tell_cancelled(engine, session, held.lease, &foreign);
    tri_rangeset_deinit(&foreign);
}

/* Name the leases it holds; those it must forget go into `dropped`. */
static size_t match_held(struct engine *engine,
                         struct session *session,
                         struct tri_list list,
                         struct tri_buffer *dropped)
{
    struct tri_rec_held held;
    size_t count = 0;

    while (tri_list_next(&list, TRI_RECORD_HELD, &held)) {
        struct lease *lease = lease_find(engine, session->worker, held.lease);

        if (lease == NULL)
            lease = reclaim_lease(engine, session, &held);
        if (lease != NULL) {
            lease->named = true;
            lease->received = true;
            lease_renew(engine, lease);
            credit_doubt(lease);
        } else {
            struct tri_rec_lease_ref ref = { held.lease };

            tri_record_encode(TRI_RECORD_LEASE_REF, &ref, dropped);
            count++;
        }
    }
    return count;
}

/* What it does not hold has been lost on the way and is pending again at once. */
static void drop_unheld(struct engine *engine, struct worker *worker)
{
    tri_dlist_foreach(&worker->berths, node)
    {
        struct berth *berth = tri_container_of(node, struct berth, of_worker);

        tri_dlist_foreach(&berth->leases, lease_node)
        {
            struct lease *lease = tri_container_of(lease_node, struct lease, node);

            if (!lease->named && !lease->loading && !PLANTED(NEVER_RECEIVED))
                lease_drop(engine, lease);
            else
                lease->named = false;
        }
        if (tri_dlist_is_empty(&berth->leases))
            berth_destroy(engine, berth, false);
    }
}

/* What the old connection may not have brought. */
static void tell_again(struct engine *engine, struct berth *berth)
{
    berth_tell(engine, berth);
    tri_dlist_foreach(&berth->leases, node)
    {
        lease_revoke_again(engine, tri_container_of(node, struct lease, node));
    }
}

/* On a new connection neither side relies on what the other may have missed. */
static void resume_worker(struct engine *engine,
                          struct session *session,
                          const struct tri_msg_hello *hello)
{
    struct tri_buffer dropped = { 0 };
    struct tri_list list = hello->held;
    struct tri_rec_held held;
    size_t count;

    if (session->worker == NULL) {
        worker_new(engine, session, hello);
        reclaim_join(engine, session);
    } else {
        worker_set_offer(engine, session->worker, hello);
    }
    session->worker->heartbeat_at = engine->now;
    count = match_held(engine, session, hello->held, &dropped);
    welcome(engine, session, tri_list_of(&dropped, count));
    tri_buffer_deinit(&dropped);
    drop_unheld(engine, session->worker);
    tri_dlist_foreach(&session->worker->berths, node)
    {
        tell_again(engine, tri_container_of(node, struct berth, of_worker));
    }
    while (tri_list_next(&list, TRI_RECORD_HELD, &held))
        cancel_foreign(engine, session, held);
    reclaim_settle(engine);
}

static void resume_client(struct engine *engine, struct session *session)
{
    welcome(engine, session, (struct tri_list){ 0 });
    tri_dlist_foreach(&session->attachments, node)
    {
        post_rewind(engine, tri_container_of(node, struct post, of_session));
    }
}

/* ---- HELLO ---------------------------------------------------------------------------------- */

/* The session that HELLO means: a known one, or a new one. NULL when it was refused. */
static struct session *find_or_make(struct engine *engine, const struct event *event)
{
    const struct tri_msg_hello *hello = &event->message->hello;
    union tri_bytemap_value *known = tri_bytemap_find(&engine->instances, hello->instance);
    struct session *here = session_find(engine, &event->peer);
    struct session *session = known != NULL ? known->pointer : NULL;

    if (session != NULL
        && (session->principal != engine_principal(engine, event->principal)
            || session->role != (enum tri_role)hello->role)) {
        out_refuse(&engine->out, &event->peer, TRI_DENIED, 0,
                   "this instance belongs to another peer");
        return NULL;
    }
    if (here != NULL && here != session)
        session_end(engine, here, SESSION_REPLACED);
    if (session == NULL && engine->sessions.count >= engine->options.limits.peers_max) {
        out_refuse(&engine->out, &event->peer, TRI_BUSY, engine->options.limits.lease_ms,
                   "as many peers as this broker may have are connected");
        return NULL;
    }
    if (session != NULL)
        return session;
    session = session_new(engine, event);
    out_trace(&engine->out, "session.joined name=%s role=%s", session->name,
              session->role == TRI_ROLE_WORKER ? "worker" : "client");
    return session;
}

void on_hello(struct engine *engine, const struct event *event)
{
    struct session *session;

    if (!is_sound(engine, event))
        return;
    session = find_or_make(engine, event);
    if (session == NULL)
        return;
    session_connect(engine, session, &event->peer);
    session_hear(engine, session);
    if (!engine->begun)
        stored_put_meta(engine); /* the epoch is durable before anybody hears of it */
    engine->begun = true;
    if (session->role == TRI_ROLE_WORKER)
        resume_worker(engine, session, &event->message->hello);
    else
        resume_client(engine, session);
}

/* ---- the other ways to come and go ---------------------------------------------------------- */

void on_bye(struct engine *engine, struct session *session, const struct tri_msg_bye *bye)
{
    (void)bye;
    session_end(engine, session, SESSION_LEFT);
}

void on_peer_lost(struct engine *engine, const struct event *event)
{
    struct session *session = session_find(engine, &event->peer);

    if (session == NULL)
        return;
    out_trace(&engine->out, "session.disconnected name=%s", session->name);
    session_disconnect(engine, session);
}

void on_shutdown(struct engine *engine)
{
    struct tri_message message = { .type = TRI_MESSAGE_BYE };
    uint64_t number;
    void *batch;

    message.bye.text = tri_bytes_of("the broker stops");
    engine->stopping = true;
    stored_put_meta(engine);
    tri_dlist_foreach(&engine->sessions, node)
    {
        out_send(engine, tri_container_of(node, struct session, node), &message, true);
    }
    for (size_t at = 0; tri_map_next(&engine->batches, &at, &number, &batch);)
        batch_touch(engine, batch);
}
