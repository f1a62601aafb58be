/* The dashboard's files, compiled in from web/ui/dist; ends with path NULL. Empty when the build
 * found none. */
#pragma once

#include "web/web.h"

extern const struct web_asset web_assets[];
