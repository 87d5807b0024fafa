/* options.h - what the broker is told: defaults, then the configuration file, then the command
 * line, the later over the earlier. One table holds every option (common/settings.h).
 *
 * Memory:  texts are borrowed from argv or from the configuration, which lives as long as the
 *          options.
 * Errors:  TRI_INVALID with a text that says what is wanted.
 */
#ifndef BROKER_OPTIONS_H
#define BROKER_OPTIONS_H

#include "broker/engine/engine.h"
#include "broker/net/gauge.h"
#include "common/log.h"
#include "common/net/endpoint.h"
#include "common/settings.h"

#include <stdio.h>

#define OPTIONS_LISTEN_MAX 16
#define OPTIONS_CONFIG_DEFAULT "/etc/trireme/broker.conf"
#define OPTIONS_STORE_MEMORY "memory"
#define OPTIONS_STORE_DEFAULT "broker.db"

struct options {
    enum tri_action action;
    struct tri_endpoint listen[OPTIONS_LISTEN_MAX];
    size_t listen_count;
    enum tri_insecure insecure;
    const char *name;
    const char *store; /* a file, OPTIONS_STORE_MEMORY, or NULL: the one in the state directory */
    uint64_t cache_bytes;
    const char *config_path; /* NULL: the default one, if it exists */
    int private_fd;          /* -1: a daemon */
    int ready_fd;            /* -1: none */
    enum tri_log_level log_level;
    bool check; /* engine_check after every turn */
    uint64_t connections_max;
    struct gauge_limits peer;
    struct engine_limits limits;
    struct tri_config *config;
};

/* Read the command line and the configuration file. */
enum tri_status options_open(struct options *self,
                             int argc,
                             char *const *argv,
                             struct tri_error *error);
void options_close(struct options *self);

void options_print_help(FILE *out);

#endif
