/*
 * Recovery, timed and judged.
 *
 * 1. weir_log_open() recovers; its report has the times. Nothing else runs meanwhile.
 * 2. The referee reads every record; with an engine, that is opened, judged and opened again.
 * 3. The log is closed; weir_verify() reads every byte of it from its files.
 *
 * Failures: a refusal to open after a crash is reported and ends the run; what the referee or
 * verify find is not a failure here but a result.
 */
#include "cli/crash_round.h"

#include "cli/errors.h"
#include "cli/options.h"
#include "cli/signals.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PHASE(member) offsetof(struct weir_open_report, member)

/* A phase that opening gets later is a line here, and in the report of the log. */
const struct crash_phase crash_phases[] = {
    {"lock", "lock_s", PHASE(lock_s)},    {"control", "control_s", PHASE(control_s)},
    {"scan", "scan_s", PHASE(scan_s)},    {"repair", "repair_s", PHASE(repair_s)},
    {"total", "total_s", PHASE(total_s)}, {0},
};

double crash_phase_seconds(const struct crash_phase *phase, const struct weir_open_report *report)
{
    double seconds;
    memcpy(&seconds, (const char *)report + phase->report_offset, sizeof seconds);
    return seconds;
}

/* ---- cold ---- */

/* Pages that are dirty cannot be dropped: they are written first, as the kernel would sooner or
 * later. What a killed writer had not flushed survives a kill in any case. */
static int drop_file(int directory_fd, const char *name)
{
    int fd = openat(directory_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0) {
        return -errno;
    }
    int rc = fsync(fd) < 0 ? -errno : -posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    close(fd);
    return rc;
}

/* Files directly in the log's directory: those that opening reads. */
static int drop_page_cache(const char *path)
{
    DIR *directory = opendir(path);
    if (directory == NULL) {
        return -errno;
    }
    int rc = 0;
    const struct dirent *entry;
    while (rc == 0 && (entry = readdir(directory)) != NULL) {
        if (entry->d_type == DT_REG) {
            rc = drop_file(dirfd(directory), entry->d_name);
        }
    }
    closedir(directory);
    return rc;
}

static int chill(struct cli *cli, const struct crash_site *site)
{
    int rc = site->cold ? drop_page_cache(site->path) : 0;
    return rc < 0 ? cli_fail(cli, rc, NULL, "cannot drop %s from the page cache", site->path) : -1;
}

/* ---- steps ---- */

static int open_log(struct cli *cli, const struct crash_site *site, struct weir_log **ret_log)
{
    struct weir_log_options options = WEIR_LOG_OPTIONS_INIT;
    struct weir_error why = WEIR_ERROR_INIT;
    int rc = site->options(site->context, WEIR_LOG_CREATE, &options);
    if (rc == 0) {
        rc = weir_log_open(site->path, &options, ret_log, &why);
    }
    if (rc < 0) {
        return cli_fail_open(cli, rc, &why, "cannot open the log after the crash");
    }
    if (cli->verbose) {
        cli_note_report(cli, *ret_log, options.flags);
    }
    return -1;
}

/* Everything that is asked of the open log. Returns 0 or a negative error. */
static int judge_log(const struct crash_site *site, struct weir_log *log,
                     struct crash_referee *referee, struct crash_round *round,
                     struct weir_error *why)
{
    struct weir_stat stat = WEIR_STAT_INIT;
    round->report.size = sizeof round->report;
    int rc = weir_log_report(log, &round->report);
    if (rc == 0) {
        rc = weir_log_stat(log, &stat);
    }
    if (rc == 0) {
        round->log_bytes = stat.log_bytes;
        rc = crash_referee_judge(referee, log, signals_interrupted, &round->verdict, why);
    }
    if (rc == 0 && site->engine) {
        rc = crash_engine_judge(referee, log, signals_interrupted, &round->verdict, &round->engine,
                                why);
    }
    return rc;
}

static int keep_first(void *context, const struct weir_finding *finding)
{
    struct crash_round *round = context;
    if (!finding->note && round->finding[0] == '\0') {
        snprintf(round->finding, sizeof round->finding, "%s", finding->text);
    }
    return signals_interrupted() ? -EINTR : 0;
}

static int verify(struct cli *cli, const struct crash_site *site, struct crash_round *round)
{
    struct weir_log_options options = WEIR_LOG_OPTIONS_INIT;
    struct weir_error why = WEIR_ERROR_INIT;
    round->verify.size = sizeof round->verify;
    int rc = site->options(site->context, WEIR_LOG_READ_ONLY, &options);
    options.flags &= ~WEIR_LOG_SERVICE_THREAD; /* those are for writers */
    options.witness = WEIR_WITNESS_LAZY;
    if (rc == 0) {
        rc = weir_verify(site->path, &options, keep_first, round, &round->verify, &why);
    }
    if (rc < 0 && !signals_interrupted()) {
        return cli_fail_open(cli, rc, &why, "cannot verify the log after the crash");
    }
    return -1;
}

int crash_round_recover(struct cli *cli, const struct crash_site *site,
                        struct crash_referee *referee, struct crash_round *round)
{
    struct weir_log *log = NULL;
    struct weir_error why = WEIR_ERROR_INIT;
    int exit_code = chill(cli, site);
    if (exit_code < 0) {
        exit_code = open_log(cli, site, &log);
    }
    if (exit_code >= 0) {
        return exit_code;
    }
    int rc = judge_log(site, log, referee, round, &why);
    int close_rc = weir_log_close(log);
    if (signals_interrupted()) {
        return -1;
    }
    rc = rc < 0 ? rc : close_rc;
    if (rc < 0) {
        return cli_fail(cli, rc, &why, "cannot read the log after the crash");
    }
    if (site->verify) {
        exit_code = chill(cli, site);
        if (exit_code < 0) {
            exit_code = verify(cli, site, round);
        }
    }
    round->complete = exit_code < 0 && !signals_interrupted();
    return exit_code;
}
