#include "broker/engine/service.h"

#include "broker/engine/state.h"

#include <stdlib.h>

/* The link that points to the service of that name, or the last one. */
static struct service **find(struct batch *batch, const char *worker, uint64_t *count)
{
    struct service **link = &batch->services;

    for (*count = 0; *link != NULL; link = &(*link)->next, ++*count)
        if (strcmp((*link)->worker, worker) == 0)
            break;
    return link;
}

void service_take(struct batch *batch, struct berth *berth)
{
    const char *worker = berth->worker->session->name;
    struct service **link;
    struct service *self;
    uint64_t count;

    if (berth->tasks_done == 0 && berth->reason == NULL)
        return;
    link = find(batch, worker, &count);
    if (*link == NULL && count == SERVICES_MAX) {
        batch->more_services++;
        return;
    }
    if (*link == NULL)
        *link = tri_alloc(1, sizeof(*self));
    self = *link;
    memcpy(self->worker, worker, strlen(worker) + 1);
    self->width = berth->width;
    self->model = berth->model;
    self->tasks_done += berth->tasks_done;
    free(self->reason);
    self->reason = berth->reason;
    berth->reason = NULL;
}

void service_free_all(struct batch *batch)
{
    while (batch->services != NULL) {
        struct service *service = batch->services;

        batch->services = service->next;
        free(service->reason);
        free(service);
    }
}
