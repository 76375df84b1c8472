/*
 * Paths into JSON documents, prepared: a tree of names, shared where paths begin alike.
 *
 *     uint16_t child = base_json_child(paths, parent, name, size, escaped);
 *     if (child != BASE_JSON_NOWHERE && paths->nodes[child].paths != 0)
 *         a path ends there
 *
 * For base/json.c only; others see base/json.h.
 */
#ifndef BASE_JSON_PATH_H
#define BASE_JSON_PATH_H

#include "base/json.h"

#define BASE_JSON_ROOT ((uint16_t)0)
#define BASE_JSON_NOWHERE UINT16_MAX /* no path leads here */

struct base_json_node {
    const char *name; /* behind the nodes */
    size_t name_size;
    uint64_t sizes;   /* of its children's names: bit n for n bytes, the last for more, too */
    uint32_t paths;   /* those that end here */
    uint16_t child;   /* its first one, NOWHERE without */
    uint16_t sibling; /* NOWHERE at the end */
};

struct base_json_paths {
    unsigned flags;
    uint16_t count; /* of nodes */
    struct base_json_node nodes[];
};

static inline uint64_t base_json_size_bit(size_t size)
{
    return UINT64_C(1) << (size < 63 ? size : 63);
}

/* Most names of a document are on no path: they are told by their length, before any byte. */
static inline uint16_t base_json_child(const struct base_json_paths *paths, uint16_t parent,
                                       const char *name, size_t size, bool escaped)
{
    const struct base_json_node *nodes = paths->nodes;
    if (!escaped && (nodes[parent].sizes & base_json_size_bit(size)) == 0) {
        return BASE_JSON_NOWHERE;
    }
    for (uint16_t child = nodes[parent].child; child != BASE_JSON_NOWHERE;
         child = nodes[child].sibling) {
        const struct base_json_node *node = &nodes[child];
        if (escaped ? base_json_equals(name, size, node->name, node->name_size)
                    : size == node->name_size && __builtin_memcmp(name, node->name, size) == 0) {
            return child;
        }
    }
    return BASE_JSON_NOWHERE;
}

#endif
