/* Metrics on profiles as people name them, for messages: "a latency on the board "pi4" (profile
 * cpu)", "1.25 ms". */
#pragma once

#include "search/objective.h"

/* places: {profile or model id: "on the board \"pi4\" (profile cpu)"}, borrowed; NULL: none. A
 * metric whose place is not there has its key for a name. */
struct metric_words metric_words_by_place(const cJSON *places);
