/* Effects are gathered while a step runs and live until the next one: so does every byte that they
 * point to, in an arena or in frames that have one owner more. */
#include "worker/session/parts.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define ARENA_BLOCK_BYTES 16384u

struct arena_block {
    struct arena_block *next;
    size_t used;
    size_t size;
    max_align_t memory[];
};

static struct arena_block *arena_block_new(size_t size)
{
    struct arena_block *block = malloc(sizeof(*block) + size);

    tri_assert(block != NULL);
    block->next = NULL;
    block->used = 0;
    block->size = size;
    return block;
}

void *effects_alloc(struct session *self, size_t size)
{
    struct arena_block *block = self->arena;
    void *memory;

    size = (size + sizeof(max_align_t) - 1) / sizeof(max_align_t) * sizeof(max_align_t);
    if (block == NULL || block->size - block->used < size) {
        block = arena_block_new(size > ARENA_BLOCK_BYTES ? size : ARENA_BLOCK_BYTES);
        block->next = self->arena;
        self->arena = block;
    }
    memory = (char *)block->memory + block->used;
    block->used += size;
    return memory;
}

static void arena_reset(struct session *self, bool all)
{
    while (self->arena != NULL) {
        struct arena_block *block = self->arena;

        if (!all && block->next == NULL && block->size == ARENA_BLOCK_BYTES) {
            block->used = 0;
            return;
        }
        self->arena = block->next;
        free(block);
    }
}

static void release_retired(struct session *self)
{
    for (size_t i = 0; i < self->retired_count; i++)
        tri_frame_unref(self->retired[i]);
    self->retired_count = 0;
}

void effects_begin(struct session *self)
{
    self->effect_count = 0;
    release_retired(self);
    arena_reset(self, false);
}

void effects_deinit(struct session *self)
{
    release_retired(self);
    arena_reset(self, true);
    free(self->effects);
    free(self->retired);
}

void effects_retire(struct session *self, struct tri_frame *frame)
{
    if (frame == NULL)
        return;
    if (self->retired_count == self->retired_capacity) {
        self->retired_capacity = self->retired_capacity * 2 + 64;
        self->retired = tri_realloc(self->retired, self->retired_capacity, sizeof(*self->retired));
    }
    self->retired[self->retired_count++] = frame;
}

static struct session_effect *effect_add(struct session *self, enum session_effect_type type)
{
    struct session_effect *effect;

    if (self->effect_count == self->effect_capacity) {
        self->effect_capacity = self->effect_capacity * 2 + 16;
        self->effects = tri_realloc(self->effects, self->effect_capacity, sizeof(*self->effects));
    }
    effect = &self->effects[self->effect_count++];
    *effect = (struct session_effect){ .type = type };
    return effect;
}

void effects_send(struct session *self, struct tri_frame *head, struct tri_frame *body)
{
    struct session_effect *effect = effect_add(self, SESSION_DO_SEND);
    struct tri_frame **frames = effects_alloc(self, 2 * sizeof(struct tri_frame *));

    frames[0] = tri_frame_ref(head);
    effects_retire(self, head);
    effect->frame_count = 1;
    if (body != NULL) {
        frames[1] = tri_frame_ref(body);
        effects_retire(self, body);
        effect->frame_count = 2;
    }
    effect->frames = frames;
}

struct tri_frame *effects_encode(struct session *self, const struct tri_message *message)
{
    tri_buffer_clear(&self->scratch);
    tri_message_encode(message, &self->scratch);
    tri_assert(!self->scratch.failed);
    return tri_frame_copy(tri_buffer_bytes(&self->scratch));
}

void effects_send_message(struct session *self, const struct tri_message *message)
{
    struct tri_frame *head = effects_encode(self, message);

    effects_send(self, head, NULL);
    tri_frame_unref(head);
}

void effects_host_send(struct session *self,
                       const struct host *host,
                       const struct tri_message *message,
                       struct tri_frame *const *frames,
                       size_t frame_count)
{
    struct session_effect *effect = effect_add(self, SESSION_DO_HOST_SEND);
    struct tri_message *copy = effects_alloc(self, sizeof(*copy));

    *copy = *message;
    effect->host = host->id;
    effect->message = copy;
    effect->frames = frames;
    effect->frame_count = frame_count;
}

void effects_host_start(struct session *self, const struct host *host, enum tri_model model)
{
    struct session_effect *effect = effect_add(self, SESSION_DO_HOST_START);
    const struct batch *batch = host->batch;
    char *plugin = effects_alloc(self, batch->plugin.size + 1);

    memcpy(plugin, batch->plugin.size != 0 ? (const char *)batch->plugin.data : "",
           batch->plugin.size);
    effect->host = host->id;
    effect->model = model;
    effect->width = host->width;
    effect->timeout_ms = batch->spec.timeout_ms;
    effect->spawn = self->options.fork_unsafe
                    || ((host->kind == HOST_ONE || host->kind == HOST_ISOLATED)
                        && (batch->spec.flags & TRI_SPEC_SPAWN) != 0);
    effect->plugin = (struct tri_bytes){ (const uint8_t *)plugin, batch->plugin.size };
}

void effects_host_kill(struct session *self, const struct host *host, int signal)
{
    struct session_effect *effect = effect_add(self, SESSION_DO_HOST_KILL);

    effect->host = host->id;
    effect->signal = signal;
}

void effects_host_end(struct session *self, const struct host *host)
{
    effect_add(self, SESSION_DO_HOST_END)->host = host->id;
}

void effects_connect(struct session *self, uint64_t after_ms)
{
    effect_add(self, SESSION_DO_CONNECT)->after_ms = after_ms;
}

void effects_exit(struct session *self, int status)
{
    effect_add(self, SESSION_DO_EXIT)->status = status;
    self->exited = true;
}

void effects_trace(struct session *self, const char *format, ...)
{
    char text[512];
    char *copy;
    va_list arguments;
    size_t size;

    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    size = strlen(text) + 1;
    copy = effects_alloc(self, size);
    memcpy(copy, text, size);
    effect_add(self, SESSION_DO_TRACE)->text = copy;
}
