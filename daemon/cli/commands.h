/* The list of commands. */
#pragma once

#include "daemon/cli/cli.h"

#define CLI_COMMAND(name) extern const struct cli_command cli_##name;
#include "daemon/cli/commands.inc"
#undef CLI_COMMAND
