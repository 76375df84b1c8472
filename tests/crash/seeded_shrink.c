/*
 * Shrinking: the smallest limits under which a seed still fails.
 *
 * One limit after the other is lowered, by halves and then by ones, as long as the run fails; again
 * from the first one, until nothing can be lowered. Each try is a child process, since what fails
 * may be an assertion or a hang.
 */
#include "tests/crash/seeded.h"

#include "base/assert.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define TRY_S 60u

struct limit {
    const char *name;
    size_t offset;
    unsigned least;
};

static const struct limit table[] = {
    {"troubles", offsetof(struct seeded_limits, troubles), 0},
    {"writers", offsetof(struct seeded_limits, writers), 1},
    {"threads", offsetof(struct seeded_limits, threads), 1},
    {"tailers", offsetof(struct seeded_limits, tailers), 0},
    {"compacts", offsetof(struct seeded_limits, compacts), 0},
    {"truncates", offsetof(struct seeded_limits, truncates), 0},
    {"cuts", offsetof(struct seeded_limits, cuts), 0},
    {"ops", offsetof(struct seeded_limits, ops), 1},
    {"payload", offsetof(struct seeded_limits, payload), 64},
};

#define LIMIT_COUNT (sizeof table / sizeof table[0])

static unsigned *value_of(struct seeded_limits *limits, const struct limit *limit)
{
    return (unsigned *)(void *)((char *)limits + limit->offset);
}

static bool still_fails(uint64_t seed, const struct seeded_limits *limits)
{
    (void)fflush(NULL);
    pid_t child = fork();
    WEIR_ASSERT(child >= 0);
    if (child == 0) {
        alarm(TRY_S);
        FILE *quiet = freopen("/dev/null", "w", stderr);
        (void)quiet;
        struct seeded_result result = seeded_run(seed, limits);
        _exit(result.failed ? 1 : 0);
    }
    int status = 0;
    pid_t waited = waitpid(child, &status, 0);
    WEIR_ASSERT(waited == child);
    return !WIFEXITED(status) || WEXITSTATUS(status) != 0;
}

/* True when it could be lowered. */
static bool lower(uint64_t seed, struct seeded_limits *limits, const struct limit *limit)
{
    unsigned now = *value_of(limits, limit);
    unsigned lowered[] = {limit->least, now / 2, now - now / 4, now - 1};
    for (size_t i = 0; i < sizeof lowered / sizeof lowered[0]; i++) {
        struct seeded_limits smaller = *limits;
        if (now <= limit->least || lowered[i] < limit->least || lowered[i] >= now) {
            continue;
        }
        *value_of(&smaller, limit) = lowered[i];
        if (still_fails(seed, &smaller)) {
            *limits = smaller;
            return true;
        }
    }
    return false;
}

struct seeded_limits seeded_shrink(uint64_t seed)
{
    struct seeded_limits limits = SEEDED_LIMITS;
    bool any = still_fails(seed, &limits);
    while (any) {
        any = false;
        for (size_t i = 0; i < LIMIT_COUNT; i++) {
            while (lower(seed, &limits, &table[i])) {
                any = true;
            }
        }
    }
    return limits;
}

void seeded_print(const struct seeded_limits *limits, char *text, unsigned size)
{
    struct seeded_limits copy = *limits;
    unsigned length = 0;
    for (size_t i = 0; i < LIMIT_COUNT && length < size; i++) {
        int more = snprintf(text + length, size - length, "%s%s=%u", i > 0 ? " " : "",
                            table[i].name, *value_of(&copy, &table[i]));
        length += (unsigned)more;
    }
}

bool seeded_parse(const char *text, struct seeded_limits *ret_limits)
{
    struct seeded_limits limits = SEEDED_LIMITS;
    char name[16];
    unsigned value;
    int used = 0;
    while (sscanf(text, " %15[a-z]=%u%n", name, &value, &used) == 2) {
        bool known = false;
        for (size_t i = 0; i < LIMIT_COUNT; i++) {
            if (strcmp(table[i].name, name) == 0) {
                *value_of(&limits, &table[i]) = value;
                known = true;
            }
        }
        if (!known) {
            return false;
        }
        text += used;
    }
    *ret_limits = limits;
    return text[strspn(text, " ")] == '\0';
}
