/* Items: the frames that came with a lease, and the part of them that a slice needs. Whole frames
 * go on as they are; only the ends of a range are cut. */
#include "worker/session/parts.h"

#include <stdlib.h>

#define FRAMES_MAX 100u /* of one message to a host (LINK_PARTS_MAX) */

/* Where each frame's items begin: only the heads are read. */
static bool find_firsts(struct lease *lease)
{
    uint64_t at = lease->range.first;

    lease->firsts = tri_alloc(lease->frame_count + 1, sizeof(uint64_t));
    lease->chunks = tri_alloc(lease->frame_count + 1, sizeof(struct tri_chunk));
    for (size_t i = 0; i < lease->frame_count; i++) {
        struct tri_rec_items head;
        size_t size;

        lease->firsts[i] = at;
        if (tri_record_decode_head(TRI_RECORD_ITEMS, lease->frames[i]->bytes, &head, &size, NULL)
            != TRI_OK)
            return false;
        at += head.count;
    }
    lease->firsts[lease->frame_count] = at;
    return at == lease->range.first + lease->range.count;
}

/* The last frame that begins at or before `index`. */
static size_t find_frame(const struct lease *lease, uint64_t index)
{
    size_t low = 0;
    size_t high = lease->frame_count;

    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;

        if (lease->firsts[middle] <= index)
            low = middle;
        else
            high = middle;
    }
    return low;
}

/* Items [first, end) of frame i; the caller's frame until the next step. */
static struct tri_frame *cut_frame(
    struct session *self, struct lease *lease, size_t i, uint64_t first, uint64_t end)
{
    struct tri_buffer buffer = { 0 };
    struct tri_frame *frame;

    if (first == lease->firsts[i] && end == lease->firsts[i + 1]) {
        frame = tri_frame_ref(lease->frames[i]);
    } else {
        if (lease->chunks[i].offsets == NULL
            && tri_items_open(lease->frames[i]->bytes, &lease->chunks[i], NULL) != TRI_OK)
            return NULL;
        tri_items_cut(&lease->chunks[i], (uint32_t)(first - lease->firsts[i]),
                      (uint32_t)(end - first), &buffer);
        frame = tri_frame_take(&buffer);
    }
    effects_retire(self, frame);
    return frame;
}

static bool give_all(struct session *self,
                     struct lease *lease,
                     struct tri_frame *const **frames,
                     size_t *frame_count)
{
    struct tri_frame **all = effects_alloc(self, lease->frame_count * sizeof(struct tri_frame *));

    for (size_t i = 0; i < lease->frame_count; i++) {
        all[i] = tri_frame_ref(lease->frames[i]);
        effects_retire(self, all[i]);
    }
    *frames = all;
    *frame_count = lease->frame_count;
    return true;
}

bool items_cut(struct session *self,
               struct lease *lease,
               struct tri_range *range,
               struct tri_frame *const **frames,
               size_t *frame_count)
{
    uint64_t end = range->first + range->count;
    struct tri_frame **cut;
    size_t first;
    size_t count = 0;

    *frames = NULL;
    *frame_count = 0;
    if (lease->batch->spec.source == TRI_SOURCE_RANGE)
        return true;
    if (lease->frame_count == 0)
        return false;
    if (range->count == lease->range.count && lease->frame_count <= FRAMES_MAX)
        return give_all(self, lease, frames, frame_count);
    if (lease->firsts == NULL && !find_firsts(lease))
        return false;
    cut = effects_alloc(self, FRAMES_MAX * sizeof(struct tri_frame *));
    first = find_frame(lease, range->first);
    for (size_t i = first; i < lease->frame_count && lease->firsts[i] < end; i++) {
        uint64_t from = lease->firsts[i] > range->first ? lease->firsts[i] : range->first;
        uint64_t to = lease->firsts[i + 1] < end ? lease->firsts[i + 1] : end;

        if (from == to)
            continue;
        if (count == FRAMES_MAX) {
            range->count = from - range->first;
            break;
        }
        cut[count] = cut_frame(self, lease, i, from, to);
        if (cut[count++] == NULL)
            return false;
    }
    *frames = cut;
    *frame_count = count;
    return count != 0;
}
