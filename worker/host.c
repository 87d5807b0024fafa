/* A host's beginning. The first thread becomes the watch; rowers start when there is work. */
#include "worker/host.h"

#include "common/assert.h"
#include "common/log.h"
#include "worker/host_crash.h"
#include "worker/host_watch.h"
#include "worker/oars/command.h"
#include "worker/registry.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static enum tri_status map_table(struct host *host, int fd, struct tri_error *error)
{
    struct stat about;
    size_t least = sizeof(struct host_table);
    void *memory;

    if (fstat(fd, &about) != 0 || (size_t)about.st_size < least)
        return tri_fail(error, TRI_INVALID, "the host's table is no table");
    memory = mmap(NULL, (size_t)about.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED)
        return tri_fail(error, TRI_SYSTEM, "mmap of the host's table: %s", strerror(errno));
    host->table = memory;
    if (least + host->table->width * sizeof(struct host_slot) > (size_t)about.st_size)
        return tri_fail(error, TRI_INVALID, "the host's table is too short for its width");
    return TRI_OK;
}

static enum tri_status host_open(struct host *host,
                                 const struct host_setup *setup,
                                 struct tri_error *error)
{
    enum tri_status status;

    host->setup = setup;
    pthread_mutex_init(&host->read_lock, NULL);
    pthread_mutex_init(&host->send_lock, NULL);
    pthread_mutex_init(&host->lock, NULL);
    pthread_cond_init(&host->work, NULL);
    tri_dlist_init(&host->leases);
    tri_dlist_init(&host->slices);
    tri_dlist_init(&host->rowers);
    tri_dlist_init(&host->abandoned);
    host->watch_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (host->watch_fd < 0)
        return tri_fail(error, TRI_SYSTEM, "%s", strerror(errno));
    link_init(&host->link, setup->link_fd);
    command_client_init(&host->commands, setup->command_fd);
    status = map_table(host, setup->table_fd, error);
    if (status == TRI_OK && setup->plugin != NULL && setup->plugin[0] != '\0')
        status = registry_load(setup->plugin, error);
    return status;
}

int host_main(const struct host_setup *setup)
{
    static struct host host;
    struct tri_error error;

    if (host_open(&host, setup, &error) != TRI_OK) {
        tri_log(TRI_LOG_ERROR, "host.failed", "text=%s", TRI_QUOTE(error.text));
        return 1;
    }
    /* The end of the link is the order to end, not a key pressed at a terminal. */
    signal(SIGINT, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    crash_init(host.table);
    watch_run(&host);
}
