/*
 * weir devices: which media a directory offers, which one would run, and why.
 *
 * 1. The kernel says what the directory lies on: file system, device, write cache.
 * 2. weir_medium_probe() tries each medium with a real write, then `auto`.
 *
 * Failures: a directory that is not there, or that cannot be written, is refused; a medium that
 * cannot be had is an answer, not a failure.
 */
#include "cli/commands.h"
#include "cli/errors.h"
#include "cli/json.h"
#include "cli/machine.h"
#include "cli/options.h"
#include "cli/place_report.h"

#include <weir/inspect.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct devices_options {
    struct cli_common common;
};

struct trial {
    const char *medium; /* as --medium takes it */
    const char *io;     /* as --io takes it */
    enum weir_medium_kind medium_kind;
    enum weir_io_kind io_kind;
    int rc;
    struct weir_medium_info info;
};

static const struct trial all_trials[] = {
    {.medium = "auto", .io = "auto", .medium_kind = WEIR_MEDIUM_AUTO, .io_kind = WEIR_IO_AUTO},
    {.medium = "pmem", .io = "auto", .medium_kind = WEIR_MEDIUM_PMEM, .io_kind = WEIR_IO_AUTO},
    {.medium = "direct",
     .io = "uring",
     .medium_kind = WEIR_MEDIUM_DIRECT,
     .io_kind = WEIR_IO_URING},
    {.medium = "direct", .io = "sync", .medium_kind = WEIR_MEDIUM_DIRECT, .io_kind = WEIR_IO_SYNC},
    {.medium = "mapped",
     .io = "uring",
     .medium_kind = WEIR_MEDIUM_MAPPED,
     .io_kind = WEIR_IO_URING},
    {.medium = "mapped", .io = "sync", .medium_kind = WEIR_MEDIUM_MAPPED, .io_kind = WEIR_IO_SYNC},
};

#define TRIALS (sizeof all_trials / sizeof all_trials[0])

struct devices {
    const char *path;
    struct machine_place place;
    struct machine machine;
    struct trial trials[TRIALS];
};

static void try_media(struct devices *devices)
{
    memcpy(devices->trials, all_trials, sizeof all_trials);
    for (size_t i = 0; i < TRIALS; i++) {
        struct trial *trial = &devices->trials[i];
        trial->rc =
            weir_medium_probe(devices->path, trial->medium_kind, trial->io_kind, &trial->info);
    }
}

/* Why it can be had, or why not. */
static const char *reason(const struct trial *trial)
{
    bool told = trial->rc == 0 || trial->rc == WEIR_E_MEDIUM;
    return told && trial->info.reason[0] != '\0' ? trial->info.reason : weir_error_text(trial->rc);
}

/* ---- JSON ---- */

static void trial_to_json(struct json *json, const struct trial *trial)
{
    json_object(json, NULL);
    json_text(json, "medium", trial->medium);
    json_text(json, "io", trial->io);
    json_bool(json, "available", trial->rc == 0);
    if (trial->rc == 0) {
        json_text(json, "runs_medium", trial->info.name);
        json_text(json, "runs_io", trial->info.io);
        json_bool(json, "durable", trial->info.durable);
        json_bool(json, "emulated", trial->info.emulated);
        json_u64(json, "block_bytes", trial->info.block_bytes);
        json_u64(json, "queue_depth", trial->info.queue_depth);
    }
    json_text(json, "reason", reason(trial));
    json_object_end(json);
}

static void print_json(struct cli *cli, const struct devices *devices)
{
    const struct machine_place *place = &devices->place;
    const struct machine *machine = &devices->machine;
    struct json json;
    json_begin(&json, &cli->out);
    json_text(&json, "path", devices->path);
    json_text(&json, "file_system", or_unknown(place->file_system));
    json_text(&json, "mount_point", place->mount_point);
    json_text(&json, "mount_source", place->source);
    json_text(&json, "mount_options", place->mount_options);
    json_text(&json, "device", place->device);
    json_text(&json, "model", place->model);
    json_text(&json, "write_cache", or_unknown(place->write_cache));
    json_bool(&json, "memory", place->memory);
    json_text(&json, "kernel", machine->kernel);
    json_text(&json, "cpu", machine->cpu);
    json_u64(&json, "cpus", machine->cpus);
    json_bool(&json, "clflush", machine->clflush);
    json_bool(&json, "clflushopt", machine->clflushopt);
    json_bool(&json, "clwb", machine->clwb);
    json_text(&json, "io_uring", machine->io_uring);
    json_array(&json, "media");
    for (size_t i = 0; i < TRIALS; i++) {
        trial_to_json(&json, &devices->trials[i]);
    }
    json_array_end(&json);
    json_end(&json);
}

/* ---- text ---- */

static void print_trial(struct output *out, const struct trial *trial)
{
    char name[32];
    snprintf(name, sizeof name, "%s/%s", trial->medium, trial->io);
    if (trial->rc < 0) {
        output_format(out, "  %-14s no   %s\n", name, reason(trial));
    } else if (trial->medium_kind == WEIR_MEDIUM_AUTO) {
        output_format(out, "  %-14s yes  runs %s/%s: %s\n", name, trial->info.name, trial->info.io,
                      reason(trial));
    } else {
        output_format(out, "  %-14s yes  durable: %s; %s\n", name,
                      trial->info.emulated  ? "no (emulated)"
                      : trial->info.durable ? "yes"
                                            : "no (memory)",
                      reason(trial));
    }
}

static void print_text(struct cli *cli, const struct devices *devices)
{
    const struct machine_place *place = &devices->place;
    const struct machine *machine = &devices->machine;
    struct output *out = &cli->out;
    output_format(out, "%s\n", devices->path);
    output_label(out, "file system");
    output_format(out, "%s on %s (%s)\n", or_unknown(place->file_system),
                  or_unknown(place->mount_point), place->mount_options);
    output_label(out, "device");
    if (place->memory) {
        output_text(out, "memory: nothing here survives a restart\n");
    } else {
        output_format(out, "%s%s%s, write cache: %s\n",
                      place->device[0] != '\0' ? place->device : or_unknown(place->source),
                      place->model[0] != '\0' ? " " : "", place->model,
                      or_unknown(place->write_cache));
    }
    output_label(out, "machine");
    output_format(out, "%s, %u x %s\n", machine->kernel, machine->cpus, or_unknown(machine->cpu));
    output_label(out, "cache flush");
    output_format(out, "%s\n",
                  machine->clwb         ? "clwb"
                  : machine->clflushopt ? "clflushopt"
                  : machine->clflush    ? "clflush"
                                        : "none known");
    output_label(out, "io_uring");
    output_format(out, "%s\n", machine->io_uring);
    output_text(out, "\n");
    for (size_t i = 0; i < TRIALS; i++) {
        print_trial(out, &devices->trials[i]);
    }
}

static int check_directory(struct cli *cli, const char *path)
{
    struct stat status;
    if (stat(path, &status) < 0) {
        return cli_fail_open(cli, -errno, NULL, "cannot look at %s", path);
    }
    if (!S_ISDIR(status.st_mode)) {
        return cli_fail_open(cli, -ENOTDIR, NULL, "cannot look at %s", path);
    }
    if (access(path, W_OK | X_OK) < 0) {
        return cli_fail_open(cli, -errno, NULL, "cannot try media in %s", path);
    }
    return -1;
}

static int run(struct cli *cli, const void *options)
{
    (void)options;
    struct devices devices = {.path = cli->argument_count > 0 ? cli->argument[0] : "."};
    int exit_code = check_directory(cli, devices.path);
    if (exit_code >= 0) {
        return exit_code;
    }
    machine_read_place(devices.path, &devices.place);
    machine_read(&devices.machine);
    try_media(&devices);
    if (cli->json) {
        print_json(cli, &devices);
    } else {
        print_text(cli, &devices);
    }
    return CLI_OK;
}

const struct cli_command devices_command = {
    .name = "devices",
    .arguments = "[PATH] [OPTION...]",
    .summary = "Says which media a directory offers, which one would run, and why",
    .details =
        "Each medium is tried with a real write in PATH (the current directory); nothing stays.",
    .arguments_max = 1,
    .options_size = sizeof(struct devices_options),
    .options = {cli_output_options},
    .run = run,
};
