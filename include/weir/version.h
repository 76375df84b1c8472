/*
 * The version of the library: the numbers of the headers that a program was compiled with, and of
 * the library that it runs with.
 *
 *     if (weir_version() < WEIR_VERSION)
 *         fprintf(stderr, "libweir %s is older than expected\n", weir_version_string());
 */
#ifndef WEIR_VERSION_H
#define WEIR_VERSION_H

#include <weir/export.h>

#define WEIR_VERSION_MAJOR 0
#define WEIR_VERSION_MINOR 1
#define WEIR_VERSION_PATCH 0

/* Comparable: 10000 * major + 100 * minor + patch. */
#define WEIR_VERSION (10000 * WEIR_VERSION_MAJOR + 100 * WEIR_VERSION_MINOR + WEIR_VERSION_PATCH)

#ifdef __cplusplus
extern "C" {
#endif

/*
 * The version of the library in use, comparable with WEIR_VERSION.
 *
 * Returns: the number; it cannot fail.
 * Durability: none.
 * Threads: any.
 * Blocks: no.
 * Allocates: no.
 */
WEIR_EXPORT unsigned weir_version(void);

/*
 * The version of the library in use, for people: "0.1.0".
 *
 * Returns: a constant string; it cannot fail.
 * Durability: none.
 * Threads: any.
 * Blocks: no.
 * Allocates: no.
 */
WEIR_EXPORT const char *weir_version_string(void);

#ifdef __cplusplus
}
#endif

#endif
