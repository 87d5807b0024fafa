/* arguments.h - the arguments of tasks of a batch of items, asked of the broker as they are needed.
 * Private.
 *
 * Time:    waits for the broker, once for each chunk that has some of the tasks, or 1000 of them.
 * Threads: the client's owner.
 * Memory:  one answer at a time.
 */
#ifndef TRI_CLIENT_ARGUMENTS_H
#define TRI_CLIENT_ARGUMENTS_H

#include "client/lib/ask.h"
#include "common/proto/chunk.h"

/* More of an argument is not shown. */
#define TRI_ARGUMENT_SHOWN_MAX 1024

struct tri_arguments {
    struct tri_client *client;
    uint64_t number;
    struct tri_range *ranges; /* of the tasks, ascending */
    size_t range_count;
    struct tri_request *request;        /* the last answer */
    struct tri_msg_arguments_info info; /* borrows from it, as does `chunk` */
    struct tri_chunk chunk;
    uint64_t next;       /* the first index that it is not about */
    size_t range_at;     /* in info.tasks, while values are taken in order */
    uint32_t value_base; /* of its first index, in `chunk` */
};

/* Of these tasks, TASK_INFO records. TRI_MEMORY. */
enum tri_status tri_arguments_open(struct tri_arguments *self,
                                   struct tri_client *client,
                                   uint64_t number,
                                   struct tri_list tasks,
                                   struct tri_error *error);

/* Append the argument of a task, of which the index is greater than the last, as fields of a JSON
 * object that has some: "argument", with "argument_cut" when that is not all of it; or
 * "argument_error", which says why there is none. */
enum tri_status tri_arguments_write(struct tri_arguments *self,
                                    uint64_t index,
                                    struct tri_buffer *out,
                                    struct tri_error *error);
void tri_arguments_close(struct tri_arguments *self);

#endif
