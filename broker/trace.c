#include "broker/trace.h"

#include "common/log.h"

#include <string.h>

#define EVENT_SIZE 64

static const struct {
    const char *event;
    enum tri_log_level level;
} levels[] = {
    { "session.joined", TRI_LOG_INFO }, { "session.disconnected", TRI_LOG_INFO },
    { "session.ended", TRI_LOG_INFO },  { "batch.accepted", TRI_LOG_INFO },
    { "batch.sealed", TRI_LOG_INFO },   { "batch.ended", TRI_LOG_INFO },
    { "batch.halted", TRI_LOG_WARN },   { "batch.cancelled", TRI_LOG_INFO },
    { "batch.retried", TRI_LOG_INFO },  { "batch.forgotten", TRI_LOG_INFO },
    { "task.died", TRI_LOG_WARN },      { "lease.lost", TRI_LOG_WARN },
    { "chunk.dropped", TRI_LOG_WARN },  { "store.unreadable", TRI_LOG_ERROR },
    { "store.full", TRI_LOG_WARN },     { "store.room", TRI_LOG_INFO },
};

static enum tri_log_level level_of(const char *event)
{
    for (size_t i = 0; i < TRI_COUNT_OF(levels); i++) {
        if (strcmp(levels[i].event, event) == 0)
            return levels[i].level;
    }
    return TRI_LOG_DEBUG;
}

void trace_log(const char *trace)
{
    char event[EVENT_SIZE];
    size_t size = strcspn(trace, " ");
    const char *fields = trace + size + strspn(trace + size, " ");

    if (size >= sizeof(event))
        size = sizeof(event) - 1;
    memcpy(event, trace, size);
    event[size] = '\0';
    tri_log(level_of(event), event, "%s", fields);
}
