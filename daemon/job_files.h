/* Names of files in a job's folder that both the job and the daemon know. */
#pragma once

/* The checkpoint that a search goes by: a second name of the supernet's file, which training may
 * remove. It stays as long as the search. */
#define JOB_SEARCH_CHECKPOINT "search.ckpt"
/* What a search began with, as its job's first attempt got it. */
#define JOB_SEARCH_SPEC "search_spec.json"
