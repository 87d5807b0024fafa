/* Frames: bytes with several owners. */
#include "common/frame.h"
#include "common/proto/codec.h"
#include "tests/unit/unit.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static atomic_int freed;

static void note_free(void *context)
{
    ck_assert_ptr_eq(context, &freed);
    freed++;
}

START_TEST(a_frame_is_freed_with_its_last_owner)
{
    struct tri_frame *frame = tri_frame_wrap(tri_bytes_of("bytes"), note_free, &freed);

    freed = 0;
    ck_assert_ptr_eq(tri_frame_ref(frame), frame);
    tri_frame_unref(frame);
    ck_assert_int_eq(freed, 0);
    ck_assert_uint_eq(frame->bytes.size, 5);
    tri_frame_unref(frame);
    ck_assert_int_eq(freed, 1);
    tri_frame_unref(NULL);
}
END_TEST

START_TEST(a_copy_and_taken_bytes_are_the_frame_s_own)
{
    char text[] = "changes";
    struct tri_buffer buffer = { 0 };
    struct tri_frame *copy = tri_frame_copy(tri_bytes_of(text));
    struct tri_frame *taken;
    struct tri_frame *empty = tri_frame_copy((struct tri_bytes){ NULL, 0 });

    tri_buffer_append(&buffer, "taken", 5);
    taken = tri_frame_take(&buffer);
    text[0] = 'X';
    ck_assert_mem_eq(copy->bytes.data, "changes", 7);
    ck_assert_mem_eq(taken->bytes.data, "taken", 5);
    ck_assert_uint_eq(buffer.size, 0);
    ck_assert_uint_eq(empty->bytes.size, 0);
    tri_frame_unref(copy);
    tri_frame_unref(taken);
    tri_frame_unref(empty);
    tri_buffer_deinit(&buffer);
}
END_TEST

static void *let_go(void *frames)
{
    for (struct tri_frame **at = frames; *at != NULL; at++)
        tri_frame_unref(*at);
    return NULL;
}

START_TEST(owners_may_live_in_different_threads)
{
    struct tri_frame *frames[1001] = { NULL };
    pthread_t threads[4];

    freed = 0;
    for (unsigned i = 0; i < 1000; i++) {
        frames[i] = tri_frame_wrap(tri_bytes_of("x"), note_free, &freed);
        for (unsigned j = 1; j < TRI_COUNT_OF(threads); j++)
            tri_frame_ref(frames[i]);
    }
    for (unsigned j = 0; j < TRI_COUNT_OF(threads); j++)
        ck_assert_int_eq(pthread_create(&threads[j], NULL, let_go, frames), 0);
    for (unsigned j = 0; j < TRI_COUNT_OF(threads); j++)
        pthread_join(threads[j], NULL);
    ck_assert_int_eq(freed, 1000);
}
END_TEST

int main(void)
{
    TCase *tcase = tcase_create("frame");

    tcase_add_test(tcase, a_frame_is_freed_with_its_last_owner);
    tcase_add_test(tcase, a_copy_and_taken_bytes_are_the_frame_s_own);
    tcase_add_test(tcase, owners_may_live_in_different_threads);
    return unit_run("worker_session/frame", tcase);
}
