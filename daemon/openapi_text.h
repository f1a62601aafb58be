/* The descriptions of daemon/openapi/ in one document, made at build time by embed.py there. */
#pragma once

extern const char openapi_text[];
