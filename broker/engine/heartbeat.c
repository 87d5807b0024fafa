/* heartbeat.c - leases live by being named. */
#include "broker/engine/state.h"

#include "common/planted.h"

/* A lease that its worker does not name twice in a row has been lost on the way. */
#define HEARTBEATS_UNNAMED_MAX 2

/* After so many without OARS other workers are asked, too. */
#define HEARTBEATS_ASKED_MAX 3

static void renew(struct engine *engine, struct lease *lease, const struct tri_rec_renew *renewal)
{
    lease_renew(engine, lease);
    lease->named = true;
    lease->received = true;
    lease->unnamed = 0;
    tri_rangeset_clear(&lease->started);
    for (size_t i = 0; i < renewal->started.count; i++) {
        struct tri_range range = tri_ranges_at(renewal->started, i);

        if (range.first >= lease->first && range.first - lease->first < lease->count
            && range.count <= lease->count - (range.first - lease->first))
            tri_rangeset_add(&lease->started, range.first, range.count);
    }
    credit_want(engine, lease, renewal->result_bytes_wanted);
}

static size_t renew_all(struct engine *engine, struct worker *worker, struct tri_list list)
{
    struct tri_rec_renew renewal;
    size_t lost = 0;

    tri_buffer_clear(&engine->scratch);
    while (tri_list_next(&list, TRI_RECORD_RENEW, &renewal)) {
        struct lease *lease = lease_find(engine, worker, renewal.lease);

        if (lease != NULL) {
            renew(engine, lease, &renewal);
        } else {
            struct tri_rec_lease_ref ref = { renewal.lease };

            tri_record_encode(TRI_RECORD_LEASE_REF, &ref, &engine->scratch);
            lost++;
        }
    }
    return lost;
}

/* What its worker has named and has started nothing of can be taken elsewhere. */
static uint64_t untouched(const struct lease *lease)
{
    bool is_whole = tri_rangeset_count(&lease->undone) == lease->count;

    return lease->named && is_whole && tri_rangeset_is_empty(&lease->started) ? lease->count : 0;
}

/* A heartbeat that may have been sent before the lease arrived says nothing about it. */
static bool should_be_named(const struct engine *engine, const struct lease *lease)
{
    const struct engine_limits *limits = &engine->options.limits;
    tri_time renewed = lease->deadline - limits->lease_ms;

    return !lease->loading && engine->now >= renewed + limits->heartbeat_ms;
}

static void count_unnamed(struct engine *engine, struct berth *berth)
{
    berth->untouched = 0;
    tri_dlist_foreach(&berth->leases, node)
    {
        struct lease *lease = tri_container_of(node, struct lease, node);

        if (PLANTED(NEVER_RECEIVED))
            renew(engine, lease, &(struct tri_rec_renew){ .lease = lease->number });
        if (!lease->named && should_be_named(engine, lease)
            && ++lease->unnamed >= HEARTBEATS_UNNAMED_MAX) {
            out_trace(&engine->out, "lease.lost lease=%llu why=unnamed",
                      (unsigned long long)lease->number);
            lease_drop(engine, lease);
        } else {
            berth->untouched += untouched(lease);
            lease->named = false;
        }
    }
    berth_update(engine, berth);
}

static void look_after(struct engine *engine, struct worker *worker)
{
    tri_dlist_foreach(&worker->berths, node)
    {
        struct berth *berth = tri_container_of(node, struct berth, of_worker);

        count_unnamed(engine, berth);
        if (berth->state == BERTH_ASKED && ++berth->heartbeats >= HEARTBEATS_ASKED_MAX)
            berth_late(engine, berth);
    }
}

void on_heartbeat(struct engine *engine,
                  struct session *session,
                  const struct tri_msg_heartbeat *heartbeat)
{
    struct tri_message message = { .type = TRI_MESSAGE_HEARTBEAT_OK };
    size_t lost = 0;

    if (session->worker != NULL) {
        session->worker->busy = heartbeat->busy;
        session->worker->heartbeat_at = engine->now;
        lost = renew_all(engine, session->worker, heartbeat->leases);
    }
    message.heartbeat_ok.seq = heartbeat->seq;
    message.heartbeat_ok.lost = tri_list_of(&engine->scratch, lost);
    if (lost == 0)
        message.heartbeat_ok.lost = (struct tri_list){ 0 };
    out_send(engine, session, &message, false);
    if (session->worker != NULL)
        look_after(engine, session->worker);
}
