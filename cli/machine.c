/*
 * Reads /proc and /sys.
 *
 * 1. A directory's device number is looked up in /proc/self/mountinfo; the last line that has it
 * and the longest mount point above the path wins, since later mounts cover earlier ones.
 * 2. /sys/dev/block/MAJOR:MINOR is the block device; the queue of a partition is its parent's.
 */
#include "cli/machine.h"

#include "base/sync.h"
#include "base/text.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>

static void set_text(char *target, size_t capacity, const char *text)
{
    struct base_text bounded;
    base_text_init(&bounded, target, capacity);
    base_text_append(&bounded, text);
}

/* The first line of a file; "" when there is none. */
static void read_line(const char *path, char *line, size_t capacity)
{
    line[0] = '\0';
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return;
    }
    if (fgets(line, (int)capacity, file) == NULL) {
        line[0] = '\0';
    }
    line[strcspn(line, "\n")] = '\0';
    fclose(file);
}

/* ---- mounts ---- */

/* "\040" and its like stand for blanks in mountinfo. */
static void unescape(char *text)
{
    char *to = text;
    for (const char *from = text; *from != '\0'; to++) {
        unsigned code;
        if (*from == '\\' && sscanf(from, "\\%3o", &code) == 1) {
            *to = (char)code;
            from += 4;
        } else {
            *to = *from++;
        }
    }
    *to = '\0';
}

static bool lies_below(const char *path, const char *mount_point)
{
    size_t length = strlen(mount_point);
    if (strcmp(mount_point, "/") == 0) {
        return true;
    }
    return strncmp(path, mount_point, length) == 0 && (path[length] == '/' || path[length] == '\0');
}

/* One line: id parent major:minor root mount options [optional...] - type source super-options */
static void take_mount(char *line, const char *path, struct machine_place *place)
{
    char *behind = strstr(line, " - ");
    char mount_point[PATH_MAX];
    char options[512];
    char type[32];
    char source[128];
    char super[512];
    if (behind == NULL) {
        return;
    }
    *behind = '\0';
    if (sscanf(line, "%*s %*s %*s %*s %4095s %511s", mount_point, options) != 2 ||
        sscanf(behind + 3, "%31s %127s %511s", type, source, super) != 3) {
        return;
    }
    unescape(mount_point);
    if (!lies_below(path, mount_point) || strlen(mount_point) < strlen(place->mount_point)) {
        return;
    }
    set_text(place->mount_point, sizeof place->mount_point, mount_point);
    set_text(place->file_system, sizeof place->file_system, type);
    set_text(place->source, sizeof place->source, source);
    struct base_text all;
    base_text_init(&all, place->mount_options, sizeof place->mount_options);
    base_text_append(&all, options);
    base_text_append_char(&all, ',');
    base_text_append(&all, super);
    place->memory = strcmp(type, "tmpfs") == 0 || strcmp(type, "ramfs") == 0;
}

static void read_mount(const char *path, struct machine_place *place)
{
    char absolute[PATH_MAX];
    char line[PATH_MAX + 1024];
    FILE *file = fopen("/proc/self/mountinfo", "re");
    if (file == NULL) {
        return;
    }
    if (realpath(path, absolute) != NULL) {
        while (fgets(line, sizeof line, file) != NULL) {
            line[strcspn(line, "\n")] = '\0';
            take_mount(line, absolute, place);
        }
    }
    fclose(file);
}

/* ---- the block device ---- */

static void read_block_device(const char *path, struct machine_place *place)
{
    struct stat status;
    char link[64];
    char folder[PATH_MAX];
    char file[PATH_MAX + 64];
    if (stat(path, &status) < 0) {
        return;
    }
    snprintf(link, sizeof link, "/sys/dev/block/%u:%u", major(status.st_dev), minor(status.st_dev));
    if (realpath(link, folder) == NULL) {
        return;
    }
    set_text(place->device, sizeof place->device, strrchr(folder, '/') + 1);
    snprintf(file, sizeof file, "%s/queue/write_cache", folder);
    read_line(file, place->write_cache, sizeof place->write_cache);
    snprintf(file, sizeof file, "%s/device/model", folder);
    read_line(file, place->model, sizeof place->model);
    if (place->write_cache[0] == '\0') {
        snprintf(file, sizeof file, "%s/../queue/write_cache", folder);
        read_line(file, place->write_cache, sizeof place->write_cache);
        snprintf(file, sizeof file, "%s/../device/model", folder);
        read_line(file, place->model, sizeof place->model);
    }
    for (size_t end = strlen(place->model); end > 0 && place->model[end - 1] == ' '; end--) {
        place->model[end - 1] = '\0';
    }
}

void machine_read_place(const char *path, struct machine_place *ret_place)
{
    memset(ret_place, 0, sizeof *ret_place);
    read_mount(path, ret_place);
    read_block_device(path, ret_place);
}

/* ---- the machine ---- */

static bool has_word(const char *line, const char *word)
{
    size_t length = strlen(word);
    for (const char *at = strstr(line, word); at != NULL; at = strstr(at + length, word)) {
        char behind = at[length];
        if (at[-1] == ' ' && (behind == ' ' || behind == '\n' || behind == '\0')) {
            return true;
        }
    }
    return false;
}

static void read_cpu(struct machine *machine)
{
    char line[8192];
    FILE *file = fopen("/proc/cpuinfo", "re");
    if (file == NULL) {
        return;
    }
    while (fgets(line, sizeof line, file) != NULL && line[0] != '\n') {
        const char *value = strchr(line, ':');
        if (value != NULL && strncmp(line, "model name", 10) == 0) {
            value += strspn(value, ": ");
            snprintf(machine->cpu, sizeof machine->cpu, "%.*s", (int)strcspn(value, "\n"), value);
        } else if (value != NULL && strncmp(line, "flags", 5) == 0) {
            machine->clflush = has_word(value + 1, "clflush");
            machine->clflushopt = has_word(value + 1, "clflushopt");
            machine->clwb = has_word(value + 1, "clwb");
        }
    }
    fclose(file);
}

static void read_io_uring(struct machine *machine)
{
    char value[16];
    read_line("/proc/sys/kernel/io_uring_disabled", value, sizeof value);
    switch (value[0]) {
    case '\0':
        set_text(machine->io_uring, sizeof machine->io_uring, "no sysctl forbids it");
        break;
    case '0':
        set_text(machine->io_uring, sizeof machine->io_uring, "allowed by the sysctl");
        break;
    case '1':
        set_text(machine->io_uring, sizeof machine->io_uring,
                 "for members of a group only (sysctl)");
        break;
    default:
        set_text(machine->io_uring, sizeof machine->io_uring, "forbidden by the sysctl");
        break;
    }
}

void machine_read(struct machine *ret_machine)
{
    struct utsname name;
    memset(ret_machine, 0, sizeof *ret_machine);
    if (uname(&name) == 0) {
        snprintf(ret_machine->kernel, sizeof ret_machine->kernel, "%.20s %.70s", name.sysname,
                 name.release);
    }
    ret_machine->cpus = base_cpu_count();
    read_cpu(ret_machine);
    read_io_uring(ret_machine);
}
