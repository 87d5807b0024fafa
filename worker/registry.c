/* A sorted array of borrowed handlers. Shared objects register from their constructors, inside
 * dlopen, so what they did wrong is remembered here until registry_load looks. */
#include "worker/registry.h"

#include "common/assert.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#define NAME_MAX_BYTES 64

static struct {
    const struct tri_handler **handlers;
    size_t count;
    struct tri_error error; /* the first refusal since it was cleared */
} registry;

static int compare(struct tri_bytes name, const struct tri_handler *handler)
{
    size_t size = strlen(handler->name);
    size_t common = name.size < size ? name.size : size;
    int order = common != 0 ? memcmp(name.data, handler->name, common) : 0;

    return order != 0 ? order : (name.size > size) - (name.size < size);
}

/* The position of `name`, or where it would stand. */
static size_t position(struct tri_bytes name, bool *found)
{
    size_t low = 0;
    size_t high = registry.count;

    *found = false;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = compare(name, registry.handlers[middle]);

        if (order == 0) {
            *found = true;
            return middle;
        }
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

static bool is_name(const char *name)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789_.-";
    size_t size = name != NULL ? strnlen(name, NAME_MAX_BYTES + 1) : 0;

    return size > 0 && size <= NAME_MAX_BYTES && strspn(name, allowed) == size;
}

static enum tri_status add(const struct tri_handler *handler, struct tri_error *error)
{
    bool found;
    size_t at;

    if (handler->abi != TRI_HANDLER_ABI || handler->size != sizeof(*handler))
        return tri_fail(error, TRI_UNSUPPORTED, "a handler was built for ABI %u, this is %u",
                        handler->abi, TRI_HANDLER_ABI);
    if (!is_name(handler->name) || handler->run == NULL || handler->argument > TRI_COMPOUND)
        return tri_fail(error, TRI_INVALID, "a handler without a good name, function or type");
    at = position((struct tri_bytes){ (const uint8_t *)handler->name, strlen(handler->name) },
                  &found);
    if (found)
        return tri_fail(error, TRI_CONFLICT, "a second handler named %s", handler->name);
    registry.handlers =
        tri_realloc(registry.handlers, registry.count + 1, sizeof(registry.handlers[0]));
    memmove(registry.handlers + at + 1, registry.handlers + at,
            (registry.count - at) * sizeof(registry.handlers[0]));
    registry.handlers[at] = handler;
    registry.count++;
    return TRI_OK;
}

void tri_handler_register(const struct tri_handler *handler)
{
    struct tri_error error;

    if (add(handler, &error) != TRI_OK && registry.error.status == TRI_OK)
        registry.error = error;
}

void registry_add_builtin(const struct tri_handler *const *handlers, size_t count)
{
    for (size_t i = 0; i < count; i++)
        tri_assert(add(handlers[i], NULL) == TRI_OK);
}

enum tri_status registry_load(const char *path, struct tri_error *error)
{
    /* A name without a slash would be searched for in the library path. */
    if (strchr(path, '/') == NULL)
        return tri_fail(error, TRI_INVALID, "%s: say where it is (./%s)", path, path);
    registry.error.status = TRI_OK;
    if (dlopen(path, RTLD_NOW | RTLD_LOCAL) == NULL)
        return tri_fail(error, TRI_SYSTEM, "%s", dlerror());
    if (registry.error.status != TRI_OK)
        return tri_fail(error, registry.error.status, "%s: %s", path, registry.error.text);
    return TRI_OK;
}

const struct tri_handler *registry_find_bytes(struct tri_bytes name)
{
    bool found;
    size_t at = position(name, &found);

    return found ? registry.handlers[at] : NULL;
}

const struct tri_handler *registry_find(const char *name)
{
    return registry_find_bytes((struct tri_bytes){ (const uint8_t *)name, strlen(name) });
}

size_t registry_count(void)
{
    return registry.count;
}

const struct tri_handler *registry_at(size_t i)
{
    tri_assert(i < registry.count);
    return registry.handlers[i];
}
