#include "worker/oars/coroutine.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WITH_ASAN 1
#endif
#if __has_feature(thread_sanitizer)
#define WITH_TSAN 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define WITH_ASAN 1
#endif
#if defined(__SANITIZE_THREAD__)
#define WITH_TSAN 1
#endif

#ifdef WITH_ASAN
#include <sanitizer/common_interface_defs.h>
#define STACK_FACTOR 4 /* instrumented frames are larger */
#else
#define STACK_FACTOR 1
#endif
#ifdef WITH_TSAN
#include <sanitizer/tsan_interface.h>
#endif

#define PAGE ((size_t)4096)

/* Boost.Context, libs/context/src/asm; exported for C under these names. */
struct transfer {
    void *context;
    void *data;
};
extern struct transfer jump_fcontext(void *to, void *data);
extern void *make_fcontext(void *top, size_t size, void (*run)(struct transfer from));

/* ---- the sanitizers' fibres ----------------------------------------------------------------- */

#ifdef WITH_ASAN
static void leave_stack(void **fake, const void *to, size_t bytes)
{
    __sanitizer_start_switch_fiber(fake, to, bytes);
}

static void reach_stack(void *fake, const void **from, size_t *bytes)
{
    __sanitizer_finish_switch_fiber(fake, from, bytes);
}
#else
static void leave_stack(void **fake, const void *to, size_t bytes)
{
    (void)fake;
    (void)to;
    (void)bytes;
}

static void reach_stack(void *fake, const void **from, size_t *bytes)
{
    (void)fake;
    (void)from;
    (void)bytes;
}
#endif

/* ---- switching ------------------------------------------------------------------------------ */

static void begin(struct transfer from)
{
    struct coroutine *self = from.data;

    reach_stack(NULL, &self->caller_stack, &self->caller_bytes);
    self->caller = from.context;
    self->run(self);
    __builtin_trap();
}

void coroutine_resume(struct coroutine *self)
{
    void *fake = NULL;

    leave_stack(&fake, self->stack, self->stack_bytes);
#ifdef WITH_TSAN
    self->caller_fibre = __tsan_get_current_fiber();
    __tsan_switch_to_fiber(self->fibre, 0);
#endif
    self->context = jump_fcontext(self->context, self).context;
    reach_stack(fake, NULL, NULL);
}

void coroutine_suspend(struct coroutine *self)
{
    leave_stack(&self->fake_stack, self->caller_stack, self->caller_bytes);
#ifdef WITH_TSAN
    __tsan_switch_to_fiber(self->caller_fibre, 0);
#endif
    self->caller = jump_fcontext(self->caller, NULL).context;
    reach_stack(self->fake_stack, &self->caller_stack, &self->caller_bytes);
}

/* ---- stacks --------------------------------------------------------------------------------- */

enum tri_status coroutine_pool_open(struct coroutine_pool *self,
                                    unsigned count,
                                    size_t stack_bytes,
                                    size_t control_bytes,
                                    coroutine_fn *run,
                                    struct tri_error *error)
{
    size_t stride = stack_bytes * STACK_FACTOR + PAGE;
    size_t bytes = stride * count;
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);

    if (memory == MAP_FAILED)
        return tri_fail(error, TRI_MEMORY, "no address space for %u stacks: %s", count,
                        strerror(errno));
    /* A huge page under a stack would make one waiting coroutine cost 2 MiB. */
    madvise(memory, bytes, MADV_NOHUGEPAGE);
    *self = (struct coroutine_pool){
        .memory = memory,
        .bytes = bytes,
        .stride = stride,
        .control_bytes = (control_bytes + 63) & ~(size_t)63,
        .count = count,
        .run = run,
    };
    return TRI_OK;
}

void coroutine_pool_close(struct coroutine_pool *self)
{
    if (self->memory != NULL)
        munmap(self->memory, self->bytes);
    *self = (struct coroutine_pool){ 0 };
}

static struct coroutine *make(struct coroutine_pool *self)
{
    unsigned number = self->made++;
    uint8_t *low = self->memory + self->stride * number;
    uint8_t *control = low + self->stride - self->control_bytes;
    struct coroutine *coroutine = (struct coroutine *)(void *)control;

    if (self->count <= COROUTINE_GUARDS_MAX)
        mprotect(low, PAGE, PROT_NONE);
    *coroutine = (struct coroutine){
        .stack = low + PAGE,
        .stack_bytes = (size_t)(control - low) - PAGE,
        .run = self->run,
        .number = number,
    };
    coroutine->context = make_fcontext(control, coroutine->stack_bytes, begin);
#ifdef WITH_TSAN
    coroutine->fibre = __tsan_create_fiber(0);
#endif
    return coroutine;
}

struct coroutine *coroutine_take(struct coroutine_pool *self, bool *fresh)
{
    struct coroutine *coroutine = self->free;

    *fresh = false;
    if (coroutine != NULL) {
        self->free = coroutine->next_free;
    } else if (self->made < self->count) {
        coroutine = make(self);
        *fresh = true;
    }
    self->taken += coroutine != NULL;
    return coroutine;
}

void coroutine_put(struct coroutine_pool *self, struct coroutine *coroutine)
{
    coroutine->next_free = self->free;
    self->free = coroutine;
    self->taken--;
}
