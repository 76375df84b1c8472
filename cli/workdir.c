/*
 * Making and removing a directory for logs that a command makes for itself.
 *
 * Failures: a parent that is not there or cannot be written is refused. Removal never follows a
 * symbolic link and never leaves the file system.
 */
#include "cli/workdir.h"

#include "cli/errors.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define OPEN_FILES_MAX 16

int workdir_create(struct cli *cli, const char *parent, const char *what, char ret_path[PATH_MAX])
{
    char resolved[PATH_MAX];
    if (realpath(parent, resolved) == NULL) {
        return cli_fail_open(cli, -errno, NULL, "cannot work in %s", parent);
    }
    int length = snprintf(ret_path, PATH_MAX, "%s/weir-%s-XXXXXX",
                          resolved[1] == '\0' ? "" : resolved, what);
    if (length < 0 || length >= PATH_MAX) {
        ret_path[0] = '\0';
        return cli_fail_open(cli, -ENAMETOOLONG, NULL, "cannot work in %s", parent);
    }
    if (mkdtemp(ret_path) == NULL) {
        int rc = -errno;
        ret_path[0] = '\0';
        return cli_fail_open(cli, rc, NULL, "cannot make a directory in %s", parent);
    }
    return -1;
}

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)status;
    (void)type;
    (void)walk;
    return remove(path);
}

void workdir_remove(const struct cli *cli, const char *path)
{
    if (nftw(path, remove_entry, OPEN_FILES_MAX, FTW_DEPTH | FTW_PHYS | FTW_MOUNT) != 0) {
        cli_note(cli, "cannot remove %s: remove it by hand", path);
    }
}
