/* Who needs a checkpoint, in SQL. Each macro is what follows FROM: a table of users, with a WHERE
 * that relates it to checkpoint t (its id, hash, path, step and supernet). */
#pragma once

/* s: it trains, or t is its newest. */
#define CHECKPOINT_SUPERNETS                                                                       \
    "supernets s WHERE s.id = t.supernet AND (s.state IN ('importing', 'training') OR "            \
    "s.checkpoint = t.id OR t.step = (SELECT max(n.step) FROM checkpoints n WHERE n.supernet = "   \
    "t.supernet))"

/* q */
#define CHECKPOINT_SEARCHES                                                                        \
    "searches q WHERE q.supernet = t.supernet AND q.checkpoint IN (t.id, t.hash)"

/* j: not over, and of the supernet or told of it. */
#define CHECKPOINT_JOBS                                                                            \
    "jobs j WHERE j.state NOT IN ('done', 'failed', 'canceled') AND (j.subject = t.supernet OR "   \
    "instr(j.spec, t.hash) > 0 OR instr(j.spec, t.supernet) > 0)"

/* e */
#define CHECKPOINT_EVALUATIONS                                                                     \
    "evaluations e WHERE e.supernet = t.supernet AND e.checkpoint IN (t.id, t.hash)"

/* k: an older one, whose file t's replaced; without t it would be taken for what lies there. */
#define CHECKPOINT_REPLACED                                                                        \
    "checkpoints k WHERE k.supernet = t.supernet AND k.path = t.path AND k.id < t.id"
