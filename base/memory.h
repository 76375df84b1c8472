/*
 * How much memory is left, for whoever can do with less.
 */
#ifndef BASE_MEMORY_H
#define BASE_MEMORY_H

#include <stdint.h>

/* Bytes that may be taken before the system has to swap or to kill, as far as it tells: the smaller
 * of what the machine has and of what the control groups of this process leave it. What files have
 * of that memory counts as left. UINT64_MAX where nothing tells. */
uint64_t base_memory_available(void);

/* The same of a control group and those around it (cgroup v2).
 * @param root  where they are mounted
 * @param path  of the group, from there: "/a/b" */
uint64_t base_memory_left_to_group(const char *root, const char *path);

#endif
