/*
 * Where a path leads to, before it is there: its parent's real path decides.
 */
#include "cli/inside.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The directory that holds `path`, which need not exist: "a/b/" lies in "a", "b" in ".". */
static void parent_of(const char *path, char parent[PATH_MAX])
{
    size_t length = strlen(path);
    while (length > 1 && path[length - 1] == '/') {
        length--;
    }
    while (length > 0 && path[length - 1] != '/') {
        length--;
    }
    (void)snprintf(parent, PATH_MAX, "%.*s", length > 0 ? (int)length : 1, length > 0 ? path : ".");
}

bool path_lies_inside(const char *to, const char *from)
{
    char parent[PATH_MAX], inner[PATH_MAX], outer[PATH_MAX];
    parent_of(to, parent);
    bool known = (realpath(to, inner) != NULL || realpath(parent, inner) != NULL) &&
                 realpath(from, outer) != NULL;
    if (!known) {
        return false;
    }
    size_t length = strlen(outer);
    return strncmp(inner, outer, length) == 0 && (inner[length] == '/' || inner[length] == '\0');
}
