/*
 * Whether one directory would lie inside of another.
 */
#ifndef CLI_INSIDE_H
#define CLI_INSIDE_H

#include <stdbool.h>

/* `to`, which need not be there, inside of `from`, or `from` itself; links are followed. False when
 * either cannot be found: what is not there is refused when it is opened. */
bool path_lies_inside(const char *to, const char *from);

#endif
