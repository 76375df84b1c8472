/*
 * Prepares paths for the scanner.
 *
 * 1. A path is cut at its dots, "\." and "\\" become what they stand for.
 * 2. Each name is a node below that of the name in front of it; paths that begin alike share them.
 * 3. The node of the last name has the path's bit.
 *
 * Failures: -EINVAL for what can be no path, -ENOMEM; nothing is left behind.
 *
 * Invariant: nodes and the bytes of their names lie in one block, which is never changed again.
 */
#include "base/json_path.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/text.h"

#include <errno.h>
#include <string.h>

_Static_assert(BASE_JSON_PATHS_MAX *BASE_JSON_NAMES_MAX < BASE_JSON_NOWHERE, "nodes are u16");
_Static_assert(BASE_JSON_PATHS_MAX == 32, "a path is a bit of a uint32_t");

/* Copies the name in front of the next dot. Returns what is behind the dot, NULL at the end. */
static const char *take_name(const char *text, char *target, size_t *ret_size)
{
    size_t size = 0;
    while (*text != '\0' && *text != '.') {
        if (text[0] == '\\' && (text[1] == '.' || text[1] == '\\')) {
            text++;
        }
        target[size++] = *text++;
    }
    *ret_size = size;
    return *text == '.' ? text + 1 : NULL;
}

/* The child of that name: the one that is there, or a new one. */
static uint16_t add_name(struct base_json_paths *paths, uint16_t parent, const char *name,
                         size_t size)
{
    uint16_t found = base_json_child(paths, parent, name, size, false);
    if (found != BASE_JSON_NOWHERE) {
        return found;
    }
    struct base_json_node *node = &paths->nodes[paths->count];
    *node = (struct base_json_node){.name = name,
                                    .name_size = size,
                                    .child = BASE_JSON_NOWHERE,
                                    .sibling = paths->nodes[parent].child};
    paths->nodes[parent].child = paths->count;
    paths->nodes[parent].sizes |= base_json_size_bit(size);
    return paths->count++;
}

/* @param room  for the names; moved behind those that it takes */
static int add_path(struct base_json_paths *paths, size_t index, const char *text, char **room)
{
    uint16_t node = BASE_JSON_ROOT;
    int names = 0;
    while (text != NULL) {
        char *name = *room;
        size_t size;
        text = take_name(text, name, &size);
        if (size == 0 || !base_utf8_is_valid(name, size) || ++names > BASE_JSON_NAMES_MAX) {
            return -EINVAL;
        }
        node = add_name(paths, node, name, size);
        *room += size;
    }
    paths->nodes[node].paths |= UINT32_C(1) << index;
    return 0;
}

int base_json_paths_create(const char *const *texts, size_t count, unsigned flags,
                           struct base_json_paths **ret_paths)
{
    WEIR_ASSERT((flags & ~BASE_JSON_ARRAYS) == 0);
    if (count == 0 || count > BASE_JSON_PATHS_MAX) {
        return -EINVAL;
    }
    size_t bytes = 0;
    for (size_t index = 0; index < count; index++) {
        bytes += strlen(texts[index]);
    }
    size_t nodes = 1 + count * BASE_JSON_NAMES_MAX;
    size_t head = sizeof(struct base_json_paths) + nodes * sizeof(struct base_json_node);
    struct base_json_paths *paths = base_alloc(head + bytes);
    if (paths == NULL) {
        return -ENOMEM;
    }
    paths->flags = flags;
    paths->count = 1;
    paths->nodes[BASE_JSON_ROOT] =
        (struct base_json_node){.child = BASE_JSON_NOWHERE, .sibling = BASE_JSON_NOWHERE};
    char *room = (char *)paths + head;
    for (size_t index = 0; index < count; index++) {
        int rc = add_path(paths, index, texts[index], &room);
        if (rc < 0) {
            base_free(paths);
            return rc;
        }
    }
    *ret_paths = paths;
    return 0;
}

void base_json_paths_free(struct base_json_paths *paths)
{
    base_free(paths);
}
