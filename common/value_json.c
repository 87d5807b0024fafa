/* JSON to msgpack, through jansson. The tree is jansson's; only its walk is ours. */
#include "common/json.h"
#include "common/show.h"
#include "common/value.h"

#include <jansson.h>

static enum tri_status pack_tree(json_t *tree,
                                 int depth,
                                 struct tri_buffer *out,
                                 struct tri_error *error);

/* {"base64":"..."} stands for binary. */
static bool is_binary(json_t *tree)
{
    return json_object_size(tree) == 1 && json_is_string(json_object_get(tree, "base64"));
}

static enum tri_status pack_base64(json_t *tree, struct tri_buffer *out, struct tri_error *error)
{
    json_t *text = json_object_get(tree, "base64");
    struct tri_bytes bytes = { (const uint8_t *)json_string_value(text), json_string_length(text) };
    struct tri_buffer binary;
    enum tri_status status;

    tri_buffer_init(&binary);
    status = tri_base64_decode(bytes, &binary, error);
    if (status == TRI_OK && binary.failed)
        status = tri_fail(error, TRI_MEMORY, "out of memory");
    if (status == TRI_OK)
        tri_pack_binary(out, binary.data, binary.size);
    tri_buffer_deinit(&binary);
    return status;
}

static enum tri_status pack_object(json_t *tree,
                                   int depth,
                                   struct tri_buffer *out,
                                   struct tri_error *error)
{
    enum tri_status status = TRI_OK;
    void *at;

    if (is_binary(tree))
        return pack_base64(tree, out, error);
    tri_pack_map(out, (uint32_t)json_object_size(tree));
    for (at = json_object_iter(tree); at != NULL && status == TRI_OK;
         at = json_object_iter_next(tree, at)) {
        tri_pack_text(out, json_object_iter_key(at));
        status = pack_tree(json_object_iter_value(at), depth, out, error);
    }
    return status;
}

static enum tri_status pack_array(json_t *tree,
                                  int depth,
                                  struct tri_buffer *out,
                                  struct tri_error *error)
{
    enum tri_status status = TRI_OK;
    size_t count = json_array_size(tree);

    tri_pack_array(out, (uint32_t)count);
    for (size_t i = 0; i < count && status == TRI_OK; i++)
        status = pack_tree(json_array_get(tree, i), depth, out, error);
    return status;
}

static enum tri_status pack_tree(json_t *tree,
                                 int depth,
                                 struct tri_buffer *out,
                                 struct tri_error *error)
{
    bool nests = json_is_array(tree) || (json_is_object(tree) && !is_binary(tree));
    struct tri_value value = tri_value_nil();

    if (nests && depth == TRI_VALUE_DEPTH_MAX)
        return tri_fail(error, TRI_INVALID, "JSON: nested deeper than %d", TRI_VALUE_DEPTH_MAX);
    switch (json_typeof(tree)) {
    case JSON_OBJECT:
        return pack_object(tree, depth + 1, out, error);
    case JSON_ARRAY:
        return pack_array(tree, depth + 1, out, error);
    case JSON_STRING:
        value = tri_value_string(json_string_value(tree), json_string_length(tree));
        break;
    case JSON_INTEGER:
        value = tri_value_int(json_integer_value(tree));
        break;
    case JSON_REAL:
        value = tri_value_float(json_real_value(tree));
        break;
    case JSON_TRUE:
    case JSON_FALSE:
        value = tri_value_bool(json_is_true(tree));
        break;
    case JSON_NULL:
        break;
    }
    tri_value_pack(out, &value);
    return TRI_OK;
}

enum tri_status tri_value_pack_json(struct tri_bytes json,
                                    struct tri_buffer *out,
                                    struct tri_error *error)
{
    size_t start = out->size;
    json_error_t why;
    json_t *tree;
    enum tri_status status;

    if (json.size == 0)
        return tri_fail(error, TRI_INVALID, "JSON: an empty line is no value");
    tree = json_loadb((const char *)json.data, json.size,
                      JSON_DECODE_ANY | JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, &why);
    if (tree == NULL)
        return tri_fail(error, TRI_INVALID, "JSON: %s at column %d", why.text, why.column);
    status = pack_tree(tree, 0, out, error);
    json_decref(tree);
    if (status != TRI_OK)
        out->size = start;
    return status;
}
