#include "worker/oars/rower.h"
enum tri_status async_start(struct host *host, struct tri_error *error)
{
    (void)host;
    return tri_fail(error, TRI_UNSUPPORTED, "no loop yet");
}
void async_rouse(struct host *host, const struct rower *self)
{
    (void)host;
    (void)self;
}
void async_obey(struct host *host, struct rower *self)
{
    (void)host;
    (void)self;
}
void async_watch(struct host *host, uint64_t now, bool partials, struct tri_dlist_head *parcels)
{
    (void)host;
    (void)now;
    (void)partials;
    (void)parcels;
}
bool async_reads(const struct host *host)
{
    (void)host;
    return false;
}
