#include "daemon/store_known.h"

#include <math.h>

#include "daemon/store_calibrations.h"

/* Which networks stand for a space is said by calibrations that learnt on them; each new one says
 * it of those that it began with, too, so the newest know of most. Of a search over a part of a
 * space they stand for that part alone. Methods are in the order of their names: "brief", then
 * "full". */
#define REPRESENTATIVES                                                                            \
    "SELECT json_extract(p.value, '$.arch') FROM (SELECT data FROM calibrations c WHERE "          \
    "c.profile = ?1 AND c.profile_revision = ?2 AND NOT EXISTS (SELECT 1 FROM searches s WHERE "   \
    "s.id = c.search AND json_extract(s.body, '$.subspace') IS NOT NULL) ORDER "                   \
    "BY " CALIBRATIONS_NEWEST_FIRST " LIMIT 20) n, json_each(n.data, '$.points') p WHERE "         \
    "json_extract(p.value, '$.representative')"

int store_known_networks(struct sql *sql, const struct known_query *query, known_network_fn *take,
                         void *context, struct err *err) {
    struct sql_rows rows;
    bool more = true;
    for (sql_query(
             sql, &rows,
             "SELECT graph_id, arch, avg(median_us), avg(coalesce(sd_us, 0) * coalesce(sd_us, "
             "0)), max(finished_us), arch IN (" REPRESENTATIVES ") FROM measurements WHERE "
             "profile = ?1 AND profile_revision = ?2 AND kind = 'network' AND state = "
             "'accepted' AND aside = 0 AND arch IS NOT NULL AND method >= ?3 GROUP BY "
             "graph_id ORDER BY max(finished_us) DESC, graph_id",
             "ttt", query->profile, query->revision, query->method);
         more && sql_next(&rows);)
        more = take(context, &(struct known_network){.graph_id = sql_text(&rows, 0),
                                                     .arch = sql_text(&rows, 1),
                                                     .median_us = sql_real(&rows, 2),
                                                     .sd_us = sqrt(sql_real(&rows, 3)),
                                                     .at_us = sql_int(&rows, 4),
                                                     .representative = sql_int(&rows, 5) != 0});
    return sql_end(&rows, err);
}
