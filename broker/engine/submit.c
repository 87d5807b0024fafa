/* submit.c - a batch is born. */
#include "broker/engine/state.h"

#include "common/assert.h"
#include "common/planted.h"

/* ---- what cannot be taken ------------------------------------------------------------------- */

static bool has_nul(struct tri_bytes text)
{
    return text.size != 0 && memchr(text.data, '\0', text.size) != NULL;
}

static bool range_fits(const struct tri_rec_spec *spec)
{
    /* 127 bits hold it: what is between two ends of 64 bits takes 65 of them. */
    __int128 last = spec->first + (__int128)spec->step * ((__int128)spec->count - 1);

    return spec->source != TRI_SOURCE_RANGE || spec->count == 0
           || (last >= INT64_MIN && last <= INT64_MAX);
}

const char *submit_fault(const struct tri_rec_spec *spec)
{
    struct tri_list labels = spec->labels;
    struct tri_rec_text label;

    if (spec->handler.size == 0 || has_nul(spec->handler))
        return "a batch needs the name of a handler";
    while (tri_list_next(&labels, TRI_RECORD_TEXT, &label))
        if (label.text.size == 0 || has_nul(label.text))
            return "a label is a text";
    if (!range_fits(spec))
        return "the range leaves 64 bits";
    return NULL;
}

static const char *fault_of(const struct tri_msg_submit *submit, const struct tri_rec_spec *spec)
{
    if (submit->batch.size != sizeof(struct tri_uuid))
        return "a batch is named by 16 bytes";
    if (submit->open != 0 && spec->source == TRI_SOURCE_RANGE)
        return "only a batch of items can be open";
    return submit_fault(spec);
}

static bool is_known(const struct engine *engine, const struct tri_rec_spec *spec)
{
    return spec->plugin.size != 0 || tri_bytemap_find(&engine->handlers, spec->handler) != NULL;
}

static bool has_no_room(struct engine *engine,
                        struct session *session,
                        const struct tri_msg_submit *submit)
{
    return submit->open != 0 ? credit_refuse_items(engine, session, submit->request)
                             : credit_refuse_new(engine, session, submit->request);
}

static bool is_welcome(struct engine *engine,
                       struct session *session,
                       const struct tri_msg_submit *submit,
                       const struct tri_rec_spec *spec)
{
    char name[65];
    const char *fault = fault_of(submit, spec);

    if (fault != NULL) {
        out_error(engine, session, submit->request, TRI_INVALID, "%s", fault);
        return false;
    }
    if (!is_known(engine, spec)) {
        out_error(engine, session, submit->request, TRI_UNSUPPORTED,
                  "no worker has ever offered the handler %s",
                  out_printable(spec->handler, name, sizeof(name)));
        return false;
    }
    if (engine->batches.count >= engine->options.limits.batches_max) {
        out_error(engine, session, submit->request, TRI_FULL,
                  "the broker has its %llu batches: forget some",
                  (unsigned long long)engine->options.limits.batches_max);
        return false;
    }
    return true;
}

/* ---- ACCEPTED ------------------------------------------------------------------------------- */

static void accept(struct engine *engine,
                   struct session *session,
                   uint64_t request,
                   struct batch *batch)
{
    struct tri_message message = { .type = TRI_MESSAGE_ACCEPTED };

    message.accepted.request = request;
    message.accepted.number = batch->number;
    message.accepted.count = batch->count;
    message.accepted.absent = tri_dlist_is_empty(&batch->class->links);
    if (batch->stock != NULL) {
        credit_append(engine, batch);
        message.accepted.hash = stock_hash(batch->stock);
        message.accepted.append_bytes_max = batch->stock->credit_bytes;
        batch->stock->told_bytes = batch->stock->credit_bytes;
    }
    out_send(engine, session, &message, !PLANTED(ACCEPTED_EARLY));
}

static void follow(struct engine *engine,
                   struct session *session,
                   const struct tri_msg_submit *submit,
                   struct batch *batch)
{
    struct post *post = NULL;

    if (submit->window_bytes != 0)
        post = post_new(engine, session, batch, true, submit->request, submit->window_bytes);
    if (!batch->sealed)
        batch_set_feeder(engine, batch, session);
    batch->feed_request = submit->request;
    accept(engine, session, submit->request, batch);
    if (batch->halting || batch->cancelling)
        out_error(engine, session, submit->request, TRI_CANCELLED, "the batch has been stopped");
    else if (submit->open != 0 && batch->sealed && batch->reason != NULL)
        out_error(engine, session, submit->request, TRI_CLOSED, "the batch is sealed: %s",
                  batch->reason);
    if (post != NULL)
        post_pump(engine, post);
}

/* ---- SUBMIT --------------------------------------------------------------------------------- */

/* Only ATTACH takes a batch over: who asks again for what it never heard to be accepted has not
 * heard either that another client follows it now. */
static bool is_followed_by_another(const struct session *session,
                                   const struct tri_msg_submit *submit,
                                   const struct batch *batch)
{
    const struct post *owner = post_owner(batch);

    return submit->window_bytes != 0 && owner != NULL
           && memcmp(&owner->session->instance, &session->instance, sizeof(session->instance)) != 0;
}

static void submit_again(struct engine *engine,
                         struct session *session,
                         const struct tri_msg_submit *submit,
                         struct batch *batch)
{
    if (batch->principal != session->principal || batch->spec_size != submit->spec.size
        || memcmp(batch->spec, submit->spec.data, submit->spec.size) != 0)
        out_error(engine, session, submit->request, TRI_CONFLICT,
                  "a batch of this name exists and is another");
    else if (is_followed_by_another(session, submit, batch))
        out_error(engine, session, submit->request, TRI_STALE,
                  "batch %llu is followed by another client now",
                  (unsigned long long)batch->number);
    else
        follow(engine, session, submit, batch);
}

static void begin(struct engine *engine,
                  struct session *session,
                  const struct tri_msg_submit *submit,
                  const struct tri_rec_spec *spec)
{
    struct batch *batch = batch_new(engine, session, submit, spec);

    if (batch == NULL) {
        out_error(engine, session, submit->request, TRI_FULL,
                  "too many combinations of handler and labels are in use");
        return;
    }
    batch->state = submit->open != 0 ? TRI_BATCH_OPEN : TRI_BATCH_RUNNING;
    batch->sealed = submit->open == 0;
    if (batch->source == TRI_SOURCE_ITEMS) {
        stock_new(engine, batch);
        if (batch->sealed)
            stock_seal(engine, batch);
    } else {
        batch->count = spec->count;
        if (spec->count != 0)
            batch_add_fresh(engine, batch, 0, spec->count);
    }
    stored_put_meta(engine);
    batch_put(engine, batch);
    batch_touch(engine, batch);
    out_trace(&engine->out, "batch.accepted batch=%llu tasks=%llu",
              (unsigned long long)batch->number, (unsigned long long)batch->count);
    follow(engine, session, submit, batch);
}

void on_submit(struct engine *engine, struct session *session, const struct tri_msg_submit *submit)
{
    union tri_bytemap_value *known = tri_bytemap_find(&engine->uuids, submit->batch);
    struct tri_rec_spec spec;
    struct tri_error error;

    if (engine->stopping) {
        out_busy(engine, session, submit->request, engine->options.limits.lease_ms, "stopping");
        return;
    }
    if (known != NULL) {
        submit_again(engine, session, submit, known->pointer);
        return;
    }
    if (tri_record_decode(TRI_RECORD_SPEC, submit->spec, &spec, &error) != TRI_OK) {
        out_error(engine, session, submit->request, TRI_INVALID, "spec: %.400s", error.text);
        return;
    }
    if (is_welcome(engine, session, submit, &spec) && !has_no_room(engine, session, submit))
        begin(engine, session, submit, &spec);
}
