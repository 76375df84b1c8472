/*
 * `weir verify --derived`: is what is derived what the log says? Each index, view and text that is
 * defined is brought up to date, built once more beside that, and the two are compared.
 */
#ifndef CLI_VERIFY_DERIVED_H
#define CLI_VERIFY_DERIVED_H

#include "cli/derived.h"

#define VERIFY_DIFFERENCES_MAX 20 /* that are named; all are counted */

struct verify_difference {
    enum weir_difference_kind kind;
    weir_lsn lsn;
    char text[160]; /* escaped, cut when it is longer */
};

struct verify_system {
    char name[WEIR_STATE_NAME_MAX + 1];
    enum definition_kind kind;
    /* Why it could not be looked at, and counts as differing: parked, a definition that is damaged,
     * a table that is not there. "" when it was. */
    char error[240];
    struct weir_host_verify_report report;
    struct verify_difference differences[VERIFY_DIFFERENCES_MAX];
    uint32_t named;
};

struct verify_derived {
    struct verify_system *systems;
    size_t count;
    size_t differing; /* systems that are not what the log says */
};

/* Returns -1 to go on, else the exit code of a failure that was reported. */
int verify_derived(struct cli *cli, const struct cli_common *common,
                   struct verify_derived *ret_derived);
void verify_derived_free(struct verify_derived *derived);

void verify_derived_to_json(struct json *json, const struct verify_derived *derived);
void verify_derived_print(struct cli *cli, const struct verify_derived *derived);

#endif
