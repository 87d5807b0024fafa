/* settings.h - where an option's value comes from when no flag gave it: in rising order the
 * built-in default, /etc/trireme/client.conf, ~/.config/trireme/client.conf, the environment. */
#ifndef SETTINGS_H
#define SETTINGS_H

#include "client/cli/cli.h"

/* Every default of the man page's table. */
void settings_init(struct cli *cli);

/* After the flags were read: fill in what they left open and check words. Prints its errors. */
bool settings_complete(struct cli *cli);

/* For tri_client_options.on_notice: one line on stderr. */
void settings_notice(void *context, const char *text);

#endif
