/*
 * The choice of a medium.
 *
 * A medium that was asked for by name and cannot be had is an error that says why; only `auto`
 * tries the next one, and keeps the reasons of those it passed over for the report.
 */
#include "wal/medium_select.h"

#include "base/file.h"
#include "iouring/iouring.h"
#include "pmem/pmem.h"
#include "wal/log.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define REASON_BYTES 240

static int open_pmem(const char *directory, const struct weir_log_options *options,
                     struct weir_medium **ret_medium, char *reason)
{
    struct pmem_options pmem = {
        .directory = directory,
        .read_only = (options->flags & WEIR_LOG_READ_ONLY) != 0,
        .allow_emulated = (options->flags & WEIR_LOG_ALLOW_EMULATED_PMEM) != 0,
    };
    return pmem_medium_open(&pmem, ret_medium, reason, REASON_BYTES);
}

static struct iouring_options file_options(const char *directory,
                                           const struct weir_log_options *options)
{
    struct iouring_options file = {
        .directory = directory,
        .io = options->io,
        .read_only = (options->flags & WEIR_LOG_READ_ONLY) != 0,
        .single_thread = (options->flags & WEIR_LOG_SINGLE_THREAD) != 0,
        .pool_bytes = options->window_bytes,
    };
    return file;
}

static int open_kind(const char *directory, enum weir_medium_kind kind,
                     const struct weir_log_options *options, struct weir_medium **ret_medium,
                     char *reason)
{
    struct iouring_options file = file_options(directory, options);
    switch (kind) {
    case WEIR_MEDIUM_PMEM:
        return open_pmem(directory, options, ret_medium, reason);
    case WEIR_MEDIUM_DIRECT:
        return iouring_direct_open(&file, ret_medium, reason, REASON_BYTES);
    case WEIR_MEDIUM_MAPPED:
        return iouring_mapped_open(&file, ret_medium, reason, REASON_BYTES);
    case WEIR_MEDIUM_AUTO:
    case WEIR_MEDIUM_CUSTOM:
        break;
    }
    return -EINVAL;
}

/* Behind why the medium is this one. A log on DAX that is written as on a block device, say for a
 * variable that was set by mistake, must not look as if that had been the choice. */
static void note_passed_over(struct weir_medium_info *info, const char *passed_over)
{
    size_t length = strlen(info->reason);
    if (passed_over[0] != '\0') {
        snprintf(info->reason + length, sizeof info->reason - length, "; %s", passed_over);
    }
}

/* Only persistent memory that is real: emulation is never chosen by itself. */
static int open_auto(const char *directory, const struct weir_log_options *options,
                     struct weir_medium **ret_medium, char *reason)
{
    static const enum weir_medium_kind order[] = {WEIR_MEDIUM_PMEM, WEIR_MEDIUM_DIRECT,
                                                  WEIR_MEDIUM_MAPPED};
    struct weir_log_options real = *options;
    real.flags &= ~WEIR_LOG_ALLOW_EMULATED_PMEM;
    char no_pmem[REASON_BYTES] = "";
    int rc = WEIR_E_MEDIUM;
    for (size_t i = 0; i < sizeof order / sizeof order[0]; i++) {
        char *why_not = order[i] == WEIR_MEDIUM_PMEM ? no_pmem : reason;
        rc = open_kind(directory, order[i], &real, ret_medium, why_not);
        if (rc == 0 && order[i] != WEIR_MEDIUM_PMEM) {
            note_passed_over(&(*ret_medium)->info, no_pmem);
        }
        if (rc != WEIR_E_MEDIUM && rc != WEIR_E_EMULATED) {
            break;
        }
    }
    if (rc < 0 && reason[0] == '\0') {
        memcpy(reason, no_pmem, REASON_BYTES);
    }
    return rc;
}

int medium_select(const char *directory, const struct weir_log_options *options,
                  struct weir_medium **ret_medium, struct weir_error *why)
{
    if (options->medium == WEIR_MEDIUM_CUSTOM) {
        if (options->custom_medium == NULL) {
            return log_error(why, -EINVAL, NULL, UINT64_MAX,
                             "a custom medium was asked for and none is given");
        }
        *ret_medium = options->custom_medium;
        return 0;
    }
    if (directory == NULL || directory[0] == '\0') {
        return log_error(why, -EINVAL, NULL, UINT64_MAX, "no directory is named");
    }
    char reason[REASON_BYTES] = "";
    int rc = options->medium == WEIR_MEDIUM_AUTO
                 ? open_auto(directory, options, ret_medium, reason)
                 : open_kind(directory, options->medium, options, ret_medium, reason);
    if (rc < 0) {
        return log_error(why, rc, NULL, UINT64_MAX, "%s: %s", directory,
                         rc == -ENOENT                         ? "there is no such directory"
                         : rc == -ENOTDIR || reason[0] == '\0' ? weir_error_text(rc)
                                                               : reason);
    }
    return 0;
}

bool medium_directory_is_absent(const char *directory)
{
    struct base_directory there;
    int rc = base_directory_open(&there, directory);
    if (rc == 0) {
        base_directory_close(&there);
    }
    return rc == -ENOENT;
}

int medium_make_directory(const char *directory)
{
    return base_path_make_directory(directory);
}

int weir_medium_probe(const char *directory, enum weir_medium_kind medium, enum weir_io_kind io,
                      struct weir_medium_info *ret_info)
{
    if (directory == NULL || ret_info == NULL || medium == WEIR_MEDIUM_CUSTOM) {
        return -EINVAL;
    }
    struct weir_log_options options = {.size = sizeof options, .medium = medium, .io = io};
    struct weir_error why = WEIR_ERROR_INIT;
    struct weir_medium *opened;
    int rc = medium_select(directory, &options, &opened, &why);
    if (rc < 0) {
        *ret_info = (struct weir_medium_info){.kind = medium};
        memcpy(ret_info->reason, why.text, sizeof ret_info->reason - 1);
        return rc;
    }
    *ret_info = opened->info;
    opened->ops->destroy(opened);
    return 0;
}

void medium_remove_directory(const char *directory)
{
    (void)base_path_remove_directory(directory);
}
