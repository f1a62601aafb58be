/* espalier apply: makes what a file describes, once: what is there already, and the same, is left
 * as it is. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/nearest.h"
#include "daemon/cli/commands.h"
#include "daemon/cli/difference.h"
#include "daemon/cli/documents.h"
#include "daemon/cli/resource.h"

struct apply {
    struct cli *cli;
    bool dry;
    cJSON *results; /* rows of what was done, for --json */
    bool started;   /* a job of this run may still be at work */
};

/* One thing of the file. */
struct thing {
    const struct kind *kind;
    const char *name, *place;
    const cJSON *doc; /* without "kind" */
};

/* have: as it is, and what the file wants it to be, in the same form. Both owned. */
struct versions {
    cJSON *have, *want;
};

struct kind {
    const char *name, *path;
    bool tried; /* POST path?dry_run=true says what it would be */
    int (*compare)(struct apply *apply, const struct thing *thing, const cJSON *there,
                   struct err *err, struct versions *ret);
};

/* ---- what is there against what is wanted -------------------------------------------------- */

/* What the daemon makes of the document. Its own name is taken, so it is asked under another. */
static int tried_elsewhere(struct apply *apply, const struct thing *thing, struct err *err,
                           cJSON **ret_doc) {
    char path[64], name[48];
    cJSON *body = cJSON_Duplicate(thing->doc, true);
    snprintf(name, sizeof(name), "apply-%ld", (long)getpid());
    cli_put_text(body, "name", name);
    snprintf(path, sizeof(path), "%s?dry_run=true", thing->kind->path);
    int rc = cli_send(apply->cli, "POST", path, body, err, ret_doc);
    cJSON_Delete(body);
    return rc;
}

/* A checkpoint that the file names is compared with the one that the search went by. */
static int compare_search(struct apply *apply, const struct thing *thing, const cJSON *there,
                          struct err *err, struct versions *ret) {
    cJSON *tried = NULL;
    int rc = cli_get(apply->cli, err, &ret->have, "/searches/%s/request",
                     cli_encode(cli_text(there, "id")));
    if (rc == 0)
        rc = tried_elsewhere(apply, thing, err, &tried);
    if (rc == 0) {
        ret->want = cJSON_Duplicate(cli_item(tried, "request"), true);
        cli_put_text(ret->want, "name", thing->name);
    }
    cJSON_Delete(tried);
    if (rc == 0 && cJSON_HasObjectItem(ret->want, "checkpoint") &&
        !cJSON_HasObjectItem(ret->have, "checkpoint") && cli_text(there, "checkpoint")[0])
        cli_put_text(ret->have, "checkpoint", cli_text(there, "checkpoint"));
    return rc;
}

static int compare_space(struct apply *apply, const struct thing *thing, const cJSON *there,
                         struct err *err, struct versions *ret) {
    cJSON *tried = NULL;
    int rc = tried_elsewhere(apply, thing, err, &tried);
    if (rc == 0) {
        ret->have = cJSON_Duplicate(cli_item(there, "definition"), true);
        ret->want = cJSON_Duplicate(cli_item(tried, "definition"), true);
        cli_put_text(ret->have, "name", thing->name); /* equal spaces share one document */
        cli_put_text(ret->want, "name", thing->name);
    }
    cJSON_Delete(tried);
    return rc;
}

/* Members that the document gives, of want and of have. */
static void take_given(const cJSON *doc, const cJSON *there, struct versions *ret) {
    const cJSON *item = NULL;
    cJSON_ArrayForEach(item, doc) {
        const cJSON *is = cJSON_GetObjectItemCaseSensitive(there, item->string);
        if (cJSON_IsNull(item))
            continue;
        cJSON_AddItemToObject(ret->want, item->string, cJSON_Duplicate(item, true));
        if (is)
            cJSON_AddItemToObject(ret->have, item->string, cJSON_Duplicate(is, true));
    }
}

/* A name in the document is as good as the id. */
static void accept_name(cJSON *want, const char *member, const char *name, const char *id) {
    if (name[0] && !strcmp(cli_text(want, member), name))
        cli_put_text(want, member, id);
}

static int compare_dataset(struct apply *apply, const struct thing *thing, const cJSON *there,
                           struct err *err, struct versions *ret) {
    ret->have = cJSON_CreateObject();
    ret->want = cJSON_CreateObject();
    take_given(thing->doc, there, ret);
    char *real = realpath(cli_text(ret->want, "path"), NULL); /* the daemon keeps the real one */
    if (real)
        cli_put_text(ret->want, "path", real);
    free(real);
    return 0;
}

/* What it was begun with: how far it was trained since is no difference. */
static int compare_supernet(struct apply *apply, const struct thing *thing, const cJSON *there,
                            struct err *err, struct versions *ret) {
    const cJSON *train = cli_item(there, "train"), *other = NULL;
    struct versions trains = {cJSON_CreateObject(), cJSON_CreateObject()};
    cJSON *from = NULL;
    int rc = 0;

    ret->have = cJSON_CreateObject();
    ret->want = cJSON_CreateObject();
    take_given(thing->doc, there, ret);
    take_given(cli_item(thing->doc, "train"), train, &trains);
    cJSON_DeleteItemFromObjectCaseSensitive(ret->want, "train");
    cJSON_DeleteItemFromObjectCaseSensitive(ret->have, "train");
    cJSON_AddItemToObject(ret->want, "train", trains.want);
    cJSON_AddItemToObject(ret->have, "train", trains.have);
    accept_name(ret->want, "dataset", cli_text(there, "dataset_name"), cli_text(there, "dataset"));
    other = cli_item(thing->doc, "init_from");
    if (!other)
        return 0;
    cJSON_AddItemToObject(ret->have, "init_from",
                          cJSON_Duplicate(cli_item(train, "init_from"), true));
    if (!cJSON_HasObjectItem(other, "checkpoint"))
        cJSON_DeleteItemFromObjectCaseSensitive(
            cJSON_GetObjectItemCaseSensitive(ret->have, "init_from"), "checkpoint");
    rc = cli_get(apply->cli, err, &from, "/supernets/%s", cli_encode(cli_text(other, "supernet")));
    if (rc == 0)
        accept_name(cJSON_GetObjectItemCaseSensitive(ret->want, "init_from"), "supernet",
                    cli_text(from, "name"), cli_text(from, "id"));
    cJSON_Delete(from);
    return rc;
}

static const struct kind kinds[] = {{"search", "/searches", true, compare_search},
                                    {"supernet", "/supernets", false, compare_supernet},
                                    {"space", "/spaces", true, compare_space},
                                    {"dataset", "/datasets", false, compare_dataset}};

static const struct kind *find_kind(const char *name) {
    for (int i = 0; i < COUNT(kinds); i++)
        if (!strcmp(kinds[i].name, name))
            return &kinds[i];
    return NULL;
}

/* ---- what becomes of one thing ------------------------------------------------------------- */

static cJSON *add_result(struct apply *apply, const struct thing *thing, const char *action,
                         const char *id) {
    cJSON *row = cJSON_CreateObject();
    cJSON_AddStringToObject(row, "kind", thing->kind->name);
    cJSON_AddStringToObject(row, "name", thing->name);
    cJSON_AddStringToObject(row, "action", action);
    cJSON_AddStringToObject(row, "id", id[0] ? id : thing->name);
    cJSON_AddItemToArray(apply->results, row);
    return row;
}

/* One line for people, as soon as it is known. */
static void tell(const struct apply *apply, const struct thing *thing, const char *action,
                 const char *more) {
    const struct cli *cli = apply->cli;
    if (cli->json || cli->jsonl || cli->get || cli->output)
        return;
    printf("%s \"%s\": %s%s%s\n", thing->kind->name, thing->name, action, more[0] ? ", " : "",
           more);
    fflush(stdout);
}

/* Where the error is: in which thing of the file, at which of its fields. */
static int fail(const struct apply *apply, const struct thing *thing, struct err *err) {
    char pointer[sizeof(err->pointer)];
    const char *array = strchr(thing->place, '/');
    if (array && err->pointer[0]) {
        snprintf(pointer, sizeof(pointer), "%.32s%.200s", array, err->pointer);
        snprintf(err->pointer, sizeof(err->pointer), "%s", pointer);
    }
    err_prefix(err, err->code, "%s%s%s \"%.80s\"", thing->place, thing->place[0] ? ", " : "",
               thing->kind->name, thing->name);
    int code = cli_fail(err);
    if (apply->started && !apply->cli->wait && code == CLI_CONFLICT)
        fputs("with --wait each thing is ready before the next is made\n", stderr);
    return code;
}

static bool will_be_there(const struct apply *apply, const char *kind, const char *name) {
    const cJSON *row = NULL;
    cJSON_ArrayForEach(row, apply->results) if (!strcmp(cli_text(row, "kind"), kind) &&
                                                !strcmp(cli_text(row, "name"), name)) return true;
    return false;
}

/* Of a trial: whether it failed by what the file makes before it. */
static bool waits_for_earlier(const struct apply *apply, const struct thing *thing) {
    for (int i = 0; i < COUNT(kinds); i++)
        if (will_be_there(apply, kinds[i].name, cli_text(thing->doc, kinds[i].name)))
            return true;
    return false;
}

static int try(struct apply *apply, const struct thing *thing) {
    struct err err = {0};
    char path[64];
    int rc = 0;

    snprintf(path, sizeof(path), "%s?dry_run=true", thing->kind->path);
    bool unsure = waits_for_earlier(apply, thing);
    if (thing->kind->tried && !unsure)
        rc = cli_send(apply->cli, "POST", path, thing->doc, &err, NULL);
    if (rc)
        return fail(apply, thing, &err);
    add_result(apply, thing, "would be created", "");
    tell(apply, thing, "would be created",
         unsure               ? "not checked: it needs what comes before it"
         : thing->kind->tried ? ""
                              : "not checked by the daemon");
    return CLI_OK;
}

static int create(struct apply *apply, const struct thing *thing) {
    struct err err = {0};
    cJSON *answer = NULL;
    int code = CLI_OK;

    if (cli_send(apply->cli, "POST", thing->kind->path, thing->doc, &err, &answer))
        return fail(apply, thing, &err);
    const cJSON *made = cJSON_GetObjectItemCaseSensitive(answer, thing->kind->name);
    const char *job = cli_text(answer, "job.id"), *id = cli_text(made, "id");
    cJSON *row = add_result(apply, thing, "created", id);
    if (job[0])
        cJSON_AddStringToObject(row, "job", job);
    tell(apply, thing, "created", job);
    apply->started = apply->started || job[0];
    if (apply->cli->wait && job[0])
        code = cli_wait(apply->cli, job);
    cJSON_Delete(answer);
    return code;
}

static int leave(struct apply *apply, const struct thing *thing, const cJSON *there) {
    const char *job = cli_text(there, "job");
    add_result(apply, thing, "unchanged", cli_text(there, "id"));
    tell(apply, thing, "unchanged", "");
    return apply->cli->wait && !apply->dry && job[0] ? cli_wait(apply->cli, job) : CLI_OK;
}

/* Whether the only difference is that the file asks for more evaluations. */
static bool wants_more(const cJSON *differences) {
    const cJSON *row = differences->child;
    return !row->next && !strcmp(cli_text(row, "pointer"), "/evaluations") &&
           cli_number(row, "want") > cli_number(row, "have");
}

/* What a person can do about it, as apply itself changes nothing. */
static void advise(const struct thing *thing, const cJSON *differences) {
    if (!strcmp(thing->kind->name, "search") && wants_more(differences))
        fprintf(stderr, "it can have them: espalier search extend \"%s\" -n %.0f\n", thing->name,
                cli_number(differences->child, "want"));
    else
        fprintf(stderr,
                "give it another name in the file, or remove what is there first: espalier %s rm "
                "\"%s\"\n",
                thing->kind->name, thing->name);
}

static int refuse(struct apply *apply, const struct thing *thing, const cJSON *there,
                  cJSON *differences) {
    const cJSON *row = NULL;
    cJSON *result = add_result(apply, thing, "differs", cli_text(there, "id"));
    fprintf(stderr, "espalier: %s \"%s\" is there, and differs; nothing of it was changed:\n",
            thing->kind->name, thing->name);
    cJSON_ArrayForEach(row, differences) difference_print(stderr, row);
    advise(thing, differences);
    cJSON_AddItemToObject(result, "differences", differences);
    tell(apply, thing, "differs", "");
    return CLI_CONFLICT;
}

static int compare(struct apply *apply, const struct thing *thing, const cJSON *there) {
    struct versions versions = {NULL, NULL};
    struct err err = {0};
    cJSON *rows = cJSON_CreateArray();
    int code, rc = thing->kind->compare(apply, thing, there, &err, &versions);

    if (rc == 0)
        difference_add(rows, "", versions.have, versions.want);
    cJSON_Delete(versions.have);
    cJSON_Delete(versions.want);
    if (rc != 0) {
        code = fail(apply, thing, &err);
    } else if (rows->child) {
        return refuse(apply, thing, there, rows);
    } else {
        code = leave(apply, thing, there);
    }
    cJSON_Delete(rows);
    return code;
}

/* ---- the file ------------------------------------------------------------------------------ */

static int unknown_kind(const char *place, const char *kind) {
    const char *best = kinds[0].name;
    for (int i = 1; i < COUNT(kinds); i++)
        if (nearest_distance(kind, kinds[i].name) < nearest_distance(kind, best))
            best = kinds[i].name;
    bool slip = nearest_is_slip(kind, nearest_distance(kind, best));
    fprintf(stderr,
            "espalier: %s%skind is search, supernet, space or dataset, not \"%.60s\"%s%s%s "
            "(%s/kind)\n",
            place, place[0] ? ", " : "", kind, slip ? "; did you mean \"" : "", slip ? best : "",
            slip ? "\"?" : "", strchr(place, '/') ? strchr(place, '/') : "");
    return CLI_FAILURE;
}

/* Takes "kind" out of doc; without it, it is a search. */
static int read_thing(cJSON *doc, const char *place, struct thing *ret) {
    const cJSON *kind = cJSON_GetObjectItemCaseSensitive(doc, "kind");
    const char *word = kind ? cJSON_GetStringValue(kind) : "search";
    ret->kind = find_kind(word ? word : "");
    if (!ret->kind)
        return unknown_kind(place, word ? word : "");
    cJSON_DeleteItemFromObjectCaseSensitive(doc, "kind");
    ret->doc = doc;
    ret->place = place;
    ret->name = cli_text(doc, "name");
    if (ret->name[0])
        return CLI_OK;
    fprintf(stderr, "espalier: %s%sa %s needs a name (%s/name)\n", place, place[0] ? ", " : "",
            ret->kind->name, strchr(place, '/') ? strchr(place, '/') : "");
    return CLI_FAILURE;
}

static int apply_thing(struct apply *apply, const struct thing *thing) {
    struct err err = {0};
    cJSON *there = NULL;
    int code,
        rc = cli_get(apply->cli, &err, &there, "%s/%s", thing->kind->path, cli_encode(thing->name));
    if (rc == 0)
        code = compare(apply, thing, there);
    else if (err.code != ESP_ENOTFOUND)
        code = fail(apply, thing, &err);
    else
        code = apply->dry ? try(apply, thing) : create(apply, thing);
    cJSON_Delete(there);
    return code;
}

/* Everything is read before anything is made. What differs does not keep the rest from being
 * looked at; any other failure does. */
static int apply_all(struct apply *apply, cJSON *docs, const cJSON *places) {
    int n = cJSON_GetArraySize(docs), code = CLI_OK, i = 0;
    struct thing *things = calloc((size_t)n + 1, sizeof(*things));
    const cJSON *place = places->child;
    cJSON *doc = NULL;

    if (!things)
        return CLI_FAILURE;
    cJSON_ArrayForEach(doc, docs) {
        if (code == CLI_OK)
            code = read_thing(doc, cJSON_GetStringValue(place), &things[i++]);
        place = place->next;
    }
    for (i = 0; i < n && (code == CLI_OK || code == CLI_CONFLICT); i++) {
        int one = apply_thing(apply, &things[i]);
        bool differs = one == CLI_CONFLICT && apply->results->child &&
                       !strcmp(cli_text(apply->results->child->prev, "action"), "differs");
        code = one == CLI_OK ? code : one;
        if (one == CLI_CONFLICT && !differs)
            break;
    }
    free(things);
    return code;
}

static int apply_run(struct cli *cli, int argc, char **argv) {
    struct apply apply = {.cli = cli};
    const char *path = NULL;
    const struct option_row rows[] = {
        {"file", 'f', OPTION_TEXT, NULL, 0, 0, "",
         "JSON documents, or arrays of them (-: standard input; needed)", &path},
        {"dry-run", 0, OPTION_FLAG, NULL, 0, 0, "", "only say what would be done, or what is wrong",
         &apply.dry},
        CLI_WAIT_ROWS(cli),
        CLI_COMMON_ROWS(cli)};
    struct err err = {0};
    cJSON *docs = NULL, *places = NULL;
    int first = 0, code = cli_start(cli, rows, argc, argv, (struct cli_words){0, 0}, &first);

    if (code >= 0)
        return code;
    if (!path)
        return cli_usage("--file is needed: what is to be there");
    if (documents_read(path, &err, &docs, &places))
        return cli_fail(&err);
    apply.results = cJSON_CreateArray();
    code = apply_all(&apply, docs, places);
    cli_print_plain(cli, apply.results);
    cJSON_Delete(apply.results);
    cJSON_Delete(docs);
    cJSON_Delete(places);
    return code;
}

const struct cli_command cli_apply = {
    "apply", NULL, "", "make what a file describes; what is there is compared, never changed",
    apply_run};
