/* Removes folders of supernets and files of exports that the store does not know any more. */
#pragma once

#include "daemon/daemon.h"

/* Starts it in the thread pool; it says in the log what it removed. */
void janitor_run(struct daemon *daemon);
