/* install-worker.sh as text, made at build time. */
#pragma once

extern const char install_worker[];
