/*
 * Findings as verify and salvage show them: collected up to a limit, then printed.
 */
#ifndef CLI_FINDINGS_H
#define CLI_FINDINGS_H

#include "cli/command.h"
#include "cli/json.h"

#include <weir/finding.h>

#define FINDINGS_MAX 1000u

struct findings {
    struct weir_finding *list; /* room for FINDINGS_MAX */
    size_t count;              /* of what is kept in it */
    size_t notes;              /* among them */
};

/* 0 or -ENOMEM. */
int findings_init(struct findings *findings);
void findings_free(struct findings *findings);

/* Keeps it while there is room. */
void findings_add(struct findings *findings, const struct weir_finding *finding);

/* An array of those that are notes, or of those that are none; NULL: of all. */
void findings_to_json(struct json *json, const char *name, const struct findings *findings,
                      const bool *notes);

/* Lines for people, the same choice; then what can be done, once for each code. */
void findings_print(struct output *out, const struct findings *findings, bool notes);
void findings_print_advice(struct cli *cli, const struct findings *findings, bool notes);

#endif
