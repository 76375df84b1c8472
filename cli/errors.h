/*
 * From an error to a sentence, a JSON object and an exit code.
 *
 *     if (rc < 0)
 *         return cli_fail(cli, rc, &why, "cannot truncate %s", path);
 *
 * People read on standard error what was tried, what went wrong and what to do. With --json the
 * same is one object on standard output:
 * {"error":sentence,"code":"WEIR_E_HELD","exit":3,"advice":...} and, where they are known,
 * "from_lsn", "to_lsn", "file", "offset".
 */
#ifndef CLI_ERRORS_H
#define CLI_ERRORS_H

#include "cli/command.h"

#include <weir/error.h>

/* What an error of an operation on an open log means to a script. */
int cli_exit_code(int code);

/* The same for an error of opening: damage that was found is a refusal, nothing was changed. */
int cli_exit_code_open(int code);

/*
 * Reports `code`; returns its exit code.
 * @param why  NULL, or the detail that came with it
 * @param format  what was tried: "cannot truncate orders.log"
 */
__attribute__((format(printf, 4, 5))) int cli_fail(struct cli *cli, int code,
                                                   const struct weir_error *why, const char *format,
                                                   ...);
__attribute__((format(printf, 4, 5))) int cli_fail_open(struct cli *cli, int code,
                                                        const struct weir_error *why,
                                                        const char *format, ...);

/* The answer is no: CLI_NO, whatever the code. */
__attribute__((format(printf, 4, 5))) int cli_fail_no(struct cli *cli, int code,
                                                      const struct weir_error *why,
                                                      const char *format, ...);

/* An advice of the library with this run's path in place of LOG, where that can be pasted. */
void cli_advice(const struct cli *cli, const char *advice, char *ret_text, size_t size);

/* Reports a sentence of our own under an exit code of our own; returns it. */
__attribute__((format(printf, 3, 4))) int cli_refuse(struct cli *cli, int exit_code,
                                                     const char *format, ...);

/* The command line is wrong: the sentence, the usage line, CLI_USAGE. */
__attribute__((format(printf, 2, 3))) int cli_usage_error(struct cli *cli, const char *format, ...);

/* "weir append: ..." on standard error: for what is no failure but should be known. */
__attribute__((format(printf, 2, 3))) void cli_note(const struct cli *cli, const char *format, ...);

#endif
