/*
 * How much memory is left: /proc/meminfo, and the files of cgroup v2.
 *
 * A group is charged for the page cache that it brings in, too: that is given back before anybody
 * is killed, so it counts as left. Files in memory (tmpfs, and a log there) have no other place, so
 * they do not. A limit of any group further out is one, whatever the inner ones say.
 *
 * Failure modes: a file that is not there, or says something else, is no limit.
 */
#include "base/memory.h"

#include "base/system.h"

#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define MACHINE_PATH "/proc/meminfo"
#define GROUPS_PATH "/proc/self/cgroup"
#define GROUPS_ROOT "/sys/fs/cgroup"

/* The number behind a word at the start of a line; an empty word: of the first line. */
static bool read_number(const char *path, const char *word, uint64_t *ret_number)
{
    FILE *file = fopen(path, "re");
    char line[256];
    bool found = false;
    while (file != NULL && !found && fgets(line, sizeof line, file) != NULL) {
        size_t length = strlen(word);
        found =
            strncmp(line, word, length) == 0 && sscanf(line + length, " %" SCNu64, ret_number) == 1;
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    return found;
}

static uint64_t left_to_machine(void)
{
    uint64_t kib;
    bool told = read_number(MACHINE_PATH, "MemAvailable:", &kib) && kib <= UINT64_MAX >> 10;
    return told ? kib << 10 : UINT64_MAX;
}

static bool read_group(const char *group, const char *name, const char *word, uint64_t *ret_number)
{
    char path[PATH_MAX];
    int length = snprintf(path, sizeof path, "%s/%s", group, name);
    return length > 0 && (size_t)length < sizeof path && read_number(path, word, ret_number);
}

/* "max" is no number, and no limit. */
static uint64_t left_to_one(const char *group)
{
    uint64_t most, used, files = 0, in_memory = 0;
    if (!read_group(group, "memory.max", "", &most) ||
        !read_group(group, "memory.current", "", &used)) {
        return UINT64_MAX;
    }
    (void)read_group(group, "memory.stat", "file ", &files);
    (void)read_group(group, "memory.stat", "shmem ", &in_memory); /* is counted among the files */
    files -= in_memory < files ? in_memory : files;
    used -= files < used ? files : used;
    return used < most ? most - used : 0;
}

uint64_t base_memory_left_to_group(const char *root, const char *path)
{
    char group[PATH_MAX];
    size_t root_length = strlen(root);
    int length = snprintf(group, sizeof group, "%s%s", root, path);
    if (length < 0 || (size_t)length >= sizeof group) {
        return UINT64_MAX;
    }
    uint64_t left = left_to_one(group);
    for (char *slash; (slash = strrchr(group + root_length, '/')) != NULL;) {
        *slash = '\0';
        uint64_t around = left_to_one(group);
        left = around < left ? around : left;
    }
    return left;
}

/* The group of this process: the line that begins with "0::". */
static uint64_t left_to_groups(void)
{
    FILE *file = fopen(GROUPS_PATH, "re");
    char line[PATH_MAX];
    uint64_t left = UINT64_MAX;
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        if (strncmp(line, "0::/", 4) == 0) {
            left = base_memory_left_to_group(GROUPS_ROOT, line + 3);
        }
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    return left;
}

uint64_t base_memory_available(void)
{
    const struct base_system *system = BASE_SYSTEM_HOOK(memory_available);
    if (system != NULL) {
        return system->memory_available(system->context);
    }
    uint64_t machine = left_to_machine(), groups = left_to_groups();
    return machine < groups ? machine : groups;
}
