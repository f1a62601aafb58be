/* Settings from files: what is written there counts as a variable of the environment that is not
 * set there. */
#pragma once

#include "base/error.h"

/* Reads, of those that are there, the files of the user (client.env in the folder espalier of
 * XDG_CONFIG_HOME or ~/.config) and of the machine (/etc/espalier/client.env); ESPALIER_CONFIG
 * names another one in their place, which must be there. Lines are ESPALIER_NAME=value, # begins
 * one that is a comment. What is set already stays: the environment wins over the files, the first
 * of them over the second. Once; later calls do nothing. Errors: those of file_read; ESP_EPARSE
 * names the line. */
int settings_load(struct err *err);
/* The file that a variable is from; NULL: none. */
const char *settings_file_of(const char *variable);
