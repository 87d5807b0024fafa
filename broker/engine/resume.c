/* The layout of XXH3's state is public for those who ask for it (XXH_STATIC_LINKING_ONLY). Only
 * what the 128-bit hash without a seed uses is kept; its digest goes with it and tells whether
 * another version of the library, or damaged bytes, would go on in another way. */
#define XXH_STATIC_LINKING_ONLY
#include "broker/engine/resume.h"

#include <string.h>

#define BUFFER_BYTES XXH3_INTERNALBUFFER_SIZE
#define STRIPE_BYTES 64

struct image {
    uint64_t acc[8];
    uint8_t buffer[BUFFER_BYTES];
    uint64_t buffered_bytes;
    uint64_t stripes;
    uint64_t total_bytes;
    XXH128_canonical_t digest;
};

_Static_assert(sizeof(struct image) == RESUME_BYTES, "the packed state has this size");

void resume_pack(const XXH3_state_t *state, struct tri_buffer *out)
{
    struct image image = {
        .buffered_bytes = state->bufferedSize,
        .stripes = state->nbStripesSoFar,
        .total_bytes = state->totalLen,
    };

    memcpy(image.acc, state->acc, sizeof(image.acc));
    /* The last stripe of what has been consumed stays at the end of the buffer. Elsewhere behind
     * what is buffered there may never have been anything. */
    if (state->totalLen > BUFFER_BYTES)
        memcpy(image.buffer + BUFFER_BYTES - STRIPE_BYTES,
               state->buffer + BUFFER_BYTES - STRIPE_BYTES, STRIPE_BYTES);
    memcpy(image.buffer, state->buffer, state->bufferedSize);
    XXH128_canonicalFromHash(&image.digest, XXH3_128bits_digest(state));
    tri_buffer_append(out, &image, sizeof(image));
}

static bool is_sound(const struct image *image, const XXH3_state_t *state)
{
    if (image->buffered_bytes > BUFFER_BYTES || image->stripes >= state->nbStripesPerBlock)
        return false;
    if (image->total_bytes <= BUFFER_BYTES)
        return image->buffered_bytes == image->total_bytes;
    return image->buffered_bytes != 0;
}

bool resume_open(struct tri_bytes bytes, XXH3_state_t *state)
{
    struct image image;
    XXH128_canonical_t digest;

    XXH3_128bits_reset(state);
    if (bytes.size != sizeof(image))
        return false;
    memcpy(&image, bytes.data, sizeof(image));
    if (!is_sound(&image, state))
        return false;
    memcpy(state->acc, image.acc, sizeof(image.acc));
    memcpy(state->buffer, image.buffer, sizeof(image.buffer));
    state->bufferedSize = (XXH32_hash_t)image.buffered_bytes;
    state->nbStripesSoFar = (size_t)image.stripes;
    state->totalLen = image.total_bytes;
    XXH128_canonicalFromHash(&digest, XXH3_128bits_digest(state));
    if (memcmp(&digest, &image.digest, sizeof(digest)) == 0)
        return true;
    XXH3_128bits_reset(state);
    return false;
}
