/*
 * `weir rebuild LOG NAME`: one derived system from the log alone.
 */
#ifndef CLI_REBUILD_DERIVED_H
#define CLI_REBUILD_DERIVED_H

#include "cli/options.h"

/* Returns the exit code. */
int rebuild_derived(struct cli *cli, const struct cli_common *common, const char *name);

#endif
