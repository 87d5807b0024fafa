/* tale.h - messages as lines of the story that `--trace` tells: the sender, the receiver, the
 * message with every field that says something, and the sizes of its payload frames.
 */
#ifndef TALE_H
#define TALE_H

#include "tests/sim/sim.h"

void tale_message(const struct sim *sim,
                  const char *from,
                  const char *to,
                  const struct tri_message *message,
                  struct tri_frame *const *frames,
                  size_t count);

#endif
