/* Any bytes as a value. What the guard lets through, msgpack-c reads, and both agree on its end. */
#include "common/assert.h"
#include "common/proto/codec.h"

#include <msgpack.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tri_error error;
    msgpack_unpacked unpacked;
    size_t walked = 0;
    size_t read = 0;

    if (tri_msgpack_guard((struct tri_bytes){ data, size }, &walked, &error) != TRI_OK)
        return 0;
    tri_assert(walked > 0 && walked <= size);
    msgpack_unpacked_init(&unpacked);
    tri_assert(msgpack_unpack_next(&unpacked, (const char *)data, size, &read)
               == MSGPACK_UNPACK_SUCCESS);
    tri_assert(read == walked);
    msgpack_unpacked_destroy(&unpacked);
    return 0;
}
