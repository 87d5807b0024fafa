/* explain.c - why a batch is where it is, worker by worker: every decision leaves its reason. */
#include "broker/engine/admin.h"
#include "broker/engine/state.h"

#include <stdio.h>

#define LINES_MAX 1000

struct lines {
    struct tri_buffer *out;
    size_t count;
};

static void add(struct lines *lines, const char *text)
{
    struct tri_rec_text line = { tri_bytes_of(text) };

    if (lines->count >= LINES_MAX)
        return;
    tri_record_encode(TRI_RECORD_TEXT, &line, lines->out);
    lines->count++;
}

/* ---- the batch ------------------------------------------------------------------------------ */

/* After a restart. */
static const char *why_held_back(const struct engine *engine, char *text, size_t size)
{
    uint64_t absent = engine->known.count;
    uint64_t left_ms =
        engine->reclaim_until > engine->now ? engine->reclaim_until - engine->now : 0;

    snprintf(text, size,
             "waits for %llu worker%s from before the restart to come back with what they hold, at "
             "most %.1f s more",
             (unsigned long long)absent, tri_plural(absent), (double)left_ms / 1e3);
    return text;
}

static const char *why_not_leased(struct engine *engine,
                                  struct batch *batch,
                                  char *text,
                                  size_t size)
{
    if (batch_has_ended(batch))
        return "has ended";
    if (batch->halting || batch->cancelling)
        return "is being stopped";
    if (engine->stopping)
        return "the broker is stopping";
    if (batch->pending == 0)
        return batch->leased != 0 ? "everything that may run is leased" : "nothing is pending";
    if (batch->held_back)
        return why_held_back(engine, text, size);
    if (tri_dlist_is_linked(&batch->forsaken))
        return "every worker here has refused it: waits a while for one that left";
    if (tri_dlist_is_empty(&batch->class->links))
        return "no worker here offers its handler and labels";
    if (!batch_is_ready(engine, batch))
        return memory_is_short(engine, batch) ? "the broker has no room for results"
                                              : "the result window of its client is full";
    return "is ready: waits for free oars";
}

/* In the unit in which it has its first digit before the point. */
static double duration(uint64_t ns, const char **unit)
{
    static const char *const units[] = { "ns", "us", "ms", "s" };
    double value = (double)ns;
    size_t i = 0;

    for (; value >= 1000 && i < TRI_COUNT_OF(units) - 1; i++)
        value /= 1000;
    *unit = units[i];
    return value;
}

static void explain_batch(struct engine *engine, struct batch *batch, struct lines *lines)
{
    const char *unit;
    double takes = duration(batch->task_ns, &unit);
    char text[900];
    char why[160];

    snprintf(text, sizeof(text),
             "batch %llu: %s; %llu pending, %llu delayed, %llu leased; %s%s%.512s",
             (unsigned long long)batch->number, batch_state_text(batch->state),
             (unsigned long long)batch->pending, (unsigned long long)batch->delayed,
             (unsigned long long)batch->leased, why_not_leased(engine, batch, why, sizeof(why)),
             batch->reason != NULL ? "; " : "", batch->reason != NULL ? batch->reason : "");
    add(lines, text);
    if (batch->task_ns != 0) {
        snprintf(text, sizeof(text),
                 "a task takes about %.3g %s; results take about %.1f bytes each", takes, unit,
                 batch->result_tasks != 0
                     ? (double)batch->result_bytes / (double)batch->result_tasks
                     : 0.0);
        add(lines, text);
    }
}

/* ---- its workers ---------------------------------------------------------------------------- */

/* What workers chose is not in the store; which model ran last, and how many they were, is. */
static void explain_former_life(const struct engine *engine,
                                const struct batch *batch,
                                struct lines *lines)
{
    char text[300];

    if (batch->epoch >= engine->options.epoch || batch->workers == 0)
        return;
    snprintf(text, sizeof(text),
             "it is from before the broker's last restart: what its workers chose until then, and "
             "why, is not kept; its newest results are of model %s, %llu worker%s served it",
             tri_model_text(batch->model), (unsigned long long)batch->workers,
             tri_plural(batch->workers));
    add(lines, text);
}

static void explain_berth(const struct berth *berth, struct lines *lines)
{
    char text[1200];

    snprintf(text, sizeof(text), "worker %s: %llu oar%s (%s), %llu task%s leased: %s%s%.508s",
             berth->worker->session->name, (unsigned long long)berth->width,
             tri_plural(berth->width), tri_model_text(berth->model),
             (unsigned long long)berth->leased, tri_plural(berth->leased), berth->why,
             berth->reason != NULL ? "; it says: " : "",
             berth->reason != NULL ? berth->reason : "");
    add(lines, text);
}

static void explain_service(const struct service *service, struct lines *lines)
{
    char text[1200];

    snprintf(text, sizeof(text), "worker %s: had %llu oar%s (%s), ran %llu task%s%s%.508s",
             service->worker, (unsigned long long)service->width, tri_plural(service->width),
             tri_model_text(service->model), (unsigned long long)service->tasks_done,
             tri_plural(service->tasks_done), service->reason != NULL ? "; it said: " : "",
             service->reason != NULL ? service->reason : "");
    add(lines, text);
}

static void explain_services(const struct batch *batch, struct lines *lines)
{
    char text[100];

    for (const struct service *service = batch->services; service != NULL; service = service->next)
        explain_service(service, lines);
    if (batch->more_services == 0)
        return;
    snprintf(text, sizeof(text), "workers that came and went beside these: %llu",
             (unsigned long long)batch->more_services);
    add(lines, text);
}

static void explain_stranger(const struct batch *batch,
                             const struct worker *worker,
                             struct lines *lines)
{
    char text[300];
    char buffer[160];
    const char *mismatch = class_mismatch(batch->class, worker, buffer, sizeof(buffer));
    const char *why = mismatch;

    if (why == NULL && !worker->session->connected)
        why = "is not connected now";
    if (why == NULL)
        why = worker->appetite == WORKER_FULL ? "is busy with other batches"
                                              : "could serve it and has not been needed";
    snprintf(text, sizeof(text), "worker %s: %s", worker->session->name, why);
    add(lines, text);
}

void on_explain(struct engine *engine,
                struct session *session,
                const struct tri_msg_explain *explain)
{
    struct tri_message message = { .type = TRI_MESSAGE_EXPLAINED };
    struct batch *batch = batch_find(engine, session, explain->number, explain->request);
    struct lines lines = { &engine->scratch, 0 };

    if (batch == NULL)
        return;
    tri_buffer_clear(&engine->scratch);
    explain_batch(engine, batch, &lines);
    explain_former_life(engine, batch, &lines);
    explain_services(batch, &lines);
    tri_dlist_foreach(&engine->workers, node)
    {
        const struct worker *worker = tri_container_of(node, struct worker, node);
        const struct berth *berth = berth_find(worker, batch);

        if (berth != NULL)
            explain_berth(berth, &lines);
        else if (!batch_has_ended(batch))
            explain_stranger(batch, worker, &lines);
    }
    message.explained.request = explain->request;
    message.explained.lines = tri_list_of(&engine->scratch, lines.count);
    out_inform(engine, session, &message);
}
