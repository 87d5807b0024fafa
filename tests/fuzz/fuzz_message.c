/* Any bytes as frame 0: a message or a refusal, and a message survives encoding and decoding. */
#include "tests/vectors/structs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    message_survives((struct tri_bytes){ data, size });
    return 0;
}
