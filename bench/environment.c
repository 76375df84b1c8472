/*
 * Reads what the kernel says about a directory's device and about this machine.
 *
 * The device of a directory is found by its number under /sys/dev/block; the queue (write cache) of
 * a partition is its parent's. File systems without a block device (tmpfs, overlay, btrfs) have no
 * entry there: the answer is then "memory" or "unknown".
 */
#include "bench/environment.h"

#include "base/sync.h"
#include "bench/stolen.h"

#include <ctype.h>
#include <limits.h>
#include <math.h>
#include <mntent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <unistd.h>

#ifndef WEIR_BENCH_BUILD
#define WEIR_BENCH_BUILD ""
#endif

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define BUILD_IS_SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define BUILD_IS_SANITIZED 1
#endif
#ifndef BUILD_IS_SANITIZED
#define BUILD_IS_SANITIZED 0
#endif

#ifdef __OPTIMIZE__
#define BUILD_IS_OPTIMIZED 1
#else
#define BUILD_IS_OPTIMIZED 0
#endif

/* The first line of a file without trailing blanks; false when there is none. */
static bool read_line(const char *path, char *line, size_t capacity)
{
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return false;
    }
    bool found = fgets(line, (int)capacity, file) != NULL;
    (void)fclose(file);
    if (!found) {
        return false;
    }
    size_t length = strlen(line);
    while (length > 0 && isspace((unsigned char)line[length - 1])) {
        line[--length] = '\0';
    }
    return length > 0;
}

static void read_file_system(struct bench_environment *environment, dev_t device)
{
    FILE *mounts = setmntent("/proc/self/mounts", "re");
    if (mounts == NULL) {
        return;
    }
    char buffer[4096];
    struct mntent entry;
    while (getmntent_r(mounts, &entry, buffer, (int)sizeof buffer) != NULL) {
        struct stat status;
        if (stat(entry.mnt_dir, &status) == 0 && status.st_dev == device) {
            (void)snprintf(environment->file_system, sizeof environment->file_system, "%s",
                           entry.mnt_type);
        }
    }
    (void)endmntent(mounts);
}

static void read_device(struct bench_environment *environment, dev_t device)
{
    char link[64];
    (void)snprintf(link, sizeof link, "/sys/dev/block/%u:%u", major(device), minor(device));
    char folder[PATH_MAX];
    if (realpath(link, folder) == NULL) {
        return;
    }
    const char *name = strrchr(folder, '/');
    (void)snprintf(environment->device, sizeof environment->device, "%.24s",
                   name != NULL ? name + 1 : folder);

    char path[PATH_MAX + 64];
    (void)snprintf(path, sizeof path, "%s/queue/write_cache", folder);
    if (!read_line(path, environment->write_cache, sizeof environment->write_cache)) {
        (void)snprintf(path, sizeof path, "%s/../queue/write_cache", folder);
        (void)read_line(path, environment->write_cache, sizeof environment->write_cache);
    }
    char model[64];
    (void)snprintf(path, sizeof path, "%s/device/model", folder);
    if (read_line(path, model, sizeof model)) {
        size_t length = strlen(environment->device);
        (void)snprintf(environment->device + length, sizeof environment->device - length, " (%s)",
                       model);
    }
}

static void read_cpu(struct bench_environment *environment)
{
    FILE *file = fopen("/proc/cpuinfo", "re");
    if (file == NULL) {
        return;
    }
    char line[512];
    while (fgets(line, sizeof line, file) != NULL) {
        const char *value = strchr(line, ':');
        if (strncmp(line, "model name", 10) == 0 && value != NULL) {
            value += strspn(value, ": \t");
            (void)snprintf(environment->cpu, sizeof environment->cpu, "%.*s",
                           (int)strcspn(value, "\n"), value);
            break;
        }
    }
    (void)fclose(file);
}

static void describe_build(char *text, size_t capacity)
{
    (void)snprintf(
        text, capacity, "%s%s%s", WEIR_BENCH_BUILD[0] != '\0' ? WEIR_BENCH_BUILD : "plain",
        BUILD_IS_SANITIZED ? ", sanitized" : "", BUILD_IS_OPTIMIZED ? "" : ", not optimized");
}

static bool build_is_measurable(void)
{
#ifdef WEIR_BENCH_COVERAGE
    return false;
#else
    return !BUILD_IS_SANITIZED && BUILD_IS_OPTIMIZED && strcmp(WEIR_BENCH_BUILD, "Debug") != 0;
#endif
}

void bench_environment_read(struct bench_environment *environment, const char *directory)
{
    memset(environment, 0, sizeof *environment);
    (void)strcpy(environment->device, "unknown");
    (void)strcpy(environment->file_system, "unknown");
    (void)strcpy(environment->write_cache, "unknown");
    (void)strcpy(environment->cpu, "unknown");
    (void)strcpy(environment->kernel, "unknown");
    struct stat status;
    if (stat(directory, &status) == 0) {
        read_file_system(environment, status.st_dev);
        read_device(environment, status.st_dev);
    }
    if (strcmp(environment->file_system, "tmpfs") == 0) {
        environment->memory = true;
        (void)strcpy(environment->device, "memory");
        (void)strcpy(environment->write_cache, "none (memory)");
    }
    struct utsname system;
    if (uname(&system) == 0) {
        (void)snprintf(environment->kernel, sizeof environment->kernel, "%.32s %.48s",
                       system.sysname, system.release);
    }
    read_cpu(environment);
    environment->cpus = base_cpu_count();
    environment->stolen = bench_stolen_share_of_run();
    environment->measurable = build_is_measurable();
    describe_build(environment->build, sizeof environment->build);
}

bool bench_build_is_fit(bool forced)
{
    if (build_is_measurable() || forced) {
        return true;
    }
    char build[64];
    describe_build(build, sizeof build);
    (void)fprintf(stderr,
                  "weir: this is a %s build: its numbers say nothing about Weir\n"
                  "measure a release build, or insist with --force\n",
                  build);
    return false;
}

void bench_environment_print(const struct bench_environment *environment)
{
    (void)printf("device   %s, %s, write cache: %s\n", environment->device,
                 environment->file_system, environment->write_cache);
    (void)printf("machine  %u CPUs, %s, %s\n", environment->cpus, environment->cpu,
                 environment->kernel);
    (void)printf("build    %s%s\n", environment->build,
                 environment->measurable ? "" : "  (NOT FIT FOR MEASURING)");
    if (isfinite(environment->stolen)) {
        (void)printf("stolen   %.1f %% of the CPU time that was wanted meanwhile, by the host\n",
                     100.0 * environment->stolen);
    } else {
        (void)printf("stolen   unknown: the kernel does not say\n");
    }
}

void bench_environment_json(const struct bench_environment *environment, struct bench_json *json)
{
    bench_json_text(json, "device", environment->device);
    bench_json_text(json, "file_system", environment->file_system);
    bench_json_text(json, "write_cache", environment->write_cache);
    bench_json_text(json, "kernel", environment->kernel);
    bench_json_text(json, "cpu", environment->cpu);
    bench_json_count(json, "cpus", environment->cpus);
    bench_json_text(json, "build", environment->build);
    bench_json_bool(json, "fit_for_measuring", environment->measurable);
    bench_json_number(json, "stolen_share_of_run", environment->stolen);
}
