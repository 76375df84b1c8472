/*
 * What a person at the command line can do about an error.
 */
#ifndef CLI_ADVICE_H
#define CLI_ADVICE_H

#include "cli/command.h"

/* That of the library, but where it speaks to programmers, or means another command. "" when there
 * is none. @param code  negative */
const char *advice_for(const struct cli *cli, int code);

#endif
