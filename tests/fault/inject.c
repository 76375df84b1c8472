/*
 * Counting, and the decision whether a call fails.
 *
 * Happy path: each call takes a number; the one that the plan names strikes, and those behind it
 * when the plan says that the failure stays.
 *
 * Invariant: the plan changes only while no other thread is inside the library.
 */
#include "tests/fault/inject.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define ERRNO_MAX 256

static const char *const names[] = {
    "not reached",
#define FAULT_NAME(name) #name,
    FAULT_CALLS(FAULT_NAME)
#undef FAULT_NAME
        "a completion",
    "an allocation",
    "pages",
};

_Static_assert(sizeof names / sizeof *names == FAULT_KINDS, "one name for each kind");

static struct fault_plan plan;
static _Atomic int armed;
static _Atomic uint64_t counted;
static _Atomic unsigned strikes;
static _Atomic int first_call, first_error;
static _Atomic bool seen[ERRNO_MAX]; /* by errno */
static _Atomic unsigned variants;

void fault_arm(const struct fault_plan *given)
{
    plan = *given;
    atomic_store(&counted, 0);
    atomic_store(&strikes, 0);
    atomic_store(&first_call, FAULT_any);
    atomic_store(&first_error, 0);
    for (unsigned i = 0; i < ERRNO_MAX; i++) {
        atomic_store(&seen[i], false);
    }
    atomic_store(&variants, 0);
    atomic_store(&armed, 1);
}

uint64_t fault_disarm(void)
{
    atomic_store(&armed, 0);
    return atomic_load(&counted);
}

unsigned fault_strikes(void)
{
    return atomic_load(&strikes);
}

bool fault_was(int error)
{
    return error > 0 && error < ERRNO_MAX && atomic_load(&seen[error]);
}

unsigned fault_variants(void)
{
    return atomic_load(&variants);
}

static const char *shape_of(int error)
{
    return (error & FAULT_SHORT) != 0      ? "half of it"
           : (error & FAULT_ODD) != 0      ? "an odd part of it"
           : (error & FAULT_NOTHING) != 0  ? "nothing of it"
           : (error & FAULT_OVERFLOW) != 0 ? "an overflow"
                                           : strerrorname_np(error & FAULT_ERRNO);
}

const char *fault_text(void)
{
    static const char *const reaches[] = {"once", "all of its kind", "everything"};
    static char text[160];
    int call = atomic_load(&first_call), error = atomic_load(&first_error);
    (void)snprintf(text, sizeof text, "call %ju, %s, from there on %s: %s%s (variant %u)",
                   (uintmax_t)plan.at, names[call], reaches[plan.reach],
                   error != 0 ? shape_of(error) : "-",
                   (error & FAULT_AFTER) != 0 ? ", done all the same" : "", plan.variant);
    return text;
}

static unsigned lasting(const int *errors, unsigned count)
{
    unsigned found = 0;
    for (unsigned i = 0; i < count; i++) {
        found += (errors[i] & FAULT_NOT_LASTING) == 0;
    }
    return found;
}

/* The variant'th of those that fit. */
static int choose(const int *errors, unsigned count)
{
    bool any = plan.reach == FAULT_ONCE;
    unsigned fitting = any ? count : lasting(errors, count);
    if (fitting == 0) {
        return 0;
    }
    unsigned left = plan.variant % fitting;
    for (unsigned i = 0; i < count; i++) {
        if (!any && (errors[i] & FAULT_NOT_LASTING) != 0) {
            continue;
        }
        if (left-- == 0) {
            return errors[i];
        }
    }
    return 0;
}

static bool is_hit(uint64_t number, enum fault_call call)
{
    if (plan.at == 0 || number < plan.at) {
        return false;
    }
    if (number == plan.at) {
        atomic_store(&first_call, (int)call);
        return true;
    }
    return plan.reach == FAULT_EVERYTHING ||
           (plan.reach == FAULT_SAME_CALL && (int)call == atomic_load(&first_call));
}

int fault_strike(enum fault_domain domain, enum fault_call call, const int *errors, unsigned count)
{
    bool counts = plan.domain == domain && (plan.only == FAULT_any || plan.only == call);
    if (atomic_load(&armed) == 0 || !counts) {
        return 0;
    }
    uint64_t number = atomic_fetch_add(&counted, 1) + 1;
    if (!is_hit(number, call)) {
        return 0;
    }
    if (plan.kills) {
        (void)kill(getpid(), SIGKILL);
    }
    int error = choose(errors, count);
    if (error == 0) {
        return 0;
    }
    if (number == plan.at) {
        bool once = plan.reach == FAULT_ONCE;
        atomic_store(&variants, once ? count : lasting(errors, count));
        atomic_store(&first_error, error);
    }
    atomic_store(&seen[(error & FAULT_ERRNO) % ERRNO_MAX], true);
    atomic_fetch_add(&strikes, 1);
    return error;
}
