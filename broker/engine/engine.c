#include "broker/engine/engine.h"

#include "broker/engine/state.h"
#include "common/assert.h"
#include "common/planted.h"

#include <stdio.h>
#include <stdlib.h>

/* How old the durable clock of the store may be when something else is written, and at all. */
#define CLOCK_PUT_MS 1000
#define CLOCK_IDLE_MS 3600000

/* ---- life ----------------------------------------------------------------------------------- */

void engine_options_init(struct engine_options *options)
{
    *options = (struct engine_options){
        .limits = {
            .heartbeat_ms = 1000,
            .lease_ms = 10000,
            .lease_target_ms = 100,
            .open_grace_ms = 60000,
            .reclaim_ms = 15000,
            .refusal_grace_ms = 30000,
            .retention_ms = UINT64_C(7) * 24 * 3600 * 1000,
            .backoff_ms_min = 100,
            .backoff_ms_max = 30000,
            .message_bytes_max = UINT64_C(64) << 20,
            .item_bytes_max = UINT64_C(16) << 20,
            .memory_bytes_max = UINT64_C(1) << 30,
            .batch_bytes_max = UINT64_C(32) << 20,
            .window_bytes_max = UINT64_C(64) << 20,
            .batches_max = 1000000,
            .peers_max = 20000,
            .entries_max = 1000000,
            .history_bytes_max = UINT64_C(64) << 20,
            .result_bytes_guess = 64,
        },
        .epoch = 1,
        .first_lease = 1,
        .software = "trireme",
    };
}

static void init_maps(struct engine *self)
{
    uint64_t seed = self->options.seed;

    tri_bytemap_init(&self->routes, seed);
    tri_bytemap_init(&self->instances, seed);
    tri_bytemap_init(&self->handlers, seed);
    tri_bytemap_init(&self->known, seed);
    tri_bytemap_init(&self->principals, seed);
    tri_bytemap_init(&self->classes, seed);
    tri_bytemap_init(&self->uuids, seed);
    tri_map_init(&self->batches);
    tri_map_init(&self->leases);
    tri_heap_init(&self->delays);
}

static void init_lists(struct engine *self)
{
    struct tri_dlist_head *lists[] = {
        &self->sessions,        &self->workers,           &self->touched_workers,
        &self->unused_classes,  &self->touched_batches,   &self->seeking_batches,
        &self->starved_batches, &self->unfed_batches,     &self->forsaken_batches,
        &self->ended_batches,   &self->progress_batches,  &self->lease_clock,
        &self->spent_chunks,    &self->postponed_workers,
    };

    for (size_t i = 0; i < TRI_COUNT_OF(lists); i++)
        tri_dlist_init(lists[i]);
}

struct engine *engine_new(const struct engine_options *options)
{
    struct engine *self = tri_alloc(1, sizeof(*self));

    self->options = *options;
    snprintf(self->software, sizeof(self->software), "%s", options->software);
    self->memory.bytes_max = options->limits.memory_bytes_max;
    tri_prng_init(&self->prng, PLANTED_VALUE(CHANCE, planted_chance(), options->seed));
    out_init(&self->out);
    tri_buffer_init(&self->scratch);
    init_maps(self);
    init_lists(self);
    self->next_number = 1;
    self->next_note = 1;
    self->next_lease = options->first_lease;
    return self;
}

static void free_batches(struct engine *self)
{
    uint64_t number;
    void *batch;

    for (size_t at = 0; tri_map_next(&self->batches, &at, &number, &batch);)
        batch_free(self, batch);
}

static void free_principals(struct engine *self)
{
    struct tri_bytes key;
    union tri_bytemap_value value;

    for (size_t at = 0; tri_bytemap_next(&self->principals, &at, &key, &value);) {
        tri_rangeset_deinit(&((struct principal *)value.pointer)->numbers);
        free(value.pointer);
    }
}

static void deinit_maps(struct engine *self)
{
    tri_bytemap_deinit(&self->routes);
    tri_bytemap_deinit(&self->instances);
    tri_bytemap_deinit(&self->handlers);
    tri_bytemap_deinit(&self->known);
    tri_bytemap_deinit(&self->principals);
    tri_bytemap_deinit(&self->classes);
    tri_bytemap_deinit(&self->uuids);
    tri_map_deinit(&self->batches);
    tri_map_deinit(&self->leases);
    tri_heap_deinit(&self->delays);
}

void engine_destroy(struct engine **self)
{
    struct engine *engine = *self;

    if (engine == NULL)
        return;
    recovery_free(engine);
    free_batches(engine);
    session_destroy_all(engine);
    class_destroy_all(engine);
    free_principals(engine);
    deinit_maps(engine);
    tri_buffer_deinit(&engine->scratch);
    out_deinit(&engine->out);
    free(engine);
    *self = NULL;
}

struct principal *engine_principal(struct engine *self, struct tri_bytes name)
{
    union tri_bytemap_value *value = tri_bytemap_at(&self->principals, name, NULL);
    struct principal *principal = value->pointer;

    if (principal != NULL)
        return principal;
    principal = tri_alloc(1, sizeof(*principal));
    principal->id = self->principals.count;
    out_printable(name, principal->name, sizeof(principal->name));
    tri_dlist_init(&principal->flows);
    value->pointer = principal;
    return principal;
}

/* ---- messages ------------------------------------------------------------------------------- */

static void answer_error(struct engine *self,
                         const struct event *event,
                         enum tri_status status,
                         const char *text)
{
    out_refuse(&self->out, &event->peer, status, 0, text);
}

static void answer_no_session(struct engine *self, const struct event *event)
{
    struct tri_message message = { .type = TRI_MESSAGE_NO_SESSION };

    out_answer(&self->out, &event->peer, &message);
}

static void not_for_us(struct engine *self, const struct event *event)
{
    char text[96];

    snprintf(text, sizeof(text), "%s is not for a broker to receive",
             tri_message_name(event->message->type));
    answer_error(self, event, TRI_INVALID, text);
}

/* What a worker may say. False: it is not a worker's message. */
static bool on_worker_message(struct engine *self,
                              struct session *session,
                              const struct event *event)
{
    const struct tri_message *message = event->message;

    if (message->type == TRI_MESSAGE_OARS)
        on_oars(self, session, &message->oars);
    else if (message->type == TRI_MESSAGE_RESULTS)
        on_results(self, session, &message->results, event);
    else if (message->type == TRI_MESSAGE_PARTIAL)
        on_partial(self, session, &message->partial, event);
    else if (message->type == TRI_MESSAGE_ENDED)
        on_ended(self, session, &message->ended);
    else if (message->type == TRI_MESSAGE_RELEASED)
        on_released(self, session, &message->released);
    else
        return false;
    return true;
}

static void from_worker(struct engine *self, struct session *session, const struct event *event)
{
    if (session->worker == NULL || !on_worker_message(self, session, event))
        not_for_us(self, event);
}

static void on_message(struct engine *self, const struct event *event)
{
    const struct tri_message *message = event->message;
    struct session *session = session_find(self, &event->peer);

    if (message->type == TRI_MESSAGE_HELLO) {
        on_hello(self, event);
        return;
    }
    if (session == NULL) {
        answer_no_session(self, event);
        return;
    }
    session_hear(self, session);
    session->greeted = true;
    switch (message->type) {
    case TRI_MESSAGE_BYE:
        on_bye(self, session, &message->bye);
        break;
    case TRI_MESSAGE_HEARTBEAT:
        on_heartbeat(self, session, &message->heartbeat);
        break;
    case TRI_MESSAGE_SUBMIT:
        on_submit(self, session, &message->submit);
        break;
    case TRI_MESSAGE_APPEND:
        on_append(self, session, &message->append, event);
        break;
    case TRI_MESSAGE_SEAL:
        on_seal(self, session, &message->seal);
        break;
    case TRI_MESSAGE_ATTACH:
        on_attach(self, session, &message->attach);
        break;
    case TRI_MESSAGE_ACK:
        on_ack(self, session, &message->ack);
        break;
    case TRI_MESSAGE_CANCEL:
        on_cancel(self, session, &message->cancel);
        break;
    case TRI_MESSAGE_RETRY:
        on_retry(self, session, &message->retry);
        break;
    case TRI_MESSAGE_FORGET:
        on_forget(self, session, &message->forget);
        break;
    case TRI_MESSAGE_LIST:
        on_list(self, session, &message->list);
        break;
    case TRI_MESSAGE_SHOW:
        on_show(self, session, &message->show);
        break;
    case TRI_MESSAGE_EXPLAIN:
        on_explain(self, session, &message->explain);
        break;
    case TRI_MESSAGE_TASKS:
        on_tasks(self, session, &message->tasks);
        break;
    case TRI_MESSAGE_ARGUMENTS:
        on_arguments(self, session, &message->arguments);
        break;
    case TRI_MESSAGE_WORKERS:
        on_workers(self, session, &message->workers);
        break;
    case TRI_MESSAGE_OARS:
    case TRI_MESSAGE_RESULTS:
    case TRI_MESSAGE_PARTIAL:
    case TRI_MESSAGE_ENDED:
    case TRI_MESSAGE_RELEASED:
        from_worker(self, session, event);
        break;
    case TRI_MESSAGE_HELLO:
    case TRI_MESSAGE_WELCOME:
    case TRI_MESSAGE_NO_SESSION:
    case TRI_MESSAGE_ERROR:
    case TRI_MESSAGE_HEARTBEAT_OK:
    case TRI_MESSAGE_ACCEPTED:
    case TRI_MESSAGE_APPENDED:
    case TRI_MESSAGE_DONE:
    case TRI_MESSAGE_ATTACHED:
    case TRI_MESSAGE_ROW:
    case TRI_MESSAGE_PROGRESS:
    case TRI_MESSAGE_END:
    case TRI_MESSAGE_LISTED:
    case TRI_MESSAGE_SHOWN:
    case TRI_MESSAGE_EXPLAINED:
    case TRI_MESSAGE_WORKERS_INFO:
    case TRI_MESSAGE_TASKS_INFO:
    case TRI_MESSAGE_ARGUMENTS_INFO:
    case TRI_MESSAGE_BATCH:
    case TRI_MESSAGE_BATCH_END:
    case TRI_MESSAGE_LEASE:
    case TRI_MESSAGE_CREDIT:
    case TRI_MESSAGE_REVOKE:
    case TRI_MESSAGE_CANCEL_LEASE:
    case TRI_MESSAGE_RESULTS_OK:
    case TRI_MESSAGE_HOST_START:
    case TRI_MESSAGE_HOST_UP:
    case TRI_MESSAGE_HOST_GONE:
    case TRI_MESSAGE_HOST_KILL:
    case TRI_MESSAGE_RUN:
    case TRI_MESSAGE_RAN:
    case TRI_MESSAGE_STOP:
        not_for_us(self, event);
        break;
    }
}

/* ---- time ----------------------------------------------------------------------------------- */

/* Only a TICK lets anything expire: it comes after the inbox has been drained. */
static void on_tick(struct engine *self)
{
    session_expire(self);
    lease_expire(self);
    delay_expire(self);
    batch_expire_unfed(self);
    batch_expire_forsaken(self);
    batch_expire_ended(self);
    reclaim_settle(self);
    progress_send(self);
    if (self->now >= memory_deadline(self))
        memory_freed(self);
}

static void sooner(tri_time *deadline, tri_time time)
{
    if (time < *deadline)
        *deadline = time;
}

tri_time engine_deadline(const struct engine *self)
{
    const struct engine_limits *limits = &self->options.limits;
    const struct tri_dlist_node *node;
    tri_time deadline = TRI_NEVER;

    if (dispatch_is_unfinished(self))
        return self->now;
    if ((node = tri_dlist_first(&self->sessions)) != NULL)
        sooner(&deadline, tri_container_of(node, struct session, node)->heard + limits->lease_ms);
    if ((node = tri_dlist_first(&self->lease_clock)) != NULL)
        sooner(&deadline, tri_container_of(node, struct lease, clock)->deadline);
    if (tri_heap_peek(&self->delays) != NULL)
        sooner(&deadline, tri_heap_peek(&self->delays)->key);
    if ((node = tri_dlist_first(&self->unfed_batches)) != NULL)
        sooner(&deadline,
               tri_container_of(node, struct batch, unfed)->unfed_at + limits->open_grace_ms);
    if ((node = tri_dlist_first(&self->forsaken_batches)) != NULL)
        sooner(&deadline, tri_container_of(node, struct batch, forsaken)->forsaken_at
                              + limits->refusal_grace_ms);
    if ((node = tri_dlist_first(&self->ended_batches)) != NULL) {
        sooner(&deadline,
               tri_container_of(node, struct batch, ended)->ended_at + limits->retention_ms);
        sooner(&deadline, self->clock_put_at + CLOCK_IDLE_MS);
    }
    sooner(&deadline, memory_deadline(self));
    if ((node = tri_dlist_first(&self->progress_batches)) != NULL)
        sooner(&deadline, tri_container_of(node, struct batch, progress)->progress_at);
    if (self->reclaiming)
        sooner(&deadline, self->reclaim_until);
    return deadline;
}

/* ---- the step ------------------------------------------------------------------------------- */

static void on_event(struct engine *self, const struct event *event)
{
    switch (event->type) {
    case EVENT_MESSAGE:
        on_message(self, event);
        break;
    case EVENT_BAD_MESSAGE:
        answer_error(self, event, event->status, event->text);
        break;
    case EVENT_PEER_LOST:
        on_peer_lost(self, event);
        break;
    case EVENT_LOADED:
        on_loaded(self, event);
        break;
    case EVENT_LOAD_FAILED:
        on_load_failed(self, event);
        break;
    case EVENT_ROOM:
        on_room(self, event);
        break;
    case EVENT_TICK:
        on_tick(self);
        break;
    case EVENT_SHUTDOWN:
        on_shutdown(self);
        break;
    }
}

/* What is durable goes by the durable clock: it is written along with what is written anyway, and
 * by itself only often enough that what has ended grows old. */
static void put_clock(struct engine *self)
{
    uint64_t age_ms = self->now - self->clock_put_at;

    if ((self->out.writes && age_ms >= CLOCK_PUT_MS)
        || (age_ms >= CLOCK_IDLE_MS && !tri_dlist_is_empty(&self->ended_batches)))
        stored_put_meta(self);
}

struct effects engine_step(struct engine *self, const struct event *event)
{
    tri_assert(event->now >= self->now);
    self->now = event->now;
    self->event = event;
    out_begin(&self->out);
    on_event(self, event);
    dispatch(self);
    put_clock(self);
    self->event = NULL;
    return out_finish(&self->out);
}
