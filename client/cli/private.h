/* private.h - a broker and a worker of one's own, for `run` without a broker.
 *
 * They listen on an ipc socket in a 0700 temporary directory. Both hold the read end of a pipe
 * whose write end is here: however this process ends, they see the end of file, stop, and the
 * broker removes the directory.
 */
#ifndef PRIVATE_H
#define PRIVATE_H

#include "client/cli/cli.h"

#include <sys/types.h>

struct private
{
    char directory[64];
    char endpoint[128];
    int lifeline;
    pid_t broker;
    pid_t worker;
};

/* Start both; false after printing why not. */
bool private_open(struct private *self, const struct cli *cli);

/* Wait until the worker has joined the broker, through a client connected to it. Returns the exit
 * status, after printing why it did not. */
int private_wait_worker(struct private *self, struct tri_client *client);

/* Do both still run? False after printing which does not. */
bool private_is_well(struct private *self);

/* End both and wait for them. */
void private_close(struct private *self);

#endif
