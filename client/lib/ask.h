/* ask.h - a question to the broker, and its answer as JSON. Private.
 *
 * Time: waits for the broker.   Threads: the client's owner.
 */
#ifndef TRI_CLIENT_ASK_H
#define TRI_CLIENT_ASK_H

#include "client/lib/shell.h"
#include "common/buffer.h"
#include "common/proto/message.h"

/* Ask, wait, and decode the answer, which has to be a `want`. With TRI_OK it borrows from
 * `*request`, which the caller closes. */
enum tri_status tri_ask_for(struct tri_client *client,
                            const struct tri_message *message,
                            enum tri_message_type want,
                            struct tri_request **request,
                            struct tri_message *answer,
                            struct tri_error *error);

/* End a JSON text: the caller owns it now, or, when `status` or memory says no, there is none. */
enum tri_status tri_give_json(enum tri_status status,
                              struct tri_buffer *out,
                              char **json,
                              struct tri_error *error);

#endif
