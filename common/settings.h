/* settings.h - what a daemon is told: defaults, then its configuration file, then the command line,
 * the later over the earlier. One table of a program holds every setting, its key in the file, its
 * bounds and its help, so that they cannot disagree. Target tri_config.
 *
 * Threads: one (getopt).
 * Memory:  texts are borrowed from argv or from the configuration, which lives as long as the
 *          settings.
 * Errors:  TRI_INVALID with a text that says what is wanted.
 */
#ifndef TRI_SETTINGS_H
#define TRI_SETTINGS_H

#include "common/config.h"

#include <stdio.h>

enum tri_setting_kind {
    TRI_SETTING_NUMBER,     /* uint64_t, within min and max */
    TRI_SETTING_SIZE,       /* uint64_t: bytes, likewise */
    TRI_SETTING_DURATION,   /* uint64_t: milliseconds, likewise */
    TRI_SETTING_TEXT,       /* const char *: min to max bytes */
    TRI_SETTING_FLAG,       /* bool: true on the command line, true or false in a file */
    TRI_SETTING_DESCRIPTOR, /* int: open */
    TRI_SETTING_LEVEL,      /* enum tri_log_level */
    TRI_SETTING_CONFIG,     /* const char *: the file to read */
    TRI_SETTING_HELP,
    TRI_SETTING_VERSION,
    TRI_SETTING_OWN, /* this and those above are the program's, for its `set` */
};

enum tri_setting_file { TRI_SETTING_ABSENT, TRI_SETTING_ONCE, TRI_SETTING_LIST };

struct tri_setting {
    const char *name;     /* "max-peers": --max-peers, and max_peers in the program's section */
    const char *argument; /* as help shows it; "[=WORD]": may be left out; NULL: none */
    int kind;
    size_t offset; /* of the member it sets */
    uint64_t min;
    uint64_t max;
    enum tri_setting_file in_file;
    const char *group; /* the heading that stands before it, or NULL */
    const char *help;  /* "%s" stands for the default */
};

struct tri_program {
    const char *name;           /* "trireme-broker" */
    const char *section;        /* "broker/" */
    const char *config_default; /* read when it exists and no other is named */
    const struct tri_setting *settings;
    size_t setting_count; /* at most TRI_SETTINGS_MAX */
    /* Set one of the program's own kinds; `text` is NULL for an argument left out. */
    enum tri_status (*set)(void *values,
                           const struct tri_setting *setting,
                           const char *text,
                           struct tri_error *error);
};

#define TRI_SETTINGS_MAX 64

enum tri_action { TRI_ACTION_RUN, TRI_ACTION_HELP, TRI_ACTION_VERSION };

/* The first look at the command line: is anything to be run at all, and with which file
 * (`*config_path`, NULL: none is named)? */
enum tri_status tri_settings_look_ahead(const struct tri_program *program,
                                        int argc,
                                        char *const *argv,
                                        enum tri_action *action,
                                        const char **config_path,
                                        struct tri_error *error);

/* Read the file into `values`. The caller closes `*config`, also after an error; without a file
 * it is NULL. */
enum tri_status tri_settings_read_file(const struct tri_program *program,
                                       const char *path,
                                       void *values,
                                       struct tri_config **config,
                                       struct tri_error *error);

/* Read the command line into `values`. */
enum tri_status tri_settings_read_line(const struct tri_program *program,
                                       int argc,
                                       char *const *argv,
                                       void *values,
                                       struct tri_error *error);

/* Every setting with its help, by groups; `defaults` is what the program starts from. */
void tri_settings_print(const struct tri_program *program, const void *defaults, FILE *out);

#endif
