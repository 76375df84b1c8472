/*
 * A fresh directory inside one that the user named, for commands that make logs of their own.
 */
#ifndef CLI_WORKDIR_H
#define CLI_WORKDIR_H

#include "cli/command.h"

#include <limits.h>

/* Makes PARENT/weir-WHAT-XXXXXX; `parent` must exist. Returns -1 to go on, else the exit code,
 * and "". */
int workdir_create(struct cli *cli, const char *parent, const char *what, char ret_path[PATH_MAX]);

/* Removes it with all that is in it, and says so when that fails. */
void workdir_remove(const struct cli *cli, const char *path);

#endif
