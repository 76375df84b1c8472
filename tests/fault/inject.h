/*
 * Makes the n-th call fail.
 *
 *     struct fault_plan plan = {.at = 17, .domain = FAULT_IN_CALLS, .reach = FAULT_ONCE};
 *     fault_arm(&plan);
 *     ...the library is used...
 *     uint64_t calls = fault_disarm();        how many there were; fewer than 17: nothing failed
 *
 * While nothing is armed every call passes. The n-th is counted over all threads.
 */
#ifndef TESTS_FAULT_INJECT_H
#define TESTS_FAULT_INJECT_H

#include "tests/fault/calls.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum fault_domain {
    FAULT_IN_CALLS,       /* calls of the system, of liburing too */
    FAULT_IN_COMPLETIONS, /* results of what was submitted to a ring */
    FAULT_IN_MEMORY,      /* base_alloc, base_pages_alloc */
};

enum fault_reach {
    FAULT_ONCE,
    FAULT_SAME_CALL, /* and all later ones of that kind */
    FAULT_EVERYTHING,
    FAULT_REACHES,
};

struct fault_plan {
    uint64_t at; /* from 1; 0: only count */
    enum fault_domain domain;
    enum fault_reach reach;
    unsigned variant;     /* of the errors that such a call can meet; any number */
    enum fault_call only; /* count this call alone; FAULT_any: all of the domain */
    bool kills;           /* the process dies (SIGKILL) in front of that call */
};

void fault_arm(const struct fault_plan *plan);
uint64_t fault_disarm(void);

/* Since it was armed, until it is armed again. */
unsigned fault_strikes(void);
bool fault_was(int error);     /* was this errno, > 0, among the strikes? */
unsigned fault_variants(void); /* how many the call that failed first has, with this reach */
const char *fault_text(void);  /* "call 17, pwritev2, once: EIO" */

/* The allocator of base that counts and fails: base_system_set(&fault_memory). */
struct base_system;
extern const struct base_system fault_memory;

/* ---- for calls.c ---- */

/* Beside an errno. */
#define FAULT_ERRNO 0x0fff
#define FAULT_NOT_LASTING 0x1000 /* would be a call that never ends, if it stayed */
#define FAULT_AFTER 0x2000       /* the call does its work, then says that it failed */
#define FAULT_SHORT 0x4000       /* a transfer of half */
#define FAULT_ODD 0x8000         /* a transfer of a part that ends within a block */
#define FAULT_NOTHING 0x10000    /* a transfer of 0 */
#define FAULT_OVERFLOW 0x20000   /* the ring says that it has lost a completion */

/* 0: the call passes. Otherwise one of `errors`. */
int fault_strike(enum fault_domain domain, enum fault_call call, const int *errors, unsigned count);

#endif
