/* main_options.h - what the worker is told: defaults, then the configuration file, then the command
 * line, the later over the earlier. One table holds every option (common/settings.h).
 *
 * Memory:  texts are borrowed from argv, the environment or the configuration, which lives as long
 *          as the options.
 * Errors:  TRI_INVALID, TRI_DENIED with a text that says what is wanted.
 */
#ifndef MAIN_OPTIONS_H
#define MAIN_OPTIONS_H

#include "common/log.h"
#include "common/net/endpoint.h"
#include "common/settings.h"
#include "common/types.h"

#include <stdio.h>

#define OPTIONS_ENDPOINTS_MAX 16
#define OPTIONS_LIST_MAX 64
#define OPTIONS_CONFIG_DEFAULT "/etc/trireme/worker.conf"

struct options_list {
    const char *items[OPTIONS_LIST_MAX];
    size_t count;
};

struct options {
    enum tri_action action;
    struct tri_endpoint endpoints[OPTIONS_ENDPOINTS_MAX];
    size_t endpoint_count;
    enum tri_insecure insecure;
    const char *name; /* NULL: made from the host's */
    struct options_list labels;
    enum tri_model model;   /* AUTO: all */
    uint64_t width;         /* 0: chosen */
    uint64_t recycle_count; /* 0: never */
    bool allow_commands;
    struct options_list allow_files;
    struct options_list allow_http;
    struct options_list plugins;
    struct options_list plugin_dirs;
    bool test_handlers;
    bool check;
    int private_fd; /* -1: a daemon */
    const char *config_path;
    enum tri_log_level log_level;
    struct tri_config *config;
};

/* Read environment, configuration file and command line. */
enum tri_status options_open(struct options *self,
                             int argc,
                             char *const *argv,
                             struct tri_error *error);
void options_close(struct options *self);
void options_print_help(FILE *out);

#endif
