#include "broker/trace.h"

#include "common/log.h"

static const struct tri_log_rank ranks[] = {
    { "session.joined", TRI_LOG_INFO }, { "session.disconnected", TRI_LOG_INFO },
    { "session.ended", TRI_LOG_INFO },  { "batch.accepted", TRI_LOG_INFO },
    { "batch.sealed", TRI_LOG_INFO },   { "batch.ended", TRI_LOG_INFO },
    { "batch.halted", TRI_LOG_WARN },   { "batch.cancelled", TRI_LOG_INFO },
    { "batch.retried", TRI_LOG_INFO },  { "batch.forgotten", TRI_LOG_INFO },
    { "task.died", TRI_LOG_WARN },      { "lease.lost", TRI_LOG_WARN },
    { "chunk.dropped", TRI_LOG_WARN },  { "store.unreadable", TRI_LOG_ERROR },
    { "store.full", TRI_LOG_WARN },     { "store.room", TRI_LOG_INFO },
    { "reclaim.ended", TRI_LOG_INFO },
};

void trace_log(const char *trace)
{
    tri_log_trace(trace, ranks, TRI_COUNT_OF(ranks));
}
